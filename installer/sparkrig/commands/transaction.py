"""One recorded change of a stack: locked, begun, executed, returned from where it failed, finished.

The only caller of the executor. Knows plans, not how they were made.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import sparkrig
from sparkrig import interrupts, log, timeline
from sparkrig.commands.run_log import keep_decisions
from sparkrig.commands.session import Session
from sparkrig.defaults import HISTORY_MAX
from sparkrig.errors import Interrupted, Locked, Refused, SparkrigError
from sparkrig.helm.storage.releases import list_revisions
from sparkrig.history.home import ensure_home
from sparkrig.history.lock import Lock, identity
from sparkrig.history.pruning import prune
from sparkrig.history.store import History
from sparkrig.models.explanation import Explanation
from sparkrig.models.operation import (
    Action,
    ApplyCrds,
    ChangeRelease,
    GateChecks,
    RepairRelease,
    RestartPods,
    UpgradeRelease,
    Wait,
    WaitReady,
)
from sparkrig.models.plan import ApplyResult, Event, OperationResult, OperationStatus, Plan
from sparkrig.models.revision import OperationRecord, Revision, RevisionStatus
from sparkrig.plan.keeping import kept_after
from sparkrig.plan.restore import plan_restore
from sparkrig.plan.summary import summary

# What executes a plan is imported where one is executed: most runs find nothing to do.
if TYPE_CHECKING:
    from sparkrig.apply.executor import Stop
    from sparkrig.apply.operations.operator import Operator

OnFailure = Literal["rollback", "stop", "continue"]
OfStackFile: TypeAlias = ApplyCrds | ChangeRelease | WaitReady | RestartPods
"""Operations on releases that the stack file describes."""


class Dialogue(Protocol):
    """The person at the other end."""

    def note(self, message: str) -> None:
        """Says something while a run goes on."""

    def show_plan(self, plan: Plan) -> None:
        """Shows what would be done."""

    def confirm(self, plan: Plan) -> bool:
        """Asks whether to do it."""

    def progress(self, plan: Plan) -> AbstractContextManager[Callable[[Event], None]]:
        """Shows progress while it is open; takes the events."""


@dataclass(frozen=True, slots=True)
class Options:
    """What every changing command takes from the command line."""

    repair: bool = False
    message: str = ""
    wait_lock_s: float = 0.0
    on_failure: OnFailure | None = None
    """None decides by the design's rule; see ``why_stop``."""
    history_max: int = HISTORY_MAX
    allow_disruption: tuple[str, ...] = ()
    """Components that may disturb running pods of others."""
    accept: tuple[str, ...] = ()
    """Codes of preflight's findings that do not stop the run."""
    allow_crd_change: tuple[str, ...] = ()
    """CRDs that may change although custom resources are hurt."""
    keep: tuple[str, ...] = ()
    """Components that stay in the cluster although the stack does not have them any more."""
    purge: tuple[str, ...] = ()
    """What ``down`` removes beyond the releases: of ``plan.removal.PURGEABLE``."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a change went."""

    plan: Plan
    result: ApplyResult | None
    """None when nothing had to be done."""
    revision: int
    declined: bool = False
    restored: ApplyResult | None = None
    """How the return to ``restored_to`` went, where one was made."""
    restored_to: int | None = None
    stopped: Explanation | None = None
    """Why a failed change was not returned from: what a person must decide."""
    unrecorded: Explanation | None = None
    """Why the outcome stands in no record; the next run takes the revision for one whose process died."""

    @property
    def ok(self) -> bool:
        """True when the stack is as it is wanted, and that is recorded."""
        if self.unrecorded:
            return False
        return self.result.ok if self.result else not any(change.symbol == "!" for change in self.plan.changes)


@dataclass(frozen=True, slots=True)
class Source:
    """What a revision record keeps of the input."""

    profile: str = ""
    stack_file: str = ""
    reused: tuple[str, ...] = ()


def changes_cluster(plan: Plan) -> bool:
    """True when the plan does more than look."""
    return any(not isinstance(operation, Wait) for operation in plan.operations)


def run(
    session: Session,
    again: Callable[[], Plan],
    seen: Plan,
    options: Options,
    dialogue: Dialogue,
    source: Source,
) -> Outcome:
    """Takes the lock, plans once more, records, executes, and records the outcome.

    ``again`` reads the cluster anew: between the plan that was shown and the lock somebody else may
    have changed it; a plan that differs is shown and asked for again.

    Raises:
        Locked: somebody else holds the stack's lock, or it was lost before anything was done.
    """
    from sparkrig.apply.executor import Stop

    ensure_home(session.api)
    stop = Stop()
    with Lock(session.api, seen.stack, on_lost=stop.lose) as lock:
        with timeline.span("phase", "lock"):
            lock.acquire(wait_s=options.wait_lock_s, on_wait=dialogue.note)
        with timeline.span("phase", "read and plan under the lock"):
            current = again()
        if current != seen:
            dialogue.note("the cluster changed meanwhile; this is the plan now")
            dialogue.show_plan(current)
            if changes_cluster(current) and not dialogue.confirm(current):
                return Outcome(current, None, current.base, declined=True)
        with interrupts.in_order(stop, dialogue.note):
            interrupts.begin()
            return _Recorded(session, lock, options, dialogue, stop).run(current, source)


