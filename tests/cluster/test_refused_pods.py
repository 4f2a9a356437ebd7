"""Pods that admission refuses end the wait after the grace of a pull error, not after the release's whole timeout."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cluster.test_watch_readiness import LABELS, create
from tests.mini import DEPLOYMENT, World

from sparkrig.apply.admission import refusals
from sparkrig.apply.waiting import Waiter
from sparkrig.errors import OperationError
from sparkrig.kube.client import KubeApi
from sparkrig.kube.watch import ObjectWatch

pytestmark = pytest.mark.cluster

PRIVILEGED = {
    "metadata": {"labels": LABELS},
    "spec": {
        "containers": [{"name": "main", "image": "registry.example.org/x:1", "securityContext": {"privileged": True}}]
    },
}
QUOTA = {"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": {"pods": "0"}}}


def workload(kind: str, **spec: Any) -> dict[str, Any]:
    template = {**PRIVILEGED}
    if kind == "Job":
        template = {"spec": {**PRIVILEGED["spec"], "restartPolicy": "Never"}}
        return {"apiVersion": "batch/v1", "kind": kind, "spec": {"template": template}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "spec": {"selector": {"matchLabels": LABELS}, "template": template, **spec},
    }


@pytest.fixture
def watch(api: KubeApi) -> Iterator[ObjectWatch]:
    with ObjectWatch(api) as watch:
        yield watch


def fails(api: KubeApi, watch: ObjectWatch, manifest: dict[str, Any], namespace: str) -> tuple[str, float]:
    ref = create(api, manifest, namespace)
    began = time.monotonic()
    with pytest.raises(OperationError) as error:
        asyncio.run(Waiter(api, watch).until_ready([ref], (), timeout_s=60, say=lambda _line: None))
    return error.value.message, time.monotonic() - began


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "Job"])
def test_pods_that_pod_security_refuses(
    api: KubeApi, watch: ObjectWatch, namespace: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "GRACE_S", 3.0)
    monkeypatch.setattr(refusals, "REFUSAL_POLL_S", 0.5)
    enforce = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    api.patch(f"/api/v1/namespaces/{namespace}", enforce)
    message, took = fails(api, watch, workload(kind), namespace)
    assert "pods are refused" in message
    assert 'violates PodSecurity "restricted' in message
    assert took < 40


def test_pods_that_a_quota_refuses_and_that_it_takes_after_all(
    api: KubeApi, watch: ObjectWatch, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "GRACE_S", 3.0)
    monkeypatch.setattr(refusals, "REFUSAL_POLL_S", 0.5)
    create(api, QUOTA, namespace)
    time.sleep(1)  # the quota controller must have seen it
    message, _ = fails(api, watch, workload("Deployment"), namespace)
    assert "exceeded quota" in message
    api.delete(f"/api/v1/namespaces/{namespace}/resourcequotas/resourcequota")
    monkeypatch.setattr(refusals, "GRACE_S", 60.0)
    ref = create(api, workload("StatefulSet", serviceName="x"), namespace)
    asyncio.run(Waiter(api, watch).until_ready([ref], (), timeout_s=60, say=lambda _line: None))


def test_preflight_names_the_key_that_allows_the_pods(world: World, api: KubeApi) -> None:
    level = "pod-security.kubernetes.io/enforce"
    privileged = DEPLOYMENT.rstrip() + "\n          securityContext: {privileged: true}\n"
    release = {"name": "a", "namespace": f"{world.stack}-a", "namespaceLabels": {level: "restricted"}}
    world.component("a", templates={"deployment.yaml": privileged}, release=release)
    world.write_stack()
    refused = world.run("up", "--yes")
    assert refused.code == 4
    assert f"components.a.namespaceLabels: {{{level}: privileged}}" in " ".join(refused.err.split())
    world.write_stack(a={"namespaceLabels": {level: "privileged"}})
    done = world.run("up", "--yes")
    assert done.code == 0, done.err
    labels = api.get(f"/api/v1/namespaces/{world.stack}-a")["metadata"]["labels"]
    assert labels[level] == "privileged"
    world.write_stack(a={"namespaceLabels": {level: "very: strict"}})
    wrong = world.run("validate", on=False)
    assert wrong.code == 3
    assert "a label value" in wrong.err
