"""Which running pods a plan disturbs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, TypeAlias, assert_never

from sparkrig.models.component import Component, DisturbedPods
from sparkrig.models.objects import ObjectRef
from sparkrig.models.operation import (
    DeleteObjects,
    Operation,
    RepairRelease,
    RollbackRelease,
    UninstallRelease,
    UpgradeRelease,
)
from sparkrig.models.plan import Plan

Disturbing: TypeAlias = UpgradeRelease | RepairRelease | RollbackRelease | UninstallRelease
"""What may reach running pods of others."""
SHOWN = 5
"""Pods named before the rest is counted."""

Pod = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Disturbance:
    """One component whose change reaches pods that are not its own."""

    component: str
    what: str
    """What the change does, in the words of ``component.yaml``."""
    pods: tuple[str, ...]
    """``namespace/name`` of each running pod."""
    nodes: tuple[str, ...]

    @property
    def text(self) -> str:
        """One line for the plan."""
        pods, nodes = len(self.pods), len(self.nodes)
        named = ", ".join(self.pods[:SHOWN]) + (f" and {pods - SHOWN} more" if pods > SHOWN else "")
        return (
            f"disturbs {pods} running pod{'s' if pods != 1 else ''} on {nodes} node{'s' if nodes != 1 else ''} "
            f"({named}): {self.what}"
        )


def may_disturb(plan: Plan, components: Mapping[str, Component]) -> bool:
    """True when some operation could, so that the pods are worth listing."""
    return any(_disturbed(operation, components) for operation in plan.operations if isinstance(operation, Disturbing))


def use_claims(pods: Iterable[Pod]) -> bool:
    """True when some pod has devices through a ResourceClaim, so that the claims are worth listing."""
    return any(_claims_of(pod) for pod in pods)


def disturbances(
    plan: Plan,
    components: Mapping[str, Component],
    pods: Iterable[Pod],
    claims: Iterable[Mapping[str, Any]] | None = (),
) -> tuple[Disturbance, ...]:
    """Every component of the plan whose change reaches running pods of others.

    A pod is reached when it has a device that the component serves (``disturbsPods``: a resource that one of
    its containers requests, or a ResourceClaim), does not live in the component's own namespace, and does not
    go before the component changes. ``claims`` None means that they may not be read: each pod with a claim counts.
    """
    running = [
        pod
        for pod in pods
        if (pod.get("status") or {}).get("phase") in ("Running", "Pending") and pod["spec"].get("nodeName")
    ]
    drivers = None if claims is None else {_key(claim): _drivers_of(claim) for claim in claims}
    found = []
    for operation in plan.operations:
        if not isinstance(operation, Disturbing) or (served := _disturbed(operation, components)) is None:
            continue
        goes = _gone_before(plan, operation)
        reached = [
            pod
            for pod in running
            if pod["metadata"]["namespace"] != operation.namespace and _served(pod, served, drivers) and not goes(pod)
        ]
        if reached:
            what = _what(operation, served, components[operation.component].disturbs)
            names = tuple(sorted(f"{p['metadata']['namespace']}/{p['metadata']['name']}" for p in reached))
            nodes = tuple(sorted({p["spec"]["nodeName"] for p in reached}))
            found.append(Disturbance(operation.component, what, names, nodes))
    return tuple(found)


def with_disturbances(plan: Plan, found: Sequence[Disturbance]) -> Plan:
    """The plan with a line below each component that disturbs something."""
    lines = {one.component: f"! {one.text}   needs --allow-disruption {one.component}" for one in found}
    changes = tuple(
        replace(change, details=(*change.details, lines[change.component])) if change.component in lines else change
        for change in plan.changes
    )
    return replace(plan, changes=changes)


def _disturbed(operation: Disturbing, components: Mapping[str, Component]) -> DisturbedPods | None:
    """The pods that an operation may reach; None where it is known to reach none."""
    known = components.get(operation.component)
    if known is None or known.disturbs_pods is None:
        return None
    match operation:
        case RepairRelease():  # unknown effects are none: it changes no more than what somebody else changed
            return known.disturbs_pods if operation.effects else None
        case UpgradeRelease() | RollbackRelease():
            return None if operation.effects == () else known.disturbs_pods
        case UninstallRelease():
            return known.disturbs_pods
        case _:
            assert_never(operation)


def _what(operation: Disturbing, served: DisturbedPods, sentence: str | None) -> str:
    usual = sentence or "restarts what serves them"
    if isinstance(operation, UninstallRelease):
        return served.removal or usual
    return "; ".join(operation.effects or ()) or usual


# ------------------------------------------------------------------ what a pod has


def _served(pod: Pod, served: DisturbedPods, drivers: Mapping[tuple[str, str], frozenset[str]] | None) -> bool:
    if any(fnmatchcase(name, pattern) for name in _requested(pod) for pattern in served.resources):
        return True
    if not served.drivers:
        return False
    claims = _claims_of(pod)
    if drivers is None:
        return bool(claims)
    namespace = pod["metadata"]["namespace"]
    return any(drivers.get((namespace, name), frozenset()) & {*served.drivers} for name in claims)


def _requested(pod: Pod) -> set[str]:
    """Resources of which some container gets more than nothing; what an init container had, the pod keeps."""
    containers = [*(pod["spec"].get("containers") or ()), *(pod["spec"].get("initContainers") or ())]
    return {
        name
        for container in containers
        for part in ("requests", "limits")
        for name, amount in ((container.get("resources") or {}).get(part) or {}).items()
        if str(amount) not in ("0", "")
    }


def _claims_of(pod: Pod) -> set[str]:
    status = pod.get("status") or {}
    extended = (status.get("extendedResourceClaimStatus") or {}).get("resourceClaimName")
    named = [*(pod["spec"].get("resourceClaims") or ()), *(status.get("resourceClaimStatuses") or ())]
    return {str(name) for name in (extended, *(one.get("resourceClaimName") for one in named)) if name}


def _drivers_of(claim: Mapping[str, Any]) -> frozenset[str]:
    devices = ((claim.get("status") or {}).get("allocation") or {}).get("devices") or {}
    return frozenset(str(result.get("driver")) for result in devices.get("results") or ())


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


# ------------------------------------------------------------------ what goes anyway


def _gone_before(plan: Plan, operation: Disturbing) -> Callable[[Pod], bool]:
    """Whether a pod goes with the plan itself, before the operation: it cannot be disturbed by it.

    Where the component is removed too, the order does not count: whoever removes both wants both to go.
    """
    earlier = {o.id for o in plan.operations}
    if not isinstance(operation, UninstallRelease):
        earlier = _before(operation, {o.id: o for o in plan.operations})
    going = [o for o in plan.operations if o.id in earlier]
    refs = [ref for o in going if isinstance(o, UninstallRelease) for ref in o.state.inventory]
    refs += [ref for o in going if isinstance(o, DeleteObjects) for ref in o.objects]
    gone = {(ref.group, ref.kind, ref.namespace, ref.name) for ref in refs}

    def goes(pod: Pod) -> bool:
        return ("", "Namespace", "", pod["metadata"]["namespace"]) in gone or any(
            (ref.group, ref.kind, ref.namespace, ref.name) in gone for ref in _self_and_owners(pod)
        )

    return goes


def _before(operation: Operation, known: Mapping[str, Operation]) -> set[str]:
    found: set[str] = set()
    todo = list(operation.needs)
    while todo:
        name = todo.pop()
        if name in known and name not in found:
            found.add(name)
            todo += known[name].needs
    return found


def _self_and_owners(pod: Pod) -> list[ObjectRef]:
    """The pod, its owners, and the Deployment behind a ReplicaSet, whose name the pod's own label gives away."""
    metadata = pod["metadata"]
    namespace = metadata["namespace"]
    refs = [ObjectRef("", "v1", "Pod", namespace, metadata["name"])]
    for owner in metadata.get("ownerReferences") or ():
        group, _, version = str(owner.get("apiVersion", "")).rpartition("/")
        refs.append(ObjectRef(group, version, str(owner.get("kind")), namespace, str(owner.get("name"))))
        suffix = f"-{(metadata.get('labels') or {}).get('pod-template-hash')}"
        if owner.get("kind") == "ReplicaSet" and str(owner.get("name")).endswith(suffix):
            refs.append(ObjectRef(group, version, "Deployment", namespace, str(owner["name"]).removesuffix(suffix)))
    return refs
