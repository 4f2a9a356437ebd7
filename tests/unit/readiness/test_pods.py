"""A workload is judged with its pods: theirs, and only those of its newest template."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrig.models.objects import Readiness
from sparkrig.readiness import judge_workload, pods_of
from sparkrig.readiness.explain import TEXT, explain_owners, explain_pods
from sparkrig.readiness.pods import pods_under

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases/readiness/pods/explain.yaml").read_text(encoding="utf-8"))
NOW = datetime.datetime(2026, 1, 1, 0, 10, tzinfo=datetime.UTC)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_pods_are_explained_as_the_case_says(case: dict[str, Any]) -> None:
    assert explain_pods(case["pods"], case.get("events", ())) == case["lines"]


def test_a_long_answer_is_cut() -> None:
    status = {"phase": "Failed", "message": "<html> " * 200}
    (line,) = explain_pods([{"metadata": {"name": "p"}, "status": status}])
    assert line.endswith("…")
    assert len(line) <= TEXT + len("pod p: ")


def test_controllers_that_cannot_make_pods_are_explained() -> None:
    def event(kind: str, name: str, reason: str = "FailedCreate", level: str = "Warning") -> dict[str, Any]:
        return {"type": level, "reason": reason, "message": "no", "involvedObject": {"kind": kind, "name": name}}

    events = [
        event("ReplicaSet", "web-6d5f"),
        event("ReplicaSet", "web-6d5f"),
        event("StatefulSet", "web"),
        event("StatefulSet", "web-other"),
        event("ReplicaSet", "webs-1"),
        event("ReplicaSet", "web-client-6d5f"),
        event("Deployment", "web", "ScalingReplicaSet", "Normal"),
        event("Pod", "web-1", "FailedScheduling"),
    ]
    assert explain_owners(["web"], events) == [
        "ReplicaSet web-6d5f: FailedCreate: no",
        "StatefulSet web: FailedCreate: no",
    ]


def test_pods_are_told_by_their_owners_not_by_their_names() -> None:
    """``triton`` and ``triton-client`` in one namespace; an operator's Deployment; a Service's selector."""

    def thing(kind: str, uid: str, *owners: str, **labels: str) -> dict[str, Any]:
        references = [{"uid": owner} for owner in owners]
        metadata = {"name": uid, "uid": uid, "namespace": "n", "ownerReferences": references, "labels": labels}
        return {"kind": kind, "metadata": metadata}

    triton, client, custom = thing("Deployment", "t"), thing("Deployment", "c"), thing("SparkConnect", "cr")
    between = [
        thing("ReplicaSet", "rs-made", "made"),  # the deeper level first: order does not matter
        thing("ReplicaSet", "rs-t", "t"),
        thing("ReplicaSet", "rs-c", "c"),
        thing("Deployment", "made", "cr"),
    ]
    pods = [
        thing("Pod", "p-t", "rs-t", app="t"),
        thing("Pod", "p-c", "rs-c", app="c"),
        thing("Pod", "p-made", "rs-made"),
        thing("Pod", "p-alone", app="alone"),
    ]

    def names(*roots: dict[str, Any]) -> list[str]:
        return [item["metadata"]["name"] for item in pods_under(roots, between, pods)]

    assert names(triton) == ["p-t"]
    assert names(client) == ["p-c"]
    assert names(custom) == ["p-made"]
    assert names(pods[3]) == ["p-alone"]
    service = {**thing("Service", "s"), "spec": {"selector": {"app": "c"}}}
    assert names(service) == ["p-c"]
    assert names({**service, "spec": {}}) == []
    elsewhere = {**service, "metadata": {**service["metadata"], "namespace": "other"}}
    assert names(elsewhere) == []


def owned(by: str) -> list[dict[str, str]]:
    return [{"kind": "X", "uid": by}]


def pod(name: str, owner: str, reason: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    waiting = {"reason": reason, "message": "manifest unknown"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "ownerReferences": owned(owner),
            "labels": labels or {},
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "status": {
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "True"}],
            "containerStatuses": [{"name": "main", "state": {"waiting": waiting}}],
        },
    }


def replica_set(uid: str, revision: str) -> dict[str, Any]:
    annotations = {"deployment.kubernetes.io/revision": revision}
    return {"metadata": {"uid": uid, "annotations": annotations, "ownerReferences": owned("d")}}


def deployment() -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"uid": "d", "generation": 2, "annotations": {"deployment.kubernetes.io/revision": "2"}},
        "spec": {"replicas": 1},
        "status": {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1},
    }


def test_an_image_that_cannot_be_pulled_fails_the_deployment_at_once() -> None:
    pods = [pod("web-new", "r2", "ImagePullBackOff")]
    verdict = judge_workload(deployment(), pods, [replica_set("r1", "1"), replica_set("r2", "2")], now=NOW)
    assert verdict.readiness is Readiness.FAILED
    assert verdict.message == "0/1 ready, pod web-new: ImagePullBackOff, container main: manifest unknown"


def test_a_broken_pod_of_the_old_template_is_what_the_rollout_mends() -> None:
    pods = [pod("web-old", "r1", "ImagePullBackOff"), pod("web-new", "r2", "ContainerCreating")]
    sets = [replica_set("r1", "1"), replica_set("r2", "2")]
    verdict = judge_workload(deployment(), pods, sets, now=NOW)
    assert verdict.readiness is Readiness.PROGRESSING
    assert verdict.message == "0/1 ready, 0/1 containers ready"
    # Before the controller saw the new template, its newest ReplicaSet is the one to be replaced.
    unseen = deployment()
    unseen["metadata"] |= {"generation": 3}
    broken = [pod("web-old", "r2", "ImagePullBackOff")]
    assert judge_workload(unseen, broken, sets, now=NOW).message == "its controller has seen generation 2 of 3"
    # Between the new generation and its ReplicaSet nobody is to blame either.
    assert judge_workload(deployment(), pods, sets[:1], now=NOW).message == "0/1 ready"


def test_a_workload_that_is_ready_does_not_look_at_pods() -> None:
    ready = deployment()
    ready["status"] |= {"readyReplicas": 1, "availableReplicas": 1}
    broken = pod("web-new", "r2", "ImagePullBackOff")
    assert judge_workload(ready, [broken], [replica_set("r2", "2")], now=NOW).readiness is Readiness.READY


@pytest.mark.parametrize(
    ("kind", "extra", "label"),
    [
        ("StatefulSet", {"status": {"updateRevision": "db-2"}}, "controller-revision-hash"),
        ("DaemonSet", {"annotations": {"deprecated.daemonset.template.generation": "db-2"}}, "pod-template-generation"),
    ],
)
def test_pods_of_other_workloads_are_those_of_the_newest_revision(kind: str, extra: Any, label: str) -> None:
    metadata = {"uid": "s", "annotations": extra.get("annotations", {})}
    workload = {"kind": kind, "metadata": metadata, "status": extra.get("status", {})}
    pods = [pod("old", "s", "x", {label: "db-1"}), pod("new", "s", "x", {label: "db-2"}), pod("other", "t", "x")]
    assert [each["metadata"]["name"] for each in pods_of(workload, pods)] == ["new"]


@pytest.mark.parametrize(
    ("kind", "extra", "label"),
    [
        ("StatefulSet", {"replicas": 1, "currentReplicas": 1, "updateRevision": "2"}, "controller-revision-hash"),
        ("DaemonSet", {"desiredNumberScheduled": 1, "updatedNumberScheduled": 1}, "pod-template-generation"),
        ("ReplicaSet", {"replicas": 1, "fullyLabeledReplicas": 1}, "any"),
    ],
)
def test_every_kind_of_workload_has_failed_when_a_pod_of_its_newest_template_has(
    kind: str, extra: dict[str, Any], label: str
) -> None:
    workload = {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {
            "name": "db",
            "uid": "s",
            "generation": 1,
            "annotations": {"deprecated.daemonset.template.generation": "2"},
        },
        "spec": {"replicas": 1},
        "status": {"observedGeneration": 1, **extra},
    }
    verdict = judge_workload(workload, [pod("db-0", "s", "ImagePullBackOff", {label: "2"})], now=NOW)
    assert verdict.readiness is Readiness.FAILED
    assert verdict.message.endswith("pod db-0: ImagePullBackOff, container main: manifest unknown")
    starting = judge_workload(workload, [pod("db-0", "s", "ContainerCreating", {label: "2"})], now=NOW)
    assert starting.readiness is Readiness.PROGRESSING
