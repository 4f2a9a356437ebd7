"""Every kind of object through every fault, and what every command says of it: they agree, and one makes it whole.

The rows are data (tests/cases/drift). One stack in one cluster serves all of them: each row starts and ends with a
stack that is whole.
"""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.inprocess import run_here
from tests.mini import CONFIGMAP, Done, World

from sparkrig.helm.storage.releases import list_releases
from sparkrig.kube.client import KubeApi
from sparkrig.models.cluster import ClusterHandle
from sparkrig.plan.crds.drift import CRDS, DIGEST

pytestmark = pytest.mark.cluster

ROWS = [
    pytest.param(
        row,
        id=f"{row['kind']}: {row['fault']}",
        marks=[pytest.mark.xfail(reason=row["waits"], strict=True)] if "waits" in row else [],
    )
    for row in yaml.safe_load((Path(__file__).parents[1] / "cases" / "drift" / "table.yaml").read_text())
    if "none" not in row
]
CLUSTER_ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: {{ .Release.Namespace }}}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
"""
LEVEL = "pod-security.kubernetes.io/enforce"


@dataclass
class Stack:
    """The stack that all rows hurt: one component with a CRD, a namespaced and a cluster-wide object."""

    world: World
    api: KubeApi
    helm: Path
    kubeconfig: Path
    group: str
    stale: dict[str, Any]
    """The CRD as the older and as the newer chart has it, see ``crd``."""

    @property
    def crd_name(self) -> str:
        return f"gadgets.{self.group}"

    @property
    def namespace(self) -> str:
        return f"{self.world.stack}-a"

    def crd(self, *fields: str) -> dict[str, Any]:
        spec = {"type": "object", "properties": {name: {"type": "string"} for name in fields}}
        schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
        names = {"kind": "Gadget", "plural": "gadgets", "singular": "gadget", "listKind": "GadgetList"}
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": self.crd_name},
            "spec": {
                "group": self.group,
                "names": names,
                "scope": "Namespaced",
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
            },
        }

    def live_crd(self) -> dict[str, Any]:
        found = self.api.get(f"{CRDS}/{self.crd_name}")
        assert found is not None
        return found

    def says(self, *arguments: str) -> Done:
        return run_here(self.world, *arguments, "--on", self.world.target)

    def helm_does(self, *arguments: str) -> None:
        base = [str(self.helm), "--kubeconfig", str(self.kubeconfig), "--namespace", self.namespace]
        subprocess.run([*base, *arguments], check=True, capture_output=True)

    @property
    def revision(self) -> int:
        return int(self.says("status", "--output", "json").json["revision"])


@pytest.fixture(scope="module")
def whole(sim: ClusterHandle, api: KubeApi, helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    world = World(tmp_path_factory.mktemp("table"), f"sim:{sim.name}", stack=f"t{uuid.uuid4().hex[:6]}")
    assert sim.kubeconfig is not None
    made = Stack(world, api, helm, sim.kubeconfig, f"{world.stack}.example.org", {})
    world.component(
        "a",
        templates={"c.yaml": CONFIGMAP, "r.yaml": CLUSTER_ROLE},
        crds=[made.crd("a", "b")],
        provides=[f"crd:{made.crd_name}"],
        checks=[{"name": "crds", "kind": "crds", "gate": True, "timeout": 20, "hint": "sparkrig up --repair"}],
    )
    folder = world.catalog / "a" / "component.yaml"
    document = yaml.safe_load(folder.read_text())
    document["release"]["namespaceLabels"] = {LEVEL: "privileged"}
    folder.write_text(yaml.safe_dump(document, sort_keys=False))
    world.write_stack()
    done = world.up()
    assert done.code == 0, done.err
    yield made
    down = world.run("down", "--yes", "--purge", "all")
    assert down.code == 0, down.err
    assert api.get(f"{CRDS}/{made.crd_name}", missing_ok=True) is None


# ------------------------------------------------------------------ faults


def crd_deleted(stack: Stack) -> None:
    stack.api.delete(f"{CRDS}/{stack.crd_name}")
    _until(lambda: stack.api.get(f"{CRDS}/{stack.crd_name}", missing_ok=True) is None)


def crd_changed_by_hand(stack: Stack) -> None:
    stack.api.request(
        "PATCH",
        f"{CRDS}/{stack.crd_name}",
        body={"spec": {"versions": stack.crd("a")["spec"]["versions"]}},
        params={"fieldManager": "somebody"},
        content_type="application/merge-patch+json",
    )


def crd_older_version(stack: Stack, *fields: str) -> None:
    """As an older chart's CRD that another run of sparkrig applied."""
    crd = copy.deepcopy(stack.crd(*(fields or ("a",))))
    live = stack.live_crd()["metadata"]
    crd["metadata"]["labels"] = live["labels"]
    crd["metadata"]["annotations"] = {**live["annotations"], DIGEST: f"sha256:{'-'.join(fields) or 'older'}"}
    stack.api.apply(crd, force=True)


