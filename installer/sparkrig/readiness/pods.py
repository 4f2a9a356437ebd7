"""A workload together with its pods: what the pods know earlier than the workload's own status."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from sparkrig.models.json import (
    JsonObject,
    JsonValue,
    dig,
    labels_of,
    mapping_at,
    name_of,
    namespace_of,
    owners_of,
    text_at,
)
from sparkrig.models.objects import Judgement, Readiness
from sparkrig.readiness.fields import Object, is_behind, status
from sparkrig.readiness.judge import judge

REVISION = "deployment.kubernetes.io/revision"
"""Annotation: the rollout number, the same on a Deployment and on its newest ReplicaSet."""
TEMPLATE = "deprecated.daemonset.template.generation"
"""Annotation of a DaemonSet; deprecated for setting, and still written by the controller of Kubernetes 1.36."""


def judge_workload(
    obj: Object, pods: Iterable[Object], replica_sets: Iterable[Object] = (), *, now: datetime.datetime | None = None
) -> Judgement:
    """Judge a workload, and let a pod of its newest template that failed for good end the wait early.

    The workload's own status says so ten minutes later (``progressDeadlineSeconds``), or never. Pods of an older
    template do not count: they may be what this rollout mends. A pod's progress is told where it explains more.
    """
    own = judge(obj, now=now)
    if own.readiness is not Readiness.PROGRESSING or _unseen(obj):
        return own
    verdicts = [(pod, judge(pod, now=now)) for pod in pods_of(obj, pods, replica_sets)]
    for pod, verdict in verdicts:
        if verdict.readiness is Readiness.FAILED:
            return Judgement(Readiness.FAILED, f"{own.message}, pod {name_of(pod)}: {verdict.message}")
    for pod, verdict in verdicts:
        if verdict.readiness is Readiness.PROGRESSING and not dig(pod, "metadata", "deletionTimestamp"):
            return Judgement(Readiness.PROGRESSING, f"{own.message}, {verdict.message}")
    return own


def _unseen(obj: Object) -> bool:
    """True while the controller has not acted on the newest template: all pods there are, are older ones."""
    return status(obj).get("observedGeneration") is None or is_behind(obj, status(obj))


def pods_of(obj: Object, pods: Iterable[Object], replica_sets: Iterable[Object] = ()) -> list[Object]:
    """Return the pods of a workload that were made from its newest template; for a kind without pods none.

    ``replica_sets`` are needed for a Deployment: without its newest one, its pods are not known.
    """
    kind, uid = obj.get("kind"), dig(obj, "metadata", "uid")
    labels: JsonObject = {}
    if kind == "Deployment":
        newest = newest_replica_set(obj, replica_sets)
        if newest is None:
            return []
        uid = dig(newest, "metadata", "uid")
    elif kind == "StatefulSet":
        labels = {"controller-revision-hash": status(obj).get("updateRevision")}
    elif kind == "DaemonSet":
        template = dig(obj, "metadata", "annotations", TEMPLATE)
        labels = {"pod-template-generation": template} if template else {}
    return [pod for pod in pods if _owned(pod, uid) and _carries(pod, labels)]


def pods_under(roots: Iterable[Object], between: Iterable[Object], pods: Iterable[Object]) -> list[Object]:
    """Return the pods that objects own, through as many levels as there are, and those that a Service selects.

    ``between`` holds what may stand in the middle: ReplicaSets, Jobs, workloads that an operator made.
    """
    found = list(roots)
    known = {text_at(item, "metadata", "uid") for item in found}
    middle = list(between)
    while more := [item for item in middle if _uid(item) not in known and _owners(item) & known]:
        known.update(map(_uid, more))
    selectors = [
        (namespace_of(item), selector)
        for item in found
        if item.get("kind") == "Service" and (selector := mapping_at(item, "spec", "selector"))
    ]

    def selected(pod: Object) -> bool:
        return any(space == namespace_of(pod) and _carries(pod, selector) for space, selector in selectors)

    return [pod for pod in pods if _uid(pod) in known or _owners(pod) & known or selected(pod)]


def _uid(obj: Object) -> str:
    return text_at(obj, "metadata", "uid")


def _owners(obj: Object) -> set[str]:
    return {text_at(owner, "uid") for owner in owners_of(obj)}


def newest_replica_set(deployment: Object, replica_sets: Iterable[Object]) -> Object | None:
    """Return the ReplicaSet of a Deployment's newest template; None until there is one."""
    revision = dig(deployment, "metadata", "annotations", REVISION)
    mine = (each for each in replica_sets if _owned(each, dig(deployment, "metadata", "uid")))
    return next((each for each in mine if dig(each, "metadata", "annotations", REVISION) == revision), None)


def _owned(obj: Object, uid: JsonValue) -> bool:
    return uid is not None and any(owner.get("uid") == uid for owner in owners_of(obj))


def _carries(obj: Object, labels: JsonObject) -> bool:
    own = labels_of(obj)
    return all(own.get(key) == value for key, value in labels.items())
