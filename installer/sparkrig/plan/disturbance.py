"""Which running pods a plan disturbs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sparkrig.model import Action, Component, Operation, Plan

DISTURBING = (Action.UPGRADE, Action.ROLLBACK, Action.UNINSTALL)
SHOWN = 5
"""Pods named before the rest is counted."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """One component whose change reaches pods that are not its own."""

    component: str
    what: str
    """The sentence of ``component.yaml``."""
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
    return any(_resource(operation.component, components) for operation in _disturbing(plan))


def disturbances(
    plan: Plan, components: Mapping[str, Component], pods: Iterable[Mapping[str, Any]]
) -> tuple[Disturbance, ...]:
    """Every component of the plan whose change reaches running pods of others.

    A pod is reached when one of its containers requests the resource that the component says it
    serves (``disturbsPods``), and it does not live in the component's own namespace.
    """
    running = [pod for pod in pods if (pod.get("status") or {}).get("phase") in ("Running", "Pending")]
    found = []
    for operation in _disturbing(plan):
        resource = _resource(operation.component, components)
        if resource is None:
            continue
        reached = [
            pod
            for pod in running
            if pod["metadata"]["namespace"] != operation.namespace
            and pod["spec"].get("nodeName")
            and _requests(pod, resource)
        ]
        if reached:
            what = components[operation.component].disturbs or "restarts what serves them"
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


def _disturbing(plan: Plan) -> list[Operation]:
    return [operation for operation in plan.operations if operation.action in DISTURBING]


def _resource(component: str, components: Mapping[str, Component]) -> str | None:
    known = components.get(component)
    return known.disturbs_pods if known else None


def _requests(pod: Mapping[str, Any], resource: str) -> bool:
    containers = [*(pod["spec"].get("containers") or ()), *(pod["spec"].get("initContainers") or ())]
    return any(
        str(((container.get("resources") or {}).get(part) or {}).get(resource, "0")) not in ("0", "")
        for container in containers
        for part in ("requests", "limits")
    )