class _Recorded:
    """The part of a change that happens under the lock."""

    def __init__(self, session: Session, lock: Lock, options: Options, dialogue: Dialogue, stop: Stop) -> None:
        self._session = session
        self._lock = lock
        self._options = options
        self._dialogue = dialogue
        self._stop = stop

    def run(self, plan: Plan, source: Source) -> Outcome:
        history = self._session.history(plan.stack)
        with timeline.span("phase", "begin the revision"):
            revision, good = _begin(history, plan, self._options.message, source)
            operator = self._operator(plan.stack)
        result = self._execute(plan, operator, keep_going=self._options.on_failure == "continue")
        # After a revision that is not good an unchanged component is no more known to be well than a changed one.
        everything = good is None or good.number != revision.number - 1
        result = self._checked(plan, result, everything=everything)
        outcome = Outcome(plan, result, revision.number)
        untouched = self._stop.lost is not None and not self._stop.began
        if not result.ok and not result.interrupted and not untouched:
            outcome = self._return(outcome, revision, good, operator)
        back, ended = outcome.restored_to, _status(outcome).value
        log.info("revision", revision=revision.number, status=ended, returned_to=back, stopped=outcome.stopped)
        with timeline.span("phase", "finish the revision"):
            unrecorded = self._record(history, revision, outcome)
        if untouched:
            raise Locked(
                f"this run lost the lock of stack {plan.stack} before it changed anything: {self._stop.lost}",
                hint="run the command again",
            )
        if (
            not unrecorded
            and not self._stop.interrupted
            and _status(outcome) in (RevisionStatus.DEPLOYED, RevisionStatus.REMOVED)
        ):
            self._put_away(history, revision)
        return replace(outcome, unrecorded=unrecorded)

    def _operator(self, stack: str) -> Operator:
        from sparkrig.apply.operations.operator import Operator

        session = self._session
        allowed = self._options.allow_crd_change
        return Operator(stack, session.api, session.helm, session.waiter, session.rules, allowed)

    def _execute(self, plan: Plan, operator: Operator, *, keep_going: bool = False) -> ApplyResult:
        import asyncio

        from sparkrig.apply.executor import Executor

        async def main(listener: Callable[[Event], None]) -> ApplyResult:
            self._stop.attach(asyncio.get_running_loop())
            executor = Executor(
                operator.run, listener=listener, guard=self._lock.check, stop=self._stop, keep_going=keep_going
            )
            return await executor.execute(plan)

        with self._dialogue.progress(plan) as listener, timeline.span("phase", "apply"):
            return asyncio.run(main(listener))

    def _checked(self, plan: Plan, result: ApplyResult, *, everything: bool) -> ApplyResult:
        from sparkrig.commands.verify import gate  # a tenth of a second that only a change has to pay

        if self._stop.interrupted:
            return replace(result, interrupted=True)
        try:
            with timeline.span("phase", "checks"):
                checked = gate(self._session, plan, result, everything=everything, note=self._dialogue.note)
            return replace(checked, interrupted=checked.interrupted or self._stop.interrupted)
        except SparkrigError as error:  # the cluster went away before it could be asked: nothing is known to be well
            name = plan.stack
            operation = GateChecks(id=f"{Action.CHECK}/{name}", component=name, reason="gate checks", timeout_s=0.0)
            failure = OperationResult(operation, OperationStatus.FAILED, 0.0, (error.explanation,))
            return replace(result, results=(*result.results, failure))

    def _return(self, outcome: Outcome, revision: Revision, good: Revision | None, operator: Operator) -> Outcome:
        """The automatic way back after a failure, or why there is none."""
        assert outcome.result is not None  # noqa: S101 - only called with a failed result
        wanted = self._options.on_failure
        stopped = why_stop(outcome.result, good, operator.changed_crds) if wanted is None else ""
        if stopped or wanted in ("stop", "continue"):
            return replace(outcome, stopped=Explanation(stopped or f"--on-failure {wanted}"))
        target = good or replace(revision, number=0, after=())
        where = f"revision {target.number}" if target.number else "an empty stack"
        self._dialogue.note(f"returning to {where}")
        self._stop.resume()
        try:
            self._go_on()
            observed = self._session.observe(revision.stack)
            # What this run recorded is not in the cluster yet; the return starts from what it did.
            kept = kept_after(outcome.plan.kept, outcome.result.results)
            started = replace(revision, status=RevisionStatus.FAILED, after=outcome.result.after, kept=kept)
            plan = plan_restore(target, replace(observed, last=started), keep_history=False)
            from sparkrig.preflight.dryrun.restore import Leaving, restorable

            upgraded = [op.desired for op in outcome.plan.operations if isinstance(op, OfStackFile)]
            leaving = Leaving(
                self._session.catalog.components,
                {desired.component: desired.chart.version for desired in upgraded},
                [desired.component for desired in upgraded if desired.immutable == "recreate"],
            )
            plan, obstacles = restorable(self._session.api, plan, leaving)
            if obstacles:
                raise Refused("the return was not begun:", detail=obstacles)
            keep_decisions(plan)
            self._go_on()
            restored = self._execute(plan, operator)
            restored = self._checked(plan, restored, everything=False)
        except SparkrigError as error:
            return replace(outcome, restored_to=target.number, stopped=error.explanation)
        return replace(outcome, restored=restored, restored_to=target.number)

    def _go_on(self) -> None:
        """Raises Locked or Interrupted where the way back must not begin."""
        self._lock.check()
        if self._stop.reason is not None:
            raise Interrupted(self._stop.reason)

    def _record(self, history: History, revision: Revision, outcome: Outcome) -> Explanation | None:
        """Writes the outcome; returns why it could not, for a cluster that is gone must not hide what was done."""
        result = outcome.result
        assert result is not None  # noqa: S101 - a recorded change was executed
        restored = outcome.restored
        finished = replace(
            revision,
            status=_status(outcome),
            finished=now(),
            after=(restored or result).after,
            kept=kept_after(outcome.plan.kept, (*result.results, *(restored.results if restored else ()))),
            operations=_records(result.results) + (_records(restored.results, "return: ") if restored else ()),
        )
        try:
            if self._lock.lost and not history.is_open(revision.number):
                why = f"this run lost the lock, and another one closed revision {revision.number} meanwhile"
                return Explanation(why)
            history.finish(finished)
        except SparkrigError as error:
            return error.explanation
        return None

    def _put_away(self, history: History, revision: Revision) -> None:
        """A success supersedes the one before it; then old records go. What fails here the next run does."""
        api = self._session.api
        try:
            history.supersede(revision.number)
            prune(api, history, list_revisions(api, revision.stack), self._options.history_max)
        except SparkrigError as error:
            self._dialogue.note(f"older revisions could not be put away, the next run does it: {error.message}")


