"""Builds the plan back to a recorded revision: of ``rollback``, and of a failed upgrade's return. Pure.

Goes through Helm's own history: every release returns to the Helm revision that the target recorded,
releases that came later are uninstalled, removed ones are brought back (``helm rollback`` replays
the manifest of a release that was uninstalled with its history kept).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from sparkrig.models.operation import (
    Action,
    CreateNamespace,
    Operation,
    RecoverRelease,
    RestoreCrds,
    RollbackRelease,
    WaitRestored,
)
from sparkrig.models.plan import Change, Plan
from sparkrig.models.release import ObservedRelease, ReleaseState
from sparkrig.models.revision import Revision
from sparkrig.models.state import CrdDrift, ObservedState
from sparkrig.plan.build import recorded_states, removals, strays
from sparkrig.plan.crds.drift import CRD_KIND
from sparkrig.plan.decide import PENDING
from sparkrig.plan.diff.changes import GONE
from sparkrig.plan.graph import ordered
from sparkrig.plan.keeping import (
    after_claims,
    claim,
    is_given_up,
    keepings,
    kept_change,
    last_of_all,
    stays,
    still_kept,
    taken_back,
)
from sparkrig.plan.release_operations import on_release
from sparkrig.plan.secrets import as_started


def plan_restore(
    target: Revision,
    observed: ObservedState,
    *,
    keep_history: bool = True,
    crd_drift: Mapping[str, Sequence[CrdDrift]] | None = None,
) -> Plan:
    """The way from what is observed to what ``target`` recorded.

    Releases that are as the target left them (same Helm revision, deployed, nothing missing) stay
    untouched. The effects of hooks are not undone. ``keep_history`` False forgets what is
    uninstalled: a release that only a failed run knew has nothing worth returning to. ``crd_drift`` names the CRDs
    that are not as the target recorded them (component -> CRDs): they are applied again as they were then. Without it
    CRDs stay as they are.
    """
    operations: list[Operation] = []
    changes: list[Change] = []
    unchanged: list[ReleaseState] = []
    claimed: list[str] = []
    for state in as_started(target.after, recorded_states(observed)):
        found = observed.releases.get((state.namespace, state.release))
        if is_given_up(found, target.stack):
            operations.append(claim(state, state))
            claimed.append(state.component)
        drift = tuple((crd_drift or {}).get(state.component, ()))
        crds = _crds(state, drift)
        operations += crds
        if _is_as_recorded(state, found) and not observed.missing.get(state.component):
            unchanged.append(state)
            if not crds and (labels := _labels_to_restore(state, target, observed)):
                operations.append(_namespace(state, labels, "its labels, as recorded"))
                changes.append(Change(state.component, "~", f"{state.version}  labels of its namespace"))
                continue
            if crds:
                operations.append(_wait(state, (crds[0].id,), "until it is ready"))
                changes.append(Change(state.component, "~", f"{state.version}  CRDs", _crd_lines(state, drift)))
                continue
            if observed.live.get(state.component):
                operations.append(_wait(state, (), "not ready yet"))
            same = Change(state.component, "=", "unchanged")
            changes.append(taken_back(state) if state.component in claimed else same)
            continue
        there = state.namespace in observed.namespaces
        operations += _return(state, found, there=there, after=tuple(one.id for one in crds))
        changes.append(Change(state.component, *_describe(state, found, observed), _crd_lines(state, drift)))
    again = tuple(_kept_then(target, observed))
    for state in again:
        found = observed.releases.get((state.namespace, state.release))
        if not _is_as_recorded(state, found) and not is_given_up(found, target.stack):
            operations += _return(state, found, there=True)
    names = {(state.namespace, state.release) for state in again}
    later = tuple(
        state
        for state in _later(target, observed)
        if (state.namespace, state.release) not in names and not stays(state, target.stack, observed)
    )
    operations = list({operation.id: operation for operation in operations}.values())  # one a namespace
    operations = after_claims(operations, claimed)
    operations = [_with_edges(operation, operations, (*target.after, *again)) for operation in operations]
    gone = removals(later, operations, observed, reason=f"not in revision {target.number}")
    operations += [replace(operation, keep_history=keep_history) for operation in gone]
    read = {(state.namespace, name) for state in target.after for name in state.secrets}
    operations += last_of_all(keepings(target.stack, again, (), observed, read), operations)
    changes += [Change(state.component, "-", f"{state.version}  not in revision {target.number}") for state in later]
    changes += [kept_change(state, observed, target.stack) for state in again]
    base = observed.last.number if observed.last else 0
    kept = tuple(state for state in still_kept(observed, target.stack) if state.component not in claimed)
    return Plan(target.stack, "rollback", base, ordered(operations), tuple(changes), tuple(unchanged), kept)


def _kept_then(target: Revision, observed: ObservedState) -> Iterator[ReleaseState]:
    """What was left in place then, and has been taken back since, or half taken back by a run that failed."""
    recorded = {(state.namespace, state.release) for state in recorded_states(observed)}
    for state in target.kept:
        key = (state.namespace, state.release)
        found = observed.releases.get(key)
        if found is None or found.status in GONE:
            continue
        if found.stack == target.stack or (key in recorded and is_given_up(found, target.stack)):
            yield state


def missing_helm_revisions(
    target: Revision, helm_revisions: Mapping[tuple[str, str], frozenset[int]]
) -> tuple[ReleaseState, ...]:
    """The releases of ``target`` that cannot be brought back: Helm no longer has the recorded revision.

    ``helm_revisions`` maps (namespace, release) to the revisions whose Secrets exist.
    """
    return tuple(
        state
        for state in target.after
        if state.helm_revision not in helm_revisions.get((state.namespace, state.release), frozenset())
    )


def _is_as_recorded(state: ReleaseState, found: ObservedRelease | None) -> bool:
    return found is not None and found.status == "deployed" and found.revision == state.helm_revision


def _return(
    state: ReleaseState, found: ObservedRelease | None, *, there: bool, after: tuple[str, ...] = ()
) -> list[Operation]:
    """One release's way back; ``after`` are operations that its rollback needs."""
    operations: list[Operation] = []
    before: tuple[str, ...] = ()
    if not there and (found is None or found.status in GONE):
        reason = "the namespace, with Helm's history of what was in it"
        operations.append(_namespace(state, state.namespace_labels, reason))
        before = (operations[0].id,)
    if found and found.status in PENDING:
        reason = f"left {found.status}"
        common = on_release(Action.RECOVER, state)
        operations.append(RecoverRelease(**common, reason=reason, state=state, helm_revision=state.helm_revision))
        before = (operations[0].id,)
    rollback = RollbackRelease(
        **on_release(Action.ROLLBACK, state),
        needs=(*before, *after),
        reason=f"back to Helm revision {state.helm_revision}",
        state=state,
        newest_revision=found.revision if found else 0,
    )
    return [*operations, rollback, _wait(state, (rollback.id,), "until it is ready")]


