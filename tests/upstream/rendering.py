"""Renders a chart with raw helm and compares renderings object by object.

Used by tests only. Two renderings of one chart with one set of values need not be equal (charts make up passwords), and
some charts copy all of their values into an object; both kinds of places are found by trying and then left out.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

API_VERSIONS: Final = (
    "monitoring.coreos.com/v1",
    "monitoring.coreos.com/v1/ServiceMonitor",
    "monitoring.coreos.com/v1/PodMonitor",
)
"""What the cluster would offer: some charts refuse to render a monitor without them."""

Leaf = tuple[str, str]
"""(object, dotted path) of one scalar in a rendering."""


class ManifestLoader(yaml.CSafeLoader):
    """PyYAML's safe loader stops at a plain ``=``, which CRDs contain."""


ManifestLoader.add_constructor("tag:yaml.org,2002:value", lambda _loader, node: node.value)


class RenderError(Exception):
    """Helm refused the chart or the values; the message is helm's own."""


def helm() -> str:
    """Path of a helm binary: SPARKRIG_HELM, what sparkrig.tools finds, or the one on PATH."""
    if explicit := os.environ.get("SPARKRIG_HELM"):
        return explicit
    try:
        from sparkrig.tools import find
    except ImportError:
        found = shutil.which("helm")
    else:
        found = str(find("helm").path)
    if not found:
        raise FileNotFoundError("no helm: set SPARKRIG_HELM or run `sparkrig tools install helm`")
    return found


@dataclass(frozen=True, slots=True)
class Release:
    """What is rendered, and under which name."""

    chart: Path
    name: str
    namespace: str

    def render(self, values: Mapping[str, Any], *, schema: bool = True) -> list[dict[str, Any]]:
        """The objects of ``helm template``, hooks included, CRDs left out. Raises RenderError."""
        with tempfile.TemporaryDirectory(prefix="sparkrig-render-") as home:
            file = Path(home, "values.json")
            file.write_text(json.dumps(values), encoding="utf-8")
            argv = [helm(), "template", self.name, str(self.chart), "--namespace", self.namespace]
            argv += ["--skip-crds", "--values", str(file)]
            for version in API_VERSIONS:
                argv += ["--api-versions", version]
            if not schema:
                argv.append("--skip-schema-validation")
            environment = {"PATH": os.environ.get("PATH", ""), "HOME": home, "HELM_CACHE_HOME": home}
            done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=environment)
        if done.returncode:
            raise RenderError(done.stderr.strip())
        return [item for item in yaml.load_all(done.stdout, ManifestLoader) if item]


def name_of(item: Mapping[str, Any]) -> str:
    """Kind, namespace and name of an object, as one readable key."""
    metadata = item.get("metadata") or {}
    return f"{item.get('kind')} {metadata.get('namespace') or ''}/{metadata.get('name')}"


def leaves_of(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar and every empty collection below ``node`` with its dotted path."""
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from leaves_of(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list) and node:
        for index, value in enumerate(node):
            yield from leaves_of(value, f"{path}[{index}]")
    else:
        yield path, node


def flatten(objects: list[dict[str, Any]]) -> dict[Leaf, Any]:
    """All scalars of a rendering."""
    return {(name_of(item), path): value for item in objects for path, value in leaves_of(item)}


def changed(one: Mapping[Leaf, Any], other: Mapping[Leaf, Any]) -> frozenset[Leaf]:
    """The places where two renderings differ."""
    missing = object()
    return frozenset(leaf for leaf in one.keys() | other.keys() if one.get(leaf, missing) != other.get(leaf, missing))
