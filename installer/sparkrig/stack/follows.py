"""Values that follow another component's: one place decides for both. Pure.

A rule of ``follows`` in component.yaml names a value of another component. What that value is becomes
a layer of this one, and stands where the other was written, so that explanations and problems lead there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sparkrig.models.component import Component, FollowRule
from sparkrig.models.json import JsonObject, JsonValue
from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.yaml.merge import Layer, MergedValues, merge_nodes
from sparkrig.yaml.nodes import Entry, ListNode, MapNode, Node, find, node_from, parse_path, to_python
from sparkrig.yaml.setflag import is_flag

FOLLOWS: Final = "follows "
"""Begins the name of such a layer; the followed component's name ends it."""
EACH: Final = "[]"

Merged = Callable[[str], MergedValues | None]
"""Component -> its merged values; None where it is off."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A rule that says something, with what it says."""

    rule: FollowRule
    source: Node
    root: MapNode
    """The values that it sets."""


def follow_layers(component: Component, merged: Merged) -> list[Layer]:
    """A layer for each followed component that is on and has a value; weakest first, in the order of the rules."""
    roots: dict[str, Node] = {}
    for found in _followed(component, merged):
        name = found.rule.component
        roots[name] = merge_nodes(roots[name], found.root) if name in roots else found.root
    return [Layer(FOLLOWS + name, root.position.file, root) for name, root in roots.items()]


def check_follows(component: Component, values: MergedValues, merged: Merged) -> list[Problem]:
    """Values that must be the same in two components and are not; both places are named."""
    return [problem for found in _followed(component, merged) for problem in _differing(component, values, found)]


def said_once(components: Mapping[str, Component], found: Mapping[str, Sequence[Problem]]) -> list[Problem]:
    """The problems of all components' values; what is wrong where it was written is not said at the followers too."""
    wrong = {name: {p.position for p in problems if p.severity is Severity.ERROR} for name, problems in found.items()}
    kept = []
    for name, problems in found.items():
        followed = {rule.component for rule in components[name].follows}
        known = {at for other in followed for at in wrong.get(other, ()) if at is not None}
        kept += [problem for problem in problems if problem.position not in known]
    return kept


def _followed(component: Component, merged: Merged) -> Iterator[Followed]:
    for rule in component.follows:
        values = merged(rule.component)
        source = None if values is None else at(values.root, rule.value)
        if source is None:
            continue
        if rule.path is not None:
            yield Followed(rule, source, nested(rule.path, source))
        elif _same(to_python(source), rule.equals):
            yield Followed(rule, source, settings(rule.set, source.position))


def at(root: Node, path: str) -> Node | None:
    """The node at ``path``; with ``[]`` in it a list of what each item has at the rest of it. None where it is not."""
    before, each, after = path.partition(EACH)
    node = find(root, parse_path(before))
    if not each or node is None:
        return node
    items = node.items if isinstance(node, ListNode) else ()
    rest = after.removeprefix(".")
    found = [find(item, parse_path(rest)) if rest else item for item in items]
    return ListNode(tuple(item for item in found if item is not None), node.position)


def nested(dotted: str, node: Node) -> MapNode:
    """A tree that has ``node`` at the dotted path, standing where the node stands."""
    for step in reversed(parse_path(dotted)):
        node = MapNode({str(step): Entry(str(step), node.position, node)}, node.position)
    assert isinstance(node, MapNode)  # noqa: S101  (a path has one step at least)
    return node


def settings(values: JsonObject, position: Position) -> MapNode:
    """A tree for ``dotted path: value``, all at one place."""
    root: Node = MapNode({}, position)
    for dotted, value in values.items():
        root = merge_nodes(root, nested(dotted, node_from(value, position)))
    assert isinstance(root, MapNode)  # noqa: S101  (merging maps gives a map)
    return root


def _differing(component: Component, values: MergedValues, found: Followed) -> Iterator[Problem]:
    rule = found.rule
    if not rule.same or rule.path is None:
        return
    path = parse_path(rule.path)
    node = values.get(path)
    wanted, have = to_python(found.source), None if node is None else to_python(node)
    if _alike(have, wanted):
        return
    origins = values.origins(path)
    position = origins[-1][1] if origins else found.source.position
    other = f"{rule.component}.{rule.value}"
    yield Problem(
        Severity.ERROR,
        "differs",
        f"{component.name}.{rule.path} is {json.dumps(have)}, but {other} is {json.dumps(wanted)}",
        position,
        position.file if is_flag(position) else None,
        hint=f"{rule.reason}. It follows {other} ({found.source.position}): leave it out here, and say it there",
    )


def _alike(one: JsonValue, other: JsonValue) -> bool:
    """Equal; of two lists of scalars the order does not count."""
    if isinstance(one, list) and isinstance(other, list):
        return _sorted(one) == _sorted(other)
    return _same(one, other)


def _sorted(items: Sequence[JsonValue]) -> list[str]:
    return sorted(json.dumps(item, sort_keys=True) for item in items)


def _same(one: JsonValue, other: JsonValue) -> bool:
    """Equal, without Python's True == 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)
