"""Which values must never be shown. Pure.

Names decide (``documents.secret_names``); a schema can say ``x-secret: true`` or ``writeOnly: true``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparkrig.models.json import JsonObject, JsonValue, dig
from sparkrig.stack.explain.schema import resolved, schema_at
from sparkrig.yaml.nodes import Step
from sparkrig.yaml.secret_names import HIDDEN, is_container_name, is_secret_name, only_refers, without_addresses


def conceal(path: Sequence[Step], value: JsonValue, schema: JsonObject | None = None) -> JsonValue:
    """``value`` at ``path`` with every secret in it replaced by ``HIDDEN``."""
    inside = False
    for step in path:
        inside = _below(inside, step) if isinstance(step, str) else inside
    if path and isinstance(path[-1], str) and is_secret_name(path[-1]) and not isinstance(value, Mapping | list):
        inside = True
    here = schema_at(schema, path) if schema is not None else None
    return _conceal(value, schema or {}, here, inside)


def _below(above: bool, key: str) -> bool:
    """Under a secret's name the keys that only name or switch something may be seen."""
    return (above and not only_refers(key)) or is_container_name(key)


def _inside(above: bool, key: str, value: JsonValue) -> bool:
    """Whether the value of a key is secret; a short name such as ``auth`` speaks of a text only."""
    return _below(above, key) or (is_secret_name(key) and not isinstance(value, Mapping | list))


def _conceal(value: JsonValue, root: JsonObject, schema: JsonValue, inside: bool) -> JsonValue:
    inside = inside or (
        isinstance(schema, Mapping) and (schema.get("x-secret") is True or schema.get("writeOnly") is True)
    )
    if isinstance(value, Mapping):
        named = value.get("name")
        pair = "value" in value and isinstance(named, str) and is_secret_name(named)
        return {
            key: _conceal(
                item,
                root,
                _child(root, schema, key),
                _inside(inside, key, item) or (pair and key == "value"),
            )
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_conceal(item, root, _child(root, schema, 0), inside) for item in value]
    if isinstance(value, bool) or value is None or value == "":
        return value
    if inside:
        return HIDDEN
    return without_addresses(value) if isinstance(value, str) else value


def _child(root: JsonObject, schema: JsonValue, step: Step) -> JsonValue:
    if not isinstance(schema, Mapping):
        return None
    below = schema.get("items") if isinstance(step, int) else dig(schema, "properties", step)
    return resolved(root, below)


def is_hidden(value: JsonValue) -> bool:
    """Whether something of a concealed value is not shown."""
    if isinstance(value, Mapping):
        return any(is_hidden(item) for item in value.values())
    if isinstance(value, list):
        return any(is_hidden(item) for item in value)
    return isinstance(value, str) and HIDDEN in value
