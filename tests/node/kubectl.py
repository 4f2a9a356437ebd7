"""kubectl for tests: the real one, in one namespace; and the pods that tests make with it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WAIT_S = 300
"""Pods are ready in two seconds here; on two cores that thirty others wait for it was seen to take a hundred."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """Call it with arguments; returns what kubectl printed, fails the test when it fails."""

    program: Path
    kubeconfig: Path
    namespace: str

    def __call__(self, *arguments: str, given: str | None = None) -> str:
        command = [str(self.program), f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}", *arguments]
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=WAIT_S + 30)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr or done.stdout}"
        return done.stdout

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        """Apply objects in the namespace."""
        self("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))

    def ready(self, *what: str) -> None:
        """Wait until a workload is rolled out, e.g. ``deployment/a``."""
        for one in what:
            self("rollout", "status", one, f"--timeout={WAIT_S}s")

    def get(self, *what: str) -> dict[str, Any]:
        """One object, or the list of objects."""
        return dict(json.loads(self("get", *what, "-o", "json")))

    def pods(self, label: str) -> list[str]:
        """Names of the pods with this label that are not being deleted."""
        found = self.get("pods", "-l", label)["items"]
        return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]


def toolbox(name: str, container: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A pod template of the toolbox image, that sleeps unless told otherwise."""
    whole = {
        "name": "toolbox",
        "image": "sparkrig.test/toolbox:1",
        "imagePullPolicy": "Never",
        "command": ["sleep", "infinity"],
        **(container or {}),
    }
    spec = {"terminationGracePeriodSeconds": 0, "containers": [whole], **more}
    return {"metadata": {"labels": {"app": name}}, "spec": spec}


def deployment(name: str, template: Mapping[str, Any], replicas: int = 1) -> dict[str, Any]:
    """A Deployment of a template made by ``toolbox``."""
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def pod(name: str, template: Mapping[str, Any]) -> dict[str, Any]:
    """A bare pod of a template made by ``toolbox``."""
    metadata = {**template["metadata"], "name": name}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def until(what: str, ask: Callable[[], Any], seconds: float = WAIT_S) -> Any:
    """Ask until the answer is true, and return it; fails the test when the time is over."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"after {seconds} s still not: {what}"
        time.sleep(0.2)
    return answer
