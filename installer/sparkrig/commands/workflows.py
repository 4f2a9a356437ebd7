"""render, plan, up, rollback, down: each reads like the flow in the design.

No flags, no printing, no exit codes: what a person sees goes through ``change.Dialogue``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sparkrig import interrupts, timeline
from sparkrig.commands.chart_defaults import chart_defaults
from sparkrig.commands.run_log import keep_decisions
from sparkrig.commands.session import Session
from sparkrig.commands.transaction import Dialogue, Options, Outcome, Source, changes_cluster, run
from sparkrig.errors import NotFound, Refused
from sparkrig.helm.storage.releases import list_revisions
from sparkrig.history.pruning import helm_revisions, offered
from sparkrig.models.check import VerifyResult
from sparkrig.models.operation import UninstallRelease
from sparkrig.models.plan import Plan
from sparkrig.models.release import ResolvedStack
from sparkrig.models.revision import Revision, RevisionStatus
from sparkrig.models.state import ObservedState
from sparkrig.plan.build import foreign_claims, moved_claims, plan_up, recorded_states, strays
from sparkrig.plan.diff.drift import with_effects_of_repair
from sparkrig.plan.disturbance import Disturbance, disturbances, may_disturb, use_claims, with_disturbances
from sparkrig.plan.keeping import foreign_returns, still_kept
from sparkrig.plan.restore import missing_helm_revisions, plan_restore
from sparkrig.plan.secrets import lost_secrets
from sparkrig.secrets.cluster import SecretBook

# What one workflow alone needs is imported there, so that none pays for preflight, diff and removal of the others.
if TYPE_CHECKING:
    from sparkrig.checks.selection import Selection
    from sparkrig.commands.verify import Listener
    from sparkrig.plan.diff.revisions import Parts, StackChange
    from sparkrig.plan.saved import SavedPlan
    from sparkrig.plan.server.changes import Rehearsal


def resolve_for_cluster(session: Session) -> tuple[ResolvedStack, ObservedState]:
    """Validates everything against the cluster's facts and reads what is there. Writes nothing."""
    session.check()
    session.refuse_stand_ins()
    stack = session.stack_file.name
    observed = session.observe(stack)
    latched = frozenset(state.component for state in observed.last.after) if observed.last else frozenset()
    return session.with_fingerprints(session.resolve(session.facts, session.chart, latched), observed), observed


def plan(session: Session, options: Options) -> tuple[Plan, SavedPlan]:
    """What ``up`` would do now, and the same with what it was made from, to be saved. Writes nothing.

    Raises:
        Refused: the stack wants a release that is not its own, or one that would have to move.
    """
    from sparkrig.commands.doctor import rehearsals
    from sparkrig.commands.plan_file import snapshot

    resolved, observed = resolve_for_cluster(session)
    observed = _with_drift(session, observed, options)
    made = _checked_plan(session, resolved, observed, options)
    made = _rehearsed(made, rehearsals(session, resolved, observed, made))
    saved = snapshot(session, resolved, observed, made, repair=options.repair, keep=options.keep)
    return _with_disturbances(session, made)[0], saved


def up(session: Session, options: Options, dialogue: Dialogue, saved: SavedPlan | None = None) -> Outcome:
    """Brings the cluster to what the stack file describes; with ``saved`` exactly as planned, or not at all."""
    with timeline.span("phase", "validate and read the cluster"):
        resolved, observed = resolve_for_cluster(session)
        observed = _with_drift(session, observed, options)

    def planned(observed: ObservedState) -> tuple[Plan, tuple[Disturbance, ...]]:
        made = _rehearsed(_checked_plan(session, resolved, observed, options), said)
        if saved is not None:
            from sparkrig.commands.plan_file import snapshot
            from sparkrig.plan.saved import refuse_moved

            refuse_moved(saved, snapshot(session, resolved, observed, made, repair=options.repair, keep=options.keep))
        return _with_disturbances(session, made)

    with timeline.span("phase", "preflight"):
        said = _preflight(session, resolved, observed, options, dialogue)
    with timeline.span("phase", "plan"):
        seen, disturbed = planned(observed)
    dialogue.show_plan(seen)
    _refuse_disturbances(disturbed, options)
    if not seen.empty:
        session.crd_review.refuse(options.allow_crd_change)
    if seen.empty and _settled(observed):
        return Outcome(seen, None, observed.last.number if observed.last else 0)
    if changes_cluster(seen) and not dialogue.confirm(seen):
        return Outcome(seen, None, seen.base, declined=True)

    def again() -> Plan:
        return planned(_with_drift(session, session.observe(resolved.name), options))[0]

    return run(session, again, seen, options, dialogue, Source(resolved.profile, resolved.text, resolved.reused))


