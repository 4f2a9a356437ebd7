"""What is deployed and how it is, as text and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sparkrig.models.revision import RevisionStatus
from sparkrig.models.status import ComponentStatus, StackStatus
from sparkrig.output.document import document, object_json, release_json
from sparkrig.output.tables import Cell, Column, Row, table
from sparkrig.output.terminal import Style
from sparkrig.output.text import ago, clean, count, indent, joined, width_of, wrap

SHOWN = 6
"""Missing objects listed before the rest is counted."""

_COLUMNS = (
    Column(""),
    Column("component"),
    Column("version", fit="cut"),
    Column("chart"),
    Column("ready"),
    Column("drift"),
    Column("not judged", right=True),
    Column("helm", right=True),
    Column("age", right=True),
    Column("url", fit="below"),
)


def status_text(status: StackStatus, now: datetime, *, color: bool = False, width: int = 0) -> str:
    """The status for a person; ends with a newline. ``now`` carries a zone.

    ``width`` is the terminal's, 0 for no limit.
    """
    style = Style(color)
    if not status.components:
        kept = _kept(status, style, width)
        reused = _reused(status, style, width)
        return joined([*_absent(status, now, style, width), *kept, *reused, *_caveats(status, style, width)])
    rows = [_row(component, now, style, width) for component in status.components]
    lines = [
        *_headline(status, now, style, width),
        *_problems(status.problems, 2, style, width),
        *table(_COLUMNS, rows, width=width, margin=2, title=style.dim),
        *_kept(status, style, width),
        *_reused(status, style, width),
        *_summary(status),
        *_caveats(status, style, width),
    ]
    return joined(lines)


def status_json(status: StackStatus) -> dict[str, Any]:
    """The status as a JSON document of kind ``Status``."""
    return document(
        "Status",
        stack=status.stack,
        cluster=status.cluster,
        kubernetes=status.kubernetes,
        simulated=status.simulated,
        ok=status.ok,
        revision=status.revision,
        status=status.status or None,
        interrupted=status.interrupted,
        atWork=status.at_work or None,
        when=status.when,
        who=status.who,
        message=status.message,
        components=[_component_json(component) for component in status.components],
        kept=[release_json(state) for state in status.kept],
        reused=list(status.reused),
        gpus={"allocated": status.gpus_allocated, "allocatable": status.gpus_allocatable, "nodes": status.gpu_nodes},
        problems=list(status.problems),
    )


def is_well(component: ComponentStatus) -> bool:
    """True when all of it that can be judged is ready and nothing is wrong."""
    return component.ready == component.total and not component.missing and not component.problems


def _component_json(component: ComponentStatus) -> dict[str, Any]:
    return {
        "component": component.component,
        "namespace": component.namespace,
        "version": component.version,
        "standIn": component.stand_in,
        "ok": is_well(component),
        "ready": component.ready,
        "total": component.total,
        "notJudged": component.not_judged,
        "missing": [object_json(ref) for ref in component.missing],
        "problems": list(component.problems),
        "notes": list(component.notes),
        "changed": component.changed,
        "url": component.url,
        "helmRevision": component.helm_revision,
        "drift": component.drift,
    }


def _headline(status: StackStatus, now: datetime, style: Style, width: int) -> list[str]:
    left = f"{status.stack} · revision {status.revision} {_word(status)} {ago(status.when, now)}"
    left += f" by {clean(status.who)}" if status.who else ""
    left += f': "{" ".join(clean(status.message).split())}"' if status.message else ""
    right = _place(status)
    name, rest = style.strong(status.stack), left[len(status.stack) :]
    fits = not width or width_of(left) + 3 + width_of(right) <= width
    lines = [f"{name}{rest}   {right}"] if fits else [*_bold_first(wrap(left, width), status.stack, style), right]
    return [*lines, *_revision_note(status)]


def _word(status: StackStatus) -> str:
    """How the revision ended, in the word that the run itself used."""
    return "interrupted" if status.interrupted else status.status


def _bold_first(lines: list[str], name: str, style: Style) -> list[str]:
    first, *rest = lines
    return [style.strong(name) + first[len(name) :] if first.startswith(name) else first, *rest]


def _revision_note(status: StackStatus) -> list[str]:
    """What a revision that is not simply deployed means, and what to do."""
    if status.status == RevisionStatus.PENDING:
        if status.at_work:
            return [
                f"  {clean(status.at_work)} is at work on it",
                "  next: sparkrig up --wait-lock 10m waits for that run",
            ]
        if status.at_work is not None:
            return ["  it was begun and has not finished: its run is no more", "  next: sparkrig up picks it up"]
        return ["  it was begun and has not finished", "  next: if no other run is at work, sparkrig up picks it up"]
    if status.status == RevisionStatus.FAILED:
        word = "goes on from here" if status.interrupted else "tries again"
        return [f"  next: sparkrig up {word}; what is done stays"]
    return []


def _place(status: StackStatus) -> str:
    parts = [status.cluster, f"Kubernetes {status.kubernetes}" if status.kubernetes else "", *_simulated(status)]
    return " · ".join(part for part in parts if part)


def _simulated(status: StackStatus) -> list[str]:
    return ["simulated"] if status.simulated else []


def _row(component: ComponentStatus, now: datetime, style: Style, width: int) -> Row:
    sign, paint = _sign(component, style)
    cells = (
        Cell(sign, paint),
        component.component,
        component.version,
        Cell("stand-in" if component.stand_in else "", style.warn),
        Cell(f"{component.ready}/{component.total}", paint),
        Cell(count(component.drift, "field"), style.warn) if component.drift else "-" if component.drift == 0 else "",
        str(component.not_judged or ""),
        str(component.helm_revision or "-"),
        ago(component.changed, now).removesuffix(" ago") if component.changed else "",
        component.url or "",
    )
    notes = [style.dim(line) for note in component.notes for line in indent(note, 6, width)]
    return Row(cells, [*_component_problems(component, style, width), *notes])


def _sign(component: ComponentStatus, style: Style) -> tuple[str, Callable[[str], str]]:
    if is_well(component):
        return "✓", style.good
    if component.missing or (component.total and not component.ready):
        return "✗", style.bad
    return "!", style.warn


def _component_problems(component: ComponentStatus, style: Style, width: int) -> list[str]:
    if is_well(component):
        return []
    unsaid = [str(ref) for ref in component.missing if not any(str(ref) in text for text in component.problems)]
    lines = [f"missing: {name}" for name in unsaid[:SHOWN]]
    if len(unsaid) > SHOWN:
        lines.append(f"and {len(unsaid) - SHOWN} more are missing")
    lines += component.problems
    if not lines:
        lines.append(f"{count(component.total - component.ready, 'object')} not ready")
    if not any(line.lstrip().startswith("next:") for text in lines for line in text.splitlines()):
        lines.append(_next(component))
    return _problems(tuple(lines), 6, style, width)


def _next(component: ComponentStatus) -> str:
    if component.missing:
        return "next: sparkrig up --repair"
    where = f"-n {component.namespace}" if component.namespace else "-A"
    return f"next: kubectl {where} get pods,events"


def _problems(problems: tuple[str, ...], by: int, style: Style, width: int) -> list[str]:
    lines = [line for problem in problems for line in indent(problem, by, width)]
    return [style.strong(line) if line.lstrip().startswith("next:") else line for line in lines]


def _kept(status: StackStatus, style: Style, width: int) -> list[str]:
    """What the stack left in place, which nobody of it looks after any more."""
    named = [f"{state.component} {state.version} ({state.namespace}/{state.release})" for state in status.kept]
    text = f"left in place, no more of this stack: {', '.join(named)}"
    return [style.dim(line) for line in wrap(text, width)] if named else []


def _reused(status: StackStatus, style: Style, width: int) -> list[str]:
    """What serves the stack and is somebody else's."""
    text = f"reused, installed by somebody else: {', '.join(status.reused)}; sparkrig doctor says what is there"
    return [style.dim(line) for line in wrap(text, width)] if status.reused else []


