"""What came after a failed change: the return to an earlier revision, or why there was none. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparkrig.models.plan import ApplyResult, OperationStatus
from sparkrig.output.errors import explanation_lines
from sparkrig.output.result import apply_json
from sparkrig.output.terminal import Style
from sparkrig.output.text import indent, joined

if TYPE_CHECKING:
    from sparkrig.commands.transaction import Outcome


def return_text(outcome: Outcome, style: Style) -> str:
    """Lines below the result of a failed change; empty for one that succeeded."""
    return _way_back(outcome, style) + _not_recorded(outcome, style)


def _not_recorded(outcome: Outcome, style: Style) -> str:
    if not outcome.unrecorded:
        return ""
    lines = [
        style.bad(f"✗ revision {outcome.revision} could not be recorded"),
        *explanation_lines(outcome.unrecorded, 4, style),
    ]
    lines.append(style.strong("next: sparkrig up, when the cluster can be reached; it goes on from what is there"))
    return joined(lines)


def _way_back(outcome: Outcome, style: Style) -> str:
    if outcome.restored_to is None:
        return joined([style.warn(f"not rolled back: {outcome.stopped.text}")]) if outcome.stopped else ""
    where = f"revision {outcome.restored_to}" if outcome.restored_to else "an empty stack"
    restored = outcome.restored
    if restored is not None and restored.ok:
        return joined([style.good(f"✓ restored {where}; CRDs that were added and effects of hooks are not undone")])
    lines = [style.bad(f"✗ {where} could not be restored: what is where")]
    if outcome.stopped:
        lines += explanation_lines(outcome.stopped, 4, style)
    for result in restored.results if restored else ():
        lines += indent(f"{result.operation.id}: {result.status.value} {result.message}".rstrip(), 4)
    for state in restored.after if restored else outcome.result.after if outcome.result else ():
        lines += indent(f"{state.component} {state.version}: Helm revision {state.helm_revision}", 4)
    lines.append(style.strong("next: mend the cause above, then sparkrig rollback, or sparkrig up"))
    return joined(lines)


def outcome_json(outcome: Outcome, result: ApplyResult, seconds: float) -> dict[str, Any]:
    """The change as ``ApplyResult`` JSON, with what came after a failure."""
    document = apply_json(outcome.plan, result, revision=outcome.revision, seconds=seconds)
    restored = outcome.restored
    document["return"] = None
    document["unrecorded"] = outcome.unrecorded.text if outcome.unrecorded else None
    document["ok"] = document["ok"] and not outcome.unrecorded
    if outcome.restored_to is not None or outcome.stopped:
        failed = [r for r in restored.results if r.status is not OperationStatus.DONE] if restored else []
        document["return"] = {
            "revision": outcome.restored_to,
            "ok": bool(restored and restored.ok),
            "stopped": outcome.stopped.text if outcome.stopped else None,
            "failed": [{"id": r.operation.id, "message": r.message} for r in failed],
        }
    return document
