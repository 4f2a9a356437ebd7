"""Kinds around the workloads: network, storage, budgets, namespaces, nodes."""

from __future__ import annotations

from typing import Final

from sparkrig.models.json import annotations_of, mappings_at, name_of, namespace_of
from sparkrig.models.objects import Judgement
from sparkrig.readiness.context import Context
from sparkrig.readiness.fields import Object, condition, count, failed, holds, progressing, ready, said, spec, status

LATE_BINDING: Final = "WaitForFirstConsumer"
SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
"""Annotation by which the scheduler says that a pod needs the claim now."""
WRONG_FOR_GOOD: Final = frozenset({"AmbiguousSelector", "InvalidMetricSourceType", "InvalidSelector"})


def service(obj: Object) -> Judgement:
    """Ready when it exists; one of type LoadBalancer when it has an address."""
    if spec(obj).get("type") != "LoadBalancer":
        return ready()
    addresses = _addresses(obj)
    return ready(f"at {addresses[0]}") if addresses else progressing("waiting for a load balancer's address")


def ingress(obj: Object) -> Judgement:
    """Ready when it exists.

    Whether an address appears depends on the controller: many publish none (behind NodePort, or by choice), and
    nothing in the object tells. That requests come through is a question for a check.
    """
    addresses = _addresses(obj)
    return ready(f"at {addresses[0]}" if addresses else "")


def claim(obj: Object, context: Context) -> Judgement:
    """Ready when bound, or when it cannot be bound before a pod asks for it and none does."""
    phase = status(obj).get("phase")
    if phase == "Bound":
        return ready("bound")
    if phase == "Lost":
        return failed("its volume is lost")
    wanted = str(spec(obj).get("storageClassName") or "")
    if context.binding_modes.get(wanted) == LATE_BINDING:
        # Waiting here would be for ever where the consumer starts later, or only on demand. The consumer's own
        # readiness tells when it does not come up.
        consumed = (namespace_of(obj), name_of(obj)) in context.consumed_claims
        if not consumed and SELECTED_NODE not in annotations_of(obj):
            return ready("is bound when the first pod uses it")
    return progressing(f"waiting for a volume of class {wanted}" if wanted else "waiting for a volume, has no class")


def volume(obj: Object) -> Judgement:
    """Ready when available or bound."""
    phase = status(obj).get("phase")
    if phase == "Failed":
        return failed(str(status(obj).get("message") or "its reclamation failed"))
    return progressing("pending") if phase in (None, "Pending") else ready(str(phase).lower())


def disruption_budget(obj: Object) -> Judgement:
    """Ready when as many pods are healthy as it asks for, or when there is no pod to guard."""
    have = status(obj)
    if "observedGeneration" not in have:
        return progressing("its controller has not looked at it yet")
    synced = condition(obj, "DisruptionAllowed")
    if synced is not None and synced.get("reason") == "SyncFailed":
        return progressing(f"cannot count its pods: {said(synced)}")
    if count(have, "expectedPods") == 0:
        return ready("guards no pods")
    healthy, wanted = count(have, "currentHealthy"), count(have, "desiredHealthy")
    text = f"{healthy}/{wanted} healthy"
    return ready(text) if healthy >= wanted else progressing(text)


def autoscaler(obj: Object) -> Judgement:
    """Ready when it finds its target and reads its metrics."""
    able, active = condition(obj, "AbleToScale"), condition(obj, "ScalingActive")
    for found in (able, active):
        if found is not None and found.get("status") == "False" and found.get("reason") in WRONG_FOR_GOOD:
            return failed(f"{found['reason']}: {said(found)}")
    if able is None:
        return progressing("its controller has not looked at it yet")
    if able.get("status") != "True":
        return progressing(f"cannot scale its target: {said(able)}")
    if active is None:
        return progressing("has not read its metrics yet")
    if active.get("reason") == "ScalingDisabled":
        return ready("off while its target has no replicas")
    if active.get("status") != "True":
        return progressing(f"cannot read its metrics: {said(active)}")
    return ready(f"{count(status(obj), 'currentReplicas')} replicas")


def namespace(obj: Object) -> Judgement:
    """Ready when active."""
    if status(obj).get("phase") == "Terminating":
        return namespace_leaving(obj)
    return ready()


def namespace_leaving(obj: Object) -> Judgement:
    """Say what keeps a namespace that is being deleted."""
    kinds = (
        "NamespaceDeletionDiscoveryFailure",
        "NamespaceDeletionGroupVersionParsingFailure",
        "NamespaceDeletionContentFailure",
        "NamespaceFinalizersRemaining",
        "NamespaceContentRemaining",
    )
    reasons = [said(found) for kind in kinds if (found := condition(obj, kind)) and found.get("status") == "True"]
    return progressing(f"being deleted: {reasons[0]}" if reasons else "being deleted")


def node(obj: Object) -> Judgement:
    """Ready when its kubelet says so."""
    if holds(obj, "Ready"):
        return ready("unschedulable by hand" if spec(obj).get("unschedulable") else "")
    found = condition(obj, "Ready")
    return progressing(said(found) if found else "its kubelet has not reported yet")


def _addresses(obj: Object) -> list[str]:
    published = mappings_at(status(obj), "loadBalancer", "ingress")
    return [str(each.get("hostname") or each.get("ip")) for each in published if each.get("hostname") or each.get("ip")]
