"""Waits until a release is ready."""

from __future__ import annotations

from sparkrig.apply.operations.context import Context, LetThrough, Say
from sparkrig.errors import OperationError
from sparkrig.models.component import ReadinessRule
from sparkrig.models.operation import Wait, WaitReady, WaitRestored
from sparkrig.models.release import ReleaseState


async def wait_ready(context: Context, operation: WaitReady, say: Say, let_through: LetThrough) -> None:
    """Waits until a release of the stack file is ready.

    Raises:
        OperationError: no operation before this one installed it, and no record names it.
    """
    state = context.states.get(operation.component, operation.state)
    if state is None:
        raise OperationError(f"{operation.id}: no record of what to wait for")
    await _wait(context, operation, state, operation.desired.readiness, say, let_through)


async def wait_restored(context: Context, operation: WaitRestored, say: Say, let_through: LetThrough) -> None:
    """Waits until a release that returned to a recorded revision is ready."""
    state = context.states.get(operation.component, operation.state)
    await _wait(context, operation, state, context.rules(operation.component), say, let_through)


async def _wait(
    context: Context,
    operation: Wait,
    state: ReleaseState,
    rules: tuple[ReadinessRule, ...],
    say: Say,
    let_through: LetThrough,
) -> None:
    await context.waiter.until_ready(
        state.inventory,
        rules,
        timeout_s=operation.timeout_s,
        say=say,
        when_ready=let_through,
        converted=context.converted.get(operation.component, ()),
        crds=context.crds_of(operation.component),
    )
