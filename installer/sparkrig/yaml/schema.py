"""Checks a tree against a JSON Schema and says what is wrong where, in a person's words. Pure.

Draft 7 unless the schema's ``$schema`` says otherwise. A (sub)schema may carry ``x-message``: a
sentence that is said instead of the general message, also on ``not``, ``then`` or an ``allOf`` part.
Nothing is fetched: a ``$ref`` out of the schema is reported as ``schema-unusable``, a warning.

Codes: ``unknown-key``, ``missing-key``, ``wrong-type``, ``not-allowed-value``, ``out-of-range``, ``bad-pattern``,
``too-few``, ``too-many``, ``too-short``, ``too-long``, ``duplicate-item``, ``conflicting``, ``schema-unusable``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from sparkrig.models.json import JsonObject, JsonValue, dig, mapping_at, sequence_at, texts_at
from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.yaml.misreading import misreading
from sparkrig.yaml.nodes import ListNode, MapNode, Node, Path, ScalarNode, find, place, show_path, to_python
from sparkrig.yaml.phrases import Failure, describe, expected_type, found, path_text, phrase
from sparkrig.yaml.setflag import is_flag
from sparkrig.yaml.validator import errors

MAX_SUGGESTIONS: Final = 100
"""Unknown keys that are compared with the known ones in one check; comparing costs a millisecond each."""

_INTO_INSTANCE = frozenset(
    {
        "properties",
        "patternProperties",
        "additionalProperties",
        "items",
        "prefixItems",
        "additionalItems",
        "contains",
        "propertyNames",
        "unevaluatedProperties",
        "unevaluatedItems",
    }
)
_CODES: Final[dict[str, str]] = {
    "type": "wrong-type", "enum": "not-allowed-value", "const": "not-allowed-value", "minimum": "out-of-range",
    "maximum": "out-of-range", "exclusiveMinimum": "out-of-range", "exclusiveMaximum": "out-of-range",
    "multipleOf": "out-of-range", "pattern": "bad-pattern", "format": "bad-pattern", "minItems": "too-few",
    "minProperties": "too-few", "contains": "too-few", "minContains": "too-few", "maxItems": "too-many",
    "maxProperties": "too-many", "maxContains": "too-many", "additionalItems": "too-many", "items": "too-many",
    "unevaluatedItems": "too-many", "minLength": "too-short", "maxLength": "too-long", "uniqueItems": "duplicate-item",
}  # fmt: skip


def check(node: Node, schema: JsonObject, subject: str, *, written: Node | None = None) -> list[Problem]:
    """Everything in ``node`` that ``schema`` does not allow, in the order of the text.

    ``subject`` is what the root is called in messages, e.g. the component: ``web.replicas is …``.
    ``written`` is the tree as a person wrote it, where ``node`` has lost keys since: a required key
    that is in it (with a null, which deletes) is reported there.
    """
    import jsonschema
    import referencing.exceptions

    checker = _Checker(node, schema, subject, written)
    problems: list[Problem] = []
    try:
        for error in errors(schema, to_python(node)):
            problems.extend(checker.problems(error))
    except (
        jsonschema.exceptions.SchemaError,
        jsonschema.exceptions.UnknownType,
        referencing.exceptions.Unresolvable,
        re.error,
        RecursionError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        problems.append(
            Problem(Severity.WARNING, "schema-unusable", f"the schema of {subject} cannot be used: {reason}")
        )
    return sorted(dict.fromkeys(problems), key=_order)


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that ``word`` was probably meant to be, or None."""
    known = [candidate for candidate in candidates if candidate != word]
    folded = {re.sub(r"[-_. ]", "", candidate).lower(): candidate for candidate in reversed(known)}
    same = folded.get(re.sub(r"[-_. ]", "", word).lower())
    if same is not None:
        return same
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return close[0] if close else None


def known_keys(schema: JsonValue) -> list[str]:
    """Names that the ``properties`` of a schema and of its ``allOf``/``anyOf``/``oneOf``/``then`` parts know."""
    if not isinstance(schema, Mapping):
        return []
    names = dict.fromkeys(mapping_at(schema, "properties"))
    for keyword in ("allOf", "anyOf", "oneOf"):
        for part in sequence_at(schema, keyword):
            names.update(dict.fromkeys(known_keys(part)))
    for keyword in ("if", "then", "else"):
        names.update(dict.fromkeys(known_keys(schema.get(keyword))))
    return list(names)


