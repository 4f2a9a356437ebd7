"""A plan as text and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sparkrig.models.operation import Action, Operation, ReleaseOperation, VacateNamespace
from sparkrig.models.plan import Change, Plan
from sparkrig.output.document import document, release_json
from sparkrig.output.terminal import Style
from sparkrig.output.text import clean, count, indent, joined, pad, width_of, wrap

WORDS: Final[Mapping[str, str]] = {
    "+": "new",
    "~": "changed",
    "-": "removed",
    "=": "unchanged",
    "!": "unhealthy",
    "^": "recovered",
    ">": "kept",
}
"""What the sign before a component means; the JSON form has the word."""

_SUMMARY: Final[tuple[tuple[str, str], ...]] = (
    ("~", "to change"),
    ("+", "new"),
    ("-", "to remove"),
    (">", "to leave in place"),
    ("!", "unhealthy"),
    ("^", "to recover"),
)

MAIN_ACTIONS: Final = frozenset({Action.INSTALL, Action.UPGRADE, Action.REPAIR, Action.ROLLBACK, Action.UNINSTALL})
"""The operation of a component that decides when it is its turn."""


def plan_text(plan: Plan, *, cluster: str, kubernetes: str | None, color: bool = False, width: int = 0) -> str:
    """The plan for a person: what changes and why, in which order. Ends with a newline.

    ``width`` is the terminal's, 0 for no limit. A plan without operations says so, and what to do
    about what is unhealthy.
    """
    style = Style(color)
    lines = [*_headline(plan, cluster, kubernetes, style, width), ""]
    if plan.changes:
        lines += [*_changes(plan, style, width), ""]
    waves = turns(plan)
    if len(waves) > 1:
        order = "  ->  ".join(", ".join(wave) for wave in waves)
        first, *rest = wrap(f"order: {order}", width)
        lines += [first, *(f"       {line}" for line in rest)] if width else [f"order: {order}"]
    return joined([*lines, *_summary(plan, style)])


def plan_json(plan: Plan, *, cluster: str | None = None, kubernetes: str | None = None) -> dict[str, Any]:
    """The plan as a JSON document of kind ``Plan``; values of charts are not part of it."""
    return document(
        "Plan",
        stack=plan.stack,
        action=plan.action,
        cluster=cluster,
        kubernetes=kubernetes,
        base=plan.base,
        empty=plan.empty,
        changes=[
            {
                "component": change.component,
                "change": WORDS[change.symbol],
                "symbol": change.symbol,
                "text": change.text,
                "details": list(change.details),
            }
            for change in plan.changes
        ],
        operations=[
            {
                "id": operation.id,
                "action": operation.action.value,
                "component": operation.component,
                **_place(operation),
                "needs": list(operation.needs),
                "reason": operation.reason,
                "timeoutSeconds": operation.timeout_s,
            }
            for operation in plan.operations
        ],
        unchanged=[release_json(state) for state in plan.unchanged],
    )


def _place(operation: Operation) -> dict[str, str]:
    """The release and the namespace that an operation is about; empty where there is none, or several."""
    match operation:
        case ReleaseOperation():
            return {"release": operation.release, "namespace": operation.namespace}
        case VacateNamespace():
            return {"release": "", "namespace": operation.namespace}
        case _:
            return {"release": "", "namespace": ""}


def turns(plan: Plan) -> list[list[str]]:
    """The components in the order in which their turn comes: those of one list may run at once.

    A component's turn is that of its main operation, counted in steps from one component to the
    next; another component's CRDs or namespace, which are made early, are no step.
    """
    depth: dict[str, int] = {}
    by_id = {operation.id: operation for operation in plan.operations}
    left = list(plan.operations)
    while left:
        ready = [o for o in left if all(need in depth or need not in by_id for need in o.needs)]
        for operation in ready or left:
            known = [by_id[need] for need in operation.needs if need in depth]
            depth[operation.id] = max((depth[need.id] + _is_step(need, operation) for need in known), default=0)
        left = [operation for operation in left if operation.id not in depth]
    turn: dict[str, int] = {}
    for operation in plan.operations:
        if operation.action in MAIN_ACTIONS or operation.component not in turn:
            turn[operation.component] = depth[operation.id]
    order = {name: position for position, name in enumerate(component_order(plan))}
    return [
        sorted((c for c, t in turn.items() if t == step), key=order.__getitem__) for step in sorted({*turn.values()})
    ]


def _is_step(need: Operation, operation: Operation) -> bool:
    """Whether waiting for ``need`` is waiting for another component, and not only for its preparation."""
    return need.component != operation.component and need.action not in {Action.NAMESPACE, Action.CRDS, Action.SECRETS}


def component_order(plan: Plan) -> list[str]:
    """The components that have operations, in the order in which the plan lists its changes."""
    working = dict.fromkeys(operation.component for operation in plan.operations)
    listed = [change.component for change in plan.changes if change.component in working]
    return list(dict.fromkeys([*listed, *working]))


def _headline(plan: Plan, cluster: str, kubernetes: str | None, style: Style, width: int) -> list[str]:
    version = f" (Kubernetes {kubernetes})" if kubernetes else ""
    if plan.empty:
        step = f"revision {plan.base}" if plan.base else "no revision yet"
    else:
        step = f"revision {plan.base} -> {plan.base + 1}" if plan.base else "first revision"
    name = f"stack {plan.stack}"
    first, *rest = wrap(f"{name} on {cluster}{version}   {step}", width)
    return [first.replace(name, style.strong(name), 1), *rest]


def _changes(plan: Plan, style: Style, width: int) -> list[str]:
    shown = [change for change in plan.changes if change.symbol != "=" or change.details]
    column = max((width_of(change.component) for change in shown), default=0)
    lines: list[str] = []
    for change in shown:
        lines += _change(change, column, style, width)
    quiet = len(plan.changes) - len(shown)
    if quiet:
        lines.append(style.dim(f"  = {quiet} unchanged"))
    return lines


def _change(change: Change, column: int, style: Style, width: int) -> list[str]:
    paint = _paint(change.symbol, style)
    front = 2 + 2 + column + 3
    first, *rest = wrap(" ".join(clean(change.text).splitlines()), max(20, width - front) if width else 0)
    lines = [f"  {paint(change.symbol)} {pad(change.component, column)}   {first}"]
    lines += [" " * front + line for line in rest]
    for detail in change.details:
        lines += indent(detail, 6, width)
    return lines


def _paint(symbol: str, style: Style) -> Callable[[str], str]:
    return {"+": style.good, "-": style.bad, "!": style.bad, "=": style.dim}.get(symbol, style.warn)


def _summary(plan: Plan, style: Style) -> list[str]:
    numbers = {sign: sum(change.symbol == sign for change in plan.changes) for sign, _ in _SUMMARY}
    if plan.empty:
        if numbers["!"]:
            return [style.warn(f"{numbers['!']} unhealthy; nothing is done about it without --repair")]
        unchanged = len(plan.changes) or len(plan.unchanged)
        return [f"nothing to do: {count(unchanged, 'component')} unchanged" if unchanged else "nothing to do"]
    return [", ".join(f"{numbers[sign]} {word}" for sign, word in _SUMMARY if numbers[sign]) or "nothing changes"]
