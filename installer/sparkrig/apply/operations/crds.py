"""Applies the CRDs of a component before its release, and records them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from sparkrig.apply.crds import apply as crds
from sparkrig.apply.operations.context import Context, Say
from sparkrig.models.operation import ApplyCrds, RestoreCrds
from sparkrig.models.release import ReleaseState
from sparkrig.plan.crds.safety import strategy

CRDS_LONGEST_S: Final = 120.0
"""How long a CRD may take until it is served, whatever the timeout of its component."""


async def apply_crds(context: Context, operation: ApplyCrds | RestoreCrds, say: Say) -> ReleaseState | None:
    """Applies CRDs; returns the release's state where nothing but its CRDs changes."""
    # Operations begin with the longest path: the CRDs that most of the run waits for are applied before others.
    turn = partial(context.crd_turns.at, next(context.crd_ranks))
    wanted = await asyncio.to_thread(crds.wanted_crds, operation, context.crd_store)
    if not wanted:
        return None
    context.converted[operation.component] = _converted(wanted)
    keeping = asyncio.create_task(asyncio.to_thread(context.crd_store.keep, wanted))
    timeout_s = min(CRDS_LONGEST_S, operation.timeout_s)
    try:
        applied = await crds.apply_crds(context.api, context.waiter, wanted, timeout_s=timeout_s, say=say, turn=turn)
    finally:
        await keeping
    context.crds[operation.component] = applied
    context.changed_crds += applied.changed
    match operation:
        case ApplyCrds(state=ReleaseState() as state) if operation.desired.digest == state.digest:
            names = tuple(sorted({*state.crds, *applied.names}))
            state = replace(state, crds=names, crd_digests=applied.digests)
            context.states[operation.component] = state
            return state
        case _:
            return None  # what is recorded of a release that changes comes with the release


def _converted(wanted: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(crd["metadata"]["name"]) for crd in wanted if strategy(crd.get("spec") or {}) == "Webhook"]
