"""What is to be done with one release, and why. Pure."""

from __future__ import annotations

from typing import Literal, TypeAlias

from sparkrig.models.component import CrdOwner
from sparkrig.models.operation import Action
from sparkrig.models.release import DesiredRelease, ObservedRelease, ReleaseState
from sparkrig.models.state import ObservedState
from sparkrig.plan.diff.changes import GONE
from sparkrig.plan.diff.drift import what_to_repair

PENDING = ("pending-install", "pending-upgrade", "pending-rollback", "uninstalling")
"""Helm's statuses of a release whose helm process is at work, or died at it."""
Decided: TypeAlias = Literal[Action.INSTALL, Action.UPGRADE, Action.REPAIR]


def decide(
    desired: DesiredRelease,
    state: ReleaseState | None,
    found: ObservedRelease | None,
    observed: ObservedState,
    *,
    repair: bool,
) -> tuple[Decided | None, str]:
    """What to do with one release, and why; None for nothing."""
    if found is None or found.status in GONE:
        return Action.INSTALL, "new" if state is None else "the release is gone from the cluster"
    if found.status in PENDING:
        return Action.UPGRADE, f"{_whose_helm(observed)} {found.status}"
    if state is None and found.stack is None and found.former is not None:
        return Action.UPGRADE, "taken back, it was left in place"
    if state is None and desired.adopt and found.stack is None:
        return Action.UPGRADE, "taken over from somebody else"
    if state is None:
        if observed.at_work:
            return Action.UPGRADE, f"the run of {observed.at_work} made it and goes on"
        return Action.UPGRADE, "an earlier run ended before it was recorded"
    if state.digest != desired.digest:
        return Action.UPGRADE, "changed"
    if found.status != "deployed":
        return Action.UPGRADE, f"Helm says {found.status}"
    if found.revision != state.helm_revision:
        who = f"the run of {observed.at_work}, which goes on," if observed.at_work else "somebody else"
        return Action.UPGRADE, f"{who} changed it (Helm revision {state.helm_revision} -> {found.revision})"
    if repair and desired.crd_owner is not CrdOwner.US and (drift := observed.crd_drift.get(desired.component)):
        return Action.REPAIR, "1 CRD is missing" if len(drift) == 1 else f"{len(drift)} CRDs are missing"
    if repair and (trouble := what_to_repair(desired.component, observed)):
        return Action.REPAIR, trouble
    return None, ""


def _whose_helm(observed: ObservedState) -> str:
    """Whether the helm of a pending release lives: that of a run which holds the lock does, others were looked at."""
    if observed.at_work:
        return f"helm is at work on it in the run of {observed.at_work}:"
    if observed.pending is not None and observed.at_work is None:
        return "a helm that died, or one of a run that goes on, left it"
    return "a helm that died left it"