def crd_newer_version(stack: Stack) -> None:
    crd_older_version(stack, "a", "b", "c")


def crd_half_created(stack: Stack) -> None:
    """Created, and not established: another CRD has its kind, as when a run dies before the names are accepted."""
    applied = stack.live_crd()
    crd_deleted(stack)
    other = stack.crd("a")
    other["metadata"]["name"] = f"others.{stack.group}"
    other["spec"]["names"] = {**other["spec"]["names"], "plural": "others", "singular": "other"}
    stack.api.create(CRDS, other)
    _until(lambda: _condition(stack.api, f"others.{stack.group}", "Established") == "True")
    metadata = {key: applied["metadata"][key] for key in ("name", "labels", "annotations")}
    stack.api.apply({**stack.crd("a", "b"), "metadata": metadata})
    _until(lambda: _condition(stack.api, stack.crd_name, "NamesAccepted") == "False")


def heal_half_created(stack: Stack) -> None:
    stack.api.delete(f"{CRDS}/others.{stack.group}")


def object_deleted(stack: Stack) -> None:
    stack.api.delete(f"/api/v1/namespaces/{stack.namespace}/configmaps/a")


def object_changed_by_hand(stack: Stack) -> None:
    stack.api.patch(f"/api/v1/namespaces/{stack.namespace}/configmaps/a", {"data": {"text": "by hand"}})


