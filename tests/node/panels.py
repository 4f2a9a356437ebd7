"""The expressions of our dashboards, sorted by whether what they ask for is measured on the node. Runs nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import yaml
from tests.monitoring_support import DATA, known_metrics, parsed, rules, selectors
from tests.own_charts import ROOT

ABSENT = (
    "GPU operator",
    "Spark operator",
    "controller-runtime",
    "Spark driver",
    "JupyterHub",
    "Traefik",
    "cert-manager",
)
"""How the table of metrics calls the exporters that are not part of this test's stack."""
OF_OTHERS = ("users: Memory of notebook servers", "operator: Memory")
"""Ask kubelet, which is here, about containers that are not."""
# Short windows: the stack lives some minutes.
WINDOWS = {"$__rate_interval": "1m", "$__range": "10m", "$__interval": "30s"}
METRIC_OF_CARDS = "nv_gpu_memory_used_bytes"
"""Triton's own of GPUs, which it has none of here."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One expression of a dashboard."""

    dashboard: str
    title: str
    number: int
    expression: str

    @property
    def query(self) -> str:
        """As Grafana would send it with everything chosen."""
        text = self.expression
        for name, window in WINDOWS.items():
            text = text.replace(name, window)
        return re.sub(r"\$\{?\w+(:\w+)?\}?", ".*", text)

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.title}{f' ({self.number + 1})' if self.number else ''}"


def _panels() -> Iterator[Panel]:
    for file in sorted((ROOT / "charts" / "monitoring" / "dashboards").glob("*/*.json")):
        waiting = list(json.loads(file.read_text(encoding="utf-8"))["panels"])
        seen: dict[str, int] = {}
        while waiting:
            panel = waiting.pop(0)
            waiting = [*panel.get("panels", []), *waiting]
            for target in panel.get("targets", []):
                number = seen.get(panel["title"], 0)
                seen[panel["title"]] = number + 1
                yield Panel(file.stem, panel["title"], number, target["expr"])


@cache
def _absent() -> frozenset[str]:
    table = yaml.safe_load((DATA / "metrics.yaml").read_text(encoding="utf-8"))
    bases = {
        name
        for exporter in table["exporters"]
        if exporter["exporter"].startswith(ABSENT)
        for name in exporter["metrics"]
    }
    return frozenset(
        name
        for name in known_metrics()
        if name in bases or re.sub("_(bucket|count|sum)$", "", name) in bases or name == METRIC_OF_CARDS
    )


def _measured(expression: str) -> bool:
    """Whether each metric that the expression stands on, through recorded series too, is measured on the node."""
    recorded = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}
    names = {selector.name for selector in selectors(parsed(expression))}
    return all(_measured(recorded[name]) if name in recorded else name not in _absent() for name in names)


_ALL = tuple(_panels())
PANELS = tuple(panel for panel in _ALL if _measured(panel.expression) and str(panel) not in OF_OTHERS)
SILENT = tuple(panel for panel in _ALL if panel not in PANELS)
