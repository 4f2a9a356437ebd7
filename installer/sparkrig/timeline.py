"""Time spans of one run: phases, operations, helm processes and checks.

Off, and then free of cost, until ``begin`` is called. One run a process records at a time. Knows nothing of what it
measures; ``output/timings.py`` makes the table and the trace file.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """One stretch of time, in seconds since the run began."""

    kind: str
    """``phase``, ``operation``, ``helm`` or ``check``."""
    name: str
    start: float
    end: float
    component: str = ""
    ready: float | None = None
    """When an operation could have started: its needs were done. What lies between is waiting for a worker."""
    needs: tuple[str, ...] = ()
    parent: str = ""
    """The operation in whose course it happened."""
    through: float | None = None
    """When an operation let what needs it start, before its own end."""

    @property
    def opened(self) -> float:
        """When what needs this operation could start."""
        return self.end if self.through is None else self.through

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


class Timeline:
    """The spans of one run. Safe to add to from any thread."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self._spans: list[Span] = []
        self._lock = threading.Lock()
        self.through: dict[str, float] = {}
        """Operation -> when it let what needs it start."""

    def now(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.began

    def add(self, span: Span) -> None:
        """Keep a span that is over."""
        with self._lock:
            self._spans.append(span)

    @property
    def spans(self) -> Sequence[Span]:
        """What is over by now, by start."""
        with self._lock:
            return sorted(self._spans, key=lambda span: (span.start, -span.end))


_recording: Timeline | None = None
_operation: contextvars.ContextVar[tuple[str, str]] = contextvars.ContextVar("operation", default=("", ""))


def begin() -> Timeline:
    """Record from now on; what was recorded before is no longer added to."""
    global _recording  # noqa: PLW0603 - one run a process; handing it through every layer would cost each of them a parameter
    _recording = Timeline()
    return _recording


def end() -> None:
    """Record nothing any more."""
    global _recording  # noqa: PLW0603
    _recording = None


@contextmanager
def span(kind: str, name: str, component: str = "") -> Iterator[None]:
    """Record what happens inside, also when it fails. ``component`` defaults to that of the operation under way."""
    line = _recording
    if line is None:
        yield
        return
    start = line.now()
    operation, owner = _operation.get()
    try:
        yield
    finally:
        line.add(Span(kind, name, start, line.now(), component or owner, parent=operation))


@contextmanager
def operation(name: str, component: str, ready_s: float, needs: Sequence[str]) -> Iterator[None]:
    """Record an operation of the plan; ``ready_s`` is ``time.monotonic()`` of when it could have started."""
    line = _recording
    if line is None:
        yield
        return
    start = line.now()
    token = _operation.set((name, component))
    try:
        yield
    finally:
        _operation.reset(token)
        through = line.through.pop(name, None)
        line.add(
            Span("operation", name, start, line.now(), component, ready_s - line.began, tuple(needs), through=through)
        )


def let_through(operation: str) -> None:
    """Remember that what needs this operation may start now, though it goes on."""
    if _recording is not None:
        _recording.through[operation] = _recording.now()
