"""Which subcharts are on: tags and conditions by the values, as helm decides it. Pure.

The order of events is Helm's (4.3.1, pkg/chart/v2/util and pkg/chart/common/util): the values of a
chart and all its subcharts are laid under the given ones, tags are looked at, then conditions, and
each subchart that stays is treated the same way with the values so far.

One thing is simpler: among several vendored subcharts of one name, that of the exact version is
taken, else the first, without Helm's version ranges.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, Protocol, Self, TypeVar

from sparkrig.errors import SparkrigError
from sparkrig.helm.charts.metadata import Dependency
from sparkrig.helm.errors import ChartError
from sparkrig.models.json import JsonDict, JsonObject, JsonValue, dig, mapping_at

_GLOBAL = "global"


class ChartTree(Protocol):
    """What is needed of a chart in memory."""

    @property
    def name(self) -> str:
        """The chart's name."""

    @property
    def version(self) -> str:
        """The chart's version."""

    @property
    def dependencies(self) -> tuple[Dependency, ...]:
        """What Chart.yaml asks for."""

    @property
    def values(self) -> JsonObject:
        """The chart's defaults."""

    @property
    def subcharts(self) -> Sequence[Self]:
        """What is in charts/."""


_C = TypeVar("_C", bound=ChartTree)


class _Enabled(Generic[_C]):
    """A chart under the name its parent gives it, with those subcharts that count."""

    def __init__(self, chart: _C, name: str) -> None:
        self.chart = chart
        self.name = name
        self.children: list[_Enabled[_C]] = [_Enabled(sub, sub.name) for sub in chart.subcharts]


def enabled_charts(chart: _C, values: JsonObject) -> list[_C]:
    """Returns the chart and those of its subcharts that are on, parents first.

    Raises:
        ChartError: a value under a subchart's name is not a map; helm refuses that too.
    """
    root = _Enabled(chart, chart.name)
    _process(root, copy.deepcopy(dict(values)), "")
    return list(_collected(root))


def _collected(node: _Enabled[_C]) -> Iterator[_C]:
    yield node.chart
    for child in node.children:
        yield from _collected(child)


def _process(node: _Enabled[_C], values: JsonDict, path: str) -> None:
    wanted = node.chart.dependencies
    if not wanted:
        # Nothing is asked for: helm takes all that lies in charts/ and looks no deeper.
        return
    unasked = [child for child in node.children if not any(child.chart.name == dep.name for dep in wanted)]
    asked = [_Enabled(found, dep.key) for dep in wanted if (found := _pick(node.children, dep)) is not None]
    node.children = unasked + asked
    coalesced = _coalesce(node, copy.deepcopy(values))
    on = {dep.key: _by_condition(dep, coalesced, path, _by_tags(dep, coalesced)) for dep in wanted}
    node.children = [child for child in node.children if on.get(child.name, True)]
    for child in node.children:
        _process(child, coalesced, f"{path}{child.name}.")


def _pick(children: Sequence[_Enabled[_C]], dependency: Dependency) -> _C | None:
    named = [child.chart for child in children if child.chart.name == dependency.name]
    exact = (chart for chart in named if chart.version == dependency.version)
    return next(exact, named[0] if named else None)


def _by_tags(dependency: Dependency, values: JsonObject) -> bool:
    table = values.get("tags")
    if not isinstance(table, Mapping):
        return True
    states = [table[tag] for tag in dependency.tags if isinstance(table.get(tag), bool)]
    return any(states) or not states


def _by_condition(dependency: Dependency, values: JsonObject, path: str, otherwise: bool) -> bool:
    """The first of the comma-separated paths that leads to a boolean decides."""
    for condition in dependency.condition.strip().split(","):
        found = _at(values, f"{path}{condition}") if condition else None
        if isinstance(found, bool):
            return found
    return otherwise


def _at(values: JsonObject, path: str) -> JsonValue:
    return dig(values, *path.split("."))


# ------------------------------------------------------------------ values below values


def _coalesce(node: _Enabled[_C], given: JsonDict) -> JsonDict:
    """Lays the defaults of a chart and its subcharts under ``given``, which is changed."""
    names = {child.name for child in node.children}
    for key, default in copy.deepcopy(dict(node.chart.values)).items():
        if key not in given:
            if default is not None:
                given[key] = _without_nulls(default)
        elif given[key] is None:
            del given[key]
        elif isinstance(own := given[key], dict) and isinstance(default, dict):
            keep_nulls = key in names
            _fill(own, default if keep_nulls else mapping_at(_without_nulls(default)), keep_nulls)
    for child in node.children:
        below = given.setdefault(child.name, {})
        if not isinstance(below, dict):
            raise ChartError(f"chart {node.name}: the value {child.name!r} is for a subchart and must be a map")
        _hand_down_globals(given, below)
        given[child.name] = _coalesce(child, below)
    return given


def _fill(given: JsonDict, default: JsonObject, keep_nulls: bool) -> None:
    for key, value in default.items():
        if key not in given:
            given[key] = value
        elif given[key] is None:
            if not keep_nulls and value is not None:
                del given[key]
        elif isinstance(own := given[key], dict) and isinstance(value, Mapping):
            _fill(own, value, keep_nulls)


def _hand_down_globals(given: JsonObject, below: JsonDict) -> None:
    source, target = given.get(_GLOBAL, {}), below.setdefault(_GLOBAL, {})
    if not isinstance(source, Mapping) or not isinstance(target, dict):
        return
    for key, value in source.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            merged = copy.deepcopy(dict(value))
            _fill(merged, target[key], keep_nulls=True)
            target[key] = merged
        elif isinstance(value, Mapping) and key in target:
            continue
        elif not isinstance(target.get(key), dict):
            target[key] = copy.deepcopy(value)


def _without_nulls(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def missing(chart: ChartTree) -> tuple[Dependency, ...]:
    """Returns the dependencies of Chart.yaml for which charts/ has nothing; helm refuses such a chart."""
    present = {sub.name for sub in chart.subcharts}
    return tuple(dep for dep in chart.dependencies if dep.name not in present)


def require_complete(chart: ChartTree, where: str) -> None:
    """Refuses a chart with missing dependencies.

    Raises:
        ChartError: names them all, and the command that fetches them.
    """
    lacking = missing(chart)
    if lacking:
        names = ", ".join(f"{dep.name} {dep.version}".strip() for dep in lacking)
        error: SparkrigError = ChartError(
            f"{where}: chart {chart.name} needs {names}, and its charts/ folder does not have "
            f"{'it' if len(lacking) == 1 else 'them'}",
            hint=f"helm dependency build {where}",
        )
        raise error
