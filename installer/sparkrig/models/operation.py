"""The operations of a plan: one record for each kind, with exactly what that kind needs.

``Operation`` is their union. Tell them apart by type: ``match operation:`` with ``assert_never`` at its end makes mypy
name each place that a new kind has to be added to. ``action`` is the word for people and files, and several records
may share one.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from sparkrig.models.objects import ObjectRef
from sparkrig.models.release import DesiredRelease, ReleaseState
from sparkrig.models.secret import SecretSpec


class Action(enum.StrEnum):
    """What an operation does, in plans, progress and records."""

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
    VACATE = "vacate"
    ROLL = "roll"
    KEEP = "keep"
    CLAIM = "claim"
    CHECK = "check"
    """The gate checks after a change; never part of a plan, only of what happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationBase:
    """What every operation has."""

    id: str
    """Stable: ``<action>/<component>``."""
    component: str
    needs: tuple[str, ...] = ()
    """IDs of the operations that must have succeeded first."""
    reason: str
    """Why it is done, for people."""
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseOperation(OperationBase):
    """What every operation on one Helm release has."""

    release: str
    namespace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HelmWrite(ReleaseOperation):
    """What every operation has in which Helm writes the manifest of a release.

    The preflight dry run fills these in after the plan is built.
    """

    recreated: tuple[ObjectRef, ...] = ()
    """Objects that cannot be changed as wanted: deleted first, so that Helm creates them again."""
    reselected: tuple[ObjectRef, ...] = ()
    """Those of ``recreated`` whose selector changes: the new object does not adopt their pods."""
    leftovers: tuple[ObjectRef, ...] = ()
    """Objects of earlier hooks that would be taken for the new ones: deleted first."""
    weight_s: float | None = None
    """Rough seconds, where what Helm writes is known. Decides only the order of starting."""
    effects: tuple[str, ...] | None = None
    """What it does to running pods of others, a sentence each. None where nobody checked."""


# ------------------------------------------------------------------ before a release is changed


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateNamespace(ReleaseOperation):
    """Creates the namespace of a release, or sets its labels."""

    action: ClassVar[Literal[Action.NAMESPACE]] = Action.NAMESPACE

    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverRelease(ReleaseOperation):
    """Makes a release usable again that a dead helm process left pending."""

    action: ClassVar[Literal[Action.RECOVER]] = Action.RECOVER

    helm_revision: int
    desired: DesiredRelease | None = None
    """What follows in an ``up``. None in a rollback."""
    state: ReleaseState | None = None
    """The release as recorded. None where no run recorded it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyCrds(ReleaseOperation):
    """Applies the CRDs of a chart."""

    action: ClassVar[Literal[Action.CRDS]] = Action.CRDS

    desired: DesiredRelease
    state: ReleaseState | None = None
    """The release as recorded. None where no run recorded it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreCrds(ReleaseOperation):
    """Applies the CRDs that a revision recorded. No chart is available for them."""

    action: ClassVar[Literal[Action.CRDS]] = Action.CRDS

    state: ReleaseState


# ------------------------------------------------------------------ changing a release


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallRelease(HelmWrite):
    """Installs a release that is not in the cluster."""

    action: ClassVar[Literal[Action.INSTALL]] = Action.INSTALL

    desired: DesiredRelease
    state: ReleaseState | None = None
    """The release as recorded, where it is gone from the cluster. None for a new one."""
    helm_revision: int | None = None
    """The newest Helm revision of an uninstalled release whose history Helm kept. None without a history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeRelease(HelmWrite):
    """Upgrades a release to what the stack file describes."""

    action: ClassVar[Literal[Action.UPGRADE]] = Action.UPGRADE

    desired: DesiredRelease
    state: ReleaseState | None = None
    """The release as recorded. None for one that is taken over, or that a run installed and did not record."""
    helm_revision: int
    """The newest Helm revision in the cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairRelease(HelmWrite):
    """Upgrades a release to what is recorded already, to restore missing objects and changed fields."""

    action: ClassVar[Literal[Action.REPAIR]] = Action.REPAIR

    desired: DesiredRelease
    state: ReleaseState
    helm_revision: int
    """The newest Helm revision in the cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackRelease(HelmWrite):
    """Returns a release to the Helm revision in ``state``."""

    action: ClassVar[Literal[Action.ROLLBACK]] = Action.ROLLBACK

    state: ReleaseState
    newest_revision: int
    """The newest Helm revision when the rollback was planned. 0 for a release that is not in the cluster."""


# ------------------------------------------------------------------ after a release was changed


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitReady(ReleaseOperation):
    """Waits until a release of the stack file is ready."""

    action: ClassVar[Literal[Action.WAIT]] = Action.WAIT

    desired: DesiredRelease
    state: ReleaseState | None = None
    """The release as recorded. None for one that an operation of the same plan installs first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitRestored(ReleaseOperation):
    """Waits until a release that returned to a recorded revision is ready."""

    action: ClassVar[Literal[Action.WAIT]] = Action.WAIT

    state: ReleaseState


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPods(ReleaseOperation):
    """Restarts the pods that read Secrets whose content changed."""

    action: ClassVar[Literal[Action.ROLL]] = Action.ROLL

    desired: DesiredRelease
    state: ReleaseState
    secrets: tuple[str, ...]
    """Names of the Secrets that changed."""


