"""A chart's own defaults as the weakest layers, subcharts' below their parents'. Pure.

The chart comes from whoever can open archives; this module sees texts and names only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from sparkrig.models.json import JsonObject
from sparkrig.models.problem import Position
from sparkrig.yaml.load import load_values
from sparkrig.yaml.merge import Layer
from sparkrig.yaml.nodes import Entry, MapNode, Node, Path

CHART_LAYER: Final = "chart"
SUBCHART_LAYER: Final = "subchart"


class Dependency(Protocol):
    """An entry of ``dependencies`` in Chart.yaml."""

    @property
    def name(self) -> str:
        """The subchart's name."""

    @property
    def key(self) -> str:
        """The key under which its values are."""


class ChartTexts(Protocol):
    """What is needed of a chart in memory."""

    @property
    def name(self) -> str:
        """The chart's name."""

    @property
    def version(self) -> str:
        """The chart's version."""

    @property
    def values_text(self) -> str:
        """values.yaml as written."""

    @property
    def schema_text(self) -> str:
        """values.schema.json as written."""

    @property
    def dependencies(self) -> Sequence[Dependency]:
        """What Chart.yaml asks for."""

    @property
    def subcharts(self) -> Sequence[ChartTexts]:
        """What is in charts/."""


@dataclass(frozen=True, slots=True)
class ChartDefaults:
    """What is known of a component's chart."""

    layers: tuple[Layer, ...] = ()
    """Weakest first; empty where the chart was not looked at, or is one of our own (``component`` is its default)."""
    schemas: tuple[tuple[Path, JsonObject], ...] = ()
    """Where a schema's values begin, and the schema; the chart's own first."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Shown name -> text of each values.yaml."""
    note: str | None = None
    """Why the chart was not looked at; None where it was."""
    looked: bool = False


def read_defaults(chart: ChartTexts, shown: str) -> ChartDefaults:
    """The defaults of a chart and of its subcharts; ``shown`` is what its archive or folder is called."""
    layers: list[Layer] = []
    schemas: list[tuple[Path, JsonObject]] = []
    texts: dict[str, str] = {}
    _read(chart, shown, (), layers, schemas, texts)
    # A parent's values for a subchart win over the subchart's own.
    return ChartDefaults(tuple(reversed(layers)), tuple(schemas), texts, looked=True)


def _read(
    chart: ChartTexts,
    shown: str,
    path: Path,
    layers: list[Layer],
    schemas: list[tuple[Path, JsonObject]],
    texts: dict[str, str],
) -> None:
    file = f"{shown}/values.yaml"
    loaded = load_values(chart.values_text, file)
    if isinstance(loaded.document, MapNode):
        texts[file] = chart.values_text
        name = CHART_LAYER if not path else f"{SUBCHART_LAYER} {chart.name}"
        layers.append(Layer(name, file, _nested(path, loaded.document)))
    schema = _schema(chart.schema_text)
    if schema is not None:
        schemas.append((path, schema))
    for sub in chart.subcharts:
        keys = [dependency.key for dependency in chart.dependencies if dependency.name == sub.name] or [sub.name]
        for key in dict.fromkeys(keys):
            _read(sub, f"{shown}/charts/{sub.name}", (*path, key), layers, schemas, texts)


def _nested(path: Path, node: Node) -> Node:
    at = Position(node.position.file, 1, 1)
    for step in reversed(path):
        node = MapNode({str(step): Entry(str(step), at, node)}, at)
    return node


def _schema(text: str) -> JsonObject | None:
    try:
        schema = json.loads(text) if text.strip() else None
    except ValueError:
        return None
    return schema if isinstance(schema, Mapping) else None
