"""What the user changed in a component, and which of it, or of our catalogue, changes nothing. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sparkrig.models.json import JsonValue
from sparkrig.stack.explain.layers import Said, Subject, conceal_at, is_users, paths_of, what_was_said
from sparkrig.stack.follows import FOLLOWS
from sparkrig.stack.layers import CRDS_LAYER
from sparkrig.yaml.merge import Layer
from sparkrig.yaml.nodes import MapNode, Node, Path, ScalarNode, find, show_path, to_python


@dataclass(frozen=True, slots=True)
class Override:
    """One path that the user's layers set."""

    path: str
    """With the component in front."""
    value: JsonValue
    """The effective value; None also where a null took it away."""
    removed: bool
    said: tuple[Said, ...]
    """What the user's layers say, strongest first."""
    before: Said | None
    """What would be there without them; None where nothing would, or the chart was not looked at."""


@dataclass(frozen=True, slots=True)
class Redundant:
    """A line that could be deleted without changing anything."""

    path: str
    said: Said
    same_as: Said | None
    """The layer that gives the same already; None for a null that takes nothing away."""
    ours: bool
    """It is in the catalogue, not in the user's files."""


def overrides(subject: Subject) -> tuple[Override, ...]:
    """Everything that the user changed, in the order in which it is written, weakest layer first."""
    paths: dict[Path, None] = {}
    for layer in subject.layers:
        if is_users(layer):
            paths.update(dict.fromkeys(path for path, _ in paths_of(layer)))
    users = {layer.name for layer in subject.layers if is_users(layer)}
    return tuple(_override(subject, path, users) for path in paths)


def _override(subject: Subject, path: Path, users: set[str]) -> Override:
    node = find(subject.values, path)
    said = what_was_said(subject, path, node)
    theirs = tuple(one for one in said if one.layer in users)
    rest = [one for one in said if one.layer not in users]
    return Override(
        path=f"{subject.name}.{show_path(path)}",
        value=conceal_at(subject, path, node),
        removed=node is None,
        said=theirs,
        before=rest[0] if rest else None,
    )


def redundant(subject: Subject) -> tuple[Redundant, ...]:
    """Overrides that equal what the weaker layers give.

    Without the chart's defaults only those are found that repeat a layer of ours or of the user's.
    The switches that keep CRDs with one owner are guards: that they repeat a default is their point. What
    follows another component repeats it when nobody chose anything there.
    """
    found: list[Redundant] = []
    layers = subject.handed_layers
    for index, layer in enumerate(layers):
        if layer.name not in (CRDS_LAYER, "global") and not layer.name.startswith(FOLLOWS):
            found += _redundant_in(subject, layers[:index], layer)
    return tuple(found)


def _redundant_in(subject: Subject, weaker: Sequence[Layer], layer: Layer) -> Iterator[Redundant]:
    if layer.root is not None:
        below = subject.values_with(weaker)
        for path, node in paths_of(replace(layer, assignments=())):
            if _changes_nothing(subject, node, find(below, path)):
                yield _found(subject, weaker, layer, path, node)
    for index, assignment in enumerate(layer.assignments):
        before = replace(layer, root=None, assignments=layer.assignments[:index])
        below = subject.values_with([*weaker, before])
        one = replace(layer, root=None, assignments=(assignment,))
        # An item that is set in a list which only the chart has makes a new list: lists are compared whole.
        whole = tuple(itertools.takewhile(lambda step: isinstance(step, str), assignment.path))
        made = assignment.node
        if whole != assignment.path:
            made = find(subject.values_with([*weaker, before, one]), whole) or made
        if _changes_nothing(subject, made, find(below, whole)):
            yield _found(subject, [*weaker, before], one, assignment.path, assignment.node)


def _changes_nothing(subject: Subject, node: Node, below: Node | None) -> bool:
    if isinstance(node, ScalarNode) and node.value is None:
        return below is None and subject.knows_defaults
    if below is None:
        return False
    if isinstance(node, MapNode) and not node.entries:
        return isinstance(below, MapNode)
    return same(to_python(node), to_python(below))


def same(first: JsonValue, second: JsonValue) -> bool:
    """Equal as JSON values: 1 is 1.0, but not true."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second) and isinstance(first, str) == isinstance(second, str)


def _found(subject: Subject, weaker: Sequence[Layer], layer: Layer, path: Path, node: Node) -> Redundant:
    alone = replace(subject, layers=(*_defaults(subject), layer))
    said = next(one for one in what_was_said(alone, path, node) if one.layer == layer.name)
    below = replace(subject, layers=(*_defaults(subject), *weaker))
    others = what_was_said(below, path, find(below.values, path))
    return Redundant(
        path=f"{subject.name}.{show_path(path)}",
        said=said,
        same_as=others[0] if others and find(below.values, path) is not None else None,
        ours=not is_users(layer),
    )


def _defaults(subject: Subject) -> tuple[Layer, ...]:
    """The layers of ``subject.layers`` that are the chart's defaults."""
    return tuple(layer for layer in subject.layers if layer not in subject.handed_layers)
