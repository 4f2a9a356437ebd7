"""down against a real API server: what goes, what stays, in which order, and why something is stuck."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.conftest import NewSim
from tests.mini import CONFIGMAP, DEPLOYMENT, World
from tests.snapshots import snapshot

from sparkrig.apply.removal import delete as removal
from sparkrig.apply.removal.claims import let_go
from sparkrig.apply.removal.contents import contents_of
from sparkrig.apply.removal.delete import delete_all, forget, vacate
from sparkrig.errors import OperationError
from sparkrig.history.lock import Lock
from sparkrig.history.store import History
from sparkrig.kube.client import KubeApi
from sparkrig.models.objects import ObjectRef
from sparkrig.models.operation import VacateNamespace

GROUP = "removal.example.org"
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"parts.{GROUP}"},
    "spec": {
        "group": GROUP,
        "names": {"kind": "Part", "plural": "parts", "singular": "part", "listKind": "PartList"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
FINALIZER = f"{GROUP}/cleanup"
PART = f"""
apiVersion: {GROUP}/v1
kind: Part
metadata: {{name: {{{{ .Release.Name }}}}, finalizers: [{FINALIZER}]}}
spec: {{size: 1}}
"""
CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, annotations: {helm.sh/resource-policy: keep}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
"""
JOBS = """
apiVersion: v1
kind: Namespace
metadata: {name: "{{ .Release.Namespace }}-jobs", annotations: {helm.sh/resource-policy: keep}}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}}
spec: {selector: {app: {{ .Release.Name }}}, ports: [{port: 443}]}
"""
HOOK = """
apiVersion: v1
kind: ConfigMap
metadata: {name: from-a-hook, annotations: {helm.sh/hook: post-install}}
data: {a: b}
"""


class Controller:
    """Takes its finalizer off deleted Parts, as long as its Deployment is there."""

    def __init__(self, api: KubeApi, deployment: str) -> None:
        self._api = api
        self._deployment = deployment
        self._end = threading.Event()
        self.cleaned: list[str] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    @contextmanager
    def running(self) -> Iterator[Controller]:
        self._thread.start()
        try:
            yield self
        finally:
            self._end.set()
            self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(0.1):
            if self._api.get(self._deployment, missing_ok=True) is None:
                continue
            try:
                parts = self._api.list(f"/apis/{GROUP}/v1/parts")
            except OperationError:  # no CRD yet, or no more
                continue
            for part in parts:
                metadata = part["metadata"]
                if metadata.get("deletionTimestamp") and metadata.get("finalizers"):
                    path = f"/apis/{GROUP}/v1/namespaces/{metadata['namespace']}/parts/{metadata['name']}"
                    self._api.patch(path, {"metadata": {"finalizers": None}})
                    self.cleaned.append(metadata["name"])


def exists(api: KubeApi, path: str) -> bool:
    return api.get(path, missing_ok=True) is not None


def test_down_takes_its_namespaces_and_rollback_brings_everything_back(world: World, api: KubeApi) -> None:
    world.component("a", templates={"d.yaml": DEPLOYMENT, "c.yaml": CONFIGMAP})
    world.component("b", templates={"c.yaml": CONFIGMAP, "h.yaml": HOOK}, needs=["a"])
    world.write_stack()
    assert world.up().code == 0
    world.write_stack(b={"values": {"text": "second"}})
    assert world.up().code == 0
    labels = api.get(f"/api/v1/namespaces/{world.stack}-a")["metadata"]["labels"]  # type: ignore[index]
    done = world.run("down", "--yes")
    assert done.code == 0, done.err + done.out
    for name in "ab":
        assert not exists(api, f"/api/v1/namespaces/{world.stack}-{name}")
    assert world.run("down", "--yes").code == 0
    back = world.run("rollback", "2", "--yes")
    assert back.code == 0, back.err + back.out
    assert api.get(f"/api/v1/namespaces/{world.stack}-a")["metadata"]["labels"] == labels  # type: ignore[index]
    config = api.get(f"/api/v1/namespaces/{world.stack}-b/configmaps/b")
    assert config is not None
    assert config["data"]["text"] == "second"
    assert world.run("status").code == 0
    assert world.run("plan", "--detailed-exitcode").code == 0
    # Down and up again: Helm's numbers go on, so that an old revision still means what it recorded.
    assert world.run("down", "--yes").code == 0
    world.write_stack(b={"values": {"text": "third"}})
    again = world.up()
    assert again.code == 0, again.err
    first = world.run("rollback", "1", "--yes")
    assert first.code == 0, first.err
    config = api.get(f"/api/v1/namespaces/{world.stack}-b/configmaps/b")
    assert config is not None
    assert config["data"]["text"] == "hello"


