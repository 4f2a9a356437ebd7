"""Installs, upgrades, repairs and rolls back releases with Helm."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sparkrig.apply.clearing import clear_the_way
from sparkrig.apply.crds.owners import crds_of, pass_on
from sparkrig.apply.inventory import inventory
from sparkrig.apply.operations.context import Context, Say
from sparkrig.apply.operations.helm_calls import with_help
from sparkrig.apply.read_back import refuse_dropped
from sparkrig.helm.client import validates_fields
from sparkrig.helm.storage.recovery import newest_revision
from sparkrig.models.operation import ChangeRelease, InstallRelease, RepairRelease, RollbackRelease, WriteRelease
from sparkrig.models.release import DesiredRelease, ReleaseState
from sparkrig.yaml.plain import objects


async def change_release(context: Context, operation: ChangeRelease, say: Say) -> ReleaseState:
    """Brings a release to what the stack file describes; returns what it is now."""
    desired = operation.desired
    say(f"helm: {desired.chart.name} {desired.chart.version}")
    # Only once: later, objects that somebody else made are a conflict like any other.
    adopting = desired.adopt and operation.state is None
    # A repair brings back what the record says, also where somebody changed it meanwhile.
    forced = adopting or isinstance(operation, RepairRelease) or desired.conflicts == "take"
    if operation.state is not None:
        context.waiter.expect(operation.state.inventory)
    await _prepare(context, operation, say)
    result = await with_help(
        context,
        operation,
        say,
        lambda: context.helm.install_or_upgrade(
            desired,
            stack=context.stack,
            deadline_s=operation.timeout_s,
            take_ownership=adopting,
            force_conflicts=forced,
            replace=operation.component in context.uninstalled or _has_history(operation),
            server_validates=validates_fields(context.api.version()),
        ),
    )
    # Once, and beside the other releases: the manifest of a large chart takes a third of a second to read.
    manifests = await asyncio.to_thread(objects, result.manifest)
    state = await asyncio.to_thread(_state, context, desired, result.revision, manifests)
    await asyncio.to_thread(refuse_dropped, context.api, manifests, state.inventory, context.allow_crd_change)
    context.states[operation.component] = state
    return state


async def roll_back(context: Context, operation: RollbackRelease, say: Say) -> ReleaseState:
    """Returns a release to a Helm revision; fields that others changed meanwhile are taken back."""
    state = operation.state
    say(f"helm rollback to revision {state.helm_revision}")
    context.waiter.expect(state.inventory)
    await _prepare(context, operation, say)
    await with_help(
        context,
        operation,
        say,
        lambda: context.helm.rollback(
            operation.release,
            operation.namespace,
            state.helm_revision,
            deadline_s=operation.timeout_s,
            force_conflicts=True,
        ),
    )
    newest = partial(newest_revision, context.api, operation.release, operation.namespace)
    made = await asyncio.to_thread(newest, after=operation.newest_revision)
    returned = replace(state, helm_revision=made)
    context.states[operation.component] = returned
    return returned


async def _prepare(context: Context, operation: WriteRelease, say: Say) -> None:
    await asyncio.to_thread(pass_on, context.api, operation, say)
    await clear_the_way(context.api, context.waiter, operation, say)


def _has_history(operation: ChangeRelease) -> bool:
    """Whether Helm kept the history of a release that is to be installed: without ``--replace`` it refuses."""
    return isinstance(operation, InstallRelease) and operation.helm_revision is not None


def _state(
    context: Context, desired: DesiredRelease, revision: int, manifests: Sequence[dict[str, Any]]
) -> ReleaseState:
    refs = inventory(context.api, manifests, desired.namespace)
    applied = context.crds.get(desired.component)
    return ReleaseState(
        component=desired.component,
        release=desired.release,
        namespace=desired.namespace,
        chart=desired.chart.name,
        version=desired.chart.version,
        chart_digest=desired.chart.digest,
        stand_in=desired.chart.stand_in,
        digest=desired.digest,
        helm_revision=revision,
        inventory=refs,
        crds=crds_of(context.api, desired, refs, applied.names if applied else ()),
        values=desired.values,
        keep=desired.keep,
        needs=desired.needs,
        timeout_s=desired.timeout_s,
        rollback=desired.rollback,
        namespace_labels=dict(desired.namespace_labels),
        secrets=context.marks_of(desired),
        immutable=desired.immutable,
        leaves=desired.leaves,
        crd_digests=applied.digests if applied else {},
    )
