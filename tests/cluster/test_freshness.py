"""Gate checks and `status` with a controller that behaves as real ones do without observedGeneration.

The controller of these tests goes on saying ready for a while after its resource was changed, says ready between two
of its steps, notes in a label how far it is with a node, and cordons nodes.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.mini import DEPLOYMENT, World

from sparkrig.checks.kinds import node_states
from sparkrig.checks.kinds.base import Cluster, Subject
from sparkrig.checks.run import run_checks
from sparkrig.checks.selection import Selection
from sparkrig.clusters import sim as provider
from sparkrig.defaults import CONDITION_WINDOW_S
from sparkrig.kube.client import KubeApi
from sparkrig.kube.watch import ObjectWatch
from sparkrig.models.check import CheckResult, CheckStatus
from sparkrig.models.cluster import ClusterFacts, ClusterHandle
from sparkrig.models.component import CheckSpec, NodeStateRule
from sparkrig.models.release import ReleaseState

pytestmark = pytest.mark.cluster

GROUP = "fresh.example.org"
THING = f"/apis/{GROUP}/v1/things/it"
LABEL = "fresh.example.org/upgrade"
NODES = NodeStateRule(LABEL, "driver upgrade", ("done",), ("failed",))
WANTED = {"apiVersion": f"{GROUP}/v1", "kind": "Thing", "ready": {"path": "status.state", "equals": ["ready"]}}
REAL = ClusterFacts(simulated=False)
CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"things.{GROUP}"},
    "spec": {
        "group": GROUP,
        "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
        "scope": "Cluster",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


class Controller(threading.Thread):
    """Sees a new spec after ``sees_s``, works on it for ``works_s``; its status names no generation."""

    def __init__(self, api: KubeApi, *, sees_s: float, works_s: float, flaps: bool = False) -> None:
        super().__init__(daemon=True)
        self.ended: dict[int, float] = {}
        """Generation -> when its work was done, by the monotonic clock."""
        self._api, self._sees_s, self._works_s, self._flaps = api, sees_s, works_s, flaps
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.1):
            found = self._api.get(THING, missing_ok=True)
            generation = found["metadata"]["generation"] if found else None
            if generation is None or generation in self.ended or self._over.wait(self._sees_s):
                continue
            spec = (found or {}).get("spec") or {}
            if self._flaps and generation == 1:
                self.says("ready")
                self._over.wait(2.5)
            if not spec.get("nothingToDo"):
                self.says("notReady", "states not ready: [driver]")
                self._over.wait(self._works_s)
                self.says("ready")
            self.ended[generation] = time.monotonic()

    def says(self, state: str, why: str = "") -> None:
        conditions = [{"type": "Error", "status": "True" if why else "False", "message": why}]
        body = {"status": {"state": state, "conditions": conditions}}
        self._api.request("PATCH", f"{THING}/status", body=body, params={"fieldManager": "operator"},
                          content_type="application/merge-patch+json")  # fmt: skip

    def stop(self) -> None:
        self._over.set()
        self.join(10)


@pytest.fixture(scope="module")
def cluster(environment: Path) -> Iterator[ClusterHandle]:
    """A cluster of this file's own: its tests cordon nodes."""
    name = f"freshness-{uuid.uuid4().hex[:6]}"
    try:
        yield provider.create(name)
    finally:
        provider.delete(name)


@pytest.fixture
def site(cluster: ClusterHandle) -> Iterator[KubeApi]:
    api = KubeApi(cluster)
    api.apply(CRD)
    _until(lambda: f"{GROUP}/v1/Thing" in api.served() or (api.discovery.fresh() and False))
    yield api
    api.delete(THING)
    for node in api.list("/api/v1/nodes"):
        body = {"metadata": {"labels": {LABEL: None}}, "spec": {"unschedulable": None}}
        api.patch(f"/api/v1/nodes/{node['metadata']['name']}", body)
    api.close()


@contextlib.contextmanager
def controller(api: KubeApi, **behavior: Any) -> Iterator[Controller]:
    made = Controller(api, **behavior)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def write(api: KubeApi, **spec: Any) -> None:
    api.apply({"apiVersion": f"{GROUP}/v1", "kind": "Thing", "metadata": {"name": "it"}, "spec": spec})


def settled(api: KubeApi, works: Controller) -> None:
    """A first spec that was installed a while ago."""
    write(api, version=1)
    _until(lambda: 1 in works.ended)
    time.sleep(1.1)  # stamps are to the second


def gate(api: KubeApi, *, timeout_s: float = 60.0, **parameters: Any) -> tuple[CheckResult, list[str]]:
    """The gate check as `up` asks it, and what it said while it waited."""
    said: list[str] = []
    result = ask(api, CheckSpec("thing", "condition", True, timeout_s, parameters=WANTED | parameters), said)
    return result, said


