"""Helm's merge of values layers, on trees that keep their positions. Pure.

Helm's rule: maps merge, everything else replaces; lists replace as a whole; a null stays in the
document (and deletes a chart's default when Helm applies it). ``--set`` assigns into what the layers
before it made, list items included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from sparkrig.models.json import JsonDict, JsonValue
from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.yaml.nodes import Entry, MapNode, Node, Path, Step, child, find, to_python
from sparkrig.yaml.setflag import Assignment, FlagError, assign

__all__ = ["Layer", "MergedValues", "Origin", "merge", "merge_nodes", "to_values"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of values. A ``--set`` layer has ``assignments`` and no ``root``."""

    name: str
    """What a person calls it: ``component``, ``profile ha``, ``stack file``, ``--set``."""
    file: str | None
    root: Node | None
    assignments: tuple[Assignment, ...] = ()


Origin: TypeAlias = tuple[str, Position, JsonValue]
"""Layer name, place, and the value that this layer gives (plain Python)."""


@dataclass(frozen=True, slots=True)
class MergedValues:
    """The effective values; every node still knows where it was written."""

    root: MapNode
    layers: tuple[Layer, ...]
    problems: tuple[Problem, ...] = field(default=())

    def get(self, path: Sequence[Step]) -> Node | None:
        """The effective node at ``path``."""
        return find(self.root, path)

    def origins(self, path: Sequence[Step]) -> list[Origin]:
        """Every layer that says something about ``path``, weakest first; the last one won.

        A layer that replaced a parent by something else than a map (a null, a scalar, a new list)
        is in the list with the parent's place and value: it took away what the weaker layers gave.
        """
        found: list[Origin] = []
        for layer in self.layers:
            if layer.root is not None:
                found.extend(_in_tree(layer.name, layer.root, tuple(path), layer.root.position))
            for assignment in layer.assignments:
                found.extend(_in_assignment(layer.name, assignment, tuple(path)))
        return found


def merge(layers: Sequence[Layer]) -> MergedValues:
    """Lay ``layers`` over each other, weakest first. What a ``--set`` cannot do is a problem of the result."""
    problems: list[Problem] = []
    root: Node = MapNode({}, Position("", 1, 1))
    for layer in layers:
        if isinstance(layer.root, MapNode):
            root = merge_nodes(root, layer.root)
        for assignment in layer.assignments:
            try:
                root = assign(root, assignment)
            except FlagError as error:
                problems.append(
                    Problem(Severity.ERROR, "set-conflict", str(error), where=assignment.flag, hint=error.hint)
                )
    assert isinstance(root, MapNode)  # noqa: S101  (merging maps gives a map)
    return MergedValues(root, tuple(layers), tuple(problems))


def merge_nodes(weak: Node, strong: Node) -> Node:
    """``strong`` laid over ``weak``: two maps merge, anything else is replaced."""
    if not (isinstance(weak, MapNode) and isinstance(strong, MapNode)):
        return strong
    if not weak.entries:
        return strong
    entries = dict(weak.entries)
    for key, entry in strong.entries.items():
        below = entries.get(key)
        node = entry.node if below is None else merge_nodes(below.node, entry.node)
        entries[key] = entry if node is entry.node else Entry(key, entry.position, node, entry.text)
    return MapNode(entries, strong.position)


def to_values(merged: MergedValues) -> JsonDict:
    """The effective values as JSON-able Python: the one document that Helm gets."""
    return merged.root.value


def _in_tree(layer: str, root: Node, path: Path, position: Position) -> list[Origin]:
    node = root
    for step in path:
        below = child(node, step)
        if below is None:
            replaced = not isinstance(node, MapNode) and node is not root
            return [(layer, position, to_python(node))] if replaced else []
        position = node.entries[str(step)].position if isinstance(node, MapNode) else below.position
        node = below
    return [(layer, position, to_python(node))]


def _in_assignment(layer: str, assignment: Assignment, path: Path) -> list[Origin]:
    length = len(assignment.path)
    if path[:length] == assignment.path:
        below = _in_tree(layer, assignment.node, path[length:], assignment.position)
        if below or len(path) == length:
            return below
        return [(layer, assignment.position, to_python(assignment.node))]
    if assignment.path[: len(path)] == path:
        value = to_python(assignment.node)
        for step in reversed(assignment.path[len(path) :]):
            value = {step: value} if isinstance(step, str) else [*[None] * step, value]
        return [(layer, assignment.position, value)]
    return []
