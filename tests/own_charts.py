"""The charts of our own, their cases, and helm on them. Used by tests only."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from tests.upstream.rendering import helm

ROOT: Final = Path(__file__).parents[1]
CHARTS: Final = sorted(path.parent for path in (ROOT / "charts").glob("*/Chart.yaml"))
"""A folder of the catalogue that holds a Chart.yaml is a chart of our own."""
NEWEST: Final = "1.36.0"


@dataclass(frozen=True, slots=True)
class Case:
    """One case of one chart, from its ``cases`` folder."""

    chart: Path
    data: Mapping[str, Any]

    @property
    def bad(self) -> bool:
        """True when the values must be refused, by the schema or by a template."""
        return bool(self.data.get("problems") or self.data.get("fails"))

    def __str__(self) -> str:
        return f"{self.chart.name}: {self.data['name']}"


def cases() -> list[Case]:
    """Every case of every chart of our own."""
    found = []
    for chart in CHARTS:
        for file in sorted(chart.glob("cases/*.yaml")):
            found += [Case(chart, data) for data in yaml.safe_load(file.read_text(encoding="utf-8"))]
    return found


def profiles() -> Iterator[tuple[Path, str, dict[str, Any]]]:
    """(chart, profile, values) for each profile file, and the defaults as profile ``standard``."""
    for chart in CHARTS:
        yield chart, "standard", {}
        for file in sorted(chart.glob("profiles/*.yaml")):
            yield chart, file.stem, yaml.safe_load(file.read_text(encoding="utf-8"))


@cache
def component(chart: Path) -> dict[str, Any]:
    """The chart's component.yaml."""
    loaded: dict[str, Any] = yaml.safe_load((chart / "component.yaml").read_text(encoding="utf-8"))
    return loaded


def run_helm(*arguments: str, values: Mapping[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs helm with homes of its own and no cluster."""
    with tempfile.TemporaryDirectory(prefix="sparkrig-charts-") as home:
        argv = [helm(), *arguments]
        if values is not None:
            file = Path(home, "values.json")
            file.write_text(json.dumps(values), encoding="utf-8")
            argv += ["--values", str(file)]
        homes = {f"HELM_{kind}_HOME": f"{home}/{kind}" for kind in ("CACHE", "CONFIG", "DATA")}
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": home, "KUBECONFIG": "/dev/null", **homes}
        return subprocess.run(argv, capture_output=True, text=True, timeout=120, env=environment)


def template(chart: Path, values: Mapping[str, Any], kubernetes: str = NEWEST) -> subprocess.CompletedProcess[str]:
    """``helm template`` under the release name and namespace of the component."""
    return _template(chart, json.dumps(values), kubernetes)


@cache
def _template(chart: Path, values: str, kubernetes: str) -> subprocess.CompletedProcess[str]:
    release = component(chart)["release"]
    place = ("--namespace", release["namespace"], "--kube-version", kubernetes)
    return run_helm("template", release["name"], str(chart), *place, values=json.loads(values))


def render(chart: Path, values: Mapping[str, Any], kubernetes: str = NEWEST) -> list[dict[str, Any]]:
    """The rendered manifests; fails the test with helm's words when there are none."""
    done = template(chart, values, kubernetes)
    assert done.returncode == 0, done.stderr
    return [item for item in yaml.safe_load_all(done.stdout) if item]


def pods(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(workload, pod template) of everything that makes pods."""
    for item in objects:
        spec = item.get("spec") or {}
        name = f"{item['kind']} {item['metadata']['name']}"
        if item["kind"] == "Pod":
            yield name, item
        elif item["kind"] == "CronJob":
            yield name, spec["jobTemplate"]["spec"]["template"]
        elif "spec" in (spec.get("template") or {}):  # that of a custom resource is something else
            yield name, spec["template"]
