"""Lists that replace a longer list, and nulls that take a default away. Pure.

Helm merges maps but replaces lists, so one more entry written down is three defaults lost. The
warning shows what is gone and where it came from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sparkrig.models.json import JsonValue
from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.stack.lint.chart_values import ChartDefaults
from sparkrig.yaml.merge import MergedValues
from sparkrig.yaml.nodes import ListNode, MapNode, Node, Path, ScalarNode, place, to_python
from sparkrig.yaml.phrases import found, path_text
from sparkrig.yaml.setflag import is_flag

SHOWN: Final = 5
"""Lost entries that are named; more are counted."""
_WIDTH: Final = 60
_NAMES: Final = ("name", "key", "host", "path", "alert", "record")


@dataclass(frozen=True, slots=True)
class _Default:
    """A list below the one that wins."""

    items: list[JsonValue]
    position: Position


def replaced_lists(users: MapNode, values: MergedValues, subject: str, defaults: ChartDefaults | None) -> list[Problem]:
    """A warning for each list of the user that replaces a longer one; an empty list means what it says."""
    return list(_replaced(users, (), values, subject, defaults))


def _replaced(
    node: Node, path: Path, values: MergedValues, subject: str, defaults: ChartDefaults | None
) -> Iterator[Problem]:
    if isinstance(node, MapNode):
        for key, entry in node.entries.items():
            yield from _replaced(entry.node, (*path, key), values, subject, defaults)
        return
    effective = values.get(path)
    if not isinstance(node, ListNode) or not isinstance(effective, ListNode) or not effective.items:
        return
    new = effective.value
    below = _below(path, values, defaults)
    if below is None or len(below.items) <= len(new):
        return
    lost = [item for item in below.items if item not in new and _named(item) not in map(_named, new)]
    if not lost:
        return
    names = [_shown(item) for item in lost[:SHOWN]]
    more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
    position = place(values.root, path)
    yield Problem(
        Severity.WARNING,
        "list-replaced",
        f"{path_text(subject, path)}: this list replaces the {_entries(len(below.items))} below it, "
        "Helm does not append",
        position,
        position.file if is_flag(position) else None,
        label=f"lost: {', '.join(names)}{more} ({_where(below.position)})",
        hint="write down again what shall stay",
    )


def _below(path: Path, values: MergedValues, defaults: ChartDefaults | None) -> _Default | None:
    """The list that counted before the winning layer: of a weaker layer, else of the chart."""
    origins = values.origins(path)
    for _, position, value in reversed(origins[:-1]):
        if value is None:
            continue
        return _Default(value, position) if isinstance(value, list) else None
    default = defaults.find(path) if defaults is not None else None
    if not isinstance(default, ListNode) or defaults is None:
        return None
    return _Default(default.value, place(defaults.tree, path))


def _where(position: Position) -> str:
    return position.file if is_flag(position) else f"{position.file}:{position.line}"


def _named(item: JsonValue) -> JsonValue:
    """What tells an entry from its neighbours: two entries of one name are the same entry, changed."""
    if isinstance(item, Mapping):
        for key in _NAMES:
            if isinstance(item.get(key), str):
                return (key, item[key])
        return json.dumps(item, sort_keys=True)
    return item


def _shown(item: JsonValue) -> str:
    if isinstance(item, Mapping):
        name = next((item[key] for key in _NAMES if isinstance(item.get(key), str)), None)
        text = name if name is not None else json.dumps(item)
    else:
        text = item if isinstance(item, str) else found(item) if not isinstance(item, list) else json.dumps(item)
    text = str(text).replace("\n", "\\n")
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number} entries"


def nulls(users: MapNode, values: MergedValues, subject: str, defaults: ChartDefaults) -> list[Problem]:
    """Nulls of the user that take away a subchart's default, or that have nothing to take away."""
    return list(_nulls(users, (), values, subject, defaults))


def _nulls(node: Node, path: Path, values: MergedValues, subject: str, defaults: ChartDefaults) -> Iterator[Problem]:
    if isinstance(node, MapNode):
        for key, entry in node.entries.items():
            yield from _nulls(entry.node, (*path, key), values, subject, defaults)
        return
    effective = values.get(path)
    if not isinstance(node, ScalarNode) or node.value is not None or not isinstance(effective, ScalarNode):
        return
    sub = next((path[:n] for n in range(1, len(path)) if path[:n] in defaults.subcharts), None)
    default = defaults.find(path)
    if sub is None or default is None or effective.value is not None or _is_empty(default):
        return
    position = place(values.root, path)
    yield Problem(
        Severity.WARNING,
        "null-default",
        f"{path_text(subject, path)}: this null takes away a default of subchart {sub[-1]}",
        position,
        position.file if is_flag(position) else None,
        label=f"the default is {_value(default)} ({_where(place(defaults.tree, path))})",
        hint="the subchart's templates may count on a value there; rather give one that switches it off",
    )


def _is_empty(node: Node) -> bool:
    return to_python(node) in (None, "", {}, [], False)


def _value(node: Node) -> str:
    if isinstance(node, MapNode):
        return f"a map with {', '.join(list(node.entries)[:SHOWN])}"
    return _shown(to_python(node))
