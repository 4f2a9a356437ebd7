"""What somebody changed of a stack's objects since they were recorded, for a repair. Reads; writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sparkrig import standing
from sparkrig.cluster.api import KubeApi
from sparkrig.model import Drift, ObservedState, ReleaseState
from sparkrig.plan.changes import ABSENT
from sparkrig.plan.differences import FieldChange
from sparkrig.plan.drift import drift_of, label_drift
from sparkrig.plan.ownership import owner_of
from sparkrig.session import Session


def with_drift(session: Session, stack: str, observed: ObservedState) -> ObservedState:
    """What was observed, with the fields that somebody changed: of the releases' objects and of their namespaces."""
    found = standing.drift_of(session, stack, observed)
    drifted = {change.component: list(drift_of(change)) for change in found.components} if found else {}
    for state in observed.last.after if observed.last else ():
        drifted.setdefault(state.component, []).extend(_labels(session.api, state, observed))
    return replace(observed, drifted={name: tuple(each) for name, each in drifted.items() if each})


def _labels(api: KubeApi, state: ReleaseState, observed: ObservedState) -> Iterator[Drift]:
    there = observed.namespaces.get(state.namespace)
    wrong = [k for k, v in state.namespace_labels.items() if there is not None and there.get(k) != v]
    live = api.get(f"/api/v1/namespaces/{state.namespace}", missing_ok=True) if wrong else None
    for key in wrong if live is not None else ():
        owner = owner_of(live or {}, ("metadata", "labels", key))
        now = (live or {}).get("metadata", {}).get("labels", {}).get(key, ABSENT)
        change = FieldChange(f"metadata.labels.{key}", state.namespace_labels[key], now, owner.manager, owner.time)
        yield label_drift(state.namespace, key, change)
