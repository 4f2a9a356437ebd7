"""The words for what a schema wanted and what was found. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from sparkrig.models.json import JsonObject, JsonValue, sequence_at, text_at
from sparkrig.yaml.formats import FORMATS
from sparkrig.yaml.nodes import Path, show_path
from sparkrig.yaml.secret_names import names_secret

_TYPES = {
    "integer": "an integer",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "object": "a map",
    "array": "a list",
    "null": "null",
}


def path_text(subject: str, path: Path) -> str:
    """``web`` and ``("replicas",)`` -> ``web.replicas``."""
    below = show_path(path)
    if not subject or not below:
        return subject or below or "the document"
    return subject + below if below.startswith("[") else f"{subject}.{below}"


def found(value: JsonValue) -> str:
    """A value in a message: short, with text in quotes."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        shown = value if len(value) <= 60 else value[:57] + "…"
        return "'" + shown.replace("\n", "\\n") + "'"
    if isinstance(value, Mapping):
        return "a map" if value else "an empty map"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return str(value)


def expected_type(types: JsonValue) -> str:
    """``["string", "null"]`` -> ``a text or null``."""
    names = types if isinstance(types, list) else [types]
    if "number" in names:
        names = [name for name in names if name != "integer"]
    return _either([_TYPES.get(str(name), str(name)) for name in names])


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}" if words else "something else"


class Failure(Protocol):
    """An error of jsonschema, as far as messages need it."""

    @property
    def validator(self) -> str | None:
        """The keyword; None for the schema ``false``."""

    @property
    def validator_value(self) -> JsonValue:
        """What the schema says under the keyword."""

    @property
    def instance(self) -> JsonValue:
        """What does not meet it."""

    @property
    def schema(self) -> JsonValue:
        """The schema around the keyword."""

    @property
    def message(self) -> str:
        """In jsonschema's own words."""

    @property
    def context(self) -> Sequence[Failure]:
        """The errors of each branch of ``anyOf`` or ``oneOf``."""

    @property
    def absolute_path(self) -> Sequence[str | int]:
        """Where in the document."""

    @property
    def relative_path(self) -> Sequence[str | int]:
        """Where below the document of the error that this one is in the context of."""

    @property
    def relative_schema_path(self) -> Sequence[str | int]:
        """Where in the schema."""


def phrase(error: Failure, name: str, *, naming: bool = False) -> tuple[str, str | None]:
    """Message and caret label for one validation error about ``name``; ``naming``: the name is the value itself."""
    wanted, value = error.validator_value, error.instance
    shown = "(hidden)" if isinstance(value, str) and _is_secret(name) else found(value)
    is_what = f"{name} is not allowed" if naming else f"{name} is {shown}"
    match error.validator:
        case "type":
            return f"{is_what}, expected {expected_type(wanted)}", None
        case "enum":
            return f"{is_what}, expected {_either([found(choice) for choice in sequence_at(wanted)])}", None
        case "const":
            return f"{is_what}, expected {found(wanted)}", None
        case "pattern":
            text = text_at(error.schema, "x-pattern") or f"a text that matches {wanted}"
            return f"{is_what}, expected {text}", None
        case "format":
            known = FORMATS.get(str(wanted))
            return f"{is_what}, expected {known.words if known else f'the format {wanted!r}'}", None
        case "not":
            return f"{is_what}, which is not allowed here", None
        case "uniqueItems":
            return f"{name} is {error.message}", None
        case None:
            return f"{name} is not allowed here", None
        case _:
            return _size(error.validator, wanted, value, name, is_what), None


def _is_secret(name: str) -> bool:
    return names_secret(re.split(r"[.\[\]]+", name.rstrip("]")))


def _size(keyword: str, wanted: JsonValue, value: JsonValue, name: str, is_what: str) -> str:
    count = len(value) if isinstance(value, str | Sequence | Mapping) else 0
    match keyword:
        case "minimum":
            return f"{is_what}, expected {wanted} or more"
        case "maximum":
            return f"{is_what}, expected {wanted} or less"
        case "exclusiveMinimum":
            return f"{is_what}, expected more than {wanted}"
        case "exclusiveMaximum":
            return f"{is_what}, expected less than {wanted}"
        case "multipleOf":
            return f"{is_what}, expected a multiple of {wanted}"
        case "minLength" if not count:
            return f"{name} is empty, expected {_count(wanted, 'character')} or more"
        case "minLength":
            return f"{is_what}, expected {_count(wanted, 'character')} or more"
        case "maxLength":
            return f"{name} has {_count(count, 'character')}, expected {wanted} at most"
        case "minItems" | "minProperties":
            what = "item" if keyword == "minItems" else "key"
            return f"{name} has {_count(count, what)}, expected {wanted} or more"
        case "maxItems" | "maxProperties":
            what = "item" if keyword == "maxItems" else "key"
            return f"{name} has {_count(count, what)}, expected {wanted} at most"
        case "additionalItems" | "items" | "unevaluatedItems":
            return f"{name} has more items than expected"
        case "contains" | "minContains":
            return f"{name} holds no item of the kind that it needs"
        case "oneOf":
            return f"{name} fits more than one of the forms it can have"
    return f"{is_what}, which its schema does not allow"


def _count(number: JsonValue, noun: str) -> str:
    return f"no {noun}" if number == 0 else f"1 {noun}" if number == 1 else f"{number} {noun}s"


def describe(name: str, schema: JsonValue) -> str | None:
    """One line about a value from its schema: ``web.replicas: number of servers (integer, default 1)``."""
    if not isinstance(schema, Mapping):
        return None
    facts: list[str] = []
    if "enum" in schema:
        facts.append(_either([found(choice) for choice in sequence_at(schema, "enum")]))
    elif "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        facts.append(" or ".join(str(kind) for kind in types))
    facts.extend(_bounds(schema))
    if "default" in schema:
        default = schema["default"]
        facts.append(f"default {default if isinstance(default, str) and default else found(default)}")
    text = str(schema.get("description", "")).strip().rstrip(".")
    if not text and not facts:
        return None
    detail = ", ".join(facts)
    return f"{name}: {text} ({detail})" if text and detail else f"{name}: {text or detail}"


def _bounds(schema: JsonObject) -> list[str]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return [f"{low} to {high}"]
    if low is not None:
        return [f"{low} or more"]
    return [f"{high} or less"] if high is not None else []
