"""Reads what preflight judges, in a few parallel requests. Writes nothing.

Access reviews are POSTs that the API server answers and does not keep.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from sparkrig.defaults import API_CONNECTIONS
from sparkrig.errors import AccessDenied, SparkrigError
from sparkrig.kube.client import KindNotServed, KubeApi
from sparkrig.kube.discovery import ResourceInfo
from sparkrig.models.json import JsonDict, JsonObject, dig, mappings_at, name_of, texts_at
from sparkrig.plan.crds.drift import CRDS
from sparkrig.preflight.data import Kind, Rights, Rule, Survey
from sparkrig.preflight.rights import Need

COLLECTIONS: Final[Mapping[str, str]] = {
    "nodes": "/api/v1/nodes",
    "storage_classes": "/apis/storage.k8s.io/v1/storageclasses",
    "services": "/api/v1/services",
    "endpoint_slices": "/apis/discovery.k8s.io/v1/endpointslices",
    "api_services": "/apis/apiregistration.k8s.io/v1/apiservices",
    "quotas": "/api/v1/resourcequotas",
    "limit_ranges": "/api/v1/limitranges",
    "volumes": "/api/v1/persistentvolumes",
}
LIVING: Final = "status.phase!=Succeeded,status.phase!=Failed"
WEBHOOKS: Final = "/apis/admissionregistration.k8s.io/v1"
NOWHERE: Final = "sparkrig-no-such-namespace"
"""Nobody has a Role in it, so the rules that hold there are those of the whole cluster."""
REVIEWS: Final = "/apis/authorization.k8s.io/v1"
MOST_REVIEWS: Final = 400
"""Single questions to an authorizer that does not list its rules; beyond, the run itself will tell."""


def collect(api: KubeApi) -> Survey:
    """One look at the cluster. What may not be read is named in ``denied``, not raised.

    Raises:
        ClusterUnreachable: no answer at first contact.
    """
    version = api.version()
    questions: dict[str, Callable[[], Any]] = {name: _lister(api, path) for name, path in COLLECTIONS.items()}
    questions |= {
        "pods": lambda: api.list("/api/v1/pods", field_selector=LIVING),
        "namespaces": lambda: {name_of(item): item for item in api.list("/api/v1/namespaces")},
        "crds": lambda: _crd_names(api),
        "webhooks": lambda: _webhooks(api),
        "kinds": lambda: _kinds(api),
        "skew_s": lambda: clock_skew(api),
    }
    answers: dict[str, Any] = {}
    denied: dict[str, str] = {}
    with ThreadPoolExecutor(API_CONNECTIONS, "preflight") as pool:
        for name, future in [(name, pool.submit(ask)) for name, ask in questions.items()]:
            try:
                answers[name] = future.result()
            except AccessDenied as error:
                denied[name] = error.message
            except SparkrigError as error:
                denied[name] = error.message
    return Survey(kubernetes=version, denied=denied, **answers)


def _lister(api: KubeApi, path: str) -> Callable[[], list[JsonDict]]:
    return lambda: api.list(path)


def _crd_names(api: KubeApi) -> frozenset[str]:
    items = api.list(CRDS, metadata_only=True)
    return frozenset(name_of(item) for item in items)


def _webhooks(api: KubeApi) -> list[JsonDict]:
    kinds = ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")
    return [item for kind in kinds for item in api.list(f"{WEBHOOKS}/{kind}")]


def _kinds(api: KubeApi) -> dict[Kind, ResourceInfo]:
    api.resource_of("", "v1", "Namespace")
    return {key: api.resource_of(*key) for key in api.discovery.served()}


def learn(api: KubeApi, survey: Survey, wanted: Iterable[Kind]) -> dict[Kind, ResourceInfo]:
    """The kinds of the survey and those of ``wanted`` that are served after all.

    Aggregated discovery lags behind new CRDs, and API servers before 1.26 have none.
    """
    known = dict(survey.kinds)
    for kind in set(wanted) - known.keys():
        try:
            known[kind] = api.resource_of(*kind)
        except KindNotServed:
            continue
    return known


def clock_skew(api: KubeApi) -> float | None:
    """Seconds by which our clock is ahead of the API server's; to a second, which is what HTTP dates have."""
    before = time.time()
    date = api.transport().date()
    after = time.time()
    if date is None:
        return None
    server = email.utils.parsedate_to_datetime(date).timestamp()
    # The header is cut to the second: the answer lies between, and no skew is claimed that need not be there.
    if before > server + 1:
        return before - server - 1
    return min(after - server, 0.0)


# --------------------------------------------------------------------------- rights


def ask_rights(api: KubeApi, namespaces: Collection[str]) -> Rights:
    """What we may do in the whole cluster and in some namespaces; one request where we may do everything.

    Raises:
        SparkrigError: the API server answers no access reviews.
    """
    if may(api, Need("", "*", "*", "*")):
        return Rights(everything=True)
    places = [NOWHERE, *sorted(namespaces)]
    with ThreadPoolExecutor(API_CONNECTIONS, "rights") as pool:
        answers = list(pool.map(lambda place: _rules(api, place), places))
    rules = {place: rules for place, (rules, _) in zip(places, answers, strict=True)}
    complete = all(complete for _, complete in answers)
    return Rights(cluster=rules.pop(NOWHERE), namespaces=rules, complete=complete)


def confirm(api: KubeApi, lacking: Mapping[Need, list[str]]) -> dict[Need, list[str]]:
    """What is really not allowed, where the authorizer could not list all of its rules."""
    asked = list(lacking)[:MOST_REVIEWS]
    with ThreadPoolExecutor(API_CONNECTIONS, "rights") as pool:
        allowed = pool.map(lambda need: may(api, need), asked)
        return {need: lacking[need] for need, yes in zip(asked, allowed, strict=True) if not yes}


def may(api: KubeApi, need: Need) -> bool:
    """One SelfSubjectAccessReview."""
    resource, _, part = need.resource.partition("/")
    attributes = {"namespace": need.namespace, "group": need.group, "resource": resource, "verb": need.verb}
    attributes |= {"name": need.name} if need.name else {}
    attributes |= {"subresource": part} if part else {}
    review = _review("SelfSubjectAccessReview", {"resourceAttributes": attributes})
    answer = api.request("POST", f"{REVIEWS}/selfsubjectaccessreviews", body=review)
    return bool(dig(answer, "status", "allowed"))


def _rules(api: KubeApi, namespace: str) -> tuple[tuple[Rule, ...], bool]:
    review = _review("SelfSubjectRulesReview", {"namespace": namespace})
    status = api.request("POST", f"{REVIEWS}/selfsubjectrulesreviews", body=review).get("status")
    rules = tuple(
        Rule(
            frozenset(texts_at(rule, "verbs")),
            frozenset(texts_at(rule, "apiGroups")),
            frozenset(texts_at(rule, "resources")),
            frozenset(texts_at(rule, "resourceNames")),
        )
        for rule in mappings_at(status, "resourceRules")
    )
    return rules, not dig(status, "incomplete")


def _review(kind: str, spec: JsonObject) -> JsonDict:
    return {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "metadata": {}, "spec": spec}


def namespaces_of(needs: Iterable[Need]) -> Sequence[str]:
    """The namespaces that needs are about."""
    return sorted({need.namespace for need in needs if need.namespace})
