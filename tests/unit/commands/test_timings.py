"""--timings and --trace: what is summed where, the critical path, the trace file; nothing is kept when off."""

from __future__ import annotations

import asyncio
import json
import time

from sparkrig import timeline
from sparkrig.output.timings import critical_path, timings_text, trace_json
from sparkrig.timeline import Span

SPANS = (
    Span("phase", "preflight", 0.0, 1.0),
    Span("helm", "template", 0.2, 0.9),
    Span("phase", "apply", 1.0, 10.0),
    Span("operation", "crds/a", 1.0, 3.0, "a", 1.0),
    Span("operation", "install/a", 3.0, 6.0, "a", 3.0, ("crds/a",)),
    Span("helm", "upgrade", 3.5, 5.5, "a", parent="install/a"),
    Span("operation", "wait/a", 6.0, 7.0, "a", 6.0, ("install/a",)),
    Span("operation", "install/b", 2.0, 4.0, "b", 1.0),
    Span("operation", "wait/b", 4.0, 5.0, "b", 4.0, ("install/b",)),
    Span("operation", "install/c", 8.0, 9.5, "c", 7.0, ("wait/a", "wait/b")),
    Span("check", "answers", 9.6, 9.8, "c"),
)


def rows(text: str) -> dict[str, list[str]]:
    return {line.split("  ")[0].strip(): line.split()[-8:] for line in text.splitlines() if line}


def test_a_second_is_counted_once() -> None:
    found = rows(timings_text(SPANS, 12.0))
    #                     queue  crds  render  helm  other   wait  check  total
    assert found["a"] == ["-", "2.00", "-", "2.00", "1.00", "1.00", "-", "6.00"]
    assert found["b"] == ["1.00", "-", "-", "-", "2.00", "1.00", "-", "4.00"]
    assert found["c"] == ["1.00", "-", "-", "-", "1.50", "-", "0.20", "2.70"]
    assert found["(all)"] == ["-", "-", "0.70", "-", "-", "-", "-", "0.70"]
    assert found["the rest: imports, output"][-1] == "2.00"


def test_the_critical_path_goes_back_over_what_was_waited_for_longest() -> None:
    assert [span.name for span in critical_path(SPANS)] == ["crds/a", "install/a", "wait/a", "install/c"]
    last = timings_text(SPANS, 12.0).splitlines()[-1]
    assert last == (
        "critical path 8.5s: crds/a 2.0s -> install/a 3.0s -> wait/a 1.0s -> install/c 1.5s after 1.0s in the queue"
    )


def test_what_was_let_through_counts_until_then() -> None:
    spans = (
        Span("operation", "wait/a", 0.0, 3.0, "a", 0.0, through=1.0),
        Span("operation", "wait/b", 0.0, 2.0, "b", 0.0),
        Span("operation", "install/c", 2.0, 4.0, "c", 2.0, ("wait/a", "wait/b")),
    )
    assert timings_text(spans, 4.0).splitlines()[-1] == "critical path 4.0s: wait/b 2.0s -> install/c 2.0s"
    alone = critical_path([spans[0], Span("operation", "install/c", 1.0, 4.0, "c", 1.0, ("wait/a",))])
    assert [(span.name, span.seconds) for span in alone] == [("wait/a", 1.0), ("install/c", 3.0)]


def test_the_window_of_a_run_is_kept() -> None:
    line = timeline.begin()
    try:
        with timeline.operation("wait/a", "a", time.monotonic(), ()):
            timeline.let_through("wait/a")
    finally:
        timeline.end()
    (span,) = line.spans
    assert span.through is not None
    assert span.start <= span.through <= span.end


def test_nothing_ran() -> None:
    assert timings_text((), 0.1) == "no timings: nothing was run\n"
    assert critical_path(SPANS[:3]) == ()


def test_the_trace_keeps_what_overlaps_in_rows_of_its_own() -> None:
    overlapping = (
        Span("check", "x", 0.0, 2.0, "a"),
        Span("check", "y", 1.0, 3.0, "a"),
        Span("check", "z", 2.0, 4.0, "a"),
    )
    document = json.loads(json.dumps(trace_json(overlapping)))
    rows = {event["name"]: event["tid"] for event in document["traceEvents"] if event["ph"] == "X"}
    assert rows["x"] == rows["z"] != rows["y"]
    (first,) = [event for event in document["traceEvents"] if event["name"] == "x"]
    assert (first["ts"], first["dur"]) == (0, 2_000_000)
    named = {event["tid"] for event in document["traceEvents"] if event["ph"] == "M"}
    assert named == set(rows.values())


def test_spans_know_their_operation_also_in_threads_and_nothing_is_kept_when_off() -> None:
    def work() -> None:
        with timeline.span("helm", "upgrade"):
            pass

    async def one(name: str) -> None:
        with timeline.operation(f"install/{name}", name, time.monotonic(), ()):
            await asyncio.to_thread(work)

    async def main() -> None:
        await asyncio.gather(one("a"), one("b"))

    line = timeline.begin()
    asyncio.run(main())
    timeline.end()
    asyncio.run(main())
    helm = {(span.component, span.parent) for span in line.spans if span.kind == "helm"}
    assert helm == {("a", "install/a"), ("b", "install/b")}
    assert len(line.spans) == 4
