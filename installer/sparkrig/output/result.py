"""How a plan went, as text and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sparkrig.models.explanation import Explanation
from sparkrig.models.operation import ApplySecret, RemoveSecret
from sparkrig.models.plan import ApplyResult, OperationResult, OperationStatus, Plan
from sparkrig.output.document import document, release_json
from sparkrig.output.errors import explanation_lines
from sparkrig.output.plan import component_order
from sparkrig.output.terminal import Style
from sparkrig.output.text import count, duration, joined, wrap

_SUCCESS: Final[Mapping[str, str]] = {"down": "removed", "rollback": "restored"}
"""Past participle of a whole action; of ``up``: ready."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The components of a plan by how they ended, each in the plan's order."""

    done: tuple[str, ...]
    failed: tuple[str, ...]
    unfinished: tuple[str, ...]
    """Begun, and stopped before the end without a failure of their own."""
    not_started: tuple[str, ...]


def outcome(plan: Plan, result: ApplyResult) -> Outcome:
    """Sorts the plan's components; an operation without a result was not started."""
    ends = {item.operation.id: item.status for item in result.results}
    groups: dict[str, list[str]] = {"done": [], "failed": [], "unfinished": [], "not_started": []}
    for component in component_order(plan):
        if _is_secret(plan, component) and not _failed(plan, component, ends):
            continue  # the stack's own Secrets are no components; one that failed has to be seen
        own = [ends.get(o.id, OperationStatus.SKIPPED) for o in plan.operations if o.component == component]
        groups[_group(own)].append(component)
    return Outcome(**{name: tuple(members) for name, members in groups.items()})


def apply_text(
    plan: Plan,
    result: ApplyResult,
    *,
    revision: int | None = None,
    seconds: float | None = None,
    color: bool = False,
    width: int = 0,
) -> str:
    """What is done, what failed and why, what was not started, what to do next; ends with a newline.

    ``seconds`` is the time the whole run took; ``revision`` the number it is recorded under.
    ``width`` is the terminal's, 0 for no limit.
    """
    style = Style(color)
    took = f" in {duration(seconds)}" if seconds is not None else ""
    number = f"revision {revision}: " if revision else ""
    ended = outcome(plan, result)
    if plan.empty:
        return joined([style.good(f"✓ nothing to do: {count(len(plan.unchanged), 'component')} unchanged{took}")])
    word = _SUCCESS.get(plan.action, "ready")
    if result.ok and not ended.not_started and not ended.unfinished:
        return joined([style.good(f"✓ {number}{count(len(ended.done), 'component')} {word}{took}")])
    paint, sign = (style.warn, "!") if result.interrupted else (style.bad, "✗")
    lines = [paint(line) for line in wrap(f"{sign} {_headline(plan, result, ended, number, took)}", width)]
    lines += _members("done", ended.done, width)
    for item in _failures(result):
        lines += _failure(item, style, width)
    lines += _members("not finished", ended.unfinished, width)
    lines += _members("not started", ended.not_started, width)
    lines += [style.strong(line) for line in wrap(_next(plan, result), width)]
    return joined(lines)


def apply_json(
    plan: Plan, result: ApplyResult, *, revision: int | None = None, seconds: float | None = None
) -> dict[str, Any]:
    """How the plan went as a JSON document of kind ``ApplyResult``."""
    ended = outcome(plan, result)
    return document(
        "ApplyResult",
        stack=plan.stack,
        action=plan.action,
        revision=revision,
        seconds=seconds,
        ok=result.ok and not result.interrupted,
        interrupted=result.interrupted,
        components={
            "done": list(ended.done),
            "failed": list(ended.failed),
            "unfinished": list(ended.unfinished),
            "notStarted": list(ended.not_started),
        },
        operations=[
            {
                "id": item.operation.id,
                "action": item.operation.action.value,
                "component": item.operation.component,
                "status": item.status.value,
                "seconds": item.seconds,
                "message": item.message,
            }
            for item in result.results
        ],
        releases=[release_json(state) for state in result.after],
    )


def _group(own: Sequence[OperationStatus]) -> str:
    if OperationStatus.FAILED in own:
        return "failed"
    if all(status is OperationStatus.DONE for status in own):
        return "done"
    untouched = {OperationStatus.SKIPPED, OperationStatus.WAITING}
    return "not_started" if untouched.issuperset(own) else "unfinished"


def _headline(plan: Plan, result: ApplyResult, ended: Outcome, number: str, took: str) -> str:
    word = "interrupted" if result.interrupted else "failed"
    every = [name for name in component_order(plan) if not _is_secret(plan, name)]
    return f"{number}{word}{took}: {len(ended.done)} of {count(len(every), 'component')} done"


def _is_secret(plan: Plan, component: str) -> bool:
    return all(isinstance(o, ApplySecret | RemoveSecret) for o in plan.operations if o.component == component)


def _failed(plan: Plan, component: str, ends: Mapping[str, OperationStatus]) -> bool:
    return any(ends.get(o.id) is OperationStatus.FAILED for o in plan.operations if o.component == component)


def _members(title: str, names: Sequence[str], width: int) -> list[str]:
    if not names:
        return []
    return _entry(title, ", ".join(names), width)


def _entry(title: str, text: str, width: int) -> list[str]:
    front = f"  {title:<14}"
    first, *rest = wrap(text, max(20, width - len(front)) if width else 0)
    return [front + first, *(" " * len(front) + line for line in rest)]


def _failures(result: ApplyResult) -> list[OperationResult]:
    return [item for item in result.results if item.status is OperationStatus.FAILED]


def _failure(item: OperationResult, style: Style, width: int) -> list[str]:
    what = f"{item.operation.component} (operation {item.operation.id}, after {duration(item.seconds)})"
    head, *more = _entry("failed", what, width)
    head = head.replace("failed", style.bad("failed"), 1)
    why = item.why or (Explanation("no reason given"),)
    return [head, *more, *(line for one in why for line in explanation_lines(one, 6, style, width))]


def _next(plan: Plan, result: ApplyResult) -> str:
    command = f"sparkrig {plan.action}"
    if result.interrupted:
        return f"next: {command} goes on from here; sparkrig status shows what is there now"
    return f"next: mend the cause, then {command} goes on from here; sparkrig status shows what is there now"
