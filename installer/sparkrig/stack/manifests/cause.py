"""Leads a complaint about a rendered object back to the value that caused it. Pure; the rendering is the caller's.

A value that could have caused it is changed, everything is rendered again, and only if the complaint
then changes was it that value. What is not proven is not said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sparkrig.models.json import JsonDict, JsonObject, JsonValue, dig, mapping_at, name_of, sequence_at
from sparkrig.stack.manifests.check import Complaint
from sparkrig.yaml.nodes import ListNode, MapNode, Node, Path, ScalarNode, Step, to_python

MAX_SUSPECTS: Final = 6
"""Values that are tried for one complaint; each costs a rendering."""
_MARK: Final = "sparkrig-mark"


def suspects(complaint: Complaint, users: Node, everything: Node) -> list[Path]:
    """Paths of values that could have caused the complaint, the likeliest first; the user's before the shipped ones."""
    found: dict[Path, None] = {}
    for tree in (users, everything):
        scored = [(_score(path, leaf, complaint), path) for path, leaf in _leaves(tree, ())]
        scored = [(score, path) for score, path in scored if score > 0]
        for _, path in sorted(scored, key=lambda pair: -pair[0]):
            found.setdefault(path)
    return list(found)[:MAX_SUSPECTS]


def _score(path: Path, leaf: Node, complaint: Complaint) -> int:
    """How much speaks for a value: that it is the offending one, and that its path reads like the object's."""
    value = to_python(leaf)
    last = _name(path)
    if complaint.key is not None and complaint.key in path:
        return 11 if complaint.value == value else 10
    if complaint.value is None:
        return 0
    same = value == complaint.value and isinstance(value, bool) == isinstance(complaint.value, bool)
    like = not same and isinstance(value, str | int | float) and _in(str(value), complaint.value)
    if not same and not like:
        return 0
    alike = last is not None and last == _name(complaint.path)
    return (6 if same else 2) + (3 if alike else 0)


def _in(text: str, value: JsonValue) -> bool:
    if isinstance(value, str):
        return bool(text) and text in value
    return str(value) == text


def _name(path: Path) -> str | None:
    return next((step for step in reversed(path) if isinstance(step, str)), None)


def _leaves(node: Node, path: Path) -> Iterator[tuple[Path, Node]]:
    if isinstance(node, MapNode) and node.entries:
        for key, entry in node.entries.items():
            yield from _leaves(entry.node, (*path, key))
    elif isinstance(node, ListNode) and node.items:
        for index, item in enumerate(node.items):
            yield from _leaves(item, (*path, index))
    elif path and not (isinstance(node, ScalarNode) and node.value is None):
        yield path, node


def changed(values: JsonObject, path: Path, value: JsonValue) -> JsonDict:
    """``values`` with another value of the same type than ``value`` at ``path``."""
    return dict(mapping_at(_with(values, path, _other(value))))


def _with(node: JsonValue, path: Sequence[Step], value: JsonValue) -> JsonValue:
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(step, str):
        below = node if isinstance(node, Mapping) else {}
        return {**below, step: _with(below.get(step), rest, value)}
    if isinstance(node, list) and step < len(node):
        return [*node[:step], _with(node[step], rest, value), *node[step + 1 :]]
    return node


def _other(value: JsonValue) -> JsonValue:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return _MARK if isinstance(value, str) else None


def moved(complaint: Complaint, before: Sequence[JsonObject], after: Sequence[JsonObject] | None) -> bool:
    """Whether the place that the complaint is about differs between two renderings; one that failed says nothing."""
    if after is None or complaint.index >= len(before):
        return False
    old = before[complaint.index]
    new = _same_object(complaint, old, after)
    return new is not None and _at(old, complaint.path) != _at(new, complaint.path)


def _same_object(complaint: Complaint, old: JsonObject, after: Sequence[JsonObject]) -> JsonValue:
    for item in after:
        if item.get("kind") == old.get("kind") and name_of(item) == complaint.name:
            return item
    at_index = after[complaint.index] if complaint.index < len(after) else None
    return at_index if at_index is not None and at_index.get("kind") == old.get("kind") else None


def _at(item: JsonValue, path: Path) -> JsonValue:
    for step in path:
        if isinstance(step, str):
            item = dig(item, step)
        else:
            items = sequence_at(item)
            item = items[step] if step < len(items) else None
    return item
