"""Builds records for tests of the pure stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sparkrig.models.chart import Chart, ChartOrigin
from sparkrig.models.component import CrdOwner
from sparkrig.models.objects import ObjectRef
from sparkrig.models.operation import (
    Action,
    CreateNamespace,
    InstallRelease,
    Operation,
    RepairRelease,
    RestoreCrds,
    RollbackRelease,
    UninstallRelease,
    UpgradeRelease,
    WaitReady,
)
from sparkrig.models.release import DesiredRelease, ObservedRelease, ReleaseState, ResolvedStack
from sparkrig.models.revision import Revision, RevisionStatus
from sparkrig.models.state import ObservedState


def desired(name: str, *, needs: tuple[str, ...] = (), **changes: Any) -> DesiredRelease:
    fields: dict[str, Any] = {
        "component": name,
        "release": name,
        "namespace": f"{name}-ns",
        "namespace_labels": {},
        "chart": Chart(name, "1.0.0", "1.0.0", f"sha256:{name}", Path("/charts") / name, ChartOrigin.LOCAL),
        "values": {"replicas": 1},
        "needs": needs,
        "crd_needs": (),
        "crd_owner": CrdOwner.NONE,
        "crd_labels": {},
        "rollback": "reversible",
        "keep": (),
        "timeout_s": 60.0,
        "digest": f"sha256:{name}-1",
    }
    return DesiredRelease(**(fields | changes))


def stack(*releases: DesiredRelease) -> ResolvedStack:
    return ResolvedStack("lab", "standard", "stack.yaml", "", releases, ())


def state(release: DesiredRelease, *, helm_revision: int = 1, **changes: Any) -> ReleaseState:
    fields: dict[str, Any] = {
        "component": release.component,
        "release": release.release,
        "namespace": release.namespace,
        "chart": release.chart.name,
        "version": release.chart.version,
        "chart_digest": release.chart.digest,
        "stand_in": False,
        "digest": release.digest,
        "helm_revision": helm_revision,
        "inventory": (ObjectRef("apps", "v1", "Deployment", release.namespace, release.release),),
        "values": release.values,
        "keep": release.keep,
        "needs": release.needs,
    }
    return ReleaseState(**(fields | changes))


def revision(number: int, *after: ReleaseState, status: RevisionStatus = RevisionStatus.DEPLOYED) -> Revision:
    return Revision(
        stack="lab",
        number=number,
        status=status,
        action="up",
        who="ops@host pid 1",
        message="",
        started="2026-01-01T00:00:00Z",
        finished="2026-01-01T00:01:00Z",
        sparkrig="0.1.0",
        profile="standard",
        stack_file="",
        before=(),
        after=after,
    )


def release(of: DesiredRelease | ReleaseState, **changes: Any) -> ObservedRelease:
    fields: dict[str, Any] = {
        "name": of.release,
        "namespace": of.namespace,
        "revision": 1,
        "status": "deployed",
        "stack": "lab",
        "component": of.component,
    }
    return ObservedRelease(**(fields | changes))


def observed(*releases: ObservedRelease, last: Revision | None = None, **changes: Any) -> ObservedState:
    namespaces = {found.namespace: {} for found in releases}
    fields: dict[str, Any] = {"pending": None, "namespaces": namespaces}
    return ObservedState(
        releases={(found.namespace, found.name): found for found in releases}, last=last, **(fields | changes)
    )


def operation(action: Action, name: str, needs: tuple[str, ...] = (), **changes: Any) -> Operation:
    """An operation on the release of that name, with its ID ``<action>/<name>``."""
    wanted = changes.pop("desired", None) or desired(name)
    recorded = changes.pop("state", None) or state(wanted)
    common: dict[str, Any] = {
        "id": f"{action}/{name}",
        "component": name,
        "needs": needs,
        "release": name,
        "namespace": "ns",
        "reason": "because",
        "timeout_s": 10.0,
    }
    common |= changes
    match action:
        case Action.NAMESPACE:
            return CreateNamespace(**{"labels": {}} | common)
        case Action.CRDS:
            return RestoreCrds(**common, state=recorded)
        case Action.INSTALL:
            return InstallRelease(**common, desired=wanted)
        case Action.UPGRADE:
            return UpgradeRelease(**{"helm_revision": 1} | common, desired=wanted, state=recorded)
        case Action.REPAIR:
            return RepairRelease(**{"helm_revision": 1} | common, desired=wanted, state=recorded)
        case Action.ROLLBACK:
            return RollbackRelease(**{"newest_revision": 1} | common, state=recorded)
        case Action.UNINSTALL:
            return UninstallRelease(**{"helm_revision": 1} | common, state=recorded)
        case Action.WAIT:
            return WaitReady(**common, desired=wanted)
    raise NotImplementedError(action)