# ------------------------------------------------------------------ Secrets of the stack


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplySecret(OperationBase):
    """Applies one Secret in namespaces."""

    action: ClassVar[Literal[Action.SECRETS]] = Action.SECRETS

    secret: SecretSpec
    namespaces: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveSecret(OperationBase):
    """Removes one Secret from namespaces."""

    action: ClassVar[Literal[Action.SECRETS]] = Action.SECRETS

    name: str
    namespaces: tuple[str, ...]


# ------------------------------------------------------------------ removing


@dataclass(frozen=True, slots=True, kw_only=True)
class UninstallRelease(ReleaseOperation):
    """Uninstalls a release, and deletes what its programs created."""

    action: ClassVar[Literal[Action.UNINSTALL]] = Action.UNINSTALL

    state: ReleaseState
    """The release as recorded. Without a digest where a run installed it and did not record it."""
    helm_revision: int
    """The newest Helm revision in the cluster."""
    keep_history: bool = True
    """Keep Helm's history, so that a rollback can restore the release."""
    purged: tuple[str, ...] = ()
    """Kinds of data that may be deleted too (``PersistentVolumeClaim``, ``Namespace``)."""

    @property
    def objects(self) -> tuple[ObjectRef, ...]:
        """What its programs created: deleted after the release."""
        return self.state.leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteObjects(OperationBase):
    """Deletes objects that no uninstall removes, and waits until they are gone."""

    action: ClassVar[Literal[Action.DELETE]] = Action.DELETE

    objects: tuple[ObjectRef, ...]
    whole_namespaces: bool = False
    """The namespaces of the objects are deleted too, with all that is in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VacateNamespace(OperationBase):
    """Deletes a namespace that holds nothing of others."""

    action: ClassVar[Literal[Action.VACATE]] = Action.VACATE

    namespace: str
    hooks: tuple[ObjectRef, ...] = ()
    """What hooks of the stack left in it: does not count as something of others."""
    whole_namespace: bool = False
    """Delete it with all that is in it, except Helm releases of others."""
    keep_history: bool = True
    """Keep Helm's history of the releases that were in it."""


# ------------------------------------------------------------------ releases that stay and are not the stack's


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRelease(ReleaseOperation):
    """Gives up the claim on a release, which stays in the cluster as it is."""

    action: ClassVar[Literal[Action.KEEP]] = Action.KEEP

    state: ReleaseState
    objects: tuple[ObjectRef, ...]
    """The Secrets of the stack that stay with the release."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRelease(ReleaseOperation):
    """Takes back a release that was given up."""

    action: ClassVar[Literal[Action.CLAIM]] = Action.CLAIM

    state: ReleaseState | None = None
    """The release as recorded when it was given up. None where no record names it any more."""


# ------------------------------------------------------------------ what happened beside a plan


@dataclass(frozen=True, slots=True, kw_only=True)
class GateChecks(OperationBase):
    """The gate checks of a component, or of a stack, after a change. Never part of a plan."""

    action: ClassVar[Literal[Action.CHECK]] = Action.CHECK


ChangeRelease: TypeAlias = InstallRelease | UpgradeRelease | RepairRelease
"""Brings a release to what the stack file describes."""
WriteRelease: TypeAlias = ChangeRelease | RollbackRelease
"""Everything in which Helm writes the manifest of a release."""
Wait: TypeAlias = WaitReady | WaitRestored
Operation: TypeAlias = (
    CreateNamespace
    | RecoverRelease
    | ApplyCrds
    | RestoreCrds
    | InstallRelease
    | UpgradeRelease
    | RepairRelease
    | RollbackRelease
    | WaitReady
    | WaitRestored
    | RestartPods
    | ApplySecret
    | RemoveSecret
    | UninstallRelease
    | DeleteObjects
    | VacateNamespace
    | KeepRelease
    | ClaimRelease
)
"""One node of a plan's graph."""


def recorded_state(operation: Operation) -> ReleaseState | None:
    """The release as it was recorded when the operation was planned. None without a release or a record."""
    match operation:
        case CreateNamespace() | ApplySecret() | RemoveSecret() | DeleteObjects() | VacateNamespace():
            return None
        case _:  # a new kind without a state is an error of the type checker here
            return operation.state
