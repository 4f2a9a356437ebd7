"""What is wrong with a component's values beyond our schema: judged with the chart's own files. Pure.

Renamed keys need no chart. Everything else looks at what the person wrote (the shipped layers are
looked at by the tests of the catalogue, and again where the stack file asks for another version).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import dropwhile
from typing import Final

from sparkrig.catalog.validate import check_values
from sparkrig.models.component import Component
from sparkrig.models.json import JsonObject
from sparkrig.models.problem import Problem, Severity
from sparkrig.stack.follows import FOLLOWS
from sparkrig.stack.layers import COMPONENT_LAYER, CRDS_LAYER, without_nulls
from sparkrig.stack.lint.chart_values import GLOBAL, ChartDefaults, ChartLike, SchemaAt, is_on, read_defaults
from sparkrig.stack.lint.chart_values_schema import Piece
from sparkrig.stack.lint.lists import nulls, replaced_lists
from sparkrig.stack.lint.quantities import bad_texts
from sparkrig.stack.lint.scalars import misread_scalars
from sparkrig.stack.lint.unknown_keys import unknown_keys
from sparkrig.yaml.merge import Layer, MergedValues, merge, merge_nodes
from sparkrig.yaml.nodes import Entry, MapNode, Node, Path, ScalarNode, find, parse_path, place, to_python
from sparkrig.yaml.phrases import path_text
from sparkrig.yaml.setflag import is_flag

_SHIPPED: Final = (COMPONENT_LAYER, CRDS_LAYER, "global")
_SHIPPED_PREFIXES: Final = ("profile ", "fact ", FOLLOWS)
RENAMED: Final = "renamed-key"
_NUMBERS = re.compile(r"\d+")


def user_values(layers: Sequence[Layer]) -> MapNode:
    """What the person wrote: the layers from the stack file on, merged."""
    return merge(users_layers(layers)).root


def users_layers(layers: Sequence[Layer]) -> list[Layer]:
    """The layers behind those that are shipped or follow from facts and ``global``, which all come first."""
    return list(dropwhile(lambda layer: layer.name in _SHIPPED or layer.name.startswith(_SHIPPED_PREFIXES), layers))


def renamed_keys(component: Component, values: MergedValues) -> list[Problem]:
    """Keys that upstream renamed or removed, and that somebody still sets."""
    return [problem for problem, _ in _renamed(component, values)]


def _renamed(component: Component, values: MergedValues) -> Iterator[tuple[Problem, Path]]:
    for rule in component.renamed_values:
        path = parse_path(rule["from"])
        if not _applies(rule.get("since"), component.chart.version) or values.get(path) is None:
            continue
        old, new, since = path_text(component.name, path), rule.get("to"), rule.get("since")
        when = f" in {since}" if since else ""
        if new:
            message, label = f"{old} was renamed{when}: the chart reads {component.name}.{new}", f"now '{new}'"
        else:
            message, label = f"{old} was removed{when}: the chart reads it no longer", None
        position = place(values.root, path)
        hint = rule.get("note")
        where = position.file if is_flag(position) else None
        yield Problem(Severity.ERROR, RENAMED, message, position, where, label, hint), path


def _applies(since: str | None, version: str) -> bool:
    if not since:
        return True
    return _version(version) >= _version(since)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in _NUMBERS.findall(text.partition("-")[0].partition("+")[0])[:3])


def check_written(
    component: Component, values: MergedValues, ours: JsonObject | None, chart: ChartLike | None
) -> list[Problem]:
    """Everything about one component's values that its chart, or the field's conventions, can tell.

    Without ``chart`` (it cannot be had, or is our own, whose ``values.yaml`` is a layer already) what
    needs its files is left out.
    """
    users = user_values(values.layers)
    defaults = read_defaults(chart) if chart is not None and values.root.entries else None
    skip = [path for _, path in _renamed(component, values)]
    problems: list[Problem] = []
    if users.entries:
        name = component.name
        base = _base(values, defaults)
        types = functools.partial(_types, ours=ours, defaults=defaults, base=base)
        problems += bad_texts(users, name, base)
        explained = {problem.position for problem in problems}
        problems += [p for p in misread_scalars(users, name, types) if p.position not in explained]
        problems += replaced_lists(users, values, name, defaults)
        if defaults is not None:
            problems += unknown_keys(users, defaults, name, ours, skip)
            problems += nulls(users, values, name, defaults)
            problems += chart_schemas(values, defaults, name)
    return problems


def check_shipped(component: Component, values: MergedValues, chart: ChartLike, written_for: str) -> list[Problem]:
    """What a chart of another version than ``written_for`` says about the layers that are shipped.

    A key that this version lacks has no effect: the person who asked for the version has to know, and cannot
    change the catalogue, so it is a warning. Nothing has to be switched off that is not there.
    """
    defaults = read_defaults(chart)
    count = len(values.layers) - len(users_layers(values.layers))
    shipped = merge([layer for layer in values.layers[:count] if layer.name != CRDS_LAYER]).root
    hint = f"the catalogue's values were written for {written_for}: give what you need by the keys of {chart.version}"
    # Our schema is of the other version too.
    unknown = unknown_keys(shipped, defaults, component.name, None, doubtful=True)
    unknown = [replace(problem, severity=Severity.WARNING, label=None, hint=hint) for problem in unknown]
    return [*unknown, *chart_schemas(values, defaults, component.name)]


def chart_schemas(values: MergedValues, defaults: ChartDefaults, subject: str) -> list[Problem]:
    """What the chart's and its subcharts' own schemas do not allow, as Helm checks them: defaults and all."""
    if not defaults.schemas:
        return []
    whole = merge_nodes(defaults.tree, values.root)
    effective = without_nulls(whole)
    problems: list[Problem] = []
    for schema in defaults.schemas:
        if is_on(schema, effective):
            problems += _by_schema(schema, effective, whole, defaults, subject)
    return problems


def _by_schema(
    schema: SchemaAt, effective: Node, whole: Node, defaults: ChartDefaults, subject: str
) -> Iterator[Problem]:
    node = find(effective, schema.path)
    if not isinstance(node, MapNode):
        return
    node = _with_globals(node, effective) if schema.path else node
    name = path_text(subject, schema.path)
    written = find(whole, schema.path)
    for problem in check_values(node, schema.schema, name, written=written):
        if problem.position is not None and problem.position.file in defaults.texts:
            # The chart's own default, which Helm would refuse whatever the person writes; or a key that
            # is missing below a map which only the chart has. Neither has a place in the person's files.
            if problem.code == "missing-key":
                yield problem
            continue
        yield problem


def _with_globals(node: MapNode, effective: Node) -> MapNode:
    above = find(effective, (GLOBAL,))
    if not isinstance(above, MapNode):
        return node
    below = node.get(GLOBAL)
    merged = merge_nodes(below, above) if below is not None else above
    return MapNode({**node.entries, GLOBAL: Entry(GLOBAL, merged.position, merged)}, node.position)


def _base(values: MergedValues, defaults: ChartDefaults | None) -> Node:
    """What counted before the person wrote anything: the chart's defaults and the shipped layers."""
    layers = values.layers
    shipped = merge(layers[: len(layers) - len(users_layers(layers))]).root
    return merge_nodes(defaults.tree, shipped) if defaults is not None else shipped