def test_down_leaves_what_others_put_into_its_namespaces(world: World, api: KubeApi) -> None:
    world.component("a", templates={"c.yaml": CONFIGMAP})
    world.component("b", templates={"c.yaml": CONFIGMAP})
    world.write_stack()
    assert world.up().code == 0
    mine = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}}
    api.create(f"/api/v1/namespaces/{world.stack}-a/configmaps", mine)
    done = world.run("down", "--yes")
    assert done.code == 0, done.err
    assert f"namespace {world.stack}-a kept: it holds ConfigMap mine" in " ".join(done.err.split())
    assert exists(api, f"/api/v1/namespaces/{world.stack}-a/configmaps/mine")
    assert not exists(api, f"/api/v1/namespaces/{world.stack}-a/configmaps/a")
    assert not exists(api, f"/api/v1/namespaces/{world.stack}-b")
    # A second one has nothing to do; the namespace goes when it is asked for, with what is in it.
    assert "nothing to do" in world.run("down", "--yes").err
    done = world.run("down", "--purge", "namespaces", "--yes")
    assert done.code == 0, done.err
    assert "removed with ConfigMap mine in it" in done.err
    assert not exists(api, f"/api/v1/namespaces/{world.stack}-a")


def test_a_helm_release_of_others_keeps_its_namespace_whatever_is_purged(
    world: World, api: KubeApi, tmp_path: Path
) -> None:
    world.component("a", templates={"c.yaml": CONFIGMAP})
    world.write_stack()
    assert world.up().code == 0
    space = f"{world.stack}-a"
    labels = {"owner": "helm", "name": "theirs", "status": "deployed", "version": "1"}
    secret = {"metadata": {"name": "sh.helm.release.v1.theirs.v1", "labels": labels}, "type": "helm.sh/release.v1"}
    api.create(f"/api/v1/namespaces/{space}/secrets", {"apiVersion": "v1", "kind": "Secret", **secret})
    done = world.run("down", "--purge", "all", "--yes")
    assert done.code == 0, done.err
    assert "kept: Helm release theirs of others in it" in done.err
    assert exists(api, f"/api/v1/namespaces/{space}/secrets/sh.helm.release.v1.theirs.v1")
    assert not exists(api, f"/api/v1/namespaces/{space}/configmaps/a")