def why_stop(result: ApplyResult, good: Revision | None, changed_crds: Sequence[str]) -> str:
    """Why a failed change is not returned from by itself; empty when it is.

    On a first install the evidence is worth more than an empty cluster; a database that was migrated
    forward cannot be read by the version before; custom resources may have been written in the new
    form of a CRD already.
    """
    if good is None or not good.after:
        return "nothing good to return to: this was the first install; mend the cause and run up again"
    begun = [r for r in result.results if r.status is not OperationStatus.SKIPPED]
    forward = sorted(
        {
            r.operation.component
            for r in begun
            if isinstance(r.operation, UpgradeRelease | RepairRelease)
            and r.operation.desired.rollback == "forward-only"
        }
    )
    if forward:
        return (
            f"{', '.join(forward)} cannot go back by itself (it migrates its data forward): restore its data "
            "and run `sparkrig rollback`, or mend the cause and run up again"
        )
    if changed_crds:
        return (
            f"CRDs were changed ({', '.join(changed_crds)}), which the automatic return does not undo: run "
            "`sparkrig rollback`, which returns them too, or mend the cause and run up again"
        )
    return ""


def _begin(history: History, plan: Plan, message: str, source: Source) -> tuple[Revision, Revision | None]:
    """Writes the pending record before the first change; closes one that a dead run left open.

    Returns the new record and the newest good revision before it.
    """
    infos = history.infos()
    last, pending, number = history.newest(infos)
    if pending is not None:
        after = last.after if last else ()
        history.finish(replace(pending, status=RevisionStatus.FAILED, finished=now(), after=after))
    deployed = [info for info in infos if info.status is RevisionStatus.DEPLOYED]
    revision = Revision(
        stack=plan.stack,
        number=number + 1,
        status=RevisionStatus.PENDING,
        action=plan.action,
        who=identity(),
        message=message,
        started=now(),
        finished=None,
        sparkrig=sparkrig.__version__,
        profile=source.profile,
        stack_file=source.stack_file,
        before=last.after if last else (),
        after=(),
        summary=summary(plan),
        kept=plan.kept,
        reused=source.reused,
    )
    good = history.read(deployed[-1]) if deployed else None
    history.begin(revision)
    return revision, good


def _status(outcome: Outcome) -> RevisionStatus:
    if outcome.result is not None and outcome.result.ok:
        return RevisionStatus.REMOVED if outcome.plan.action == "down" else RevisionStatus.DEPLOYED
    returned = outcome.restored is not None and outcome.restored.ok
    return RevisionStatus.ROLLED_BACK if returned else RevisionStatus.FAILED


def _records(results: Sequence[OperationResult], prefix: str = "") -> tuple[OperationRecord, ...]:
    return tuple(OperationRecord(prefix + r.operation.id, r.status.value, r.seconds, r.message) for r in results)


def now() -> str:
    """This moment, RFC 3339, to the second."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
