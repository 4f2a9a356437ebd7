"""What a plan's CRDs would do, looked at before anything is written: dangers, whom they hurt, who owned them.

Reads the CRDs that change, and the custom resources of those that are dangerous. Writes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeGuard

from sparkrig.apply.crds.apply import installed, is_current, owners, wanted_crds
from sparkrig.apply.crds.owners import changing_hands, new_owner
from sparkrig.defaults import API_CONNECTIONS
from sparkrig.errors import Refused, SparkrigError
from sparkrig.helm.charts.archive import crds as chart_crds
from sparkrig.history.crds import CrdStore
from sparkrig.kube.client import KubeApi
from sparkrig.models.component import CrdOwner
from sparkrig.models.json import mapping_at, name_of
from sparkrig.models.operation import (
    ApplyCrds,
    InstallRelease,
    Operation,
    RestoreCrds,
    RollbackRelease,
    UpgradeRelease,
    WriteRelease,
    recorded_state,
)
from sparkrig.models.plan import Plan
from sparkrig.models.release import ReleaseState
from sparkrig.plan.crds.drift import CRD_KIND, CRDS
from sparkrig.plan.crds.safety import HOPELESS, Danger, dangers, storage_version
from sparkrig.plan.crds.use import Reach, reach

Bringing: TypeAlias = ApplyCrds | RestoreCrds | InstallRelease | UpgradeRelease
"""Operations that may bring CRDs into the cluster."""
SHOWN = 8
"""Lines about one component's CRDs before the rest is counted."""
FEW = 2
"""Harmless changes of one CRD that are spelt out."""


@dataclass(frozen=True, slots=True)
class CrdChange:
    """One CRD that is in the cluster and would become another one."""

    component: str
    name: str
    reaches: tuple[Reach, ...]
    owners: tuple[str, ...]
    """Who applied it so far, where that was not us."""

    @property
    def hurting(self) -> tuple[Reach, ...]:
        """What speaks against it."""
        return tuple(one for one in self.reaches if one.blocks)

    @property
    def hopeless(self) -> bool:
        """True when no permission helps: it has to be deleted first, and custom resources are there."""
        return any(one.danger.code in HOPELESS and one.objects for one in self.reaches)


