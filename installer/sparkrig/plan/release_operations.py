"""Makes the operations that lead one release to what the stack file describes. Pure."""

from __future__ import annotations

from typing import TypedDict

from sparkrig.models.operation import (
    Action,
    ApplyCrds,
    ChangeRelease,
    CreateNamespace,
    InstallRelease,
    RecoverRelease,
    RepairRelease,
    UpgradeRelease,
    WaitReady,
)
from sparkrig.models.release import DesiredRelease, ObservedRelease, ReleaseState
from sparkrig.plan.decide import Decided


def create_namespace(desired: DesiredRelease) -> CreateNamespace:
    """Creates the namespace of a release, or sets the labels that it wants there."""
    return CreateNamespace(
        id=f"namespace/{desired.namespace}",
        component=desired.component,
        release=desired.release,
        namespace=desired.namespace,
        reason="the namespace and its labels",
        timeout_s=60.0,
        labels=dict(desired.namespace_labels),
    )


class OnRelease(TypedDict):
    """What every operation on a release has, desired or recorded."""

    id: str
    component: str
    release: str
    namespace: str
    timeout_s: float


def on_release(action: Action, release: DesiredRelease | ReleaseState) -> OnRelease:
    """What an operation takes over from its release."""
    return {
        "id": f"{action}/{release.component}",
        "component": release.component,
        "release": release.release,
        "namespace": release.namespace,
        "timeout_s": release.timeout_s,
    }


def recover(desired: DesiredRelease, state: ReleaseState | None, found: ObservedRelease) -> RecoverRelease:
    """Recovers a release that a dead helm process left pending."""
    return RecoverRelease(
        **on_release(Action.RECOVER, desired),
        desired=desired,
        reason=f"left {found.status}",
        state=state,
        helm_revision=found.revision,
    )


def apply_crds(desired: DesiredRelease, reason: str, state: ReleaseState | None) -> ApplyCrds:
    """Applies the CRDs of the chart of a release."""
    return ApplyCrds(**on_release(Action.CRDS, desired), desired=desired, reason=reason, state=state)


def change(
    action: Decided,
    desired: DesiredRelease,
    state: ReleaseState | None,
    found: ObservedRelease | None,
    needs: tuple[str, ...],
    reason: str,
) -> ChangeRelease:
    """What ``decide`` decided: only what is in the cluster is upgraded, only what is recorded is repaired."""
    common = on_release(action, desired)
    if action is Action.INSTALL or found is None:
        newest = found.revision if found else None
        return InstallRelease(**common, desired=desired, needs=needs, reason=reason, state=state, helm_revision=newest)
    revision = found.revision
    if action is Action.UPGRADE or state is None:
        return UpgradeRelease(
            **common, desired=desired, needs=needs, reason=reason, state=state, helm_revision=revision
        )
    return RepairRelease(**common, desired=desired, needs=needs, reason=reason, state=state, helm_revision=revision)


def wait_ready(desired: DesiredRelease, needs: tuple[str, ...], reason: str, state: ReleaseState | None) -> WaitReady:
    """Waits until a release is ready."""
    return WaitReady(**on_release(Action.WAIT, desired), desired=desired, needs=needs, reason=reason, state=state)