def cluster_wide_object_deleted(stack: Stack) -> None:
    stack.api.delete(f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{stack.namespace}")


def cluster_wide_object_changed_by_hand(stack: Stack) -> None:
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "delete"]}]
    stack.api.patch(f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{stack.namespace}", {"rules": rules})


def release_deleted(stack: Stack) -> None:
    stack.helm_does("uninstall", "a")


def release_changed_by_hand(stack: Stack) -> None:
    stack.helm_does("upgrade", "a", str(stack.world.catalog / "a"), "--reuse-values", "--set", "text=by-hand")


def release_older_version(stack: Stack) -> None:
    another_version(stack, "0.9.0")


def release_newer_version(stack: Stack) -> None:
    another_version(stack, "2.0.0")


def another_version(stack: Stack, version: str) -> None:
    chart = stack.world.folder / version
    if not chart.exists():
        shutil.copytree(stack.world.catalog / "a", chart)
        file = chart / "Chart.yaml"
        file.write_text(file.read_text().replace("1.0.0", version))
    stack.helm_does("upgrade", "a", str(chart), "--reuse-values")


def release_half_created(stack: Stack) -> None:
    found = list_releases(stack.api)[stack.namespace, "a"]
    path = f"/api/v1/namespaces/{stack.namespace}/secrets/sh.helm.release.v1.a.v{found.revision}"
    stack.api.patch(path, {"metadata": {"labels": {"status": "pending-upgrade"}}})


def namespace_deleted(stack: Stack) -> None:
    path = f"/api/v1/namespaces/{stack.namespace}"
    stack.api.delete(path)
    _until(lambda: stack.api.get(path, missing_ok=True) is None)


def namespace_changed_by_hand(stack: Stack) -> None:
    stack.api.patch(f"/api/v1/namespaces/{stack.namespace}", {"metadata": {"labels": {LEVEL: "restricted"}}})


FAULTS: Mapping[str, Callable[[Stack], None]] = {
    name: value
    for name, value in list(globals().items())
    if name.startswith(("crd_", "object_", "cluster_wide_", "release_", "namespace_"))
}
HEALS: Mapping[str, Callable[[Stack], None]] = {"crd_half_created": heal_half_created}
"""What a person has to do first, where no command of ours can."""


# ------------------------------------------------------------------ the rows


@pytest.mark.parametrize("row", ROWS)
def test_every_command_says_the_same_and_one_makes_it_whole(row: Mapping[str, Any], whole: Stack) -> None:
    name = f"{row['kind']} {row['fault']}".replace(" ", "_").replace("-", "_")
    before = whole.revision
    FAULTS[name](whole)
    try:
        every_command_says_it(row, whole)
        HEALS.get(name, lambda _stack: None)(whole)
        done = whole.world.up(*row["whole"].split()[1:])
        assert done.code == 0, done.err
        nothing_is_wrong(whole)
        if "rollback" in row:
            refuses_rollback(row, whole, FAULTS[name])
        else:
            FAULTS[name](whole)
            HEALS.get(name, lambda _stack: None)(whole)
            back = whole.world.run("rollback", str(before), "--yes")
            assert back.code == 0, back.err
            nothing_is_wrong(whole)
    finally:
        if not is_whole(whole):
            mend(whole)


def every_command_says_it(row: Mapping[str, Any], stack: Stack) -> None:
    says = {key: text.format(crd=re.escape(stack.crd_name), group=stack.group) for key, text in row["says"].items()}
    status = stack.says("status")
    assert re.search(says["status"], squeezed(status.out)), status.out
    assert status.code == (1 if row["status"] == "not-ok" else 0), status.out
    assert stack.says("status", "--output", "json").json["ok"] is (row["status"] == "ok")
    diff = stack.says("diff", "--exit-code")
    assert re.search(says["diff"], squeezed(diff.out)), diff.out
    assert diff.code == (2 if says["diff"] else 0)
    plan = stack.says("plan")
    assert re.search(says["plan"], squeezed(plan.out)), plan.out
    verify = stack.says("verify")
    assert (verify.code != 0) is (row["verify"] == "fails"), verify.out
    down = stack.says("down")  # without --yes, and nobody to ask: it shows its plan and does nothing
    assert re.search(says.get("down", "keeps 1 CRDs"), squeezed(down.err)), down.err
    if row["up"]:
        assert "next: sparkrig up --repair" in plan.out
        up = stack.world.up()
        assert up.code == row["up"], up.err
        assert re.search(says["plan"], squeezed(up.err)), up.err


def refuses_rollback(row: Mapping[str, Any], stack: Stack, fault: Callable[[Stack], None]) -> None:
    """What cannot be brought back is said before anything is written; ``up`` makes it whole."""
    fault(stack)
    refused = stack.world.run("rollback", str(stack.revision), "--yes")
    assert (refused.code, row["rollback"] in squeezed(refused.err)) == (4, True), refused.err
    assert stack.world.up().code == 0
    nothing_is_wrong(stack)


def nothing_is_wrong(stack: Stack) -> None:
    status = stack.says("status")
    assert status.code == 0, status.out
    diff = stack.says("diff", "--exit-code")
    assert diff.code == 0, diff.out
    plan = stack.says("plan", "--detailed-exitcode")
    assert plan.code == 0, plan.out
    assert "--repair" not in plan.out
    verify = stack.says("verify")
    assert verify.code == 0, verify.out
    assert set(
        stack.live_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    ) == {"a", "b"}


def is_whole(stack: Stack) -> bool:
    return stack.says("diff", "--exit-code").code == 0 and stack.says("plan", "--detailed-exitcode").code == 0


def mend(stack: Stack) -> None:
    """After a row that failed, so that it does not fail the next ones."""
    stack.api.delete(f"{CRDS}/others.{stack.group}")
    stack.world.up("--repair")


def squeezed(text: str) -> str:
    return " ".join(text.split())


def _condition(api: KubeApi, name: str, kind: str) -> str:
    found = api.get(f"{CRDS}/{name}", missing_ok=True) or {}
    return next((c["status"] for c in (found.get("status") or {}).get("conditions") or () if c["type"] == kind), "")


def _until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.1)
