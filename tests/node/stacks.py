"""Stacks on a node: the shipped catalogue, the real command line, the images that its charts ask for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from tests.mini import ROOT, Done
from tests.node import loading
from tests.node.settings import Node

from sparkrig.catalog.load import load_catalog

RUN_S = 900.0
"""One command; on two idle cores none takes a minute, and five times as many others at work make it five."""
REAL_CHARTS = os.environ.get("SPARKRIG_REAL_CHARTS", "")
"""A person's folder of upstream's charts as archives ``NAME-VERSION.tgz``."""
STAND_INS = ROOT / "tests" / "charts"
"""Charts of ours in the place of upstream's, that start the real programs."""


def furnished(node: Node, images: Iterable[str]) -> None:
    """Build these images where the cache lacks them, and load them into the node."""
    names = tuple(images)
    loading.ensure(names, print)
    loading.load(node, names)


@cache
def real_charts() -> frozenset[str]:
    """The components whose chart comes from a person's folder; none without such a folder."""
    components = load_catalog((ROOT / "charts",)).components.values()
    have = {file.name for file in Path(REAL_CHARTS).glob("*.tgz")} if REAL_CHARTS else set()
    return frozenset(c.chart.name for c in components if f"{c.chart.name}-{c.chart.version}.tgz" in have)


@dataclass(frozen=True)
class NodeStack:
    """A stack file in a folder, and the node it is for."""

    folder: Path
    node: Node
    name: str

    @property
    def charts(self) -> tuple[str, ...]:
        """Arguments that say where charts of others come from: the stand-ins.

        What a person's folder has of the catalogue's versions comes from there instead.
        """
        if not REAL_CHARTS:
            return ("--stand-ins", str(STAND_INS))
        folder = self.folder / "stand-ins"
        folder.mkdir(exist_ok=True)
        for chart in sorted(STAND_INS.glob("*/Chart.yaml")):
            link = folder / chart.parent.name
            if link.name not in real_charts() and not link.exists():
                link.symlink_to(chart.parent)
        return ("--stand-ins", str(folder), "--chart-mirror", REAL_CHARTS)

    def write(
        self, components: Mapping[str, Mapping[str, Any]], *, secrets: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        """Write the stack file: these components with these values, every other one off; ``secrets`` as it has them."""
        off: dict[str, Any] = {name: {"enabled": False} for name in load_catalog((ROOT / "charts",)).components}
        on = {name: {"enabled": True, "values": dict(values)} for name, values in components.items()}
        document = {
            "apiVersion": "sparkrig.dev/v1",
            "kind": "Stack",
            "metadata": {"name": self.name},
            "profile": "minimal",
            **({"secrets": secrets} if secrets else {}),
            "components": {**off, **on},
        }
        (self.folder / "stack.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    def run(self, *arguments: str, seconds: float = RUN_S) -> Done:
        """Run a command of sparkrig to its end, which must come within so many seconds."""
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.node.kubeconfig),
            "PYTHONPATH": str(ROOT / "installer"),
            "PYTHONWARNINGS": "error",
        }
        done = subprocess.run(
            [sys.executable, "-m", "sparkrig", *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert "Traceback (most recent call last)" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def up(self, *arguments: str) -> Done:
        """``up --yes``, which must end well."""
        done = self.run("up", "--yes", *arguments)
        assert done.code == 0, done.out + done.err
        return done
