"""What a JSON Schema says about one value path, and the paths that it knows. Pure."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sparkrig.models.json import JsonObject, JsonValue, dig, mapping_at, sequence_at, texts_at
from sparkrig.yaml.nodes import Path, Step
from sparkrig.yaml.phrases import found


class Absent(enum.Enum):
    """No default; a default may be None."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
"""Stands for a default that there is not; ``None`` is one."""

Schema = JsonObject


@dataclass(frozen=True, slots=True)
class ValueDoc:
    """What is documented about one value."""

    source: str
    """Whose schema says so: ``sparkrig`` or ``chart``."""
    description: str
    type: str
    """``integer``, ``string or null``; empty where the schema leaves it open."""
    allowed: tuple[JsonValue, ...]
    """All allowed values; empty where they are not listed."""
    limits: tuple[str, ...]
    """``1 or more``, ``a quantity such as 10Gi``."""
    default: JsonValue | Absent
    """``ABSENT`` where there is none."""
    examples: tuple[JsonValue, ...]


def schema_at(root: Schema, path: Sequence[Step]) -> Schema | None:
    """The part of the schema that speaks of ``path``; None where it says nothing about it."""
    node: JsonValue = root
    for step in path:
        node = _below(root, resolved(root, node), step)
        if node is None:
            return None
    node = resolved(root, node)
    return node if isinstance(node, Mapping) else None


def resolved(root: Schema, node: JsonValue) -> JsonValue:
    """A local ``$ref`` followed; what stands beside it is kept and wins."""
    for _ in range(32):
        if not isinstance(node, Mapping) or "$ref" not in node:
            return node
        target: JsonValue = root
        reference = node["$ref"]
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        for part in reference[1:].split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            target = target.get(name) if isinstance(target, Mapping) else None
        if not isinstance(target, Mapping):
            return None
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    return None


def _below(root: Schema, schema: JsonValue, step: Step) -> JsonValue:
    if not isinstance(schema, Mapping):
        return None
    if isinstance(step, int):
        items = schema.get("items")
        if isinstance(items, list):
            return items[step] if step < len(items) else schema.get("additionalItems")
        return items
    direct = dig(schema, "properties", step)
    if direct is not None:
        return direct
    for pattern, below in mapping_at(schema, "patternProperties").items():
        if re.search(pattern, step):
            return below
    for keyword in ("allOf", "anyOf", "oneOf"):
        for part in sequence_at(schema, keyword):
            inner = _below(root, resolved(root, part), step)
            if inner is not None:
                return inner
    others = schema.get("additionalProperties")
    return others if isinstance(others, Mapping) else None


def leaves(schema: Schema) -> Iterator[tuple[Path, Schema]]:
    """Every documented value that is not only a map of other documented values."""
    yield from _leaves(schema, schema, ())


def _leaves(root: Schema, schema: Schema, path: Path) -> Iterator[tuple[Path, Schema]]:
    properties = mapping_at(schema, "properties")
    if not properties:
        yield path, schema
        return
    for key, below in properties.items():
        inner = resolved(root, below)
        if isinstance(inner, Mapping):
            yield from _leaves(root, inner, (*path, key))


def groups(schema: Schema) -> Iterator[tuple[Path, Schema]]:
    """Every documented map of documented values, the root left out."""
    for key, below in mapping_at(schema, "properties").items():
        if isinstance(below, Mapping) and below.get("properties"):
            yield (key,), below
            for path, inner in groups(below):
                yield (key, *path), inner


def document(schema: Schema | None, source: str) -> ValueDoc | None:
    """What a schema's part says, in a form to show; None where it says nothing worth showing."""
    if schema is None:
        return None
    allowed = (
        tuple(sequence_at(schema, "enum")) if "enum" in schema else (schema["const"],) if "const" in schema else ()
    )
    types = schema.get("type")
    names = [types] if isinstance(types, str) else texts_at(types)
    doc = ValueDoc(
        source=source,
        description=" ".join(str(schema.get("description", "")).split()),
        type=" or ".join(str(name) for name in names),
        allowed=allowed,
        limits=tuple(_limits(schema)),
        default=schema.get("default", ABSENT),
        examples=tuple(sequence_at(schema, "examples")),
    )
    says = doc.description or doc.type or doc.allowed or doc.limits or doc.default is not ABSENT
    return doc if says else None


def _limits(schema: Schema) -> Iterator[str]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        yield f"{low} to {high}"
    elif low is not None:
        yield f"{low} or more"
    elif high is not None:
        yield f"{high} or less"
    for keyword, words in _WORDS.items():
        if keyword in schema:
            one = words.replace("items", "item").replace("keys", "key").replace("characters", "character")
            yield (one if schema[keyword] == 1 else words).format(schema[keyword])
    if "x-pattern" in schema:
        yield str(schema["x-pattern"])
    elif "pattern" in schema:
        said = _IS_WHAT.match(str(schema.get("x-message", "")))
        yield said[1] if said else f"matches {schema['pattern']}"
    if "format" in schema:
        yield f"format {schema['format']}"


_IS_WHAT: Final = re.compile(r"\S+ (?:is|has) (.+?)(?:[;:] .*)?$")
"""``replicas is a number``: what a schema's own message says of a value that it refuses."""

_WORDS: Final[Mapping[str, str]] = {
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minItems": "{} items or more",
    "maxItems": "{} items at most",
    "maxLength": "{} characters at most",
    "minProperties": "{} keys or more",
    "maxProperties": "{} keys at most",
}


def one_line(doc: ValueDoc) -> str:
    """Type, limits and default in one line: ``integer, 1 or more, default 1``."""
    parts: list[str] = []
    if doc.allowed:
        parts.append("one of " + ", ".join(found(value) for value in doc.allowed))
    elif doc.type:
        parts.append(doc.type)
    parts += doc.limits
    return ", ".join(parts)
