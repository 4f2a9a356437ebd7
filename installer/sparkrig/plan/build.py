"""Builds the plan of ``up`` and ``down``. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from sparkrig.models.component import CrdOwner
from sparkrig.models.operation import Action, ChangeRelease, CreateNamespace, Operation, UninstallRelease, Wait
from sparkrig.models.plan import Change, Plan
from sparkrig.models.release import DesiredRelease, ObservedRelease, ReleaseState, ResolvedStack
from sparkrig.models.revision import RevisionStatus
from sparkrig.models.state import ObservedState
from sparkrig.plan.decide import PENDING, Decided, decide
from sparkrig.plan.diff.changes import GONE, Defaults, describe_change, describe_crd_repair, describe_trouble
from sparkrig.plan.diff.drift import labels_drifted, with_trouble
from sparkrig.plan.graph import ordered
from sparkrig.plan.keeping import (
    after_claims,
    claim,
    is_given_up,
    keepings,
    kept_change,
    last_of_all,
    recorded_of,
    stays,
    still_kept,
    taken_back,
)
from sparkrig.plan.release_operations import apply_crds, change, create_namespace, recover, wait_ready
from sparkrig.plan.secrets import changed_secrets, removed_changes, roll_operation, wanted_places, with_secrets
from sparkrig.plan.secrets import removals as secret_removals


@dataclass(frozen=True, slots=True)
class Claim:
    """A release that the stack wants and that is not the stack's."""

    component: str
    release: str
    namespace: str
    owner: str | None
    """The other stack; None when a person or another tool made it."""


def foreign_claims(resolved: ResolvedStack, observed: ObservedState) -> tuple[Claim, ...]:
    """Every desired release that exists already and belongs to somebody else.

    One of no stack that the stack file adopts is not among them.
    """
    claims = []
    for desired in resolved.releases:
        found = observed.releases.get((desired.namespace, desired.release))
        if found and ((desired.adopt and found.stack is None) or is_given_up(found, resolved.name)):
            continue
        if found and found.status not in GONE and found.stack != resolved.name:
            claims.append(Claim(desired.component, desired.release, desired.namespace, found.stack))
    return tuple(claims)


def moved_claims(resolved: ResolvedStack, observed: ObservedState) -> tuple[tuple[ReleaseState, DesiredRelease], ...]:
    """Every release whose namespace or name changed since the last record: Helm cannot move one."""
    recorded = _by_component(observed)
    return tuple(
        (state, desired)
        for desired in resolved.releases
        if (state := recorded.get(desired.component))
        and (state.namespace, state.release) != (desired.namespace, desired.release)
        and _is_present(state.component, (state,), observed)
    )