def _preflight(
    session: Session, resolved: ResolvedStack, observed: ObservedState, options: Options, dialogue: Dialogue
) -> tuple[Rehearsal, ...]:
    """What the API server says of the upgrades, and refuses; nothing is asked where nothing would change."""
    first = plan_up(resolved, observed, repair=options.repair)
    if not changes_cluster(first):
        return ()
    from sparkrig.commands.doctor import refuse_unfit

    return refuse_unfit(session, resolved, observed, first.operations, accept=options.accept, note=dialogue.note)


def _rehearsed(made: Plan, said: Sequence[Rehearsal]) -> Plan:
    if not said:
        return made
    from sparkrig.plan.server.changes import with_rehearsals

    return with_rehearsals(made, said)


def rollback(session: Session, stack: str, number: int | None, options: Options, dialogue: Dialogue) -> Outcome:
    """Brings the whole stack back to a recorded revision; default: the newest good one before this."""
    from sparkrig.apply.crds.drift import drift_from

    target = _rollback_target(session, stack, number)
    judged: dict[str, Plan] = {}

    def planned() -> tuple[Plan, tuple[Disturbance, ...]]:
        observed = session.observe(stack)
        wished = plan_restore(target, observed, crd_drift=drift_from(session.api, target))
        # Under the lock it mostly is the same once more: the API server has been asked about each object then.
        if judged.get("wished") != wished:
            judged.update(wished=wished, returnable=_returnable(session, wished, observed))
        return _with_disturbances(session, judged["returnable"])

    with timeline.span("phase", "plan"):
        seen, disturbed = planned()
    dialogue.show_plan(seen)
    _refuse_disturbances(disturbed, options)
    if seen.empty:
        _note_drift(session, stack, dialogue)
        return Outcome(seen, None, seen.base)
    session.crd_review.refuse(options.allow_crd_change)
    if changes_cluster(seen) and not dialogue.confirm(seen):
        return Outcome(seen, None, seen.base, declined=True)
    message = options.message or f"back to revision {target.number}"
    options = replace(options, message=message, on_failure=options.on_failure or "stop")
    source = Source(target.profile, target.stack_file, target.reused)
    return run(session, lambda: planned()[0], seen, options, dialogue, source)


def _note_drift(session: Session, stack: str, dialogue: Dialogue) -> None:
    """Says where nothing is to be rolled back and objects are all the same not as they were recorded."""
    from sparkrig.commands.drift import with_drift

    drifted = with_drift(session, stack, session.observe(stack)).drifted
    if count := sum(map(len, drifted.values())):
        fields = "1 field was" if count == 1 else f"{count} fields were"
        dialogue.note(f"{fields} changed by others since ({', '.join(drifted)}); next: sparkrig up --repair")


def _returnable(session: Session, made: Plan, observed: ObservedState) -> Plan:
    """The way back, with what has to be made anew on it.

    Raises:
        Refused: an object cannot be brought back by a change, and the stack does not let it be made anew.
    """
    from sparkrig.preflight.dryrun.effects import with_effects_of_return
    from sparkrig.preflight.dryrun.restore import Leaving, restorable

    states = recorded_states(observed)
    components = session.catalog.components
    leaving = Leaving(
        components,
        {state.component: state.version for state in states},
        [state.component for state in states if state.immutable == "recreate"],
    )
    made, obstacles = restorable(session.api, made, leaving)
    if obstacles:
        raise Refused("the way back meets objects that cannot be changed; nothing was changed", detail=obstacles)
    return with_effects_of_return(session.api, made, components, {state.component: state.values for state in states})