def ask(api: KubeApi, spec: CheckSpec, said: list[str], *, patience_s: float | None = None) -> CheckResult:
    state = ReleaseState("web", "web", "default", "web", "1", "", False, "", 1, ())
    subject = Subject("web", state, (spec,), node_states=(NODES,))
    with ObjectWatch(api) as watch:
        whole = Cluster(api, watch, REAL, "lab", (subject,))
        return run_checks(whole, [subject], Selection(), patience_s=patience_s, on_wait=said.append).results[0]


def label(api: KubeApi, value: str, *, cordoned: bool) -> str:
    name = str(api.list("/api/v1/nodes", label_selector="nvidia.com/gpu.present=true")[0]["metadata"]["name"])
    body = {"metadata": {"labels": {LABEL: value}}, "spec": {"unschedulable": True if cordoned else None}}
    api.patch(f"/api/v1/nodes/{name}", body)
    return name


def test_ready_from_before_the_change_is_no_success(site: KubeApi) -> None:
    with controller(site, sees_s=3.0, works_s=6.0) as works:
        settled(site, works)
        write(site, version=2)
        began = time.monotonic()
        result, said = gate(site)
        ended = time.monotonic()
    assert result.status is CheckStatus.PASS, result.message
    assert 2 in works.ended
    assert works.ended[2] - began > 8.0
    assert CONDITION_WINDOW_S - 1.0 <= ended - works.ended[2] <= CONDITION_WINDOW_S + 6.0
    assert any("states not ready: [driver]" in line for line in said), said


def test_a_change_with_nothing_to_do_waits_no_longer_than_it_settles(site: KubeApi) -> None:
    with controller(site, sees_s=0.5, works_s=0.5) as works:
        settled(site, works)
        write(site, version=2, nothingToDo=True)
        began = time.monotonic()
        result, _ = gate(site, settle=6, window=1)
        took = time.monotonic() - began
    assert result.status is CheckStatus.PASS, result.message
    assert 4.0 <= took <= 12.0


def test_ready_between_two_steps_of_a_first_install_is_no_success(site: KubeApi) -> None:
    with controller(site, sees_s=0.1, works_s=5.0, flaps=True) as works:
        write(site, version=1)
        result, _ = gate(site)
        ended = time.monotonic()
    assert result.status is CheckStatus.PASS, result.message
    assert 1 in works.ended
    assert ended - works.ended[1] <= CONDITION_WINDOW_S + 6.0


def test_verify_looks_at_the_moment_and_takes_no_ready_of_the_old_spec(site: KubeApi) -> None:
    spec = CheckSpec("thing", "condition", True, 60.0, parameters=WANTED)
    with controller(site, sees_s=0.1, works_s=0.1) as works:
        settled(site, works)
        began = time.monotonic()
        assert ask(site, spec, [], patience_s=0.0).status is CheckStatus.PASS
        assert time.monotonic() - began < 2.0
    write(site, version=2)  # nobody looks at it
    stale = ask(site, spec, [], patience_s=0.0)
    assert stale.status is CheckStatus.FAIL
    assert stale.message.startswith("Thing it: status.state is ready, but not updated by its controller in the ")


def test_a_node_that_the_controller_gave_up_on_ends_the_wait(site: KubeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_states, "CONTROLLER_SETTLE_S", 3.0)
    with controller(site, sees_s=0.1, works_s=0.1) as works:
        settled(site, works)
        name = label(site, "failed", cordoned=True)
        began = time.monotonic()
        result, _ = gate(site, nodeStates=True)
    assert result.status is CheckStatus.FAIL
    assert result.message == f"node {name}: driver upgrade: {LABEL} is failed, and the node is cordoned"
    assert time.monotonic() - began < 15.0


def test_a_node_that_is_worked_on_is_waited_for(site: KubeApi) -> None:
    with controller(site, sees_s=0.1, works_s=0.1) as works:
        settled(site, works)
        name = label(site, "drain", cordoned=True)
        later = threading.Timer(6.0, lambda: label(site, "done", cordoned=False))
        later.start()
        began = time.monotonic()
        result, said = gate(site, nodeStates=True)
    assert result.status is CheckStatus.PASS, result.message
    assert time.monotonic() - began >= 6.0
    assert any(f"node {name}: driver upgrade: {LABEL} is drain" in line for line in said), said
    check = ask(site, CheckSpec("nodes", "node-states", True, 5.0), [], patience_s=0.0)
    assert (check.status, check.message) == (CheckStatus.PASS, "driver upgrade done on 1 node")


def test_no_node_with_the_label_is_a_skip(site: KubeApi) -> None:
    result = ask(site, CheckSpec("nodes", "node-states", True, 5.0), [], patience_s=0.0)
    assert (result.status, result.message, result.ok) == (CheckStatus.SKIP, f"no node has the label {LABEL}", True)


