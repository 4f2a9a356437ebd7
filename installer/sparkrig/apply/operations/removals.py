"""Uninstalls releases, and deletes what no uninstall removes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from functools import partial

from sparkrig.apply.inventory import leaving
from sparkrig.apply.operations.context import Context, Say
from sparkrig.apply.operations.helm_calls import over_an_outage, recover_release
from sparkrig.apply.removal.claims import let_go
from sparkrig.apply.removal.delete import Owner, delete_all, is_custom, vacate, with_finalizers
from sparkrig.defaults import NAMESPACE_SETTLE_S
from sparkrig.models.objects import ObjectRef
from sparkrig.models.operation import DeleteObjects, UninstallRelease, VacateNamespace
from sparkrig.plan.removal import DELETE_S
from sparkrig.plan.survey import CLAIM


async def uninstall(context: Context, operation: UninstallRelease, say: Say) -> None:
    """Uninstalls a release, waits until its objects are gone, and deletes what its programs created."""
    api, waiter = context.api, context.waiter
    await recover_release(context, operation, say)
    going = await asyncio.to_thread(leaving, api, operation)
    held = await asyncio.to_thread(with_finalizers, api, [ref for ref in going if is_custom(ref)])
    if held:  # Helm deletes the controller first, and then nobody would take the finalizers off
        await asyncio.to_thread(_delete_with, context, operation, held, say)
    say("helm uninstall")
    await over_an_outage(context, operation, say, partial(_helm_uninstall, context, operation))
    await waiter.until_gone(going, timeout_s=operation.timeout_s, say=say)
    if operation.objects:  # only now: whoever makes them is gone
        await waiter.until_pods_ended(going, timeout_s=NAMESPACE_SETTLE_S, say=say)
        await asyncio.to_thread(_delete_with, context, operation, operation.objects, say)


def delete_objects(context: Context, operation: DeleteObjects, say: Say) -> None:
    """Deletes objects, and waits until they are gone."""

    def owner(ref: ObjectRef) -> str:
        return operation.component if is_custom(ref) else ""

    _delete(
        context,
        operation.objects,
        timeout_s=operation.timeout_s,
        say=say,
        owner=owner,
        whole_namespaces=operation.whole_namespaces,
    )


def vacate_namespace(context: Context, operation: VacateNamespace, say: Say) -> None:
    """Deletes a namespace that nobody uses, or says why it stays."""
    if why := vacate(context.api, context.stack, operation, say, lambda _ref: ""):
        say(f"kept: {why}")


async def _helm_uninstall(context: Context, operation: UninstallRelease) -> None:
    await context.helm.uninstall(
        operation.release, operation.namespace, keep_history=operation.keep_history, deadline_s=operation.timeout_s
    )


def _delete_with(context: Context, operation: UninstallRelease, refs: Sequence[ObjectRef], say: Say) -> None:
    """Deletes what goes with a release; its controller takes finalizers off the custom resources of its CRDs."""
    groups = {name.partition(".")[2] for name in operation.state.crds}

    def owner(ref: ObjectRef) -> str:
        return operation.component if is_custom(ref) and ref.group in groups else ""

    whole = "Namespace" in operation.purged
    _delete(context, refs, timeout_s=operation.timeout_s, say=say, owner=owner, whole_namespaces=whole)


def _delete(
    context: Context, refs: Sequence[ObjectRef], *, timeout_s: float, say: Say, owner: Owner, whole_namespaces: bool
) -> None:
    def free(left: Collection[ObjectRef]) -> None:
        claims = [ref for ref in left if ref.kind == CLAIM]
        let_go(context.api, context.stack, claims, whole_namespaces=whole_namespaces)

    delete_all(context.api, refs, timeout_s=min(timeout_s, DELETE_S), say=say, owner=owner, free=free)