def down(session: Session, stack: str, options: Options, dialogue: Dialogue) -> Outcome:
    """Removes every release of a stack, dependents first; keeps what ``options.purge`` does not name."""
    from sparkrig.apply.removal.contents import recorded, survey
    from sparkrig.apply.removal.delete import forget
    from sparkrig.apply.removal.left_behind import finish_nodes, left_on_nodes, with_marks
    from sparkrig.plan.removal import plan_removal

    names: set[str] = set()
    """Components that a recorded revision knew: the record may go."""

    def planned() -> tuple[Plan, tuple[Disturbance, ...]]:
        observed = session.observe(stack)
        found = survey(session.api, stack, observed, options.purge, session.running_rules)
        made = plan_removal(stack, observed, found, options.purge)
        names.update(state.component for state in recorded(session.api, stack, observed))
        if "nodes" in options.purge:
            made = with_marks(made, left_on_nodes(session.api, names, session.catalog.components))
        return _with_disturbances(session, made, options.purge)

    with timeline.span("phase", "plan"):
        seen, disturbed = planned()
    dialogue.show_plan(seen)
    _refuse_disturbances(disturbed, options)
    purging = "history" in options.purge
    if seen.empty and not purging and not any(change.component == "nodes" for change in seen.changes):
        return Outcome(seen, None, seen.base)
    if not dialogue.confirm(seen):
        return Outcome(seen, None, seen.base, declined=True)
    options = replace(options, on_failure=options.on_failure or "stop")
    outcome = Outcome(seen, None, seen.base)
    if not seen.empty:
        outcome = run(session, lambda: planned()[0], seen, options, dialogue, Source())
    if not outcome.ok or outcome.declined:
        return outcome
    finish_nodes(session.api, names, session.catalog.components, clear="nodes" in options.purge, note=dialogue.note)
    if purging:
        interrupts.begin()
        forget(session.api, stack, wait_s=options.wait_lock_s, note=dialogue.note)
    return outcome


def verify(session: Session, stack: str, selection: Selection, on_result: Listener) -> VerifyResult:
    """Asks the checks of what is deployed. Leaves nothing behind."""
    from sparkrig.commands import verify as checking

    return checking.verify(session, stack, selection, on_result)


def diff(session: Session, stack: str, first: int | None, second: int | None, parts: Parts) -> StackChange:
    """Revision ``first`` against ``second`` (None: the newest); without ``first`` the newest against the cluster."""
    from sparkrig.commands import diff as comparing

    if first is None:
        return comparing.compare_with_cluster(session, stack, parts)
    return comparing.compare_revisions(session, stack, first, second, parts)


def _with_drift(session: Session, observed: ObservedState, options: Options) -> ObservedState:
    """What was observed, with what others changed where that is to be repaired: it costs a look at every object."""
    if not options.repair or observed.last is None:
        return observed
    from sparkrig.commands.drift import with_drift

    return with_drift(session, observed.last.stack, observed)


def _checked_plan(session: Session, resolved: ResolvedStack, observed: ObservedState, options: Options) -> Plan:
    lines = [
        f"release {claim.namespace}/{claim.release}, wanted for {claim.component}, belongs to "
        + (f"stack {claim.owner}" if claim.owner else "no stack: a person or another tool installed it")
        for claim in foreign_claims(resolved, observed)
    ]
    if lines:
        raise Refused(
            lines[0] if len(lines) == 1 else f"{len(lines)} releases belong to somebody else",
            detail=lines[1:] if len(lines) == 1 else lines,
            hint="switch the component off in this stack, give it another namespace, or remove that release",
        )
    moved = [
        f"{old.component}: {old.namespace}/{old.release} -> {new.namespace}/{new.release}"
        for old, new in moved_claims(resolved, observed)
    ]
    if moved:
        raise Refused(
            "Helm cannot move a release to another namespace or name",
            detail=moved,
            hint="switch the component off and run up, then on again with the new namespace; its data stays behind",
        )
    _refuse_live_helm(resolved, observed)
    _refuse_keeping(resolved, observed, options.keep)
    defaults = chart_defaults(session.api, resolved, observed)
    made = plan_up(resolved, observed, repair=options.repair, keep=options.keep, defaults=defaults)
    return with_effects_of_repair(made, observed, session.catalog.components) if options.repair else made


def _refuse_keeping(resolved: ResolvedStack, observed: ObservedState, keep: Sequence[str]) -> None:
    """What is left in place must have been the stack's, and be no more of it.

    Raises:
        NotFound: with every name that is neither.
    """
    wanted = {release.component for release in resolved.releases}
    states = (*recorded_states(observed), *strays(resolved.name, recorded_states(observed), observed))
    there = sorted({state.component for state in states} - wanted)
    kept = {state.component for state in still_kept(observed, resolved.name)}
    lines = [f"{name} is in the stack: switch it off in {resolved.file} first" for name in keep if name in wanted]
    lines += [
        f"{name} is not installed by stack {resolved.name}" for name in keep if name not in {*wanted, *there, *kept}
    ]
    if lines:
        listed = ", ".join(there)
        raise NotFound(
            f"--keep {lines[0]}" if len(lines) == 1 else f"{len(lines)} components cannot be left in place",
            detail=lines if len(lines) > 1 else (),
            hint=f"no more in the stack and still installed: {listed}" if listed else "enabled: false takes it out",
        )


