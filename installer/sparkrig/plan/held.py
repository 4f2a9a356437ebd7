"""What a removal would wait for in vain: finalizers that nobody takes off, APIs that do not answer. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sparkrig.models.objects import ObjectRef
from sparkrig.models.operation import DeleteObjects
from sparkrig.models.plan import Change
from sparkrig.models.state import ObservedState
from sparkrig.plan.diff.changes import GONE

HELD_S: Final = 20.0
"""For objects whose finalizers nobody is known to take off: a controller that comes back needs no longer."""
SHOWN: Final = 5

_WORKLOADS: Final = ("Deployment", "StatefulSet", "DaemonSet")
_OF_KUBERNETES: Final = frozenset({"foregroundDeletion", "orphan", "kubernetes"})


def strange(finalizers: Iterable[str] | None) -> tuple[str, ...]:
    """The finalizers that Kubernetes itself does not take off."""
    return tuple(f for f in finalizers or () if f not in _OF_KUBERNETES and "kubernetes.io/" not in f)


def controller_gone(component: str, observed: ObservedState) -> str:
    """Why a component's controller takes no finalizer off now; empty where it may."""
    states = observed.last.after if observed.last else ()
    state = next((state for state in states if state.component == component), None)
    found = observed.releases.get((state.namespace, state.release)) if state else None
    if found is None or found.status in GONE:
        return f"{component} is not installed any more"
    missing = [str(ref) for ref in observed.missing.get(component, ()) if ref.kind in _WORKLOADS]
    unwell = [j.message for j in observed.live.get(component, ()) if j.message.startswith(_WORKLOADS)]
    return f"{missing[0]} is missing" if missing else unwell[0] if unwell else ""


def impatient(
    deletions: Iterable[DeleteObjects],
    finalizers: Mapping[ObjectRef, Sequence[str]],
    crds: Iterable[str],
    observed: ObservedState,
) -> tuple[list[DeleteObjects], list[Change]]:
    """Deletions of custom resources, with little time for what nobody will let go of, and the lines that name it."""
    operations, changes = [], []
    for operation in deletions:
        told = resources_change(operation.component, operation.objects, finalizers, crds, observed)
        operations.append(replace(operation, timeout_s=HELD_S) if told else operation)
        changes += [told] if told else []
    return operations, changes


def resources_change(
    component: str,
    objects: Iterable[ObjectRef],
    finalizers: Mapping[ObjectRef, Sequence[str]],
    crds: Iterable[str],
    observed: ObservedState,
) -> Change | None:
    """The line for custom resources that are deleted and will not go; None where their controller may see to it."""
    held = {ref: names for ref in objects if (names := strange(finalizers.get(ref)))}
    why = controller_gone(component, observed) if held else ""
    if not why:
        return None
    many = len(held) > 1
    text = f"{len(held)} custom resource{'s' if many else ''} will not go, nobody takes {'their' if many else 'its'} "
    text += f"finalizers off: {why}"
    lines = [f"{ref}: {', '.join(names)}" for ref, names in list(held.items())[:SHOWN]]
    if len(held) > SHOWN:
        lines.append(f"and {len(held) - SHOWN} more")
    first = next(iter(held))
    named = next((crd for crd in sorted(crds) if crd.partition(".")[2] == first.group), first.kind.lower())
    space = f" -n {first.namespace}" if first.namespace else ""
    lines.append(f"next: sparkrig up brings {component} back, then remove it; or take them off, where what they stand")
    lines.append(f"for may stay behind: kubectl patch {named} {first.name}{space} --type=merge -p {NO_FINALIZERS}")
    return Change(component, "!", text, tuple(lines))


NO_FINALIZERS: Final = '\'{"metadata":{"finalizers":null}}\''


def namespace_change(name: str, held: Sequence[tuple[ObjectRef, Mapping[str, Any]]]) -> Change | None:
    """The line for objects of others in a namespace that goes, with finalizers that may keep it."""
    lines = [f"{ref}: {', '.join(names)}" for ref, metadata in held if (names := strange(metadata.get("finalizers")))]
    if not lines:
        return None
    more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    number = f"{len(lines)} objects have" if len(lines) > 1 else "1 object has"
    text = f"it stays as long as nobody takes finalizers off: {number} some"
    return Change(f"namespace {name}", "!", text, (*lines[:SHOWN], *more, "next: see that their controllers run"))


def dead_change(name: str, why: str) -> Change:
    """The line for an APIService that does not answer, which keeps every namespace from going."""
    text = f"does not answer ({why}): no namespace goes before it does, or is deleted"
    return Change(f"APIService {name}", "!", text, (f"next: kubectl delete apiservice {name}, if its server is gone",))


def dead_apis(services: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """APIService -> why it is not available, of those that say so."""
    found = {}
    for item in services:
        for condition in (item.get("status") or {}).get("conditions") or ():
            if condition.get("type") == "Available" and condition.get("status") == "False":
                told = condition.get("message") or condition.get("reason") or "not available"
                found[str(item["metadata"]["name"])] = " ".join(str(told).split())
    return found


def dead_changes(dead: Mapping[str, str], going: Collection[ObjectRef]) -> list[Change]:
    """One line for each dead APIService that does not go with the stack itself."""
    gone = {ref.name for ref in going if ref.kind == "APIService"}
    return [dead_change(name, why) for name, why in sorted(dead.items()) if name not in gone]
