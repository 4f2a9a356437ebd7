"""A small world for tests of whole commands: components made of a few lines, a stack file, the real CLI.

The charts are real Helm charts with real workloads; only the catalogue is the test's own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from tests import forking

ROOT = Path(__file__).parents[1]

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      containers:
        - name: main
          image: "registry.example.org/{{ .Release.Name }}:{{ .Values.tag }}"
"""

CONFIGMAP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {text: {{ .Values.text | quote }}}
"""

AT_WORK: Final = re.compile(r"\b(?:installing|upgrading to|rolling back)\b")
"""In the line with which ``up`` or ``rollback`` says that helm begins with a component."""


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class World:
    """A catalogue and a stack file in a folder, and a cluster to use them on."""

    folder: Path
    target: str
    stack: str = "mini"
    components: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def catalog(self) -> Path:
        return self.folder / "data" / "charts"

    def component(
        self,
        name: str,
        *,
        templates: Mapping[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
        crds: Sequence[Mapping[str, Any]] = (),
        crd_owner: str = "",
        version: str = "1.0.0",
        **spec: Any,
    ) -> None:
        """Writes, or writes anew, a component whose chart is in its own folder.

        ``crd_owner`` is ``us`` where there are ``crds``, unless it is given.
        """
        folder = self.catalog / name
        (folder / "templates").mkdir(parents=True, exist_ok=True)
        for old in (folder / "templates").iterdir():
            old.unlink()
        for file, text in (templates or {"deployment.yaml": DEPLOYMENT}).items():
            (folder / "templates" / file).write_text(textwrap.dedent(text).lstrip())
        defaults = values if values is not None else {"replicas": 1, "tag": "1", "text": "hello"}
        (folder / "values.yaml").write_text(yaml.safe_dump(dict(defaults)))
        (folder / ".helmignore").write_text("component.yaml\n")
        chart = {"apiVersion": "v2", "name": name, "version": version, "appVersion": version}
        (folder / "Chart.yaml").write_text(yaml.safe_dump(chart))
        shutil.rmtree(folder / "crds", ignore_errors=True)
        if crds:
            (folder / "crds").mkdir(exist_ok=True)
            (folder / "crds" / "crds.yaml").write_text(yaml.safe_dump_all([dict(crd) for crd in crds]))
        document = {
            "apiVersion": "sparkrig.dev/v1",
            "kind": "Component",
            "metadata": {
                "name": name,
                "description": f"{name} for a test",
                "homepage": "https://example.org",
                "licence": "Apache-2.0",
            },
            "chart": {"name": name, "version": version, "path": "."},
            "release": {"name": name, "namespace": spec.pop("namespace", f"{self.stack}-{name}")},
            "crds": {"owner": crd_owner or ("us" if crds else "none")},
            "timeout": spec.pop("timeout", 60),
            **spec,
        }
        (folder / "component.yaml").write_text(yaml.safe_dump(document, sort_keys=False))

    def write_stack(self, text: str | None = None, **components: Mapping[str, Any]) -> Path:
        """Writes the stack file: the given text, or the given components' entries."""
        path = self.folder / "stack.yaml"
        document = {
            "apiVersion": "sparkrig.dev/v1",
            "kind": "Stack",
            "metadata": {"name": self.stack},
            **({"components": {k.replace("_", "-"): dict(v) for k, v in components.items()}} if components else {}),
        }
        path.write_text(yaml.safe_dump(document, sort_keys=False) if text is None else text)
        return path

    @property
    def environment(self) -> dict[str, str]:
        tools = self.folder / "data" / "tools"
        if not tools.exists():
            tools.parent.mkdir(parents=True, exist_ok=True)
            tools.symlink_to(ROOT / "tools")
        return {
            **os.environ,
            "SPARKRIG_DATA_DIR": str(self.folder / "data"),
            "PYTHONPATH": str(ROOT / "installer"),
            "PYTHONWARNINGS": "error",
        }

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "sparkrig", *arguments]

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Starts a command in the world's folder, output in pipes."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def run(self, *arguments: str, timeout_s: float = 120.0, on: bool = True) -> Done:
        """Runs a command to its end; ``on`` adds the world's cluster."""
        extra = ("--on", self.target) if on else ()
        code, out, err = forking.run([*arguments, *extra], self.folder, self.environment, timeout_s)
        assert code != 70, err  # a bug, whose traceback is in the log
        assert "Traceback (most recent call last)" not in err, err
        return Done(code, out, err)

    def up(self, *arguments: str) -> Done:
        return self.run("up", "--yes", *arguments)