def _refuse_live_helm(resolved: ResolvedStack, observed: ObservedState) -> None:
    """Raises Refused for a wanted release that somebody else's helm may be at work on."""
    from sparkrig.preflight.releases import WAIT, at_work_text, helms_at_work

    busy = helms_at_work(resolved.name, observed)
    for desired in resolved.releases:
        if found := busy.get((desired.namespace, desired.release)):
            raise Refused(at_work_text(found), hint=WAIT)


def _with_disturbances(
    session: Session, made: Plan, purge: tuple[str, ...] = ()
) -> tuple[Plan, tuple[Disturbance, ...]]:
    """The plan with what it does to CRDs, disturbs and leaves behind; pods are listed only where they are needed."""
    keep_decisions(made)
    if made.empty:
        return made, ()
    made = session.crd_review.reviewed(made)
    if any(isinstance(operation, UninstallRelease) for operation in made.operations):
        from sparkrig.apply.removal.left_behind import with_warnings

        made = with_warnings(session.api, made, session.catalog.components, purge)
    if not may_disturb(made, session.catalog.components):
        return made, ()
    pods = session.api.list("/api/v1/pods")
    claims: Sequence[Mapping[str, Any]] | None = ()
    if use_claims(pods):
        from sparkrig.kube.claims import list_claims

        claims = list_claims(session.api)
    found = disturbances(made, session.catalog.components, pods, claims)
    return with_disturbances(made, found), found


def _refuse_disturbances(found: tuple[Disturbance, ...], options: Options) -> None:
    left = [one for one in found if one.component not in options.allow_disruption]
    if left:
        raise Refused(
            f"the change disturbs running pods: {', '.join(one.component for one in left)}",
            detail=[f"{one.component} {one.text}" for one in left],
            hint="wait until they are done, or go on with "
            + " ".join(f"--allow-disruption {one.component}" for one in left),
        )


def _settled(observed: ObservedState) -> bool:
    """True when the newest record says deployed, so that an empty plan has nothing to write down."""
    return observed.pending is None and observed.last is not None and observed.last.status is RevisionStatus.DEPLOYED


def _rollback_target(session: Session, stack: str, number: int | None) -> Revision:
    """The revision to return to, certain to be possible as far as Helm's history tells.

    Raises:
        NotFound: there is no such revision, or none to return to.
        Refused: Helm no longer has what it recorded.
    """
    history = session.history(stack)
    infos = history.infos()
    if not infos:
        raise NotFound(f"stack {stack} has no recorded revision", hint="sparkrig up makes the first one")
    choices = offered(infos, infos[-1].number)
    if number is None and not choices:
        raise NotFound(
            f"stack {stack} has no earlier good revision to return to", hint="sparkrig history shows what there is"
        )
    wanted = choices[0] if number is None else number
    info = next((info for info in infos if info.number == wanted), None)
    if info is None or info.status is RevisionStatus.PENDING:
        listed = ", ".join(map(str, choices)) or "none"
        raise NotFound(f"stack {stack} has no revision {wanted} to return to", hint=f"offered: {listed}")
    target = history.read(info)
    if foreign := foreign_returns(target, session.observe(stack)):
        raise Refused(
            f"revision {wanted} cannot be restored: what it had belongs to somebody else by now",
            detail=foreign,
            hint="check out the stack file of that time, switch those components off, and run up",
        )
    there = (*list_revisions(session.api, stack), *list_revisions(session.api, stack, former=True))
    if gone := missing_helm_revisions(target, helm_revisions(there)):
        raise Refused(
            f"revision {wanted} cannot be restored: Helm no longer has the revisions it recorded",
            detail=[f"{s.component}: Helm revision {s.helm_revision} of {s.namespace}/{s.release}" for s in gone],
            hint="check out the stack file of that time and run up",
        )
    book = SecretBook(stack, session.api)
    lost: tuple[tuple[str, str, str], ...] = ()
    if any(state.secrets for state in target.after):
        lost = lost_secrets(target, {**book.there(former=True), **book.there()})
    if lost:
        raise Refused(
            f"revision {wanted} cannot be restored: Secrets that it reads are gone, and no record holds their contents",
            detail=[f"{component}: Secret {namespace}/{name}" for component, namespace, name in lost],
            hint="check out the stack file of that time and run up",
        )
    return target
