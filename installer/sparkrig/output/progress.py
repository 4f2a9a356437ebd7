"""Shows a plan in progress: in place on a terminal, one line for each change of a component's state elsewhere.

Events come from many threads. Showing them never ends the work: a reader that went away, a closed
stream or a terminal that hung up is noticed once, and nothing is shown from then on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Protocol, Self, TextIO

from sparkrig.models.operation import Action, Operation
from sparkrig.models.plan import Event, OperationStatus, Plan
from sparkrig.output.plan import component_order
from sparkrig.output.terminal import Style, Terminal, encodable
from sparkrig.output.text import clean, duration, first_line, pad, width_of
from sparkrig.output.wording import did_all, doing

HEARTBEAT_S: Final = 30.0
"""A component of which nothing was said for so long is named again on plain output, with what it waits for."""
TICK_S: Final = 5.0
"""How often that is looked at."""

_BRIEF: Final = frozenset({Action.NAMESPACE, Action.SECRETS, Action.CRDS, Action.WAIT, Action.VACATE})
"""Actions whose start is no change of a component's state: what comes behind or before them is."""

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
        from sparkrig.output.live import LiveProgress

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
    """A line when a component starts, when it is done, when it fails; and each half minute what it waits for."""

    def __init__(self, plan: Plan, terminal: Terminal, *, clock: Clock = time.monotonic) -> None:
        self._stream = LastingStream(terminal.stream)
        self._style = terminal.style
        self._clock = clock
        self._began = clock()
        self._operations = {operation.id: operation for operation in plan.operations}
        self._column = max((width_of(name) for name in component_order(plan)), default=0)
        self._components: dict[str, _Component] = {}
        for operation in plan.operations:
            self._component(operation.component).left.append(operation)
        self._lock = threading.Lock()
        self._over = threading.Event()

    def __enter__(self) -> Self:
        """Starts counting."""
        self._began = self._clock()
        threading.Thread(target=self._tick, name="progress", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to restore."""
        self._over.set()

    def __call__(self, event: Event) -> None:
        """Prints the event when it says something new."""
        with self._lock:
            now = self._clock()
            text = self._news(event, self._component(event.component), now)
            if text is not None:
                self._say(event.component, event.status, text, now)

    def heartbeat(self) -> None:
        """Names what is running and was not named for long."""
        with self._lock:
            now = self._clock()
            for name, component in self._components.items():
                if component.running and component.doing and now - component.said >= HEARTBEAT_S:
                    self._say(name, OperationStatus.RUNNING, component.doing, now)

    def note(self, text: str) -> None:
        """Prints the message, each line behind the time."""
        with self._lock:
            now = duration(self._clock() - self._began)
            for line in clean(text).splitlines():
                self._print(f"{now:>6}  {line}")

    def _tick(self) -> None:
        while not self._over.wait(TICK_S):
            self.heartbeat()

    def _component(self, name: str) -> _Component:
        return self._components.setdefault(name, _Component())

    def _say(self, name: str, status: OperationStatus, text: str, now: float) -> None:
        self._components[name].said = now
        shown = pad(clean(name), self._column)
        self._print(f"{duration(now - self._began):>6}  {_sign(status, self._style)} {shown}  {text}")

    def _print(self, line: str) -> None:
        self._stream.write(f"{line.rstrip()}\n")
        self._stream.flush()

    def _news(self, event: Event, component: _Component, now: float) -> str | None:
        """What to print of the event; None for nothing."""
        operation = self._operations.get(event.operation)
        message = first_line(event.message)
        if event.status is OperationStatus.WAITING:
            return None
        if event.status is OperationStatus.RUNNING:
            return component.step(operation, message, now)
        component.running.discard(event.operation)
        behind = f": {message}" if message else ""
        if event.status is OperationStatus.DONE:
            return component.finish(operation, event, behind, now)
        if component.failed:
            return None  # what follows from a failure is said once
        component.failed = True
        if event.status is OperationStatus.FAILED:
            return f"{event.operation} failed after {duration(event.seconds)}{behind}"
        word = "not started" if event.status is OperationStatus.SKIPPED else "interrupted"
        return f"{event.operation} {word}{behind}"


class _Component:
    """What was said of one component, and what is left of it."""

    def __init__(self) -> None:
        self.left: list[Operation] = []
        self.done: list[Operation] = []
        self.running: set[str] = set()
        self.doing = ""
        self.failed = False
        self.began: float | None = None
        self.said = 0.0

    def step(self, operation: Operation | None, message: str, now: float) -> str | None:
        """A start, or a message on the way; the text where the start changes the component's state."""
        if operation is None:
            return message or None
        if self.began is None:
            self.began = self.said = now
        self.running.add(operation.id)
        starts = message in {"", first_line(operation.reason)}
        self.doing = doing(operation) if starts else message
        if not starts or operation.action in _BRIEF:
            return None
        return f"{self.doing}: {message}" if message else self.doing

    def finish(self, operation: Operation | None, event: Event, behind: str, now: float) -> str | None:
        """One operation is done; the text where nothing of the component is left."""
        if operation is None:
            return f"{event.operation} after {duration(event.seconds)}{behind}"
        self.done.append(operation)
        self.left = [other for other in self.left if other.id != operation.id]
        if self.left:
            return None
        took = event.seconds if self.began is None else max(now - self.began, event.seconds)
        return f"{did_all(self.done)} after {duration(took)}{behind}"


def _sign(status: OperationStatus, style: Style) -> str:
    return {
        OperationStatus.DONE: style.good("✓"),
        OperationStatus.FAILED: style.bad("✗"),
        OperationStatus.INTERRUPTED: style.warn("!"),
        OperationStatus.SKIPPED: style.dim("·"),
    }.get(status, "…")
