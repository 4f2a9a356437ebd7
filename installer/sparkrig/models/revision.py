"""Revisions: what the cluster remembers of a stack."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from sparkrig.models.plan import OperationStatus
from sparkrig.models.release import ReleaseState


class RevisionStatus(enum.StrEnum):
    """Where a revision of the whole stack stands."""

    PENDING = "pending"
    DEPLOYED = "deployed"
    FAILED = "failed"
    ROLLED_BACK = "rolled-back"
    SUPERSEDED = "superseded"
    REMOVED = "removed"
    """A ``down`` that finished."""


@dataclass(frozen=True, slots=True)
class OperationRecord:
    """How one operation of a revision went."""

    id: str
    status: str
    seconds: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class Revision:
    """One recorded attempt to change the whole stack."""

    stack: str
    number: int
    status: RevisionStatus
    action: str
    """up, rollback, down."""
    who: str
    message: str
    started: str
    finished: str | None
    sparkrig: str
    profile: str
    stack_file: str
    before: tuple[ReleaseState, ...]
    after: tuple[ReleaseState, ...]
    operations: tuple[OperationRecord, ...] = ()
    summary: str = ""
    """What it changed, in one line; empty in records that older versions wrote."""
    kept: tuple[ReleaseState, ...] = ()
    """Releases that this or an earlier revision gave up and left in place, as the stack last knew them."""
    reused: tuple[str, ...] = ()
    """Components in whose place an installation of somebody else serves; empty in records of older versions."""

    @property
    def interrupted(self) -> bool:
        """True when the run was ended from outside, and nothing failed by itself."""
        ends = {operation.status for operation in self.operations}
        return (
            self.status is RevisionStatus.FAILED
            and OperationStatus.INTERRUPTED in ends
            and OperationStatus.FAILED not in ends
        )
