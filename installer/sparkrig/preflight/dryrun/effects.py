"""What the changes of a plan do to running pods of others, by the manifests on both sides. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sparkrig.helm.storage.recovery import stored_manifest
from sparkrig.kube.client import KubeApi
from sparkrig.models.component import Component
from sparkrig.models.plan import Action, Operation, Plan
from sparkrig.plan.effects import effects
from sparkrig.preflight.objects import is_hook
from sparkrig.yaml.plain import objects


def effects_of_upgrade(
    api: KubeApi, component: Component | None, operation: Operation, after: Sequence[Mapping[str, Any]]
) -> tuple[str, ...] | None:
    """What an upgrade to the objects ``after`` does; None where nothing tells.

    Compared is with the newest Helm revision and with the recorded one: after a failed upgrade nobody
    knows which of the two is in the cluster.
    """
    served = component.disturbs_pods if component else None
    state = operation.state
    if served is None or not served.changes or operation.action is not Action.UPGRADE or not after:
        return None
    numbers = {operation.helm_revision, state.helm_revision if state else None} - {None, 0}
    values = [one.values for one in (operation.desired, state) if one is not None]
    rendered = [item for item in after if not is_hook(item)]  # what Helm stores as the manifest has none either
    found: dict[str, None] = {}
    for number in sorted(number for number in numbers if number):
        text = stored_manifest(api, operation.release, operation.namespace, number)
        if not text:
            return None
        found.update(dict.fromkeys(effects(served, objects(text), rendered, values)))
    return tuple(found) if numbers else None


def with_effects_of_return(
    api: KubeApi, plan: Plan, components: Mapping[str, Component], now: Mapping[str, Mapping[str, Any]]
) -> Plan:
    """The way back with what it does to pods of others; ``now`` holds the values of each component as it is."""
    return replace(
        plan, operations=tuple(_with_effects(api, operation, components, now) for operation in plan.operations)
    )


def _with_effects(
    api: KubeApi, operation: Operation, components: Mapping[str, Component], now: Mapping[str, Mapping[str, Any]]
) -> Operation:
    component, state = components.get(operation.component), operation.state
    served = component.disturbs_pods if component else None
    if operation.action is not Action.ROLLBACK or served is None or not served.changes or state is None:
        return operation
    numbers = (operation.newest_revision, state.helm_revision)
    before, after = (stored_manifest(api, operation.release, operation.namespace, n) for n in numbers)
    if not before or not after:
        return operation
    values = [state.values, now.get(operation.component, state.values)]
    return replace(operation, effects=effects(served, objects(before), objects(after), values))
