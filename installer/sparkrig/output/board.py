"""Keeps what is known of a plan in progress, from its events; what the live display shows.

No output here and no clock of its own: times are handed in, in seconds of one monotonic clock.
Not thread-safe; its user holds a lock.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from sparkrig.models.operation import Operation
from sparkrig.models.plan import Event, OperationStatus, Plan
from sparkrig.output.plan import component_order
from sparkrig.output.text import first_line
from sparkrig.output.wording import did_all, doing

_ENDED = frozenset({OperationStatus.DONE, OperationStatus.FAILED, OperationStatus.SKIPPED, OperationStatus.INTERRUPTED})


class Phase(enum.Enum):
    """Where a component stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    """Not started, or not finished, because the run ended early."""


@dataclass(frozen=True, slots=True)
class Line:
    """One component at one moment."""

    component: str
    phase: Phase
    seconds: float | None
    """Since its first operation started, until its last one ended; None before the start."""
    message: str


@dataclass(slots=True)
class _Track:
    """What the events said of one component."""

    operations: tuple[Operation, ...] = ()
    started: float | None = None
    ended: float | None = None
    message: str = ""
    message_since: float = 0.0
    failure: str = ""


@dataclass(slots=True)
class Board:
    """The components of a plan and how far each is."""

    plan: Plan
    began: float
    _tracks: dict[str, _Track] = field(default_factory=dict)
    _status: dict[str, OperationStatus] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for component in component_order(self.plan):
            own = tuple(o for o in self.plan.operations if o.component == component)
            self._tracks[component] = _Track(own)
        self._status = {operation.id: OperationStatus.WAITING for operation in self.plan.operations}

    def take(self, event: Event, now: float) -> None:
        """Takes one event in. One of a component that is not in the plan gets a line of its own."""
        track = self._tracks.setdefault(event.component, _Track())
        self._status[event.operation] = event.status
        text = self._text(track, event)
        if event.status is OperationStatus.FAILED and not track.failure:
            track.failure = text or "failed"
        if text != track.message:
            track.message, track.message_since = text, now
        if event.status in {OperationStatus.RUNNING, OperationStatus.DONE, OperationStatus.FAILED}:
            started = now - event.seconds
            track.started = started if track.started is None else min(track.started, started)
        running = any(self._status[o.id] is OperationStatus.RUNNING for o in track.operations)
        if event.status in _ENDED and not running:
            track.ended = now

    def lines(self, now: float) -> list[Line]:
        """Every component at the time ``now``, in the plan's order."""
        return [self._line(component, track, now) for component, track in self._tracks.items()]

    def _text(self, track: _Track, event: Event) -> str:
        """What to show of an event. One that only repeats the reason of its operation says what it does."""
        text = first_line(event.message)
        operation = next((o for o in track.operations if o.id == event.operation), None)
        if event.status is OperationStatus.RUNNING and operation and text in {"", first_line(operation.reason)}:
            return doing(operation)
        return text

    def _line(self, component: str, track: _Track, now: float) -> Line:
        phase = self._phase(track)
        end = now if track.ended is None or phase in {Phase.RUNNING, Phase.WAITING} else track.ended
        seconds = None if track.started is None else max(0.0, end - track.started)
        return Line(component, phase, seconds, self._message(track, phase, now))

    def _phase(self, track: _Track) -> Phase:
        states = [self._status[operation.id] for operation in track.operations]
        if track.failure:
            return Phase.FAILED
        if OperationStatus.RUNNING in states or (not states and track.ended is None):
            return Phase.RUNNING
        if all(state is OperationStatus.DONE for state in states):
            return Phase.DONE
        if OperationStatus.SKIPPED in states or OperationStatus.INTERRUPTED in states:
            return Phase.STOPPED
        return Phase.WAITING

    def _message(self, track: _Track, phase: Phase, now: float) -> str:
        if phase is Phase.FAILED:
            return track.failure
        if phase is Phase.WAITING:
            blockers = self._blockers(track)
            return f"after {', '.join(blockers)}" if blockers else "queued"
        if phase is Phase.STOPPED:
            return track.message or ("not started" if track.started is None else "not finished")
        since = now - track.message_since
        if phase is Phase.RUNNING and track.message and since >= 5:
            return f"{track.message} ({int(since)}s)"
        if phase is Phase.DONE:
            return track.message or did_all(track.operations)
        return track.message or self._doing(track)

    def _doing(self, track: _Track) -> str:
        """What it does, where the last message was of an operation that has ended since."""
        return next((doing(o) for o in track.operations if self._status[o.id] is OperationStatus.RUNNING), "")

    def _blockers(self, track: _Track) -> list[str]:
        """Other components whose operations it waits for, directly."""
        owner: Mapping[str, str] = {operation.id: operation.component for operation in self.plan.operations}
        own = {operation.id for operation in track.operations}
        names = dict.fromkeys(
            owner[need]
            for operation in track.operations
            if self._status[operation.id] is OperationStatus.WAITING
            for need in operation.needs
            if need not in own and need in owner and self._status[need] is not OperationStatus.DONE
        )
        return list(names)
