"""Checks of a stack: on request, and before a change is recorded as done."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from sparkrig.checks.kinds.base import Cluster, Subject
from sparkrig.checks.run import INTERRUPTED, run_checks
from sparkrig.checks.selection import Selection, check_names
from sparkrig.clusters.facts.read import read_facts
from sparkrig.commands.session import Session
from sparkrig.errors import NotFound
from sparkrig.models.check import CheckResult, CheckStatus, VerifyResult
from sparkrig.models.explanation import Explanation
from sparkrig.models.operation import Action, GateChecks
from sparkrig.models.plan import ApplyResult, OperationResult, OperationStatus, Plan
from sparkrig.models.release import ReleaseState

Listener = Callable[[CheckResult, int, int], None]


def verify(session: Session, stack: str, selection: Selection, on_result: Listener) -> VerifyResult:
    """Asks the checks of everything that the newest finished revision left deployed.

    Raises:
        NotFound: nothing is deployed, or the selection names no check.
    """
    started = time.monotonic()
    last, _, _ = session.history(stack).newest()
    if last is None or not last.after:
        raise NotFound(f"stack {stack} is not installed on {session.handle.name}", hint="sparkrig up installs it")
    subjects = _subjects(session, last.after)
    check_names(selection, subjects)
    cluster = Cluster(session.api, session.watch, session.facts, stack, subjects)
    asked = run_checks(cluster, subjects, selection, on_result=on_result)
    return VerifyResult(
        stack=stack,
        cluster=session.handle.name,
        revision=last.number,
        results=asked.results,
        kubernetes=session.facts.kubernetes,
        simulated=session.facts.simulated,
        seconds=time.monotonic() - started,
        left_out=asked.left_out,
        swept=asked.swept,
        interrupted=asked.interrupted,
    )


def gate(
    session: Session, plan: Plan, result: ApplyResult, *, everything: bool, note: Callable[[str], None]
) -> ApplyResult:
    """The result with the gate checks of what the plan touched, and of what needs that, behind it.

    ``everything`` asks all of the stack: after a change that failed, nothing is known to be well. A check that fails is
    a failed operation ``check/<component>``. A result that is not good, and a ``down``, come back as they are.
    """
    if not result.ok or result.interrupted or plan.action == "down":
        return result
    touched = {operation.component for operation in plan.operations}
    # What was applied just now need not be compared; a return from a failure leaves CRDs as they are (docs/adr/0041).
    subjects = _subjects(session, [replace(state, crd_digests={}) for state in result.after])
    asked = subjects if everything else [s for s in subjects if s.component in _with_dependents(touched, result.after)]
    # Read anew: the change may have brought what the facts tell, such as the labels of GPU nodes.
    facts = read_facts(session.api, session.handle)
    cluster = Cluster(session.api, session.watch, facts, plan.stack, subjects)
    if not any(spec.gate for subject in asked for spec in subject.checks):
        return result
    note("checking what was changed")
    checked = run_checks(cluster, asked, Selection(gate_only=True), patience_s=None, on_wait=note)
    note(_summary(checked.results))
    failures = tuple(_failure(s, checked.results) for s in asked if _bad(s.component, checked.results))
    return replace(result, results=result.results + failures, interrupted=checked.interrupted)


def _subjects(session: Session, states: Sequence[ReleaseState]) -> tuple[Subject, ...]:
    known = session.catalog.components
    subjects = []
    for state in states:
        component = known.get(state.component)
        if component is None:  # it left the catalogue: nothing tells what to ask
            subjects.append(Subject(state.component, state))
            continue
        subjects.append(
            Subject(
                state.component,
                state,
                component.checks,
                component.readiness,
                tuple(component.provides),
                component.node_states,
            )
        )
    return tuple(subjects)


def _with_dependents(touched: Collection[str], states: Sequence[ReleaseState]) -> set[str]:
    reached = set(touched)
    while more := {s.component for s in states if s.component not in reached and reached.intersection(s.needs)}:
        reached |= more
    return reached


def _bad(component: str, results: Sequence[CheckResult]) -> list[CheckResult]:
    """What stands in the way; a gate that this cluster cannot answer does not, as it never could be passed."""
    return [r for r in results if r.component == component and not r.ok]


def _failure(subject: Subject, results: Sequence[CheckResult]) -> OperationResult:
    bad = _bad(subject.component, results)
    operation = GateChecks(
        id=f"{Action.CHECK}/{subject.component}",
        component=subject.component,
        reason="gate checks",
        timeout_s=sum(spec.timeout_s for spec in subject.checks),
    )
    why = tuple(Explanation(f"check {r.name}: {r.message}", hint=r.hint) for r in bad)
    ended = all(r.message == INTERRUPTED for r in bad)
    status = OperationStatus.INTERRUPTED if ended else OperationStatus.FAILED
    return OperationResult(operation, status, max(r.seconds for r in bad), why)


def _summary(results: Sequence[CheckResult]) -> str:
    counted = {status: sum(r.status is status for r in results) for status in CheckStatus}
    return "checks: " + ", ".join(f"{number} {status}" for status, number in counted.items() if number)
