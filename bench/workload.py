"""What is installed: the same releases, the same charts and the same values for every tool.

A workload has three states: ``base``, ``changed`` (one value of one release) and ``upgraded`` (every chart newer).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

State = Literal["base", "changed", "upgraded"]
STATES: tuple[State, ...] = ("base", "changed", "upgraded")

ROOT = Path(__file__).parents[1]
DEPTH = 6
"""Length of the longest chain of needs in a generated stack."""
PER_NAMESPACE = 10

TEMPLATES = {
    "deployment.yaml": """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  labels: &labels {app.kubernetes.io/name: {{ .Release.Name }}, app.kubernetes.io/version: {{ .Chart.AppVersion }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app.kubernetes.io/name: {{ .Release.Name }}}}
  template:
    metadata: {labels: *labels}
    spec:
      serviceAccountName: {{ .Release.Name }}
      containers:
        - name: main
          image: registry.example.org/main:{{ .Chart.AppVersion }}
          envFrom: [{configMapRef: {name: {{ .Release.Name }}}}]
""",
    "configmap.yaml": """
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {text: {{ .Values.text | quote }}}
""",
    "service.yaml": """
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}}
spec:
  selector: {app.kubernetes.io/name: {{ .Release.Name }}}
  ports: [{name: http, port: 80}]
""",
    "serviceaccount.yaml": """
apiVersion: v1
kind: ServiceAccount
metadata: {name: {{ .Release.Name }}}
""",
}


@dataclass(frozen=True, slots=True)
class Release:
    """One release as every tool gets it."""

    name: str
    namespace: str
    chart: Path
    values: Mapping[str, Any]
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stack:
    """One state of a workload: the releases, in an order in which one after the other works, and sparkrig's input."""

    releases: tuple[Release, ...]
    arguments: tuple[str, ...]
    """What ``sparkrig up`` is given to mean the same."""
    allow: tuple[str, ...] = field(default=(), kw_only=True)
    """What a person would allow: flags of ``up`` and ``rollback``."""
    data: Path
    """The folder with the catalogue (``charts/``) and ``tools/`` that sparkrig uses for it."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A named set of releases in its three states."""

    name: str
    states: Mapping[State, Stack]


def generated(count: int, folder: Path) -> Workload:
    """``count`` small releases in a graph ``DEPTH`` deep: each needs one or two of the layer before."""
    name = f"generated-{count}"
    states: dict[State, Stack] = {}
    for state in STATES:
        root = data_folder(folder / name / state)
        version = "2.0.0" if state == "upgraded" else "1.0.0"
        releases = []
        for number, needs in enumerate(_graph(count)):
            chart = root / "charts" / f"r{number:03}"
            values = {"replicas": 1, "text": "changed" if state == "changed" and number == count - 1 else "hello"}
            _write_chart(chart, version, values, [f"r{n:03}" for n in needs], f"bench-{number // PER_NAMESPACE}")
            needed = tuple(f"r{n:03}" for n in needs)
            releases.append(Release(chart.name, f"bench-{number // PER_NAMESPACE}", chart, {}, needed))
        stack = root / "stack.yaml"
        stack.write_text(yaml.safe_dump(_stack_file(name)))
        states[state] = Stack(tuple(releases), ("--file", str(stack)), root)
    return Workload(name, states)


def data_folder(folder: Path) -> Path:
    """Make ``folder`` one that ``SPARKRIG_DATA_DIR`` can name, with an empty catalogue."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "charts").mkdir(parents=True)
    (folder / "tools").symlink_to(ROOT / "tools")
    return folder


def _graph(count: int) -> Iterator[tuple[int, ...]]:
    """The needs of each release: ``DEPTH`` layers, each release under one or two of the layer above."""
    width = max(1, count // DEPTH)
    for number in range(count):
        layer = min(number // width, DEPTH - 1)  # the last one takes what is over
        if layer == 0:
            yield ()
            continue
        above, place = (layer - 1) * width, (number - layer * width) % width
        yield tuple(sorted({above + place, above + (place + 1) % width}))


def _write_chart(folder: Path, version: str, values: Mapping[str, Any], needs: Sequence[str], namespace: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "templates").mkdir(parents=True)
    for file, text in TEMPLATES.items():
        (folder / "templates" / file).write_text(text.lstrip())
    chart = {"apiVersion": "v2", "name": folder.name, "version": version, "appVersion": version}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(chart))
    (folder / "values.yaml").write_text(yaml.safe_dump(dict(values)))
    (folder / ".helmignore").write_text("component.yaml\n")
    component = {
        "apiVersion": "sparkrig.dev/v1",
        "kind": "Component",
        "metadata": {
            "name": folder.name,
            "description": "a release of the benchmark",
            "homepage": "https://example.org",
            "licence": "Apache-2.0",
        },
        "chart": {"name": folder.name, "version": version, "path": "."},
        "release": {"name": folder.name, "namespace": namespace},
        "crds": {"owner": "none"},
        "needs": list(needs),
        "enabled": True,
    }
    (folder / "component.yaml").write_text(yaml.safe_dump(component, sort_keys=False))


def _stack_file(name: str) -> dict[str, Any]:
    return {"apiVersion": "sparkrig.dev/v1", "kind": "Stack", "metadata": {"name": name}}
