"""What a repair brings back: objects that are missing, and fields that somebody changed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from sparkrig.models.component import Component
from sparkrig.models.objects import ObjectRef
from sparkrig.models.operation import RepairRelease
from sparkrig.models.plan import Change, Plan
from sparkrig.models.release import ReleaseState
from sparkrig.models.state import Drift, ObservedState
from sparkrig.plan.diff.revisions import ComponentChange, FieldChange
from sparkrig.plan.effects import effects_of_drift
from sparkrig.plan.server.changes import value_text

CONTROLLERS = ("kube-controller-manager", "kube-scheduler")
"""Field managers of the cluster itself: an autoscaler's number of replicas is no drift to take back."""


def drift_of(change: ComponentChange, state: ReleaseState) -> tuple[Drift, ...]:
    """The changed fields of one component that a repair takes back, its namespace's labels among them."""
    namespace = ObjectRef("", "v1", "Namespace", "", state.namespace)
    return tuple(
        Drift(
            one.ref, field.path, drift_text(one.ref, field), one.ref == namespace and namespace not in state.inventory
        )
        for one in change.objects
        if one.change == "changed"
        for field in one.fields
        if field.owner.partition(" ")[0] not in CONTROLLERS
    )


def drift_text(ref: ObjectRef, field: FieldChange) -> str:
    """``Deployment x/y: spec.replicas is 3, set by kubectl (scale) since …; goes back to 1``."""
    since = f" since {field.since}" if field.since else ""
    owner = f", set by {field.owner}{since}" if field.owner else ""
    return f"{ref}: {field.path} is {value_text(field.after)}{owner}; goes back to {value_text(field.before)}"


def what_to_repair(component: str, observed: ObservedState) -> str:
    """What is wrong with a component's objects, in a few words; empty where nothing is."""
    missing, drifted = observed.missing.get(component, ()), _own(component, observed)
    parts = []
    if missing:
        parts.append("1 object is missing" if len(missing) == 1 else f"{len(missing)} objects are missing")
    if drifted:
        parts.append("1 field was changed" if len(drifted) == 1 else f"{len(drifted)} fields were changed")
    return ", ".join(parts)


def with_trouble(change: Change, component: str, observed: ObservedState) -> Change:
    """The change of a repair with each missing object, and each field and whose it is."""
    lines = [f"{ref} is missing" for ref in observed.missing.get(component, ())]
    lines += [drift.text for drift in observed.drifted.get(component, ())]
    return replace(change, details=(*change.details, *lines))


def labels_drifted(component: str, observed: ObservedState) -> Change | None:
    """The change of a component of which nothing but its namespace's labels has to be repaired."""
    around = [drift for drift in observed.drifted.get(component, ()) if drift.around]
    if not around:
        return None
    labels = "1 label of its namespace was" if len(around) == 1 else f"{len(around)} labels of its namespace were"
    return Change(component, "!", f"repair: {labels} changed", tuple(drift.text for drift in around))


def with_effects_of_repair(plan: Plan, observed: ObservedState, components: Mapping[str, Component]) -> Plan:
    """The plan with what its repairs do to running pods of others."""
    operations = list(plan.operations)
    for index, operation in enumerate(operations):
        component = components.get(operation.component)
        if isinstance(operation, RepairRelease) and component and component.disturbs_pods:
            values = [operation.desired.values, operation.state.values]
            touched = _touched(operation.component, observed)
            found = effects_of_drift(component.disturbs_pods, touched, values)
            operations[index] = replace(operation, effects=found)
    return replace(plan, operations=tuple(operations))


def _touched(component: str, observed: ObservedState) -> Iterable[tuple[ObjectRef, str]]:
    """(object, path) of what comes back; an empty path for an object that is missing as a whole."""
    yield from ((ref, "") for ref in observed.missing.get(component, ()))
    yield from ((drift.ref, drift.path) for drift in _own(component, observed))


def _own(component: str, observed: ObservedState) -> tuple[Drift, ...]:
    return tuple(drift for drift in observed.drifted.get(component, ()) if not drift.around)
