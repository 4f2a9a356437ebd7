"""A plan, its operations, and how they went."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sparkrig.models.objects import ObjectRef
from sparkrig.models.release import DesiredRelease, ReleaseState
from sparkrig.models.secret import SecretSpec


class Action(enum.StrEnum):
    """What an operation does."""

    RECOVER = "recover"
    NAMESPACE = "namespace"
    CRDS = "crds"
    INSTALL = "install"
    UPGRADE = "upgrade"
    REPAIR = "repair"
    ROLLBACK = "rollback"
    UNINSTALL = "uninstall"
    WAIT = "wait"
    SECRETS = "secrets"
    DELETE = "delete"
    """Deletes objects that no uninstall removes, and waits until they are gone."""
    VACATE = "vacate"
    """Removes a namespace that nothing foreign is in."""
    ROLL = "roll"
    """Restarts pods that read a Secret which changed."""
    KEEP = "keep"
    """Gives the claim on a release up, which stays in the cluster as it is."""
    CLAIM = "claim"
    """Takes back what was given up."""
    CHECK = "check"
    """The gate checks after a change; never part of a plan, only of what happened."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One node of the plan's graph."""

    id: str
    """Stable: ``<action>/<component>``."""
    action: Action
    component: str
    needs: tuple[str, ...]
    """Ids of the operations that must have succeeded first."""
    release: str
    namespace: str
    reason: str
    """Why it is done, in a person's words."""
    timeout_s: float
    desired: DesiredRelease | None = None
    state: ReleaseState | None = None
    """The release as it was, for uninstall, rollback and recover."""
    helm_revision: int | None = None
    """The Helm revision that is observed now (rollback: that is to be restored)."""
    newest_revision: int = 0
    """The newest Helm revision when a rollback was planned."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of the namespace, for a namespace operation."""
    recreated: tuple[ObjectRef, ...] = ()
    """Objects that cannot be changed as wanted: deleted first, so that Helm makes them anew."""
    reselected: tuple[ObjectRef, ...] = ()
    """Those of them whose selector changes: their pods do not become the new object's."""
    leftovers: tuple[ObjectRef, ...] = ()
    """Objects of earlier hooks that would stand in for the new ones: deleted first."""
    keep_history: bool = True
    """For an uninstall: leave Helm's history, so that a rollback can bring the release back."""
    secret: SecretSpec | None = None
    """For a secrets operation: what to apply in ``namespaces``; None removes the Secret ``secret_name`` there."""
    secret_name: str = ""
    namespaces: tuple[str, ...] = ()
    objects: tuple[ObjectRef, ...] = ()
    """For a delete: what goes. For an uninstall: what goes behind the release. For a vacate: what hooks left there,
    which does not count as foreign. For a keep and a claim: the Secrets that go with the release."""
    purged: tuple[str, ...] = ()
    """Kinds of data that may go along (``PersistentVolumeClaim``, ``Namespace``)."""
    rolled: tuple[str, ...] = ()
    """For a roll: names of the Secrets that changed."""
    weight_s: float | None = None
    """Rough seconds, where what it writes is known; else those of its action. For the order of starting alone."""
    effects: tuple[str, ...] | None = None
    """What it does to running pods of others, a sentence each; None where that was not looked at."""


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

    operation: Operation
    status: OperationStatus
    seconds: float
    message: str = ""
    state: ReleaseState | None = None
    """What the release is now, where the operation changed one."""


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
    seconds: float
    """Since the operation started."""
