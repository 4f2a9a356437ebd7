"""Which values must never be shown. Pure.

Values of charts have no type "secret", so names decide; a schema can say ``x-secret: true`` or
``writeOnly: true``. What is wrongly hidden is a nuisance, what is wrongly shown is in a log for ever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sparkrig.documents.nodes import Step
from sparkrig.stack.explain_schema import resolved, schema_at

HIDDEN: Final = "(hidden)"
"""Shown in place of a secret."""

_SECRET: Final = re.compile(
    r"passw(or)?d|passphrase|secret|token|credential|dockerconfig|connectionstring|"
    r"(api|access|private|client|signing|encryption|license|licence|account)_?key|htpasswd|sasurl"
)
_NAMES_ONE: Final = re.compile(
    r"(name|names|ref|refs|namespace|path|file|files|class|type|enabled|enable|create|annotations|labels|key|"
    r"pullsecrets?|url|mode|rotation|expiration|ttl|lifetime|duration|audience|issuer)$"
)
_KEYED: Final = re.compile(r"(secret|api|access|private|client|signing|encryption|license|licence|account)_?key$")
_EXISTING: Final = re.compile(r"^(existing|use|create|automount|mount)")
_USER_INFO: Final = re.compile(r"(?<=://)[^/@\s:]*:[^/@\s]*(?=@)")


def is_secret_name(name: str) -> bool:
    """Whether a key of this name holds a secret itself, and not the name of one."""
    word = re.sub(r"[-. ]", "_", name).lower()
    if not _SECRET.search(word) or _EXISTING.match(word):
        return False
    return bool(_KEYED.search(word)) or not _NAMES_ONE.search(word)


def conceal(path: Sequence[Step], value: Any, schema: Mapping[str, Any] | None = None) -> Any:
    """``value`` at ``path`` with every secret in it replaced by ``HIDDEN``."""
    inside = False
    for step in path:
        inside = _inside(inside, step) if isinstance(step, str) else inside
    here = schema_at(schema, path) if schema is not None else None
    return _conceal(value, schema or {}, here, inside)


def _inside(above: bool, key: str) -> bool:
    """Under a secret's name the keys that only name or switch something may be seen."""
    return (above and not _NAMES_ONE.search(key.lower())) or is_secret_name(key)


def _conceal(value: Any, root: Mapping[str, Any], schema: Any, inside: bool) -> Any:
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
                _inside(inside, key) or (pair and key == "value"),
            )
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_conceal(item, root, _child(root, schema, 0), inside) for item in value]
    if isinstance(value, bool) or value is None or value == "":
        return value
    if inside:
        return HIDDEN
    return _USER_INFO.sub(HIDDEN, value) if isinstance(value, str) else value


def _child(root: Mapping[str, Any], schema: Any, step: Step) -> Any:
    if not isinstance(schema, Mapping):
        return None
    below = schema.get("items") if isinstance(step, int) else (schema.get("properties") or {}).get(step)
    return resolved(root, below)


def is_hidden(value: Any) -> bool:
    """Whether something of a concealed value is not shown."""
    if isinstance(value, Mapping):
        return any(is_hidden(item) for item in value.values())
    if isinstance(value, list):
        return any(is_hidden(item) for item in value)
    return isinstance(value, str) and HIDDEN in value