def test_custom_resources_go_while_their_controller_lives(world: World, api: KubeApi) -> None:
    deployment = f"/apis/apps/v1/namespaces/{world.stack}-op/deployments/op"
    world.component("op", templates={"d.yaml": DEPLOYMENT, "p.yaml": PART}, crds=[CRD], provides=[f"crd:parts.{GROUP}"])
    world.component("user", templates={"p.yaml": PART}, uses=[f"crd:parts.{GROUP}"])
    world.write_stack()
    with Controller(api, deployment).running() as controller:
        assert world.up().code == 0
        done = world.run("down", "--yes")
        assert done.code == 0, done.err + done.out
        assert sorted(controller.cleaned) == ["op", "user"]
    assert exists(api, f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/parts.{GROUP}")
    api.delete(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/parts.{GROUP}")


def test_webhooks_that_nobody_serves_any_more_are_removed(world: World, api: KubeApi) -> None:
    world.component("a", templates={"s.yaml": SERVICE, "c.yaml": CONFIGMAP})
    world.write_stack()
    assert world.up().code == 0

    def configuration(name: str, service: str) -> dict[str, Any]:
        client = {"service": {"namespace": f"{world.stack}-a", "name": service}}
        hook = {
            "name": "x.example.org",
            "clientConfig": client,
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
            "namespaceSelector": {"matchLabels": {"never": "there"}},
        }
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [hook],
        }

    root = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    ours, other = f"{world.stack}-by-operator", f"{world.stack}-other"
    api.create(root, configuration(ours, "a"))
    api.create(root, configuration(other, "somebody-elses"))
    try:
        done = world.run("down", "--yes")
        assert done.code == 0, done.err
        assert f"ValidatingWebhookConfiguration {ours}" in done.err
        assert not exists(api, f"{root}/{ours}")
        assert exists(api, f"{root}/{other}")
    finally:
        api.delete(f"{root}/{other}")


def test_purging_everything_leaves_nothing(fresh_sim: NewSim, tmp_path: Path) -> None:
    handle = fresh_sim()
    api = KubeApi(handle)
    api.delete("/api/v1/namespaces/sparkrig-system")  # the mark of a test cluster is not the stack's
    while exists(api, "/api/v1/namespaces/sparkrig-system"):
        time.sleep(0.2)
    before = snapshot(api)
    world = World(tmp_path, f"sim:{handle.name}", stack="whole")
    deployment = "/apis/apps/v1/namespaces/whole-op/deployments/op"
    world.component("op", templates={"d.yaml": DEPLOYMENT}, crds=[CRD], provides=[f"crd:parts.{GROUP}"])
    world.component(
        "data",
        templates={"c.yaml": CLAIM, "n.yaml": JOBS, "p.yaml": PART, "h.yaml": HOOK},
        keep=["Namespace", "PersistentVolumeClaim"],
        needs=["op"],
    )
    world.write_stack()
    with Controller(api, deployment).running() as controller:
        assert world.up().code == 0
        for number in range(3):
            part = {"apiVersion": f"{GROUP}/v1", "kind": "Part", "metadata": {"name": f"job-{number}"}}
            part["metadata"]["finalizers"] = [FINALIZER]  # type: ignore[index]
            api.create(f"/apis/{GROUP}/v1/namespaces/whole-data-jobs/parts", part)
        unsure = world.run("down", "--purge", "everything")
        assert unsure.code == 64, unsure.err
        plain = world.run("down", "--yes")
        assert plain.code == 0, plain.err + plain.out
        assert exists(api, "/api/v1/namespaces/whole-data-jobs")
        assert exists(api, "/api/v1/namespaces/whole-data/persistentvolumeclaims/data")
        assert len(api.list(f"/apis/{GROUP}/v1/parts")) == 3
        # The controller comes back, because custom resources with finalizers need it.
        assert world.up().code == 0
        asked = world.run("down", "--purge", "all")
        assert asked.code == 64  # nobody is there to be asked
        text = " ".join(asked.err.split())
        assert "CRDs 1 CRD with 4 custom resources" in text
        assert "claims 1 volume claim" in text
        assert "revisions and Helm's history: no rollback any more" in text
        done = world.run("down", "--purge", "all", "--yes")
        assert done.code == 0, done.err + done.out
        assert sorted(set(controller.cleaned)) == ["data", "job-0", "job-1", "job-2"]
    deadline = time.monotonic() + 30
    while (after := snapshot(api)) != before and time.monotonic() < deadline:
        time.sleep(1)
    assert after == before
    assert world.run("history").code == 0
    api.close()


def test_a_second_stack_that_uses_the_crds_loses_nothing(fresh_sim: NewSim, tmp_path: Path) -> None:
    handle = fresh_sim()
    api = KubeApi(handle)
    first, second = (World(tmp_path / name, f"sim:{handle.name}", stack=name) for name in ("first", "second"))
    for world in (first, second):
        world.folder.mkdir()
    # The second one brings no CRD: it has an object of the kind in a release, and users' in a namespace of its own.
    second.component("user", templates={"c.yaml": CONFIGMAP, "p.yaml": PART, "d.yaml": DEPLOYMENT})
    second.component("idle", templates={"c.yaml": CONFIGMAP})
    second.write_stack()
    first.component("op", templates={"d.yaml": DEPLOYMENT, "p.yaml": PART}, crds=[CRD])
    first.write_stack()
    crd = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/parts.{GROUP}"
    with Controller(api, "/apis/apps/v1/namespaces/second-user/deployments/user").running() as controller:
        api.apply(CRD, field_manager="somebody")
        assert second.up().code == 0
        before = snapshot(api)
        assert first.up().code == 0
        names = ["second-idle", "default"]
        for name in names:
            part = {"apiVersion": f"{GROUP}/v1", "kind": "Part", "metadata": {"name": "job", "namespace": name}}
            api.apply({**part, "spec": {}})
        kept = {item["metadata"]["uid"] for item in api.list(f"/apis/{GROUP}/v1/parts")}
        asked = first.run("down", "--purge", "all")
        assert asked.code == 64, asked.err
        said = " ".join(asked.err.split())
        assert f"CRD parts.{GROUP} kept: stack second uses it" in said
        theirs = "second-idle/job, second-user/user"
        assert f"all of its 4 custom resources stay, 2 of them theirs: {theirs}" in said
        done = first.run("down", "--purge", "all", "--yes")
        assert done.code == 0, done.err + done.out
        left = {item["metadata"]["uid"] for item in api.list(f"/apis/{GROUP}/v1/parts")}
        assert left < kept
        assert len(left) == 3, "the first one's own went with its release"
        assert controller.cleaned == ["op"]
        extra = {(GROUP, "Part", name, "job") for name in names}
        deadline = time.monotonic() + 60
        while (after := snapshot(api)) != before | extra and time.monotonic() < deadline:
            time.sleep(1)
        assert {key for key in after ^ (before | extra) if key[1] not in ("Pod", "ReplicaSet")} == set()
        assert second.run("status").code == 0
        assert second.run("plan", "--detailed-exitcode").code == 0
        # Nobody else is left: now they go, counted.
        last = second.run("down", "--purge", "all", "--yes")
        assert last.code == 0, last.err + last.out
    assert exists(api, crd), "the second stack brought none, so it is not the second one's to remove"
    api.close()


def test_the_history_is_forgotten_under_the_lock_and_only_of_a_stack_that_is_down(world: World, api: KubeApi) -> None:
    world.component("a", templates={"c.yaml": CONFIGMAP})
    world.write_stack()
    assert world.up().code == 0
    said: list[str] = []
    assert not forget(api, world.stack, wait_s=0.0, note=said.append)
    assert said == [f"the history is kept: another run installed {world.stack}-a/a meanwhile"]
    assert world.run("plan", "--detailed-exitcode").code == 0
    assert world.run("down", "--yes").code == 0
    with Lock(api, world.stack, on_lost=said.append) as lock:
        lock.acquire()
        refused = world.run("down", "--purge", "history", "--yes")
        assert refused.code == 5, refused.err
    assert len(History(api, world.stack).infos()) == 2
    assert world.run("down", "--purge", "history", "--yes").code == 0
    assert History(api, world.stack).infos() == ()
    lease = f"/apis/coordination.k8s.io/v1/namespaces/sparkrig-system/leases/sparkrig.{world.stack}"
    assert not exists(api, lease)


def test_what_is_stuck_is_explained(api: KubeApi, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "finalizers": ["example.org/wait"]}}
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    api.create(path, held)
    ref = ObjectRef("", "v1", "ConfigMap", namespace, "held")
    said: list[str] = []
    started = time.monotonic()
    with pytest.raises(OperationError) as caught:
        delete_all(api, [ref], timeout_s=1.0, say=said.append, owner=lambda _ref: "queue")
    assert time.monotonic() - started < 10
    text = "\n".join(caught.value.detail)
    assert f"ConfigMap {namespace}/held waits for finalizer example.org/wait" in text
    assert "its controller is that of component queue" in text
    command = f"kubectl patch configmaps held -n {namespace} --type=merge"
    assert command in text
    assert all(line.endswith("(finalizer example.org/wait)") for line in said)
    assert said
    monkeypatch.setattr(removal, "NAMESPACE_GONE_S", 3.0)
    operation = VacateNamespace(
        id=f"vacate/{namespace}",
        component=f"namespace {namespace}",
        namespace=namespace,
        reason="",
        timeout_s=1.0,
    )
    with pytest.raises(OperationError) as caught:
        vacate(api, "nobody", operation, said.append, lambda _ref: "")
    assert "is still there 3 s after it was deleted" in caught.value.message
    text = "\n".join(caught.value.detail)
    assert "no component of this stack has its controller" in text
    assert command in text
    api.patch(f"{path}/held", {"metadata": {"finalizers": None}})
    assert vacate(api, "nobody", operation, said.append, lambda _ref: "") == ""


