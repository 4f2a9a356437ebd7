"""Which custom resources the dangers of a CRD's new version reach. Pure.

Judges by the new schema as far as JSON types, enums, patterns and limits go; a format or a pattern
that cannot be judged here counts as hurt where there is a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sparkrig.plan.crds.safety import HOPELESS, NOTES, Danger, Path, Schema, is_open, properties, types, values_schema

ALL: Final = frozenset({"scope-changed", "kind-changed", "conversion-changed", "stored-version-dropped"})
"""Dangers that reach every custom resource of the kind."""
SHOWN: Final = 5
"""Custom resources named before the rest is counted."""


@dataclass(frozen=True, slots=True)
class Reach:
    """A danger and the custom resources that it hurts."""

    danger: Danger
    objects: tuple[str, ...]
    """``namespace/name``, or ``name`` of cluster-scoped ones."""

    @property
    def blocks(self) -> bool:
        """True when going on hurts something, or is refused by the API server anyway."""
        return self.danger.code in HOPELESS or bool(self.objects)

    def __str__(self) -> str:
        if not self.objects:
            return f"{self.danger} (no custom resource is hurt)"
        more = f" and {len(self.objects) - SHOWN} more" if len(self.objects) > SHOWN else ""
        return f"{self.danger}; hurt: {', '.join(self.objects[:SHOWN])}{more}"


def reach(danger: Danger, objects: Iterable[Mapping[str, Any]]) -> Reach:
    """The danger with those of ``objects`` (in the danger's version) that it hurts."""
    return Reach(danger, tuple(_name(item) for item in objects if hurts(danger, item)))


def hurts(danger: Danger, item: Mapping[str, Any]) -> bool:
    """Whether one custom resource, as the API server gives it in the danger's version, is hurt."""
    if danger.code in ALL:
        return True
    if danger.code in NOTES:
        return False
    if danger.code == "version-removed":
        return _written_in(item, danger.version)
    if danger.code in ("field-removed", "unknown-fields-pruned") and danger.path[:1] == ("status",):
        return False  # its controller writes it anew
    if danger.code == "field-removed":
        return _has(item, danger.path, danger.rule)
    if danger.code == "field-required":
        *parent, name = danger.path
        return any(isinstance(found, Mapping) and name not in found for found in at(item, tuple(parent)))
    if danger.code == "unknown-fields-pruned":
        own = () if danger.path else ("apiVersion", "kind", "metadata", "status")
        return any(_suffers(found, danger.rule, own) for found in at(item, danger.path))
    if danger.code == "format-narrowed":
        return any(isinstance(found, str) for found in at(item, danger.path))  # its rules are the API server's
    return any(not fits(found, danger.rule) for found in at(item, danger.path))


def at(item: Any, path: Path) -> Iterator[Any]:
    """Every value at a path."""
    if not path:
        yield item
        return
    step, rest = path[0], path[1:]
    if step == "[]" and isinstance(item, list):
        for each in item:
            yield from at(each, rest)
    elif step == "*" and isinstance(item, Mapping):
        for each in item.values():
            yield from at(each, rest)
    elif isinstance(item, Mapping) and step in item:
        yield from at(item[step], rest)


def _has(item: Mapping[str, Any], path: Path, rule: Schema) -> bool:
    if path[-1] != "*":
        return any(True for _ in at(item, path))
    kept = properties(rule)
    return any(isinstance(found, Mapping) and any(key not in kept for key in found) for found in at(item, path[:-1]))


def _suffers(value: Any, schema: Schema, own: tuple[str, ...] = ()) -> bool:
    """Whether something of the value would be pruned or refused."""
    if not fits(value, schema):
        return True
    if isinstance(value, list):
        items = schema.get("items")
        return isinstance(items, Mapping) and any(_suffers(each, items) for each in value)
    if not isinstance(value, Mapping):
        return False
    if schema.get("x-kubernetes-embedded-resource"):
        own = ("apiVersion", "kind", "metadata")
    known, rest = properties(schema), values_schema(schema)
    for key, each in value.items():
        if key in own:
            continue
        below = known.get(key, rest)
        if below is None and not is_open(schema):
            return True
        if below is not None and _suffers(each, below):
            return True
    return any(name not in value for name in schema.get("required") or () if name not in own)


def fits(value: Any, schema: Schema) -> bool:
    """Whether the schema takes the value itself; what lies below it is not looked at."""
    if value is None:
        return bool(schema.get("nullable")) or "default" in schema or types(schema) is None
    kinds = types(schema)
    if kinds is not None and _kind(value) not in kinds:
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, str):
        return _fits_text(value, schema)
    if isinstance(value, list):
        return _within(len(value), schema, "Items")
    if isinstance(value, Mapping):
        return _within(len(value), schema, "Properties")
    return isinstance(value, bool) or _fits_number(value, schema)


def _fits_text(value: str, schema: Schema) -> bool:
    if not _within(len(value), schema, "Length"):
        return False
    try:
        return not schema.get("pattern") or re.search(schema["pattern"], value) is not None
    except re.error:  # RE2 knows forms that Python does not
        return False


def _fits_number(value: float, schema: Schema) -> bool:
    high, low = schema.get("maximum"), schema.get("minimum")
    if high is not None and (value > high or (schema.get("exclusiveMaximum") and value == high)):
        return False
    if low is not None and (value < low or (schema.get("exclusiveMinimum") and value == low)):
        return False
    step = schema.get("multipleOf")
    return not step or bool(value % step == 0)


def _within(size: int, schema: Schema, what: str) -> bool:
    return bool(schema.get(f"min{what}", 0) <= size <= schema.get(f"max{what}", size))


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _written_in(item: Mapping[str, Any], version: str) -> bool:
    """Whether somebody wrote the object in that version, and so probably will again."""
    entries = item["metadata"].get("managedFields") or ()
    return any(str(entry.get("apiVersion", "")).rpartition("/")[2] == version for entry in entries)


def _name(item: Mapping[str, Any]) -> str:
    metadata = item["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else str(metadata["name"])


def dropped_fields(wanted: Any, found: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of ``wanted`` that are not in ``found``: what the API server dropped of an object it was given.

    A null is not missed: it says that the field shall not be there.
    """
    if isinstance(wanted, Mapping):
        for key, value in wanted.items():
            if value is None:
                continue
            if not isinstance(found, Mapping) or key not in found:
                yield (*path, str(key))
            else:
                yield from dropped_fields(value, found[key], (*path, str(key)))
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for index, (mine, theirs) in enumerate(zip(wanted, found, strict=True)):
            yield from dropped_fields(mine, theirs, (*path[:-1], f"{path[-1]}[{index}]") if path else (f"[{index}]",))
