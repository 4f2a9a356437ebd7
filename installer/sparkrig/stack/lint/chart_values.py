"""What a chart's own files say about its values: defaults with their places, schemas, subcharts. Pure.

The files come as bytes from whoever has the chart; nothing is opened here. A subchart's defaults lie
under its name (or alias) in the tree, below what the parent says about them, as Helm lays them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sparkrig.models.json import JsonDict, JsonObject, mapping_at
from sparkrig.models.problem import Position
from sparkrig.stack.lint.chart_words import Words, commented_keys, words_of
from sparkrig.yaml.load import load_values
from sparkrig.yaml.merge import merge_nodes
from sparkrig.yaml.nodes import Entry, MapNode, Node, Path, child, find, node_from, to_python

GLOBAL: Final = "global"
"""Helm hands this map down to every subchart."""


class DependencyLike(Protocol):
    """One entry of ``dependencies`` in Chart.yaml."""

    @property
    def name(self) -> str:
        """Name of the subchart."""

    @property
    def key(self) -> str:
        """Its alias, else its name: where its values are in the parent's."""

    @property
    def condition(self) -> str:
        """Comma-separated value paths, the first that leads to a boolean decides."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Names under ``tags`` that switch it."""


class ChartLike(Protocol):
    """A chart in memory, as ``helm.archive.read_chart`` gives it."""

    @property
    def name(self) -> str:
        """The chart's name."""

    @property
    def version(self) -> str:
        """The chart's version."""

    @property
    def files(self) -> Mapping[str, bytes]:
        """File name -> content, without the subcharts' files."""

    @property
    def dependencies(self) -> Sequence[DependencyLike]:
        """What Chart.yaml asks for."""

    @property
    def subcharts(self) -> Sequence[ChartLike]:
        """What is in charts/."""