def _summary(status: StackStatus) -> list[str]:
    if status.gpus_allocatable is None:
        return []
    nodes = f" on {count(status.gpu_nodes, 'node')}" if status.gpu_nodes else ""
    used = "?" if status.gpus_allocated is None else str(status.gpus_allocated)
    return [f"GPUs {used} of {status.gpus_allocatable} allocated{nodes}"]


def _caveats(status: StackStatus, style: Style, width: int) -> list[str]:
    """What must not be taken for the real thing."""
    stand_ins = [component.component for component in status.components if component.stand_in]
    texts = []
    if stand_ins:
        texts.append(
            f"stand-ins, test charts that only imitate the upstream ones ({len(stand_ins)} of "
            f"{len(status.components)}): {', '.join(stand_ins)}"
        )
    if status.simulated:
        texts.append("simulated: pods on this cluster run nothing, so ready means that the API says so")
    return [style.warn(line) for text in texts for line in wrap(text, width)]


def _absent(status: StackStatus, now: datetime, style: Style, width: int) -> list[str]:
    name = style.strong(f"stack {status.stack}")
    lines = [f"{name} is not installed on {_place(status)}"]
    if status.revision and status.status:
        who = f" by {clean(status.who)}" if status.who else ""
        lines.append(f"  revision {status.revision} {_word(status)} {ago(status.when, now)}{who}")
    if status.status == RevisionStatus.PENDING:
        lines += _revision_note(status)
    lines += _problems(status.problems, 2, style, width)
    if not any("next:" in line for line in (*lines, *status.problems)):
        lines.append(style.strong("  next: sparkrig up"))
    return lines
