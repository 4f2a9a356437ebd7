"""What a run keeps in its log of the planner's decisions and of preflight's findings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sparkrig import log

if TYPE_CHECKING:
    from sparkrig.models.plan import Plan
    from sparkrig.preflight.finding import Finding


def keep_decisions(plan: Plan) -> None:
    """What the plan does to each component, and why; the same plan again is kept once."""
    for operation in plan.operations:
        log.once(
            "decision",
            stack=plan.stack,
            component=operation.component,
            action=operation.action.value,
            reason=operation.reason,
        )
    touched = {operation.component for operation in plan.operations}
    for state in plan.unchanged:
        if state.component not in touched:
            log.once("decision", stack=plan.stack, component=state.component, action="none", reason="unchanged")


def keep_findings(found: Iterable[Finding]) -> None:
    """What preflight looked at, and how it was."""
    for finding in found:
        log.info(
            "finding",
            code=finding.code,
            subject=finding.subject,
            result=finding.level.value,
            message=finding.message,
        )
