"""What the tests of charts/monitoring share: the table of metrics, PromQL taken apart, rules, dashboards. Tests only.

A query's metrics and labels come from the parser's tree, never from its text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import promql_parser as promql
import yaml
from tests.own_charts import ROOT, render

CHART: Final = ROOT / "charts" / "monitoring"
DATA: Final = ROOT / "tests" / "cases" / "monitoring"
RUNBOOKS: Final = ROOT / "docs" / "runbooks"
VARIABLES: Final = {"$__rate_interval": "5m", "$__range": "3h", "$__interval": "1m"}
"""What Grafana puts in for its own variables."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One known metric, or one recorded series."""

    name: str
    kind: str
    labels: frozenset[str]


@cache
def known_metrics() -> Mapping[str, Metric]:
    """The metrics of the table, by the names that a query may use, without the recorded ones."""
    table = yaml.safe_load((DATA / "metrics.yaml").read_text(encoding="utf-8"))
    known = {}
    for exporter in table["exporters"]:
        for name, facts in exporter["metrics"].items():
            labels = {*table["targetLabels"], *exporter.get("labels", []), *facts.get("labels", [])}
            names = {name: labels}
            if facts["type"] == "histogram":
                names = {f"{name}_bucket": {*labels, "le"}, f"{name}_count": labels, f"{name}_sum": labels}
            known |= {each: Metric(each, facts["type"], frozenset(of)) for each, of in names.items()}
    return known


@cache
def rules() -> tuple[dict[str, Any], ...]:
    """Every rule of the chart as it is rendered without values."""
    found = [item for item in render(CHART, {}) if item["kind"] == "PrometheusRule"]
    return tuple(rule for item in found for group in item["spec"]["groups"] for rule in group["rules"])


def alerts() -> list[dict[str, Any]]:
    """The alerts among them; a name may come twice, with two severities."""
    return [rule for rule in rules() if "alert" in rule]


@cache
def recorded() -> Mapping[str, frozenset[str]]:
    """Recorded series -> the labels that they can have, as far as their expression tells."""
    series = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}
    known: dict[str, frozenset[str]] = {}
    for name, expression in series.items():
        known[name] = outcome(promql.parse(expression), {**{n: m.labels for n, m in known_metrics().items()}, **known})
    return known


def all_labels() -> dict[str, frozenset[str]]:
    """Every series that a query may name -> its labels."""
    return {**{name: metric.labels for name, metric in known_metrics().items()}, **recorded()}


@cache
def dashboards() -> Mapping[str, dict[str, Any]]:
    """uid -> dashboard, out of the rendered ConfigMaps."""
    maps = [item for item in render(CHART, {}) if item["kind"] == "ConfigMap"]
    models = [json.loads(text) for item in maps for text in item["data"].values()]
    return {model["uid"]: model for model in models}


def parsed(expression: str) -> Any:
    """The tree of a query, Grafana's variables filled in. Raises ValueError where it is no PromQL."""
    for name, text in VARIABLES.items():
        expression = expression.replace(name, text)
    return promql.parse(re.sub(r"\$\{?(\w+)(:\w+)?\}?", r"\1", expression))


def selectors(tree: Any) -> Iterator[Any]:
    """Every instant selector below."""
    if isinstance(tree, promql.VectorSelector):
        yield tree
    for below in children(tree):
        yield from selectors(below)


def children(tree: Any) -> list[Any]:
    """The expressions one step below."""
    match tree:
        case promql.AggregateExpr():
            return [tree.expr, *([tree.param] if tree.param is not None else [])]
        case promql.BinaryExpr():
            return [tree.lhs, tree.rhs]
        case promql.Call():
            return list(tree.args)
        case promql.ParenExpr() | promql.SubqueryExpr() | promql.UnaryExpr():
            return [tree.expr]
        case promql.MatrixSelector():
            return [tree.vector_selector]
        case _:
            return []


def outcome(tree: Any, known: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Labels that the series of a result can have."""
    match tree:
        case promql.VectorSelector():
            return known.get(tree.name, frozenset())
        case promql.AggregateExpr():
            return _grouped(tree, outcome(tree.expr, known))
        case promql.Call() if tree.func.name == "label_replace":
            return outcome(tree.args[0], known) | {tree.args[1].val}
        case promql.Call() if tree.func.name == "histogram_quantile":
            return outcome(tree.args[1], known) - {"le"}
        case promql.BinaryExpr():
            return _joined(tree, outcome(tree.lhs, known), outcome(tree.rhs, known))
        case _:
            return frozenset().union(*(outcome(below, known) for below in children(tree)))


def _grouped(tree: Any, inner: frozenset[str]) -> frozenset[str]:
    if str(tree.op) in ("topk", "bottomk"):
        return inner
    if tree.modifier is None:
        return frozenset()
    named = frozenset(tree.modifier.labels)
    return inner & named if tree.modifier.type == promql.AggModifierType.By else inner - named


def _joined(tree: Any, left: frozenset[str], right: frozenset[str]) -> frozenset[str]:
    if str(tree.op) == "or":
        return left | right
    return left or right


def misnamed(tree: Any, known: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """Sentences: a series that nobody exports, a label that its series do not have."""
    for selector in selectors(tree):
        labels = known.get(selector.name)
        if labels is None:
            yield f"nobody exports {selector.name}"
            continue
        wrong = {matcher.name for matcher in selector.matchers.matchers} - labels
        yield from (f"{selector.name} has no label {name}" for name in sorted(wrong))
    yield from _grouped_by_what_is_not_there(tree, known)


def _grouped_by_what_is_not_there(tree: Any, known: Mapping[str, frozenset[str]]) -> Iterator[str]:
    if isinstance(tree, promql.AggregateExpr) and tree.modifier is not None:
        there = outcome(tree.expr, known)
        missing = sorted(set(tree.modifier.labels) - there)
        yield from (f"grouped by {name}, which no series below has" for name in missing)
    for below in children(tree):
        yield from _grouped_by_what_is_not_there(below, known)


def rule_files(folder: Path) -> dict[str, Path]:
    """Writes the rendered rules as Prometheus reads them; part -> file."""
    written = {}
    for item in render(CHART, {}):
        if item["kind"] == "PrometheusRule":
            part = item["metadata"]["name"].removeprefix("monitoring-").removesuffix("-rules")
            written[part] = folder / f"{part}.rules.yaml"
            written[part].write_text(yaml.safe_dump({"groups": item["spec"]["groups"]}), encoding="utf-8")
    return written
