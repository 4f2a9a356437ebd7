"""What somebody changed of a stack's objects since they were recorded, for a repair. Reads; writes nothing."""

from __future__ import annotations

from dataclasses import replace

from sparkrig.commands import status as standing
from sparkrig.commands.session import Session
from sparkrig.models.state import ObservedState
from sparkrig.plan.diff.drift import drift_of


def with_drift(session: Session, stack: str, observed: ObservedState) -> ObservedState:
    """What was observed, with the fields that somebody changed: of the releases' objects and of their namespaces."""
    found = standing.drift_of(session, stack, observed)
    changes = {change.component: change for change in found.components} if found else {}
    states = observed.last.after if observed.last else ()
    drifted = {s.component: drift_of(changes[s.component], s) for s in states if s.component in changes}
    return replace(observed, drifted={name: each for name, each in drifted.items() if each})
