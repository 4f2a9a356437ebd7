"""What the changes of a plan do to running pods of others, by the manifests on both sides. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sparkrig.helm.storage.recovery import stored_manifest
from sparkrig.kube.client import KubeApi
from sparkrig.models.component import Component
from sparkrig.models.json import JsonObject
from sparkrig.models.operation import ChangeRelease, Operation, RollbackRelease, UpgradeRelease
from sparkrig.models.plan import Plan
from sparkrig.plan.effects import effects
from sparkrig.preflight.objects import is_hook
from sparkrig.yaml.plain import objects


def effects_of_upgrade(
    api: KubeApi, component: Component | None, operation: ChangeRelease, after: Sequence[JsonObject]
) -> tuple[str, ...] | None:
    """What an upgrade to the objects ``after`` does; None where nothing tells.

    Compared is with the newest Helm revision and with the recorded one: after a failed upgrade nobody
    knows which of the two is in the cluster.
    """
    served = component.disturbs_pods if component else None
    if served is None or not served.changes or not isinstance(operation, UpgradeRelease) or not after:
        return None
    state = operation.state
    numbers = {operation.helm_revision, state.helm_revision if state else 0} - {0}
    values = [operation.desired.values, *([state.values] if state else [])]
    rendered = [item for item in after if not is_hook(item)]  # what Helm stores as the manifest has none either
    found: dict[str, None] = {}
    for number in sorted(numbers):
        text = stored_manifest(api, operation.release, operation.namespace, number)
        if not text:
            return None
        found.update(dict.fromkeys(effects(served, objects(text), rendered, values)))
    return tuple(found) if numbers else None


def with_effects_of_return(
    api: KubeApi, plan: Plan, components: Mapping[str, Component], now: Mapping[str, JsonObject]
) -> Plan:
    """The way back with what it does to pods of others; ``now`` holds the values of each component as it is."""
    return replace(
        plan, operations=tuple(_with_effects(api, operation, components, now) for operation in plan.operations)
    )


def _with_effects(
    api: KubeApi, operation: Operation, components: Mapping[str, Component], now: Mapping[str, JsonObject]
) -> Operation:
    component = components.get(operation.component)
    served = component.disturbs_pods if component else None
    if not isinstance(operation, RollbackRelease) or served is None or not served.changes:
        return operation
    state = operation.state
    numbers = (operation.newest_revision, state.helm_revision)
    before, after = (stored_manifest(api, operation.release, operation.namespace, n) for n in numbers)
    if not before or not after:
        return operation
    values = [state.values, now.get(operation.component, state.values)]
    return replace(operation, effects=effects(served, objects(before), objects(after), values))
