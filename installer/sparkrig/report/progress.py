"""Shows a plan in progress: in place on a terminal, one line an event elsewhere.

Events come from many threads. Showing them never ends the work: a reader that went away, a closed
stream or a terminal that hung up is noticed once, and nothing is shown from then on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Protocol, Self, TextIO

from sparkrig.model import Action, Event, Operation, OperationStatus, Plan
from sparkrig.report.plan import component_order
from sparkrig.report.terminal import Style, Terminal, encodable
from sparkrig.report.text import clean, duration, first_line, pad, width_of
from sparkrig.report.wording import did, doing

REPEAT_S: Final = 5.0
"""Shortest time between two waiting messages of one operation on plain output: a log is read later."""

_BRIEF: Final = frozenset({Action.NAMESPACE, Action.CRDS, Action.WAIT})
"""Actions whose start is no news: they are over at once, or say themselves what they wait for."""

Clock = Callable[[], float]
"""A monotonic clock, in seconds."""


class Progress(Protocol):
    """Takes the events of one plan; a context manager, to be called with each event from any thread."""

    def __enter__(self) -> Self:
        """Begins to show."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shows the final state and leaves the terminal as it was found."""
        ...

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        ...

    def note(self, text: str) -> None:
        """Shows a message of its own, above what is updated in place."""
        ...


def make_progress(plan: Plan, terminal: Terminal) -> Progress:
    """The progress that suits the terminal."""
    if terminal.live and not plan.empty:
        from sparkrig.report.live import LiveProgress

        return LiveProgress(plan, terminal)
    return PlainProgress(plan, terminal)


class LastingStream:
    """Writes to a stream until that fails, then writes nothing more and raises nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost = False
        """True once a write has failed."""

    def write(self, text: str) -> int:
        """Writes the text as far as the stream's encoding allows; its length in any case."""
        if not self.lost:
            try:
                self._stream.write(encodable(text, self._stream))
            except (OSError, ValueError):
                self.lost = True
        return len(text)

    def flush(self) -> None:
        """Flushes the stream."""
        if not self.lost:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self.lost = True

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return not self.lost and self._stream.isatty()

    def fileno(self) -> int:
        """The stream's file descriptor."""
        return self._stream.fileno()

    @property
    def encoding(self) -> str:
        """The stream's encoding."""
        return self._stream.encoding


class PlainProgress:
    """One line an event that matters: a start, a changed message, an end with its seconds."""

    def __init__(self, plan: Plan, terminal: Terminal, *, clock: Clock = time.monotonic) -> None:
        self._stream = LastingStream(terminal.stream)
        self._style = terminal.style
        self._clock = clock
        self._began = clock()
        self._operations = {operation.id: operation for operation in plan.operations}
        self._column = max((width_of(name) for name in component_order(plan)), default=0)
        self._said: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Starts counting."""
        self._began = self._clock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to restore."""

    def __call__(self, event: Event) -> None:
        """Prints the event when it says something new."""
        with self._lock:
            now = self._clock()
            text = self._news(event, now)
            if text is not None:
                sign = _sign(event.status, self._style)
                name = pad(clean(event.component), self._column)
                self._print(f"{duration(now - self._began):>6}  {sign} {name}  {text}")

    def note(self, text: str) -> None:
        """Prints the message, each line behind the time."""
        with self._lock:
            now = duration(self._clock() - self._began)
            for line in clean(text).splitlines():
                self._print(f"{now:>6}  {line}")

    def _print(self, line: str) -> None:
        self._stream.write(f"{line.rstrip()}\n")
        self._stream.flush()

    def _news(self, event: Event, now: float) -> str | None:
        """What to print of the event; None for nothing."""
        operation = self._operations.get(event.operation)
        message = first_line(event.message)
        if event.status in {OperationStatus.RUNNING, OperationStatus.WAITING}:
            return self._step(event, operation, message, now)
        self._said.pop(event.operation, None)
        took = duration(event.seconds)
        behind = f": {message}" if message else ""
        if event.status is OperationStatus.DONE:
            return f"{did(operation) if operation else event.operation} after {took}{behind}"
        if event.status is OperationStatus.FAILED:
            return f"{event.operation} failed after {took}{behind}"
        word = "not started" if event.status is OperationStatus.SKIPPED else "interrupted"
        return f"{event.operation} {word}{behind}"

    def _step(self, event: Event, operation: Operation | None, message: str, now: float) -> str | None:
        """A start or a message on the way, unless it is no news."""
        starts = operation is not None and message in {"", first_line(operation.reason)}
        if event.status is OperationStatus.WAITING or (starts and operation and operation.action in _BRIEF):
            return None
        if event.operation in self._said:
            last, when = self._said[event.operation]
            if starts or message == last or (last and now - when < REPEAT_S):
                return None
        self._said[event.operation] = ("" if starts else message, now)
        if starts and operation:
            return f"{doing(operation)}: {first_line(operation.reason)}"
        return message


def _sign(status: OperationStatus, style: Style) -> str:
    return {
        OperationStatus.DONE: style.good("✓"),
        OperationStatus.FAILED: style.bad("✗"),
        OperationStatus.INTERRUPTED: style.warn("!"),
        OperationStatus.SKIPPED: style.dim("·"),
    }.get(status, "…")