class CrdReview:
    """Looks at the CRDs of plans; remembers the last one for ``refuse``."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self.changes: tuple[CrdChange, ...] = ()
        self.rendered: Mapping[str, Sequence[Mapping[str, Any]]] = {}
        """Component -> the CRDs among its templates, which Helm will apply; whoever renders them puts them here."""

    def reviewed(self, plan: Plan) -> Plan:
        """The plan with what it does to CRDs, below each component; one without CRDs costs no request."""
        operations = [operation for operation in plan.operations if _brings_crds(operation)]
        handing = [operation for operation in plan.operations if _may_hand_over(operation)]
        if not operations and not handing:
            self.changes = ()
            return plan
        there = installed(self._api)
        store = CrdStore(self._api, plan.stack)
        recorded = (recorded_state(operation) for operation in plan.operations)
        states = [*plan.unchanged, *(state for state in recorded if state is not None)]
        lines: dict[str, list[str]] = {}
        changes: list[CrdChange] = []
        for operation in operations:
            wanted = self._wanted(operation, store)
            ours = isinstance(operation, ApplyCrds | RestoreCrds)
            todo = [crd for crd in wanted if not (ours and is_current(there.get(crd["metadata"]["name"]), crd))]
            old = [crd for crd in todo if crd["metadata"]["name"] in there]
            with ThreadPoolExecutor(API_CONNECTIONS) as pool:
                found = pool.map(lambda crd, o=operation: self._look(o.component, crd, states), old)
                mine = [change for change in found if change is not None]
            if not ours:  # who takes it from whom is told by ``changing_hands``
                mine = [replace(change, owners=()) for change in mine if change.reaches]
                lines[operation.component] = _lines(mine)
            changes += mine
            if todo and ours:
                counted = f"CRDs: {len(todo) - len(old)} new, {len(old)} applied again, {len(wanted) - len(todo)} as is"
                lines[operation.component] = [counted, *_lines(mine)]
        self.changes = tuple(changes)
        for change in handing:
            if names := changing_hands(change, there):
                told = f"hands {len(names)} CRDs over to {new_owner(change)}: {', '.join(names)}"
                lines.setdefault(change.component, []).append(told)
        return replace(
            plan,
            changes=tuple(
                replace(change, details=(*change.details, *lines.get(change.component, ()))) for change in plan.changes
            ),
        )

    def refuse(self, allowed: Sequence[str]) -> None:
        """Stops before anything is written where custom resources would be hurt.

        ``allowed`` names CRDs whose change somebody takes the risk of.

        Raises:
            Refused: names each CRD, danger and custom resource.
        """
        hurting = [c for c in self.changes if c.hurting and (c.name not in allowed or c.hopeless)]
        if not hurting:
            return
        lines = [f"CRD {change.name} ({change.component}): {one}" for change in hurting for one in change.hurting]
        hopeless = [change.name for change in hurting if change.hopeless]
        flags = " ".join(f"--allow-crd-change {change.name}" for change in hurting if not change.hopeless)
        hint = f"save and delete the custom resources of {', '.join(hopeless)} first" if hopeless else ""
        if flags:
            hint += (f"; for the others {flags}") if hopeless else f"change the custom resources, or go on with {flags}"
        raise Refused(
            f"{len(hurting)} CRD change{'s' if len(hurting) > 1 else ''} would hurt custom resources; "
            "nothing was changed",
            detail=lines,
            hint=hint,
        )

    def _wanted(self, operation: Bringing, store: CrdStore) -> list[dict[str, Any]]:
        """The CRDs as they will be. What a hook's job applies is taken to be what lies in the chart's ``crds/``."""
        if isinstance(operation, ApplyCrds | RestoreCrds):
            return wanted_crds(operation, store)
        desired = operation.desired
        if desired.crd_owner is CrdOwner.HELM:
            return [dict(crd) for crd in self.rendered.get(operation.component, ())]
        return chart_crds(desired.chart.path, desired.values)

    def _look(self, component: str, crd: Mapping[str, Any], states: Iterable[ReleaseState]) -> CrdChange | None:
        name = name_of(crd)
        live = self._api.get(f"{CRDS}/{name}", missing_ok=True)
        if live is None:
            return None
        objects = _Objects(self._api, live)
        reaches = tuple(
            _with_releases(objects.reach(danger), mapping_at(live, "spec"), states) for danger in dangers(live, crd)
        )
        return CrdChange(component, name, reaches, owners(mapping_at(live, "metadata"), component))


class _Objects:
    """The custom resources of one CRD, read once a version and only when they are asked for."""

    def __init__(self, api: KubeApi, crd: Mapping[str, Any]) -> None:
        self._api = api
        self._spec = crd["spec"]
        self._read: dict[str, list[dict[str, Any]]] = {}

    def reach(self, danger: Danger) -> Reach:
        """The danger with what it hurts; what cannot be read counts as hurt."""
        try:
            return reach(danger, self._in(danger.version))
        except SparkrigError as error:
            return Reach(danger, (f"(unknown: {error.message})",))

    def _in(self, version: str) -> list[dict[str, Any]]:
        served = [v["name"] for v in self._spec["versions"] if v.get("served")]
        storage = storage_version(self._spec)
        version = next((v for v in (version, storage, *served) if v in served), "")
        if not version:
            return []
        if version not in self._read:
            collection = f"/apis/{self._spec['group']}/{version}/{self._spec['names']['plural']}"
            self._read[version] = self._api.list(collection)
        return self._read[version]


def _brings_crds(operation: Operation) -> TypeGuard[Bringing]:
    match operation:
        case ApplyCrds() | RestoreCrds():
            return True
        case InstallRelease() | UpgradeRelease():
            return operation.desired.crd_owner in (CrdOwner.HELM, CrdOwner.HOOK)
        case _:
            return False


def _may_hand_over(operation: Operation) -> TypeGuard[WriteRelease]:
    """Whether CRDs of a release may get another owner by this; looked at before the cluster is asked."""
    match operation:
        case InstallRelease() | UpgradeRelease():
            recorded = operation.state is not None and bool(operation.state.crds)
            return recorded and operation.desired.crd_owner in (CrdOwner.HELM, CrdOwner.HOOK)
        case RollbackRelease():
            return any(ref.kind == CRD_KIND for ref in operation.state.inventory)
        case _:
            return False


def _with_releases(found: Reach, spec: Mapping[str, Any], states: Iterable[ReleaseState]) -> Reach:
    """Adds releases that use a version which is no longer served: Helm could neither upgrade nor remove them."""
    if found.danger.code != "version-removed":
        return found
    key = (spec["group"], found.danger.version, spec["names"]["kind"])
    using = {
        f"release {state.namespace}/{state.release}"
        for state in states
        if any((ref.group, ref.version, ref.kind) == key for ref in state.inventory)
    }
    return replace(found, objects=(*found.objects, *sorted(using)))


def _lines(changes: Sequence[CrdChange]) -> list[str]:
    lines = [f"! CRD {c.name}: {one}   needs --allow-crd-change {c.name}" for c in changes for one in c.hurting]
    lines += [f"takes CRD {c.name} over from {', '.join(c.owners)}" for c in changes if c.owners]
    lines += [line for change in changes for line in _harmless(change)]
    return lines if len(lines) <= SHOWN else [*lines[:SHOWN], f"and {len(lines) - SHOWN} more about CRDs"]


def _harmless(change: CrdChange) -> list[str]:
    """What hurts nobody, counted by kind where it is much: a new major narrows hundreds of fields that nobody uses."""
    harmless = [one for one in change.reaches if not one.blocks]
    if len(harmless) <= FEW:
        return [f"CRD {change.name}: {one}" for one in harmless]
    kinds = ", ".join(f"{n} {code}" for code, n in Counter(one.danger.code for one in harmless).most_common())
    return [f"CRD {change.name}: {len(harmless)} changes that hurt no custom resource ({kinds})"]
