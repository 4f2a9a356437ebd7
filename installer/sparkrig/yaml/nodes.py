"""YAML documents as trees that remember where each piece was written.

Pure records: no parser, no file access. Every node is frozen and may be shared (an alias shares
the node of its anchor), so a tree is a directed acyclic graph of bounded depth.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, TypeAlias

from sparkrig.models.json import JsonDict, JsonValue
from sparkrig.models.problem import Position

Kind = Literal["map", "list", "scalar"]
Step: TypeAlias = str | int
"""One step of a path: a key of a map, or the index of a list item."""
Path: TypeAlias = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A null, boolean, number or string as Helm reads it."""

    value: str | int | float | bool | None
    position: Position
    text: str = ""
    """The scalar as written, quotes and escapes resolved."""
    plain: bool = False
    """Written without quotes and without a tag, so its type was guessed from the text."""
    kind: ClassVar[Kind] = "scalar"


@dataclass(frozen=True, slots=True)
class ListNode:
    """A sequence."""

    items: tuple[Node, ...]
    position: Position
    kind: ClassVar[Kind] = "list"

    @property
    def value(self) -> list[JsonValue]:
        """The list as plain Python."""
        return [to_python(item) for item in self.items]


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a map with its value."""

    key: str
    position: Position
    """Where the key is written; for a key that came through ``<<``, where the merged map has it."""
    node: Node
    text: str = ""
    """The key as written where Helm reads it as another text (``n`` is ``false``, ``012`` is ``10``), else empty."""


@dataclass(frozen=True, slots=True)
class MapNode:
    """A mapping; keys are strings, as in JSON, in the order of their first appearance."""

    entries: Mapping[str, Entry]
    position: Position
    kind: ClassVar[Kind] = "map"

    @property
    def value(self) -> JsonDict:
        """The map as plain Python."""
        return {key: to_python(entry.node) for key, entry in self.entries.items()}

    def get(self, key: str) -> Node | None:
        """The node under ``key``, or None."""
        entry = self.entries.get(key)
        return entry.node if entry else None


Node: TypeAlias = ScalarNode | ListNode | MapNode


def to_python(node: Node) -> JsonValue:
    """The node as dict, list, str, int, float, bool or None; JSON-able, freshly made."""
    return node.value


def moved(node: Node, position: Position) -> Node:
    """The same node said to stand elsewhere: what an alias is. Children keep their places."""
    return replace(node, position=position)


def child(node: Node | None, step: Step) -> Node | None:
    """The node one step down, or None when there is none."""
    if isinstance(node, MapNode):
        return node.get(str(step))
    if isinstance(node, ListNode) and isinstance(step, int) and 0 <= step < len(node.items):
        return node.items[step]
    return None


def find(node: Node | None, path: Sequence[Step]) -> Node | None:
    """The node at ``path``, or None when the path leaves the tree."""
    for step in path:
        node = child(node, step)
    return node


def place(root: Node, path: Sequence[Step]) -> Position:
    """Where ``path`` was set: its key for a map entry, the item for a list, else the nearest parent that exists."""
    node, position = root, root.position
    for step in path:
        below = child(node, step)
        if below is None:
            return position
        position = node.entries[str(step)].position if isinstance(node, MapNode) else below.position
        node = below
    return position


def node_from(value: JsonValue, position: Position) -> Node:
    """A tree for plain Python data, every node at ``position`` (values that were derived, not written)."""
    if isinstance(value, Mapping):
        return MapNode({str(k): Entry(str(k), position, node_from(v, position)) for k, v in value.items()}, position)
    if isinstance(value, list | tuple):
        return ListNode(tuple(node_from(item, position) for item in value), position)
    if value is None or isinstance(value, str | int | float):
        return ScalarNode(value, position, "" if value is None else str(value))
    raise TypeError(f"{type(value).__name__} is not a JSON value")


_PART = re.compile(r"\[(\d+)\]|((?:\\.|[^.\[\\])+)")


def parse_path(text: str) -> Path:
    r"""``a.b\.c[0]`` -> ``("a", "b.c", 0)``. Raises ValueError when it is not a path."""
    steps: list[Step] = []
    at = 0
    while at < len(text):
        if text[at] == "." and steps:
            at += 1
            if at < len(text) and text[at] == "[":
                raise ValueError(f"{text!r} is not a value path: nothing between '.' and '['")
        match = _PART.match(text, at)
        if match is None:
            raise ValueError(f"{text!r} is not a value path: unexpected text at column {at + 1}")
        index, key = match.groups()
        steps.append(int(index) if index is not None else re.sub(r"\\(.)", r"\1", key))
        at = match.end()
    if not steps or (text.endswith(".") and not text.endswith("\\.")):
        raise ValueError(f"{text!r} is not a value path: it ends too early")
    return tuple(steps)


def show_path(path: Sequence[Step]) -> str:
    r"""``("a", "b.c", 0)`` -> ``a.b\.c[0]``; the inverse of ``parse_path``."""
    out = ""
    for step in path:
        if isinstance(step, int):
            out += f"[{step}]"
        else:
            out += ("." if out else "") + re.sub(r"([.\[\\])", r"\\\1", step)
    return out
