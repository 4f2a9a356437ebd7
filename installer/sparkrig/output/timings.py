"""Where a run's time went: a table, the critical path, and a trace file. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sparkrig.output.tables import Column, Row, table
from sparkrig.output.text import joined
from sparkrig.timeline import Span

COLUMNS = ("queue", "crds", "render", "helm", "other", "wait", "check", "total")
REST = "the rest: imports, output"
QUEUED_S = 0.05
"""Waiting for a worker that is shorter than this is not worth a word."""


def timings_text(spans: Sequence[Span], took_s: float) -> str:
    """The phases, a row a component (seconds, summed over its operations), and the critical path."""
    if not spans:
        return "no timings: nothing was run\n"
    phases = [(span.name, span.seconds) for span in spans if span.kind == "phase"]
    rest = max(0.0, took_s - sum(seconds for _, seconds in phases))
    lines = _table(
        "phase", ("seconds",), {name: (s,) for name, s in _summed([*phases, (REST, rest), ("total", took_s)])}
    )
    components = _by_component(spans)
    if components:
        lines += ["", *_table("component", COLUMNS, {name: tuple(row.values()) for name, row in components.items()})]
    path = critical_path(spans)
    if path:
        length = path[-1].end - (path[0].start if path[0].ready is None else path[0].ready)
        lines += ["", f"critical path {length:.1f}s: " + " -> ".join(_step(span) for span in path)]
    return joined(lines)


def critical_path(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The chain of operations that ended last: each with the one before it that it had to wait for longest.

    An operation that let the next one through before its own end counts until then.
    """
    operations = {span.name: span for span in spans if span.kind == "operation"}
    if not operations:
        return ()
    path = [max(operations.values(), key=lambda span: span.end)]
    while before := [operations[name] for name in path[-1].needs if name in operations]:
        path.append(max(before, key=lambda span: span.opened))
    chain = tuple(reversed(path))
    return (*(replace(span, end=span.opened) for span in chain[:-1]), chain[-1])


def trace_json(spans: Sequence[Span]) -> dict[str, Any]:
    """The Trace Event Format, which Perfetto and the tracing pages of Chromium open. Times in microseconds."""
    events: list[dict[str, Any]] = []
    lanes: dict[str, list[float]] = {}
    threads: dict[tuple[str, int], int] = {}
    for span in spans:
        group = "phases" if span.kind == "phase" else span.component or "sparkrig"
        lane = _lane(lanes.setdefault(f"{group}/{span.kind}", []), span)
        thread = threads.setdefault((f"{group} {span.kind}" if span.kind != "phase" else group, lane), len(threads) + 1)
        arguments = {"needs": list(span.needs), "parent": span.parent, "queued": round(_queued(span), 6)}
        if span.through is not None:  # seconds from its start until what needs it could start; at least a microsecond
            arguments["through"] = max(round(span.through - span.start, 6), 1e-6)
        events.append(
            {
                "name": span.name,
                "cat": span.kind,
                "ph": "X",
                "ts": round(span.start * 1e6),
                "dur": round(span.seconds * 1e6),
                "pid": 1,
                "tid": thread,
                "args": {key: value for key, value in arguments.items() if value},
            }
        )
    names = [
        {"name": "thread_name", "ph": "M", "pid": 1, "tid": thread, "args": {"name": name}}
        for (name, _), thread in threads.items()
    ]
    return {"traceEvents": names + events, "displayTimeUnit": "ms"}


def _by_component(spans: Sequence[Span]) -> Mapping[str, Mapping[str, float]]:
    rows: dict[str, dict[str, float]] = {}
    for component, column, seconds in _parts(spans):
        row = rows.setdefault(component, dict.fromkeys(COLUMNS, 0.0))
        row[column] += seconds
        row["total"] += seconds
    return rows


def _parts(spans: Sequence[Span]) -> Iterator[tuple[str, str, float]]:
    """Who spent how many seconds on what; a second of an operation is counted once."""
    of_operation: dict[str, float] = {}
    for span in spans:
        if span.kind == "helm":
            of_operation[span.parent] = of_operation.get(span.parent, 0.0) + span.seconds
            yield span.component or "(all)", "render" if span.name == "template" else "helm", span.seconds
        elif span.kind == "check":
            yield span.component, "check", span.seconds
    for span in spans:
        if span.kind == "operation":
            yield span.component, "queue", _queued(span)
            own = max(0.0, span.seconds - of_operation.get(span.name, 0.0))
            yield span.component, {"crds": "crds", "wait": "wait"}.get(span.name.split("/")[0], "other"), own


def _lane(ends: list[float], span: Span) -> int:
    """The first row of a group in which nothing else happens at that time."""
    for number, end in enumerate(ends):
        if end <= span.start:
            ends[number] = span.end
            return number
    ends.append(span.end)
    return len(ends) - 1


def _queued(span: Span) -> float:
    return 0.0 if span.ready is None else max(0.0, span.start - span.ready)


def _step(span: Span) -> str:
    queued = _queued(span)
    waited = f" after {queued:.1f}s in the queue" if queued >= QUEUED_S else ""
    return f"{span.name} {span.seconds:.1f}s{waited}"


def _table(first: str, titles: Sequence[str], rows: Mapping[str, Sequence[float]]) -> list[str]:
    columns = [Column(first), *(Column(title, right=True) for title in titles)]
    return table(columns, [Row((name, *map(_number, cells))) for name, cells in rows.items()])


def _summed(pairs: Sequence[tuple[str, float]]) -> Sequence[tuple[str, float]]:
    """A phase that came twice (the return after a failure) is one row."""
    total: dict[str, float] = {}
    for name, seconds in pairs:
        total[name] = total.get(name, 0.0) + seconds
    return list(total.items())


def _number(seconds: float) -> str:
    return f"{seconds:.2f}" if seconds >= 0.005 else "-"
