"""The same question for a way back: what of a release's earlier version cannot be brought back by a change.

A conflict is no obstacle there: helm is told to take fields back.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from sparkrig.cluster.api import KubeApi
from sparkrig.documents.plain import objects
from sparkrig.helm.recovery import stored_manifest
from sparkrig.model import Action, Operation, Plan
from sparkrig.plan.server_changes import Rehearsal, advice, refused_text, with_rehearsals
from sparkrig.verify.dryrun.rehearse import Release, rehearse


def restorable(api: KubeApi, plan: Plan, allowed: Collection[str] = ()) -> tuple[Plan, tuple[str, ...]]:
    """The plan with what is to be made anew on the way back, and what stands in its way, a sentence each.

    ``allowed`` names components that may be made anew, besides those whose record says so: what a change
    made anew is made anew on the way back.
    """
    allowing = replace(plan, operations=tuple(_allowing(operation, allowed) for operation in plan.operations))
    back = [operation for operation in allowing.operations if operation.action is Action.ROLLBACK]
    found = rehearse(api, [_release(api, operation) for operation in back])
    if not found:
        return plan, ()
    return with_rehearsals(allowing, found), tuple(_obstacles(back, found))


def _allowing(operation: Operation, allowed: Collection[str]) -> Operation:
    if operation.action is not Action.ROLLBACK or operation.state is None or operation.component not in allowed:
        return operation
    return replace(operation, state=replace(operation.state, immutable="recreate"))


def _release(api: KubeApi, operation: Operation) -> Release:
    text = stored_manifest(api, operation.release, operation.namespace, operation.helm_revision or 0)
    return Release(
        operation.component, operation.release, operation.namespace, objects(text), operation.helm_revision, forced=True
    )


def _obstacles(back: list[Operation], found: tuple[Rehearsal, ...]) -> list[str]:
    policy = {o.component: o.state.immutable for o in back if o.state is not None}
    return [
        f"{one.component}: {refused.ref} cannot be changed: {refused_text(refused)}\n"
        f"    next: {advice(refused, one.component, {'immutable': policy.get(one.component, 'fail')})}"
        for one in found
        for refused in one.refused
        if not (refused.recreatable and policy.get(one.component) == "recreate")
    ]