def plan_up(
    resolved: ResolvedStack,
    observed: ObservedState,
    *,
    repair: bool = False,
    keep: Collection[str] = (),
    defaults: Mapping[str, Defaults] | None = None,
) -> Plan:
    """The way from what is observed to what the stack file describes.

    A release is left alone when the newest finished revision recorded the same desired digest and
    Helm still shows the revision that run left, deployed. One whose objects are missing is changed
    only with ``repair``, as is one with fields that somebody else changed, where these were looked for; one whose
    objects are not ready is waited for. What the stack does not want any
    more is uninstalled, but for the components in ``keep``, which stay and are given up. ``defaults`` are charts'
    own values of components, for showing what a value was that nobody had set.
    """
    recorded = _by_component(observed)
    operations: list[Operation] = []
    changes: list[Change] = []
    unchanged: list[ReleaseState] = []
    kept = still_kept(observed, resolved.name)
    claimed: list[str] = []
    for desired in resolved.releases:
        state = recorded.pop(desired.component, None)
        found = observed.releases.get((desired.namespace, desired.release))
        if found is not None and is_given_up(found, resolved.name):
            state = state or recorded_of(desired, kept)
            operations.append(claim(state or desired, state))
            claimed.append(desired.component)
        action, reason = decide(desired, state, found, observed, repair=repair)
        trouble = describe_trouble(desired.component, observed)
        changed = changed_secrets(desired, state) if state is not None else ()
        mends = action is None and _mends_crds(desired, observed, repair=repair)
        crds = (apply_crds(desired, "as recorded", state),) if mends else ()
        operations += crds
        if action is None and state is not None and changed:
            changes.append(Change(desired.component, "~", f"{desired.chart.version}  restarts: {', '.join(changed)}"))
            operations.append(roll_operation(desired, state, changed, tuple(o.id for o in crds)))
            operations.append(wait_ready(desired, (operations[-1].id,), "until it is ready", state))
            continue
        if action is None and state is not None:
            unchanged.append(state)
            around = labels_drifted(desired.component, observed) if repair else None
            if around is not None:
                changes.append(around)
                operations.append(create_namespace(desired))
            if crds:
                changes.append(describe_crd_repair(desired, observed))
                operations.append(wait_ready(desired, (crds[0].id,), "until it is ready", state))
            if crds or around is not None:
                continue
            same = Change(desired.component, "=", "unchanged")
            changes.append(trouble or (taken_back(state) if desired.component in claimed else same))
            if trouble and observed.live.get(desired.component) and not observed.missing.get(desired.component):
                operations.append(wait_ready(desired, (), "not ready yet", state))
            continue
        if action is None:
            raise AssertionError(f"{desired.component} has no record and no action")
        known = (defaults or {}).get(desired.component, ({}, {}))
        changes.append(describe_change(desired, state, found, action, reason, known, at_work=bool(observed.at_work)))
        if action is Action.REPAIR:
            changes[-1] = with_trouble(changes[-1], desired.component, observed)
        operations += _change_release(desired, state, found, observed, action, reason)
        if state is not None and (stale := tuple(name for name in changed if name in state.secrets)):
            # A Secret that is new to the release needs no restart: the upgrade starts what reads it.
            *operations, wait = operations
            operations.append(roll_operation(desired, state, stale, wait.needs))
            operations.append(replace(wait, needs=(operations[-1].id,)))
    wanted = {(desired.namespace, desired.release) for desired in resolved.releases}
    there = recorded_states(observed)
    lost = (s for s in strays(resolved.name, there, observed) if (s.namespace, s.release) not in wanted)
    left = (*recorded.values(), *lost)
    removed = tuple(s for s in left if not stays(s, resolved.name, observed, keep))
    staying = tuple(s for s in left if s not in removed)
    operations = _link(after_claims(operations, claimed), resolved)
    kept = tuple(state for state in kept if state.component not in claimed)
    giving = keepings(resolved.name, staying, kept, observed, wanted_places(resolved))
    given = [(ref.namespace, ref.name) for operation in giving for ref in operation.objects]
    operations, secret_changes = with_secrets(resolved, observed, operations, staying=given)
    changes += secret_changes
    operations += removals(removed, operations, observed, reason="no longer in the stack")
    operations += last_of_all(giving, operations)
    changes += [Change(state.component, "-", f"removed {state.version}", _kept(state, observed)) for state in removed]
    changes += [kept_change(state, observed, resolved.name) for state in staying]
    base = observed.last.number if observed.last else 0
    return Plan(resolved.name, "up", base, ordered(operations), tuple(changes), tuple(unchanged), kept)


def plan_down(stack: str, observed: ObservedState) -> Plan:
    """The way to no release of this stack, dependents first. CRDs and kept kinds stay."""
    states = tuple(_by_component(observed).values())
    left = (*states, *strays(stack, states, observed))
    everything = tuple(s for s in left if not stays(s, stack, observed))
    staying = tuple(s for s in left if s not in everything)
    kept = still_kept(observed, stack)
    giving = keepings(stack, staying, kept, observed)
    given = {(ref.namespace, ref.name) for operation in giving for ref in operation.objects}
    operations: list[Operation] = [*removals(everything, [], observed, reason="the stack is removed")]
    places = [place for place in observed.secrets if place not in given]
    secrets = secret_removals(places, operations, reason="the stack is removed")
    operations += secrets
    operations += last_of_all(giving, operations)
    changes = [Change(s.component, "-", f"removed {s.version}".rstrip(), _kept(s, observed)) for s in everything]
    changes += [kept_change(s, observed, stack) for s in staying]
    changes += removed_changes(secrets)
    base = observed.last.number if observed.last else 0
    return Plan(stack, "down", base, ordered(operations), tuple(changes), (), kept)


def recorded_states(observed: ObservedState) -> tuple[ReleaseState, ...]:
    """The releases as the newest finished revision left them."""
    return observed.last.after if observed.last else ()


def _by_component(observed: ObservedState) -> dict[str, ReleaseState]:
    return {state.component: state for state in recorded_states(observed)}


def strays(stack: str, states: Iterable[ReleaseState], observed: ObservedState) -> tuple[ReleaseState, ...]:
    """Releases that carry the stack's label and stand in no record: a run died before it could write."""
    known = {(state.namespace, state.release) for state in states}
    return tuple(
        ReleaseState(
            component=found.component or found.name,
            release=found.name,
            namespace=found.namespace,
            chart="",
            version="",
            chart_digest="",
            stand_in=False,
            digest="",
            helm_revision=found.revision,
            inventory=(),
        )
        for key, found in sorted(observed.releases.items())
        if found.stack == stack and key not in known and found.status not in GONE
    )


def _mends_crds(desired: DesiredRelease, observed: ObservedState, *, repair: bool) -> bool:
    """Whether CRDs are applied again though nothing else changes: a run that failed may have left them otherwise."""
    unfinished = observed.pending is not None or (
        observed.last is not None and observed.last.status in (RevisionStatus.FAILED, RevisionStatus.ROLLED_BACK)
    )
    drifted = bool(observed.crd_drift.get(desired.component))
    return desired.crd_owner is CrdOwner.US and drifted and (repair or unfinished)