class _Checker:
    """Turns the errors of one check into problems."""

    def __init__(self, root: Node, schema: JsonObject, subject: str, written: Node | None) -> None:
        self.root, self.schema, self.subject = root, schema, subject
        self.written = written
        self.suggestions = 0

    def problems(self, error: Failure, above: Path = ()) -> Iterator[Problem]:
        """``above`` is the path in the schema of the anyOf/oneOf that this error is in."""
        path: Path = tuple(error.absolute_path)
        schema_path = (*above, *error.relative_schema_path)
        said = self.said(error, schema_path)
        match error.validator:
            case "propertyNames":
                yield from ()
            case _ if "propertyNames" in schema_path and isinstance(error.instance, str):
                yield from self.bad_key(error, error.instance, path, said)
            case "additionalProperties" | "unevaluatedProperties":
                yield from self.unknown(error, path, said)
            case "required" | "dependentRequired" | "dependencies":
                yield from self.missing(error, path, said)
            case "anyOf" | "oneOf" if error.context:
                yield from self.branches(error, path, schema_path, said)
            case _:
                yield self.plain(error, path, said)

    def plain(self, error: Failure, path: Path, said: str | None) -> Problem:
        code = _CODES.get(error.validator or "", "conflicting")
        name = path_text(self.subject, path)
        message, label = phrase(error, name)
        if code == "not-allowed-value" and error.validator == "enum" and isinstance(error.instance, str):
            close = did_you_mean(error.instance, [v for v in sequence_at(error.validator_value) if isinstance(v, str)])
            label = f"did you mean '{close}'?" if close else label
        if code == "wrong-type" and label is None:
            label = self.quotes(error.validator_value, path)
        return self.problem(code, said or message, self.value_place(path), path, label=label)

    def unknown(self, error: Failure, path: Path, said: str | None) -> Iterator[Problem]:
        schema = error.schema
        known = known_keys(schema)
        patterns = [re.compile(pattern) for pattern in mapping_at(schema, "patternProperties")]
        for key in mapping_at(error.instance):
            if key in known or any(pattern.search(key) for pattern in patterns):
                continue
            close = self.suggest(key, known)
            name = path_text(self.subject, path)
            hint = None
            if close is not None:
                hint = describe(path_text(self.subject, (*path, close)), dig(schema, "properties", close))
            elif known:
                shown = ", ".join(sorted(known)[:12])
                hint = f"{name} knows {shown}{' and more' if len(known) > 12 else ''}"
            yield self.problem(
                "unknown-key",
                said or f"{name} has no value '{key}'",
                place(self.root, (*path, key)),
                None,
                label=f"did you mean '{close}'?" if close else self.misread(path, key),
                hint=hint,
            )

    def missing(self, error: Failure, path: Path, said: str | None) -> Iterator[Problem]:
        given, required = mapping_at(error.instance), texts_at(error.validator_value)
        if isinstance(error.validator_value, Mapping):
            required = [
                n for key in error.validator_value if key in given for n in texts_at(error.validator_value, key)
            ]
        name = path_text(self.subject, path)
        for key in required:
            if key not in given:
                below = dig(error.schema, "properties", key)
                hint = describe(path_text(self.subject, (*path, key)), below)
                position, label = self.missing_place(path, key)
                yield self.problem(
                    "missing-key", said or f"{name} lacks '{key}'", position, None, label=label, hint=hint
                )

    def bad_key(self, error: Failure, key: str, path: Path, said: str | None) -> Iterator[Problem]:
        message, _ = phrase(error, f"key '{key}' of {path_text(self.subject, path)}", naming=True)
        code = "unknown-key" if error.validator in ("enum", "const") else "bad-pattern"
        yield self.problem(code, said or message, place(self.root, (*path, key)), path)

    def branches(self, error: Failure, path: Path, schema_path: Path, said: str | None) -> Iterator[Problem]:
        """The branch that comes closest; where none even has the right type, what types there are."""
        if said is not None:
            yield self.problem("conflicting", said, self.value_place(path), path)
            return
        groups: dict[str | int, list[Failure]] = {}
        for below in error.context:
            groups.setdefault(below.relative_schema_path[0], []).append(below)
        fitting = [group for group in groups.values() if not any(_wrong_at_root(below) for below in group)]
        if not fitting:
            types = [t for below in error.context if _wrong_at_root(below) for t in _as_list(below.validator_value)]
            name = path_text(self.subject, path)
            message = f"{name} is {found(error.instance)}, expected {expected_type(list(dict.fromkeys(types)))}"
            yield self.problem("wrong-type", message, self.value_place(path), path)
            return
        best = min(fitting, key=_distance)
        for below in best:
            yield from self.problems(below, schema_path)

    # -- places and words

    def quotes(self, wanted: JsonValue, path: Path) -> str | None:
        """For a text whose quotes are missing: what Helm made of it."""
        node = find(self.root, path)
        if (
            not isinstance(node, ScalarNode)
            or not node.plain
            or is_flag(node.position)
            or "string" not in _as_list(wanted)
        ):
            return None
        misread = misreading(node)
        if misread is not None:
            return f"{misread.message}: put it in quotes"
        return None if node.value is None else "put it in quotes"

    def misread(self, path: Path, key: str) -> str | None:
        """For a key that Helm reads as another text than the person wrote."""
        parent = find(self.root, path)
        written = parent.entries[key].text if isinstance(parent, MapNode) and key in parent.entries else ""
        return f"Helm reads the key {written} as '{key}': put it in quotes" if written else None

    def said(self, error: Failure, schema_path: Path) -> str | None:
        """The nearest ``x-message`` around the failing keyword that speaks of the same instance."""
        if (
            error.validator == "not"
            and isinstance(error.validator_value, Mapping)
            and "x-message" in error.validator_value
        ):
            return str(error.validator_value["x-message"])
        said: JsonValue = None
        node: JsonValue = self.schema
        named = conditional = False
        for step in schema_path:
            if isinstance(node, Mapping) and not named and "x-message" in node:
                said = node["x-message"]
            if step == "$ref" and isinstance(node, Mapping):
                node = self.local(node.get("$ref"))
                continue
            if not named and isinstance(node, Mapping):
                # A condition's message covers all that its consequence asks for, however deep.
                conditional = conditional or (step in ("then", "else") and "x-message" in node)
                said = said if conditional or step not in _INTO_INSTANCE else None
            # What follows `properties` is a name, not a keyword.
            named = not named and step in ("properties", "patternProperties", "$defs", "definitions")
            if isinstance(node, Mapping) and step in node:
                node = node[str(step)]
            elif isinstance(node, list) and isinstance(step, int) and step < len(node):
                node = node[step]
            else:
                break
        if isinstance(error.schema, Mapping) and "x-message" in error.schema:
            said = error.schema["x-message"]
        return None if said is None else str(said)

    def local(self, reference: JsonValue) -> JsonValue:
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        node: JsonValue = self.schema
        for part in reference[1:].split("/")[1:]:
            node = node.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(node, Mapping) else None
        return node

    def suggest(self, key: str, known: list[str]) -> str | None:
        self.suggestions += 1
        return did_you_mean(key, known) if self.suggestions <= MAX_SUGGESTIONS else None

    def value_place(self, path: Path) -> Position:
        node = find(self.root, path)
        if node is None or (path and isinstance(node, MapNode | ListNode)):
            return place(self.root, path)
        return node.position

    def missing_place(self, path: Path, key: str) -> tuple[Position, str | None]:
        """A missing key is shown at its parent, or at the null that took it away."""
        if find(self.written, (*path, key)) is not None and self.written is not None:
            return place(self.written, (*path, key)), "this null takes it away"
        return place(self.root, path), None

    def described(self, path: Path) -> str | None:
        """What the schema says about ``path``."""
        node: JsonValue = self.schema
        for step in path:
            node = self.below(node, step)
        if isinstance(node, Mapping) and "$ref" in node:
            node = {**mapping_at(self.local(node["$ref"])), **node}
        documented = isinstance(node, Mapping) and "description" in node
        return describe(path_text(self.subject, path), node) if path and documented else None

    def below(self, schema: JsonValue, step: str | int) -> JsonValue:
        if isinstance(schema, Mapping) and "$ref" in schema:
            schema = self.local(schema["$ref"])
        if not isinstance(schema, Mapping):
            return None
        if isinstance(step, int):
            items = schema.get("items")
            return items if isinstance(items, Mapping) else None
        direct = dig(schema, "properties", step)
        if direct is not None:
            return direct
        for part in (part for keyword in ("allOf", "anyOf", "oneOf") for part in sequence_at(schema, keyword)):
            inner = self.below(part, step)
            if inner is not None:
                return inner
        return schema.get("additionalProperties")

    def problem(
        self,
        code: str,
        message: str,
        position: Position,
        path: Path | None,
        *,
        label: str | None = None,
        hint: str | None = None,
    ) -> Problem:
        if hint is None and path is not None:
            hint = self.described(path)
        where = position.file if is_flag(position) else None
        if where is None and not position.file:
            return Problem(Severity.ERROR, code, message, None, self.subject, label, hint)
        return Problem(Severity.ERROR, code, message, position, where, label, hint)


def _wrong_at_root(error: Failure) -> bool:
    return error.validator == "type" and not error.relative_path


def _distance(group: list[Failure]) -> tuple[int, int, int]:
    """How far a branch is off: wrong fixed values (they tell branches apart), then missing keys, then all."""
    fixed = sum(error.validator in ("const", "enum") and len(error.relative_path) <= 1 for error in group)
    keys = sum(error.validator in ("required", "additionalProperties") and not error.relative_path for error in group)
    return fixed, keys, len(group)


def _as_list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else [value]


def _order(problem: Problem) -> tuple[bool, str, int, int]:
    at = problem.position
    return (at is None, at.file if at else "", at.line if at else 0, at.column if at else 0)


__all__ = ["check", "did_you_mean", "known_keys", "show_path"]
