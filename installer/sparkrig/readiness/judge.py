"""One question for every kind: is this object ready?

The order is that of kstatus: deletion first, then whether the controller has seen the newest generation, then what
it says. A status that belongs to an older generation says nothing about this one.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sparkrig.models.component import ReadinessRule
from sparkrig.models.json import JsonObject, dig, mapping_at, texts_at
from sparkrig.models.objects import Judgement, Readiness
from sparkrig.readiness import custom, extensions, services, workloads
from sparkrig.readiness.context import NO_CONTEXT, Context
from sparkrig.readiness.fields import Object, is_behind, progressing, ready, status

Kind = tuple[str, str]
"""group, kind"""

_JUDGES: Final[Mapping[Kind, Callable[[Object], Judgement]]] = {
    ("apps", "Deployment"): workloads.deployment,
    ("apps", "StatefulSet"): workloads.stateful_set,
    ("apps", "DaemonSet"): workloads.daemon_set,
    ("apps", "ReplicaSet"): workloads.replica_set,
    ("", "ReplicationController"): workloads.replica_set,
    ("batch", "Job"): workloads.job,
    ("batch", "CronJob"): workloads.cron_job,
    ("", "Service"): services.service,
    ("", "PersistentVolume"): services.volume,
    ("", "Namespace"): services.namespace,
    ("", "Node"): services.node,
    ("networking.k8s.io", "Ingress"): services.ingress,
    ("policy", "PodDisruptionBudget"): services.disruption_budget,
    ("autoscaling", "HorizontalPodAutoscaler"): services.autoscaler,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): extensions.definition,
    ("apiregistration.k8s.io", "APIService"): extensions.api_service,
}

_IN_CONTEXT: Final[Mapping[Kind, Callable[[Object, Context], Judgement]]] = {
    ("", "PersistentVolumeClaim"): services.claim,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): extensions.webhooks,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): extensions.webhooks,
}

_OWN_GROUPS: Final = frozenset({"", "apps", "autoscaling", "batch", "policy"})
"""Groups of Kubernetes itself without a dot in their name."""
_OWN_K8S_IO: Final = frozenset(
    {
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
    }
)
"""Groups of Kubernetes itself; others that end in k8s.io come with CRDs."""

_MUST_BE_SEEN: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController"})
"""Kinds whose controller always reports the generation that it saw; without it, it has not looked yet."""

_FLAPPING: Final = _MUST_BE_SEEN | {"Pod"}


def judge(
    obj: Object,
    rules: Sequence[ReadinessRule] = (),
    *,
    now: datetime.datetime | None = None,
    context: Context = NO_CONTEXT,
) -> Judgement:
    """Judge one object.

    A rule for its group and kind decides where there is one. Kinds of Kubernetes itself that have nothing to wait for
    are ready when they exist; other custom resources are not judged. ``now`` (timezone-aware) lets errors that pass
    by themselves, such as a failing image pull, become failures with age; without it they stay progressing. It also
    tells a custom resource's state from that of the spec before, where the status names no generation.
    """
    group, kind = str(obj.get("apiVersion", "")).rpartition("/")[0], str(obj.get("kind", ""))
    if leaving := _leaving(obj):
        return leaving
    if stale := _stale(obj, kind):
        return stale
    rule = custom.rule_for(group, kind, rules)
    if rule is not None:
        return custom.by_rule(obj, rule, now)
    if (group, kind) == ("", "Pod"):
        return workloads.pod(obj, now)
    if in_context := _IN_CONTEXT.get((group, kind)):
        return in_context(obj, context)
    if alone := _JUDGES.get((group, kind)):
        return alone(obj)
    if group in _OWN_GROUPS or group in _OWN_K8S_IO:
        return ready()
    return Judgement(Readiness.NOT_JUDGED, "no rule says when it is ready")


def is_custom_group(group: str) -> bool:
    """Whether CRDs define the kinds of an API group: all that have a dot and are not Kubernetes' own.

    The ending tells nothing: several projects have groups that end in ``.k8s.io``.
    """
    return "." in group and group not in _OWN_K8S_IO


def has_judge(group: str, kind: str) -> bool:
    """True for kinds of Kubernetes whose status tells; others of its own are ready when they exist."""
    return (group, kind) in _JUDGES or (group, kind) in _IN_CONTEXT or (group, kind) == ("", "Pod")


def needs_window(kind: str) -> bool:
    """True for kinds that are known to look ready in passing; they must stay so for ``STABLE_WINDOW_S``."""
    return kind in _FLAPPING


def _leaving(obj: Object) -> Judgement | None:
    metadata: JsonObject = mapping_at(obj, "metadata")
    if not metadata.get("deletionTimestamp"):
        return None
    if obj.get("kind") == "Namespace":
        return services.namespace_leaving(obj)
    holders = texts_at(obj, "metadata", "finalizers")
    held = f", held by {', '.join(holders)}" if holders else ""
    return progressing(f"being deleted{held}")


def _stale(obj: Object, kind: str) -> Judgement | None:
    seen = status(obj).get("observedGeneration")
    if seen is None:
        return progressing("its controller has not looked at it yet") if kind in _MUST_BE_SEEN else None
    if is_behind(obj, status(obj)):
        wanted = dig(obj, "metadata", "generation")
        return progressing(f"its controller has seen generation {seen} of {wanted}")
    return None