def test_status_and_verify_agree_about_an_optional_object(
    site: KubeApi, cluster: ClusterHandle, tmp_path: Path
) -> None:
    world = World(tmp_path, f"sim:{cluster.name}", stack="agree")
    thing = (
        f"apiVersion: {GROUP}/v1\nkind: Thing\nmetadata: {{name: it}}\nspec: {{version: {{{{ .Values.version }}}}}}\n"
    )
    rule: Mapping[str, Any] = {"group": GROUP, "kind": "Thing", "optional": True,
                               "ready": {"path": "status.state", "equals": ["ready"]}}  # fmt: skip
    world.component(
        "web",
        templates={"t.yaml": thing, "d.yaml": DEPLOYMENT},
        values={"replicas": 1, "tag": "1", "version": 1},
        readiness=[rule],
        nodeStates=[{"label": LABEL, "what": "driver upgrade", "done": ["done"], "failed": ["failed"]}],
        checks=[{"name": "workloads", "kind": "workloads"}, {"name": "nodes", "kind": "node-states", "timeout": 3}],
    )
    world.write_stack()
    assert world.up().code == 0
    works = Controller(site, sees_s=0, works_s=0)

    def both() -> tuple[int, int, Mapping[str, Any]]:
        status, verify = world.run("status", "--output", "json"), world.run("verify")
        return status.code, verify.code, status.json["components"][0]

    code, other, shown = both()
    assert (code, other, shown["ok"]) == (0, 0, True)  # unset: nobody says anything
    assert shown["notes"] == ["Thing it: status.state is not set yet (optional)"]
    works.says("notReady", "states not ready: [driver]")
    code, other, shown = both()
    assert (code, other, shown["ok"], shown["notes"]) == (1, 1, False, [])
    assert shown["problems"] == ["Thing it: status.state is notReady: states not ready: [driver]"]
    works.says("ready")
    code, other, shown = both()
    assert (code, other, shown["ok"]) == (0, 0, True)
    name = label(site, "failed", cordoned=True)
    code, other, shown = both()
    assert (code, other, shown["ok"]) == (1, 1, False)
    assert shown["problems"][0].startswith(f"node {name}: driver upgrade: {LABEL} is failed, and the node is cordoned")
    label(site, "done", cordoned=False)
    assert world.run("down", "--yes").code == 0


def test_down_says_what_nobody_goes_on_with_and_purges_what_is_left_on_nodes(
    site: KubeApi, cluster: ClusterHandle, tmp_path: Path
) -> None:
    group = "left.example.org"
    names = {"kind": "Part", "plural": "parts", "singular": "part", "listKind": "PartList"}
    crd = {**CRD, "metadata": {"name": f"parts.{group}"}, "spec": {**CRD["spec"], "group": group, "names": names}}
    world = World(tmp_path, f"sim:{cluster.name}", stack="left")
    world.component(
        "web",
        crds=[crd],
        nodeStates=[{"label": LABEL, "what": "driver upgrade", "done": ["done"], "failed": ["failed"]}],
        nodeLeftovers={"labels": ["fresh.example.org/*"], "annotations": ["fresh.example.org/*"], "managers": ["op*"]},
    )
    world.write_stack()
    assert world.up().code == 0
    part = {"apiVersion": f"{group}/v1", "kind": "Part", "metadata": {"name": "mine", "finalizers": [f"{group}/hold"]}}
    site.discovery.fresh()
    site.apply(part)
    node = site.list("/api/v1/nodes", label_selector="nvidia.com/gpu.present=true")[0]["metadata"]["name"]
    path = f"/api/v1/nodes/{node}"
    by_operator = {
        "labels": {LABEL: "drain", "fresh.example.org/deploy": "true"},
        "annotations": {"fresh.example.org/a": "1"},
    }
    by_person = {"labels": {"fresh.example.org/wanted": "false"}}
    for manager, metadata in (("operator", by_operator), ("kubectl-label", by_person)):
        body = {"metadata": metadata, "spec": {"unschedulable": True}}
        site.request("PATCH", path, body=body, params={"fieldManager": manager},
                     content_type="application/merge-patch+json")  # fmt: skip
    try:
        down = world.run("down", "--yes")
        assert down.code == 0, down.err
        assert f"! node {node}: driver upgrade: {LABEL} is drain, and the node is cordoned" in down.err
        assert f"! keeps Part mine with finalizer {group}/hold" in down.err
        assert f"node {node} stays cordoned (driver upgrade at drain); next: kubectl uncordon {node}" in down.err
        assert "removed 2 labels" not in down.err
    finally:
        site.patch(f"/apis/{group}/v1/parts/mine", {"metadata": {"finalizers": None}})
    purged = world.run("down", "--yes", "--purge", "all")
    assert purged.code == 0, purged.err
    assert "2 labels and 1 annotation on 1 node" in purged.err
    left = (site.get(path) or {})["metadata"]
    assert {key for key in left["labels"] if key.startswith("fresh.")} == {"fresh.example.org/wanted"}
    assert "fresh.example.org/a" not in left["annotations"]
    assert site.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/parts.{group}", missing_ok=True) is None
    site.patch(path, {"metadata": {"labels": {"fresh.example.org/wanted": None}}})


def _until(ready: Any, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not ready():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.1)
