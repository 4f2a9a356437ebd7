"""All questions of preflight, in the order in which a person would ask them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from sparkrig.preflight.apis import api_versions, kubernetes_version
from sparkrig.preflight.capacity import capacity, nodes
from sparkrig.preflight.data import Case
from sparkrig.preflight.finding import Finding, in_order, listed, warn
from sparkrig.preflight.foreign import foreign
from sparkrig.preflight.places import api_services, clock, namespaces, webhooks
from sparkrig.preflight.quota import quota
from sparkrig.preflight.scaling import metrics_apis
from sparkrig.preflight.security import pod_security
from sparkrig.preflight.storage import load_balancer, storage


def _unseen(case: Case) -> Iterator[Finding]:
    if case.survey.denied:
        names = listed(sorted(name.replace("_", " ") for name in case.survey.denied), 8)
        message = f"{names} could not be read, so what depends on them was not looked at"
        yield warn("not-looked-at", "cluster", message, "; ".join(dict.fromkeys(case.survey.denied.values())))


QUESTIONS: Final[tuple[Callable[[Case], Iterator[Finding]], ...]] = (
    kubernetes_version,
    api_versions,
    metrics_apis,
    nodes,
    namespaces,
    foreign,
    storage,
    load_balancer,
    pod_security,
    capacity,
    quota,
    webhooks,
    api_services,
    clock,
    _unseen,
)


def examine(case: Case) -> tuple[Finding, ...]:
    """Every finding about a case, rights left out: they need a second look at the cluster (``rights``)."""
    return in_order(finding for question in QUESTIONS for finding in question(case))
