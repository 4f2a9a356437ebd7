"""Stacks on such a cluster: the shipped catalog, the real command line, stand-in charts or a folder of real ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.controllers.site import Site
from tests.mini import ROOT, Done

from sparkrig.catalog.load import load_catalog

RUN_S = 240.0
STAND_INS = ROOT / "tests" / "charts"
REAL_CHARTS = "SPARKRIG_REAL_CHARTS"
"""Names a folder of upstream's charts as archives ``NAME-VERSION.tgz``."""


def charts() -> tuple[str, ...]:
    """Return the arguments that say where the charts of others come from: a person's folder, or the stand-ins."""
    folder = os.environ.get(REAL_CHARTS, "")
    return ("--chart-mirror", folder) if folder else ("--stand-ins", str(STAND_INS))


@dataclass(frozen=True)
class Stack:
    """A stack file in a folder, and the cluster it is for."""

    folder: Path
    site: Site
    name: str
    charts: tuple[str, ...]
    """Arguments that say where the charts of others come from."""

    def write(self, components: Mapping[str, Mapping[str, Any]]) -> None:
        """Write the stack file: these components with these values, every other one off."""
        off: dict[str, Any] = {name: {"enabled": False} for name in load_catalog((ROOT / "charts",)).components}
        on = {name: {"enabled": True, "values": dict(values)} for name, values in components.items()}
        document = {
            "apiVersion": "sparkrig.dev/v1",
            "kind": "Stack",
            "metadata": {"name": self.name},
            "profile": "minimal",
            "components": {**off, **on},
        }
        (self.folder / "stack.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command of sparkrig, its output in pipes."""
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.site.handle.kubeconfig),  # not --on sim: there checks are not asked of programs
            "PYTHONPATH": str(ROOT / "installer"),
            "PYTHONWARNINGS": "error",
        }
        return subprocess.Popen(
            [sys.executable, "-m", "sparkrig", *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> Done:
        """Run a command of sparkrig to its end."""
        return self.finish(self.start(*arguments))

    def finish(self, process: subprocess.Popen[str]) -> Done:
        """Wait for a command that ``start`` began."""
        try:
            out, err = process.communicate(timeout=RUN_S)
        except subprocess.TimeoutExpired:
            process.terminate()
            out, err = process.communicate()
            raise AssertionError(f"{process.args} took too long\n{out}\n{err}\n{self.site.logs()}") from None
        assert "Traceback (most recent call last)" not in err, err
        return Done(process.returncode, out, err)

    def good(self, *arguments: str) -> Done:
        """Run a command that must end well."""
        done = self.run(*arguments)
        assert done.code == 0, f"{done.out}{done.err}\n{self.site.logs()}"
        return done

    def up(self, *arguments: str) -> Done:
        """``up --yes``, which must end well."""
        return self.good("up", "--yes", *self.charts, *arguments)
