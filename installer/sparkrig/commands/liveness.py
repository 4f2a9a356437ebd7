"""What is wrong with the live objects of a stack, and with the nodes that its components work on. Reads only."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from sparkrig.catalog.catalog import Catalog
from sparkrig.errors import AccessDenied
from sparkrig.kube.client import KubeApi
from sparkrig.kube.watch import ObjectWatch
from sparkrig.models.cluster import ClusterHandle
from sparkrig.models.component import ReadinessRule
from sparkrig.models.objects import Judgement, ObjectRef, Readiness
from sparkrig.models.release import ReleaseState
from sparkrig.models.state import ObservedState
from sparkrig.readiness.custom import excused, rule_for
from sparkrig.readiness.nodes import node_states


class Session(Protocol):
    """What is needed of the run's session."""

    @property
    def api(self) -> KubeApi:
        """The connection to the cluster."""
        ...

    @property
    def watch(self) -> ObjectWatch:
        """Its objects."""
        ...

    @property
    def catalog(self) -> Catalog:
        """The components."""
        ...

    @property
    def handle(self) -> ClusterHandle:
        """Which cluster it is."""
        ...

    def judge(self, state: ReleaseState) -> dict[ObjectRef, Judgement]:
        """The readiness of each object of a release."""
        ...

    def rules(self, component: str) -> tuple[ReadinessRule, ...]:
        """The readiness rules of a component."""
        ...


def with_live(session: Session, observed: ObservedState) -> ObservedState:
    """Adds what is missing and what is not ready among the recorded releases' objects."""
    states = observed.last.after if observed.last else ()
    session.watch.look([ref for state in states for ref in state.inventory])
    live, missing = {}, {}
    for state in states:
        verdicts = session.judge(state)
        gone = tuple(ref for ref in state.inventory if session.watch.get(ref) is None)
        if gone:
            missing[state.component] = gone
        unhealthy = tuple(
            Judgement(j.readiness, f"{ref}: {j.message}")
            for ref, j in unready(session, state, verdicts).items()
            if ref not in gone
        )
        if found := (*unhealthy, *_nodes(session, state)):
            live[state.component] = found
    return replace(observed, live=live, missing=missing)


def unready(session: Session, state: ReleaseState, verdicts: dict[ObjectRef, Judgement]) -> dict[ObjectRef, Judgement]:
    """Of a release's objects those that are a problem; what is optional and has no state yet is none."""
    rules, simulated = session.rules(state.component), session.handle.simulated
    return {
        ref: j
        for ref, j in verdicts.items()
        if j.readiness not in (Readiness.READY, Readiness.NOT_JUDGED)
        and not excused(rule_for(ref.group, ref.kind, rules), j, simulated=simulated)
    }


def _nodes(session: Session, state: ReleaseState) -> tuple[Judgement, ...]:
    """The nodes that the component's programs work on; none where nodes may not be read."""
    component = session.catalog.components.get(state.component)
    if component is None or not component.node_states:
        return ()
    try:
        nodes = session.api.list("/api/v1/nodes")
    except AccessDenied:
        return ()
    return tuple(found.judgement for found in node_states(nodes, component.node_states))
