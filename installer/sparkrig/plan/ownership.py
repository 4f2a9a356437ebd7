"""Who wrote a field of a live object, from its ``managedFields``. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sparkrig.plan.diff.fields import Item, Path, Step


@dataclass(frozen=True, slots=True)
class Owner:
    """A field manager; empty where the API server noted none."""

    manager: str = ""
    time: str | None = None
    """RFC 3339."""


def owner_of(live: Mapping[str, Any], path: Path) -> Owner:
    """The manager that wrote a field last: of the field itself, else of what is nearest above or below it."""
    best: tuple[int, str, Owner] | None = None
    for entry in (live.get("metadata") or {}).get("managedFields") or ():
        depth = _depth(entry.get("fieldsV1") or {}, path)
        time = str(entry.get("time") or "")
        if depth and entry.get("subresource") != "status" and (best is None or (depth, time) > best[:2]):
            best = depth, time, Owner(_name(entry), time or None)
    return best[2] if best else Owner()


def _name(entry: Mapping[str, Any]) -> str:
    manager, subresource = str(entry.get("manager") or ""), entry.get("subresource")
    return f"{manager} ({subresource})" if subresource else manager


def _depth(fields: Mapping[str, Any], path: Path) -> int:
    """How many steps of the path the set of fields follows; 0 where it leaves the path before a leaf."""
    for depth, step in enumerate(path):
        if not fields and depth:
            return depth  # a leaf of the set: all below it is owned as a whole
        below = _below(fields, step)
        if below is None:
            return 0
        fields = below
    return len(path)


def _below(fields: Mapping[str, Any], step: Step) -> Mapping[str, Any] | None:
    if isinstance(step, Item):
        wanted = dict(step.keys)
        for name, found in fields.items():
            if name.startswith("k:") and _fits(json.loads(name[2:]), wanted):
                return found or {}
        return None
    found = fields.get(f"f:{step}" if isinstance(step, str) else f"i:{step}")
    return None if found is None else found


def _fits(keys: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(wanted.get(name) == value for name, value in keys.items())