def _wait(state: ReleaseState, needs: tuple[str, ...], reason: str) -> WaitRestored:
    return WaitRestored(**on_release(Action.WAIT, state), needs=needs, reason=reason, state=state)


def _namespace(state: ReleaseState, labels: Mapping[str, str], reason: str) -> CreateNamespace:
    return CreateNamespace(
        id=f"namespace/{state.namespace}",
        component=state.component,
        release=state.release,
        namespace=state.namespace,
        reason=reason,
        timeout_s=state.timeout_s,
        labels=dict(labels),
    )


def _labels_to_restore(state: ReleaseState, target: Revision, observed: ObservedState) -> dict[str, str]:
    """The labels of a namespace as all of its releases had them; empty where they are still there."""
    there = observed.namespaces.get(state.namespace)
    wanted = {
        key: value
        for other in target.after
        if other.namespace == state.namespace
        for key, value in other.namespace_labels.items()
    }
    return wanted if there is not None and not wanted.items() <= there.items() else {}


def _crds(state: ReleaseState, drift: Sequence[CrdDrift]) -> tuple[RestoreCrds, ...]:
    """Applies the recorded CRDs again where they are not as they were, as far as the record has them."""
    recorded = [one for one in drift if one.name in state.crd_digests]
    if not recorded:
        return ()
    return (RestoreCrds(**on_release(Action.CRDS, state), reason="custom resource definitions first", state=state),)


def _crd_lines(state: ReleaseState, drift: Sequence[CrdDrift]) -> tuple[str, ...]:
    """What becomes of CRDs that no record holds; of the others the review says what is done."""
    left = [one.name for one in drift if one.name not in state.crd_digests]
    lines = [f"CRDs stay missing: {', '.join(left)}: that revision does not hold them"] if left else []
    in_manifest = {ref.name for ref in state.inventory if ref.kind == CRD_KIND}
    if not state.crd_digests and set(state.crds) - in_manifest:
        lines.append("CRDs stay as they are: that revision does not hold them")
    return tuple(lines[:1])


def _with_edges(operation: Operation, operations: Iterable[Operation], states: Iterable[ReleaseState]) -> Operation:
    """A release comes back after those that it needs are ready again."""
    if not isinstance(operation, RollbackRelease):
        return operation
    known = {other.id for other in operations}
    needs = next(state.needs for state in states if state.component == operation.component)
    edges = tuple(f"wait/{name}" for name in needs if f"wait/{name}" in known)
    edges += tuple(other.id for other in operations if _brings_kinds_of(other, operation))
    return replace(operation, needs=(*operation.needs, *edges))


def _brings_kinds_of(crds: Operation, operation: RollbackRelease) -> bool:
    """Whether ``crds`` applies CRDs of another component of which the release has custom resources."""
    if not isinstance(crds, RestoreCrds) or crds.component == operation.component:
        return False
    groups = {name.partition(".")[2] for name in crds.state.crd_digests}
    return any(ref.group in groups for ref in operation.state.inventory)


def _describe(
    state: ReleaseState, found: ObservedRelease | None, observed: ObservedState
) -> tuple[Literal["+", "~"], str]:
    now = next((s for s in recorded_states(observed) if s.component == state.component), None)
    if found is None or found.status in GONE:
        return "+", f"{state.version}  comes back"
    if now is not None and now.version != state.version:
        return "~", f"{now.version} -> {state.version}"
    return "~", f"{state.version}  values" if now is not None and now.values != state.values else state.version


def _later(target: Revision, observed: ObservedState) -> tuple[ReleaseState, ...]:
    """What is in the cluster and not in the target: recorded since, or installed by the run that failed."""
    wanted = {(state.namespace, state.release) for state in target.after}
    recorded = tuple(s for s in recorded_states(observed) if (s.namespace, s.release) not in wanted)
    found = strays(target.stack, (*target.after, *recorded), observed)
    return (*recorded, *found)