Switches = tuple[tuple[tuple[Path, ...], tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class SchemaAt:
    """A chart's ``values.schema.json`` and where in the whole tree of values it applies."""

    path: Path
    schema: JsonObject
    chart: str
    switches: Switches
    """For each chart on the way down: paths of its conditions, and its tags."""


class ChartDefaults:
    """The defaults of one chart and its subcharts, and what they say about further values."""

    def __init__(self, chart: ChartLike) -> None:
        self.name, self.version = chart.name, chart.version
        self.texts: dict[str, str] = {}
        """Shown name of each values.yaml -> its text, for showing its lines."""
        self.unreadable: list[str] = []
        """Shown names of values.yaml files that cannot be read as YAML."""
        self.schemas: list[SchemaAt] = []
        self.commented: dict[Path, dict[str, Position]] = {}
        """Path of a map -> keys that stand in comments there."""
        self.subcharts: set[Path] = set()
        self._words: dict[Path, Words] = {}
        self.tree = self._read(chart, f"{chart.name}-{chart.version}", (), ())

    def find(self, path: Path) -> Node | None:
        """The default at ``path``."""
        return find(self.tree, path)

    def words(self, path: Path) -> Words:
        """What the templates of the chart that ``path`` belongs to mention."""
        return next(self._words_from(path))

    def mentioned_above(self, path: Path, key: str) -> bool:
        """Whether that chart, or one around it, mentions ``key``: a parent may read its subcharts' values."""
        return any(key in words.read for words in self._words_from(path))

    def _words_from(self, path: Path) -> Iterator[Words]:
        for length in range(len(path), -1, -1):
            if path[:length] in self._words:
                yield self._words[path[:length]]

    def inside(self, path: Path) -> Path:
        """``path`` as the subchart that it belongs to sees it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.subcharts:
                return path[length:]
        return path

    def _read(self, chart: ChartLike, shown: str, path: Path, switches: Switches) -> MapNode:
        file = f"{shown}/values.yaml"
        text = chart.files.get("values.yaml", b"").decode("utf-8", "replace").removeprefix("\ufeff")
        loaded = load_values(text, file)
        root = loaded.document if isinstance(loaded.document, MapNode) else MapNode({}, Position(file, 1, 1))
        if loaded.problems:
            self.unreadable.append(file)
        self.texts[file] = text
        for inner, keys in commented_keys(text, root, file).items():
            self.commented.setdefault((*path, *inner), {}).update(keys)
        self._words[path] = words_of(chart.files)
        schema = _schema(chart.files)
        if schema is not None:
            self.schemas.append(SchemaAt(path, schema, chart.name, switches))
        for key, sub, conditions, tags in _subcharts(chart):
            here = (*path, key)
            self.subcharts.add(here)
            paths = tuple((*path, *condition) for condition in conditions)
            below = self._read(sub, f"{shown}/charts/{sub.name}", here, (*switches, (paths, tags)))
            root = _under(root, key, below, conditions, tags, file)
        return root


def _subcharts(chart: ChartLike) -> Iterator[tuple[str, ChartLike, tuple[Path, ...], tuple[str, ...]]]:
    """Key in the parent's values, subchart, paths of its conditions, tags; what nobody asks for is on as well."""
    asked: set[str] = set()
    for dependency in chart.dependencies:
        asked.add(dependency.name)
        sub = next((sub for sub in chart.subcharts if sub.name == dependency.name), None)
        if sub is not None:
            conditions = tuple(tuple(c.strip().split(".")) for c in dependency.condition.split(",") if c.strip())
            yield dependency.key, sub, conditions, dependency.tags
    for sub in chart.subcharts:
        if sub.name not in asked:
            yield sub.name, sub, (), ()


def _under(
    root: MapNode, key: str, below: MapNode, conditions: tuple[Path, ...], tags: tuple[str, ...], file: str
) -> MapNode:
    """The parent's tree with a subchart's defaults below its own words about it."""
    top = Position(file, 1, 1)
    known: JsonDict = {}
    for condition in conditions:
        if find(root, condition) is None:
            _put(known, condition)
    if tags:
        known["tags"] = {**mapping_at(known, "tags"), **dict.fromkeys(tags)}
    sub_globals = below.entries.get(GLOBAL)
    without = MapNode({k: e for k, e in below.entries.items() if k != GLOBAL}, below.position)
    weak: dict[str, Entry] = {key: Entry(key, below.position, without)}
    if sub_globals is not None:
        weak[GLOBAL] = sub_globals
    tree = merge_nodes(MapNode(weak, top), root)
    tree = merge_nodes(node_from(known, top), tree)
    assert isinstance(tree, MapNode)  # noqa: S101  (merging maps gives a map)
    return tree


def _put(target: JsonDict, path: Path) -> None:
    for step in path[:-1]:
        below = target.setdefault(str(step), {})
        if not isinstance(below, dict):
            return
        target = below
    target[str(path[-1])] = None


def _schema(files: Mapping[str, bytes]) -> JsonObject | None:
    text = files.get("values.schema.json")
    if text is None:
        return None
    try:
        schema = json.loads(text)
    except ValueError:
        return None  # helm itself will refuse such a chart, with the place
    return schema if isinstance(schema, dict) else None


def is_on(schema: SchemaAt, values: Node) -> bool:
    """Whether the subchart is switched on in ``values`` (the whole tree): Helm checks no schema of one that is off."""
    return all(_by_condition(conditions, tags, values) for conditions, tags in schema.switches)


def _by_condition(conditions: tuple[Path, ...], tags: tuple[str, ...], values: Node) -> bool:
    for path in conditions:
        node = find(values, path)
        value = to_python(node) if node is not None else None
        if isinstance(value, bool):
            return value
    table = child(values, "tags")
    states = [to_python(node) for tag in tags if (node := child(table, tag)) is not None]
    states = [state for state in states if isinstance(state, bool)]
    return any(states) or not states


def read_defaults(chart: ChartLike) -> ChartDefaults:
    """The defaults of ``chart``; kept for as long as the chart is."""
    return _cached(_Identity(chart))


class _Identity:
    """Makes a chart hashable by what it is, not by what is in it."""

    def __init__(self, chart: ChartLike) -> None:
        self.chart = chart

    def __hash__(self) -> int:
        return id(self.chart)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.chart is self.chart


@functools.lru_cache(maxsize=64)
def _cached(identity: _Identity) -> ChartDefaults:
    return ChartDefaults(identity.chart)
