"""Plays the node for pods that have a recipe: starts and ends their processes, probes them, writes their status.

KWOK leaves the pods of such images alone (``stages`` holds them), so that Ready means what it means on a node: the
program's own readiness probe answers. A program that ends is started again with a growing pause, as CrashLoopBackOff.
The pod of a Job succeeds or fails with its program. A deleted pod's program gets SIGTERM; the pod goes when it has
ended.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.controllers.pod import Pod
from tests.controllers.process import Network
from tests.controllers.recipes import Recipe

from sparkrig.errors import SparkrigError
from sparkrig.kube.client import KubeApi

WATCH_S = 3600.0
HOLD_MS = 24 * 3600 * 1000
PODS = "198.18.200.{}"
"""Addresses of pods: of the range for benchmarks (RFC 2544), as those of the simulated nodes are."""


def stages(recipes: Sequence[Recipe]) -> str:
    """Return the KWOK Stage that keeps the pods of these recipes from being simulated: preferred, and never due."""
    wanted = " or ".join(
        f"((.name | test({json.dumps(r.container)})) and (.image | test({json.dumps(r.image)})))" for r in recipes
    )
    key = f"[.spec.containers[] | {wanted}] | any"
    stage = {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": "pod-has-a-program"},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {"matchExpressions": [{"key": key, "operator": "In", "values": ["true"]}]},
            "weight": 1,
            "delay": {"durationMilliseconds": HOLD_MS},
            "next": {"event": {"type": "Normal", "reason": "Held", "message": "its program is run by the tests"}},
        },
    }
    return json.dumps(stage) + "\n"


class Kubelet:
    """Follows all pods of a cluster from ``start`` to ``close``."""

    def __init__(self, api: KubeApi, recipes: Sequence[Recipe], folder: Path, service: tuple[str, int], gate: Path):
        self.api = api
        self.recipes = recipes
        self.folder = folder
        self.pods: dict[str, Pod] = {}
        """uid -> pod, gone ones left out."""
        self.problems: list[str] = []
        """What went wrong in the harness itself: a test that finds one fails."""
        self.slow: dict[str, float] = {}
        """Recipe -> seconds that a pod needs before its program starts, as an image that is pulled does."""
        self._service, self._gate = service, gate
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._stream: Any = None
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def start(self) -> None:
        """Begin to follow the pods."""
        self._thread.start()

    def close(self) -> None:
        """End every process; the pods are left as they are."""
        self._ended.set()
        if self._stream is not None:
            self._stream.close()
        self._thread.join(10)
        with self._lock:
            pods = tuple(self.pods.values())
        for pod in pods:
            pod.end()
        for pod in pods:
            pod.join()

    def at(self, address: str) -> Pod | None:
        """Return the pod with this address."""
        with self._lock:
            return next((pod for pod in self.pods.values() if pod.address == address), None)

    def named(self, start: str) -> list[Pod]:
        """Return the pods that run a program and whose names begin so."""
        with self._lock:
            return [pod for pod in self.pods.values() if pod.name.startswith(start)]

    def _follow(self) -> None:
        while not self._ended.is_set():
            try:
                items, version = self.api.list_with_version("/api/v1/pods")
                self._forget({item["metadata"]["uid"] for item in items})
                for item in items:
                    self._see(item)
                self._stream = self.api.watch("/api/v1/pods", version, WATCH_S)
                if self._ended.is_set():
                    self._stream.close()
                for event in self._stream:
                    if event["type"] == "DELETED":
                        self._gone(event["object"]["metadata"]["uid"])
                    elif event["type"] != "BOOKMARK":
                        self._see(event["object"])
            except SparkrigError:  # the watch is over, or the API server is away: begin again
                self._ended.wait(0.2)

    def _see(self, item: Mapping[str, Any]) -> None:
        uid = item["metadata"]["uid"]
        with self._lock:
            known = self.pods.get(uid)
        if item["metadata"].get("deletionTimestamp"):
            if known is not None:
                known.end(delete=True)
            elif self._recipes(item):
                self._delete(item)
            return
        if known is None and item["spec"].get("nodeName") and (found := self._recipes(item)):
            if (item.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
                return
            network = Network(PODS.format(next(self._numbers)), self._service, self._gate)
            pod = Pod(self.api, item, found, self.folder / f"p{next(self._numbers)}", network, self.problems)
            pod.hold(max(self.slow.get(recipe.name, 0.0) for recipe in found.values()))
            with self._lock:
                self.pods[uid] = pod
            pod.start()

    def _recipes(self, item: Mapping[str, Any]) -> dict[str, Recipe]:
        """Container -> recipe, for the containers that have one."""
        pairs = itertools.product(item["spec"]["containers"], self.recipes)
        return {container["name"]: recipe for container, recipe in pairs if recipe.matches(container)}

    def _delete(self, item: Mapping[str, Any]) -> None:
        metadata = item["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        self.api.request("DELETE", path, body={"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}})

    def _gone(self, uid: str) -> None:
        with self._lock:
            pod = self.pods.pop(uid, None)
        if pod is not None:
            pod.end()

    def _forget(self, there: set[str]) -> None:
        with self._lock:
            gone = set(self.pods) - there
        for uid in gone:
            self._gone(uid)