def _change_release(
    desired: DesiredRelease,
    state: ReleaseState | None,
    found: ObservedRelease | None,
    observed: ObservedState,
    action: Decided,
    reason: str,
) -> list[Operation]:
    """The operations of one release, linked among themselves; dependencies are linked later."""
    operations: list[Operation] = []
    before: list[str] = []
    if found and found.status in PENDING:
        operations.append(recover(desired, state, found))
        before.append(operations[-1].id)
    if _namespace_differs(desired, observed):
        before.append(f"namespace/{desired.namespace}")
        operations.append(create_namespace(desired))
    if desired.crd_owner is CrdOwner.US:
        operations.append(apply_crds(desired, "custom resource definitions first", state))
        before.append(operations[-1].id)
    operations.append(change(action, desired, state, found, tuple(before), reason))
    operations.append(wait_ready(desired, (operations[-1].id,), "until it is ready", state))
    return operations


def _namespace_differs(desired: DesiredRelease, observed: ObservedState) -> bool:
    labels = observed.namespaces.get(desired.namespace)
    return labels is None or any(labels.get(key) != value for key, value in desired.namespace_labels.items())


def _link(operations: list[Operation], resolved: ResolvedStack) -> list[Operation]:
    """Merges namespace operations and adds the edges between components."""
    merged: dict[str, Operation] = {}
    for operation in operations:  # the first one of each namespace; no other operation is there twice
        merged.setdefault(operation.id, operation)
    for name, operation in merged.items():
        if isinstance(operation, CreateNamespace):  # applied as a whole: what is left out would be taken off
            there = [d.namespace_labels for d in resolved.releases if d.namespace == operation.namespace]
            merged[name] = replace(operation, labels={k: v for labels in there for k, v in labels.items()})
    needs = {desired.component: desired for desired in resolved.releases}
    return [
        replace(operation, needs=(*operation.needs, *_edges(needs[operation.component], merged, needs)))
        if isinstance(operation, ChangeRelease)
        else operation
        for operation in merged.values()
    ]


def _edges(
    desired: DesiredRelease, operations: Mapping[str, Operation], known: Mapping[str, DesiredRelease]
) -> tuple[str, ...]:
    wanted = [f"wait/{name}" for name in desired.needs] + [f"crds/{name}" for name in desired.crd_needs]
    # Where Helm or a hook brings the CRDs, the release itself has to be there.
    brought = [name for name in desired.crd_needs if known[name].crd_owner is not CrdOwner.US]
    wanted += [f"{action}/{name}" for name in brought for action in (Action.INSTALL, Action.UPGRADE, Action.REPAIR)]
    return tuple(name for name in wanted if name in operations)


def removals(
    removed: tuple[ReleaseState, ...], changing: Iterable[Operation], observed: ObservedState, *, reason: str
) -> list[UninstallRelease]:
    """Uninstalls, dependents first, and after the remaining releases have let go of what is removed."""
    names = {state.component for state in removed}
    released = [
        operation.id
        for operation in changing
        if isinstance(operation, Wait) and operation.state and names.intersection(operation.state.needs)
    ]
    operations = []
    for state in removed:
        found = observed.releases.get((state.namespace, state.release))
        if found is None or found.status in GONE:
            continue
        dependents = [s.component for s in removed if state.component in s.needs]
        present = [n for n in dependents if _is_present(n, removed, observed)]
        operations.append(
            UninstallRelease(
                id=f"uninstall/{state.component}",
                component=state.component,
                needs=(*released, *(f"uninstall/{name}" for name in present)),
                release=state.release,
                namespace=state.namespace,
                reason=reason,
                timeout_s=300.0,
                state=state,
                helm_revision=found.revision,
            )
        )
    return operations


def _is_present(component: str, removed: Iterable[ReleaseState], observed: ObservedState) -> bool:
    state = next(s for s in removed if s.component == component)
    found = observed.releases.get((state.namespace, state.release))
    return found is not None and found.status not in GONE


def _kept(state: ReleaseState, observed: ObservedState) -> tuple[str, ...]:
    kept = sorted({ref.kind for ref in state.inventory if ref.kind in state.keep})
    lines = [f"keeps {', '.join(kept)}"] if kept else []
    missing = {one.name for one in observed.crd_drift.get(state.component, ()) if one.what == "missing"}
    if crds := set(state.crds) - missing:
        lines.append(f"keeps {len(crds)} CRDs and their custom resources")
    if state.leaves:
        lines.append(f"takes {', '.join(map(str, state.leaves))} with it, made by its programs")
    return tuple(lines)
