"""Objects of a real control plane, judged as a shared watch sees them: from created to ready, and failing."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sparkrig.kube.client import KubeApi
from sparkrig.kube.watch import ObjectWatch
from sparkrig.models.objects import Judgement, ObjectRef, Readiness
from sparkrig.readiness import judge, judge_workload, pods_of

pytestmark = pytest.mark.cluster

LABELS = {"app": "x"}
POD = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "main", "image": "registry.example.org/x:1"}]}}


def workload(kind: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "spec": {"selector": {"matchLabels": LABELS}, "template": POD, **spec},
    }


OBJECTS: list[dict[str, Any]] = [
    workload("Deployment", replicas=3),
    workload("StatefulSet", replicas=2, serviceName="x"),
    workload("DaemonSet"),
    {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "spec": {"template": {"spec": {**POD["spec"], "restartPolicy": "Never"}}},
    },
    {"apiVersion": "v1", "kind": "Service", "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}},
    {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    },
    {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "spec": {"defaultBackend": {"service": {"name": "x", "port": {"number": 80}}}},
    },
    {"apiVersion": "v1", "kind": "ServiceAccount"},
]


@pytest.fixture
def watch(api: KubeApi) -> Iterator[ObjectWatch]:
    with ObjectWatch(api) as watch:
        yield watch


def create(api: KubeApi, manifest: dict[str, Any], namespace: str) -> ObjectRef:
    group, _, version = manifest["apiVersion"].rpartition("/")
    name = manifest["kind"].lower()
    api.apply({**manifest, "metadata": {"name": name, "namespace": namespace}})
    return ObjectRef(group, version, manifest["kind"], namespace, name)


def wait_for(watch: ObjectWatch, ref: ObjectRef, wanted: Readiness, seconds: float = 30) -> list[Judgement]:
    """Every different judgement on the way to the one wanted."""
    seen: list[Judgement] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = watch.get(ref)
        verdict = judge(found) if found else Judgement(Readiness.PROGRESSING, "not there")
        if not seen or seen[-1] != verdict:
            seen.append(verdict)
        if verdict.readiness is wanted:
            return seen
        time.sleep(0.01)
    raise AssertionError(f"{ref} never became {wanted}: {seen}")


@pytest.mark.parametrize("manifest", OBJECTS, ids=lambda manifest: str(manifest["kind"]))
def test_a_kind_becomes_ready(api: KubeApi, watch: ObjectWatch, namespace: str, manifest: dict[str, Any]) -> None:
    ref = ObjectRef(*manifest["apiVersion"].rpartition("/")[::2], manifest["kind"], namespace, manifest["kind"].lower())
    watch.ensure([ref])
    assert create(api, manifest, namespace) == ref
    wait_for(watch, ref, Readiness.READY)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_the_pods_of_a_rollout_are_found(api: KubeApi, watch: ObjectWatch, namespace: str, kind: str) -> None:
    manifest = workload(kind) if kind == "DaemonSet" else workload(kind, replicas=2)
    ref = create(api, manifest, namespace)
    pods = ObjectRef("", "v1", "Pod", namespace, "")
    watch.ensure([ref, pods, ObjectRef("apps", "v1", "ReplicaSet", namespace, "")])
    wait_for(watch, ref, Readiness.READY)

    def found() -> set[str]:
        obj = watch.get(ref)
        assert obj is not None
        sets = watch.all_of("apps", "v1", "ReplicaSet", namespace)
        return {str(pod["metadata"]["name"]) for pod in pods_of(obj, watch.all_of("", "v1", "Pod", namespace), sets)}

    first = found()
    assert len(first) >= 2
    template = {"template": {"metadata": {"labels": LABELS, "annotations": {"again": "1"}}}}
    api.patch(api.path_of(ref), {"spec": template})
    deadline = time.monotonic() + 30
    while not (second := found()) or (second & first and kind != "StatefulSet"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    wait_for(watch, ref, Readiness.READY)
    assert len(found()) == len(first)


def test_pods_without_a_node_and_pods_that_are_refused(api: KubeApi, watch: ObjectWatch, namespace: str) -> None:
    greedy = {"name": "main", "image": "registry.example.org/x:1", "resources": {"limits": {"nvidia.com/gpu": "99"}}}
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [greedy]}}
    ref = create(api, workload("Deployment", replicas=1, template=template), namespace)
    watch.ensure([ref, ObjectRef("", "v1", "Pod", namespace, ""), ObjectRef("apps", "v1", "ReplicaSet", namespace, "")])
    message = ""
    deadline = time.monotonic() + 20
    while not message.startswith("0/1 ready, unschedulable") and time.monotonic() < deadline:
        obj = watch.get(ref)
        assert obj is not None
        pods, sets = watch.all_of("", "v1", "Pod", namespace), watch.all_of("apps", "v1", "ReplicaSet", namespace)
        verdict = judge_workload(obj, pods, sets, now=datetime.datetime.now(datetime.UTC))
        message = verdict.message
        assert verdict.readiness is Readiness.PROGRESSING
        time.sleep(0.02)
    assert message.startswith("0/1 ready, unschedulable: 0/4 nodes are available: 4 Insufficient nvidia.com/gpu")

    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": {"pods": "0"}}}
    create(api, quota, namespace)
    other = workload("Deployment", replicas=1)
    other["metadata"] = {"name": "second", "namespace": namespace}
    api.apply(other)
    second = ObjectRef("apps", "v1", "Deployment", namespace, "second")
    deadline = time.monotonic() + 20
    while "exceeded quota" not in message and time.monotonic() < deadline:
        message = judge(watch.get(second) or {}).message
        time.sleep(0.02)
    assert message.startswith("0/1 ready, pods are refused: pods ")


def test_a_deployment_out_of_time_has_failed(api: KubeApi, watch: ObjectWatch, namespace: str) -> None:
    nowhere = {**POD, "spec": {**POD["spec"], "nodeSelector": {"no": "where"}}}
    ref = create(api, workload("Deployment", replicas=1, progressDeadlineSeconds=1, template=nowhere), namespace)
    watch.ensure([ref])
    last = wait_for(watch, ref, Readiness.FAILED)[-1]
    assert last.message.startswith("0/1 ready, ProgressDeadlineExceeded: ReplicaSet ")


def test_a_namespace_and_its_objects_on_their_way_out(api: KubeApi, watch: ObjectWatch, namespace: str) -> None:
    ref = create(api, {"apiVersion": "v1", "kind": "ConfigMap"}, namespace)
    api.patch(api.path_of(ref), {"metadata": {"finalizers": ["example.org/hold"]}})
    watch.ensure([ref, ObjectRef("", "v1", "Namespace", "", namespace)])
    api.delete(f"/api/v1/namespaces/{namespace}")
    deadline = time.monotonic() + 20
    message = ""
    while "finalizers" not in message and time.monotonic() < deadline:
        message = judge(watch.get(ObjectRef("", "v1", "Namespace", "", namespace)) or {}).message
        time.sleep(0.02)
    assert message.startswith("being deleted: Some content in the namespace has finalizers remaining")
    assert judge(watch.get(ref) or {}).message == "being deleted, held by example.org/hold"
    api.patch(api.path_of(ref), {"metadata": {"finalizers": None}})