def claim(api: KubeApi, namespace: str, name: str) -> ObjectRef:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}
    api.create(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", body)
    return ObjectRef("", "v1", "PersistentVolumeClaim", namespace, name)


def pod(api: KubeApi, namespace: str, name: str, claim: str, *, phase: str) -> None:
    """A pod on a node that names the claim: only such pods hold a claim."""
    node = api.list("/api/v1/nodes")[0]["metadata"]["name"]
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    spec = {"nodeName": node, "containers": [{"name": "a", "image": "a"}], "volumes": volumes}
    path = f"/api/v1/namespaces/{namespace}/pods"
    api.create(path, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
    eventually(lambda: api.get(f"{path}/{name}")["status"]["phase"] == "Running")  # type: ignore[index]
    if phase != "Running":
        api.patch(f"{path}/{name}", {"status": {"phase": phase}}, subresource="status")


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_finished_pods_do_not_hold_purged_claims(world: World, api: KubeApi) -> None:
    """As every Spark job with event logs on a claim leaves one."""
    jobs = f"{world.stack}-data-jobs"
    world.component("data", templates={"c.yaml": CONFIGMAP, "n.yaml": JOBS}, keep=["Namespace"])
    world.write_stack()
    assert world.up().code == 0
    for name in ("events", "scratch"):
        claim(api, jobs, name)
    pod(api, jobs, "driver", "events", phase="Succeeded")
    pod(api, jobs, "lost", "events", phase="Failed")
    unsure = world.run("down", "--purge", "claims")
    text = " ".join(unsure.err.split())
    assert "2 volume claims, and 2 finished pods that hold them" in text
    assert f"pod {jobs}/driver" in text
    done = world.run("down", "--purge", "claims", "--yes")
    assert done.code == 0, done.err
    space = f"/api/v1/namespaces/{jobs}"
    assert api.list(f"{space}/persistentvolumeclaims") == []
    assert api.list(f"{space}/pods") == []
    assert exists(api, space)


def test_pods_that_run_in_a_purged_namespace_hold_nothing_either(world: World, api: KubeApi) -> None:
    jobs = f"{world.stack}-data-jobs"
    world.component("data", templates={"c.yaml": CONFIGMAP, "n.yaml": JOBS}, keep=["Namespace"])
    world.write_stack()
    assert world.up().code == 0
    claim(api, jobs, "events")
    pod(api, jobs, "driver", "events", phase="Running")
    done = world.run("down", "--purge", "all", "--yes")
    assert done.code == 0, done.err
    assert not exists(api, f"/api/v1/namespaces/{jobs}")


def test_a_pod_that_holds_a_claim_is_named(api: KubeApi, namespace: str) -> None:
    ref = claim(api, namespace, "events")
    pod(api, namespace, "driver", "events", phase="Running")
    pod(api, namespace, "other", "nothing", phase="Running")
    freed: list[ObjectRef] = []

    def free(left: Collection[ObjectRef]) -> None:
        freed.extend(left)
        let_go(api, "nobody", left, whole_namespaces=False)

    with pytest.raises(OperationError) as caught:
        delete_all(api, [ref], timeout_s=2.0, say=lambda _: None, owner=lambda _ref: "", free=free)
    assert caught.value.detail == (
        (
            f"PersistentVolumeClaim {namespace}/events is in use by Pod {namespace}/driver (Running): "
            "Kubernetes keeps it until that pod is gone"
        ),
        f"    kubectl delete pod driver -n {namespace}",
    )
    assert set(freed) == {ref}
    # One that ends while it is waited for is noticed.
    path = f"/api/v1/namespaces/{namespace}/pods/driver"
    api.patch(path, {"status": {"phase": "Succeeded"}}, subresource="status")
    delete_all(api, [ref], timeout_s=60.0, say=lambda _: None, owner=lambda _ref: "", free=free)
    assert exists(api, f"/api/v1/namespaces/{namespace}/pods/other")


def test_everything_in_a_namespace_is_seen(api: KubeApi, namespace: str) -> None:
    api.create(f"/api/v1/namespaces/{namespace}/secrets", {"kind": "Secret", "metadata": {"name": "s"}})
    kinds = {(content.ref.kind, content.ref.name) for content in contents_of(api, namespace)}
    assert ("Secret", "s") in kinds
    assert not {"LocalSubjectAccessReview", "Binding"} & {kind for kind, _ in kinds}