def _types(path: Path, *, ours: JsonObject | None, defaults: ChartDefaults | None, base: Node) -> frozenset[str]:
    """JSON types that are expected at ``path``: of our schema, the chart's, else of the default."""
    pieces = [_along(Piece(ours, ours), path)] if ours is not None else []
    for schema in defaults.schemas if defaults is not None else ():
        if path[: len(schema.path)] == schema.path:
            pieces.append(_along(Piece(schema.schema, schema.schema), path[len(schema.path) :]))  # noqa: PERF401
    for piece in pieces:
        if isinstance(piece, Piece) and (types := piece.types()):
            return types
    default = find(base, path)
    value = to_python(default) if isinstance(default, ScalarNode) else None
    if value is None:
        return frozenset()
    return frozenset({"boolean" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"})


def _along(piece: Piece | bool, path: Path) -> Piece | bool:
    for step in path:
        if not isinstance(piece, Piece):
            return piece
        piece = piece.item() if isinstance(step, int) else piece.below(step)
    return piece


def joined(first: Sequence[Problem], more: Sequence[Problem]) -> list[Problem]:
    """``first``, and of ``more`` what does not say the same again.

    Two schemas may refuse one value in different words. A key that was renamed is unknown too, which
    is no news. A warning gives way to an error at its place.
    """
    said = {(p.position, p.code) for p in first if p.position is not None}
    renamed = {p.position for p in first if p.code == RENAMED}
    fresh = [p for p in more if (p.position, p.code) not in said]
    everything = [p for p in (*first, *fresh) if p.code == RENAMED or p.position not in renamed]
    wrong = {p.position for p in everything if p.severity is Severity.ERROR and p.position is not None}
    return [p for p in everything if p.severity is Severity.ERROR or p.position not in wrong]


def unused_flags(named: Mapping[str, Sequence[Layer]], off: Mapping[str, str]) -> list[Problem]:
    """``--set`` and ``--values`` for components that are off. ``off``: component -> why."""
    problems = []
    for name, why in off.items():
        for layer in named.get(name, ()):
            for where in [a.position.file for a in layer.assignments] or [layer.name]:
                message = f"{where} has no effect: {name} is {why}"
                problems.append(Problem(Severity.WARNING, "no-effect", message, where=where))
    return list(dict.fromkeys(problems))
