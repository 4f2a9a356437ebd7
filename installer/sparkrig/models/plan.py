"""A plan, and how its operations went."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Literal

from sparkrig.models.explanation import Explanation, text_of
from sparkrig.models.operation import GateChecks, Operation
from sparkrig.models.release import ReleaseState


@dataclass(frozen=True, slots=True)
class Change:
    """What the plan does to one component, for showing."""

    component: str
    symbol: Literal["+", "~", "-", "=", "!", "^", ">"]
    """+ new, ~ changed, - removed, = unchanged, ! unhealthy or missing objects, ^ recovery, > left in place."""
    text: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The ordered graph from what is observed to what is desired. The executor takes nothing else."""

    stack: str
    action: str
    base: int
    """Number of the newest revision the plan was made from; 0 for none."""
    operations: tuple[Operation, ...]
    changes: tuple[Change, ...]
    unchanged: tuple[ReleaseState, ...]
    """Releases the plan leaves alone; they go into the new revision's ``after`` as they are."""
    kept: tuple[ReleaseState, ...] = ()
    """Releases that were given up earlier and are still there."""

    @property
    def empty(self) -> bool:
        """True when there is nothing to do."""
        return not self.operations


class OperationStatus(enum.StrEnum):
    """How an operation ended, or where it stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not started because something before it failed or the run was interrupted."""
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class OperationResult:
    """How one operation ended."""

    operation: Operation | GateChecks
    status: OperationStatus
    seconds: float
    why: tuple[Explanation, ...] = ()
    """Why it was not done; of gate checks one explanation for each check."""
    state: ReleaseState | None = None
    """What the release is now, where the operation changed one."""

    @property
    def message(self) -> str:
        """Why it was not done, as JSON documents and recorded revisions hold it; empty where it was."""
        return text_of(self.why)


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """How a plan went. ``after`` is complete: unchanged releases included."""

    results: tuple[OperationResult, ...]
    after: tuple[ReleaseState, ...]
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        """True when every operation is done."""
        return all(r.status is OperationStatus.DONE for r in self.results)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing worth showing while a plan runs."""

    component: str
    operation: str
    status: OperationStatus
    message: str
    """What it does or waits for, or why it ended; the details of a failure are in its result."""
    seconds: float
    """Since the operation started."""
