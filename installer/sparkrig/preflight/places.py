"""Namespaces, quotas, LimitRanges, webhooks, aggregated APIs and clocks: what stops an object on its way in."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sparkrig.defaults import CLOCK_SKEW_FAIL_S, CLOCK_SKEW_WARN_S, SYSTEM_NAMESPACE
from sparkrig.models.json import (
    JsonObject,
    annotations_of,
    conditions_of,
    dig,
    labels_of,
    mapping_at,
    mappings_at,
    name_of,
    sequence_at,
    text_at,
    texts_at,
)
from sparkrig.plan.server.webhooks import asked_of, dead_service, label_expression_holds, rule_matches, selector_matches
from sparkrig.preflight.apis import served
from sparkrig.preflight.data import Case, Object, Wanted
from sparkrig.preflight.finding import Finding, fail, listed, warn
from sparkrig.preflight.objects import kind_of, namespace_in
from sparkrig.preflight.quantity import parse

STUCK_AFTER_S: Final = 300.0
"""An empty namespace is gone in seconds; one that is left after this time is held by something."""


def namespaces(case: Case) -> Iterator[Finding]:
    """Namespaces that are missing, or on their way out."""
    if "namespaces" in case.survey.denied:
        return
    made = {w.desired.namespace for w in case.wanted} | {
        name_of(o) for w in case.wanted for o in w.objects if kind_of(o) == ("", "v1", "Namespace")
    }
    used: dict[str, list[str]] = {SYSTEM_NAMESPACE: ["sparkrig"]} if case.wanted else {}
    for wanted in case.wanted:
        for name in _used_by(case, wanted):
            used.setdefault(name, []).append(wanted.name)
            if name not in made and name not in case.survey.namespaces:
                message = f"the chart puts objects into namespace {name}, which does not exist"
                hint = f"kubectl create namespace {name}, or leave it out of the component's values"
                yield fail("missing-namespace", wanted.name, message, hint)
    for name, item in case.survey.namespaces.items():
        if dig(item, "metadata", "deletionTimestamp"):
            yield from _terminating(name, item, used.get(name, []))


def _used_by(case: Case, wanted: Wanted) -> list[str]:
    kinds = served(case)
    names = [wanted.desired.namespace]
    for item in wanted.objects:
        info = kinds.get(kind_of(item))
        if info is not None and info.namespaced:
            names.append(namespace_in(item, wanted))
    return list(dict.fromkeys(names))


def _terminating(name: str, item: Object, users: list[str]) -> Iterator[Finding]:
    holders = [f"{c.get('reason')}: {c.get('message')}" for c in conditions_of(item) if c.get("status") == "True"]
    finalizers = sequence_at(item, "metadata", "finalizers")
    if not holders and finalizers:
        holders = [f"finalizer {listed(map(str, finalizers))}"]
    why = f" ({'; '.join(holders)})" if holders else ""
    since = text_at(item, "metadata", "deletionTimestamp")
    subject = f"namespace {name}"
    if users:
        message = f"it is being deleted since {since}{why}, and {listed(users)} needs it"
        yield fail("namespace-terminating", subject, message, "wait until it is gone; what holds it is named here")
    elif holders and _age_s(since) > STUCK_AFTER_S:
        yield warn("namespace-terminating", subject, f"it is being deleted since {since}{why}")


def _age_s(moment: str) -> float:
    try:
        then = datetime.datetime.fromisoformat(moment)
    except ValueError:
        return 0.0
    return (datetime.datetime.now(datetime.UTC) - then).total_seconds()


# --------------------------------------------------------------------------- webhooks


def webhooks(case: Case) -> Iterator[Finding]:
    """Fail-closed webhooks whose Service cannot answer: everything they are asked about is refused."""
    if {"services", "endpoint_slices"} & case.survey.denied.keys():
        return
    for configuration in case.survey.webhooks:
        for hook in mappings_at(configuration, "webhooks"):
            service = mapping_at(hook, "clientConfig", "service")
            if hook.get("failurePolicy", "Fail") != "Fail" or not service:
                continue
            why = dead_service(service, case.survey.services, case.survey.endpoint_slices)
            if why:
                yield _dead_webhook(case, configuration, hook, why)


def _dead_webhook(case: Case, configuration: Object, hook: JsonObject, why: str) -> Finding:
    kind, name = text_at(configuration, "kind"), name_of(configuration)
    touched = _touched(case, hook)
    asked = listed(dict.fromkeys(r for rule in mappings_at(hook, "rules") for r in texts_at(rule, "resources")), 4)
    message = f"webhook {hook.get('name')} must answer before any {asked} is written, and {why}"
    hint = f"mend it, or remove what is left of it: kubectl delete {kind.lower()} {name}"
    subject = f"{kind} {name}"
    if touched and not _own(case, configuration):
        hint = f"every {asked_of(hook)} is refused until it answers: {hint}"
        return fail("dead-webhook", subject, f"{message}; it would refuse {listed(touched, 3)}", hint)
    return warn("dead-webhook", subject, message, hint)


def _own(case: Case, configuration: Object) -> bool:
    """True for a webhook of this stack's own: what brings it back must not be stopped by it."""
    notes = annotations_of(configuration)
    place = (notes.get("meta.helm.sh/release-namespace"), notes.get("meta.helm.sh/release-name"))
    return place in case.releases


def _touched(case: Case, hook: JsonObject) -> list[str]:
    kinds = served(case)
    found = []
    for wanted in case.wanted:
        for item in wanted.objects:
            info = kinds.get(kind_of(item))
            if info is None or not _selects(hook, case, namespace_in(item, wanted) if info.namespaced else None, item):
                continue
            if any(rule_matches(rule, info.group, info.version, info.plural) for rule in mappings_at(hook, "rules")):
                found.append(f"{kind_of(item)[2]} {name_of(item)} of {wanted.name}")
    return found


def _selects(hook: JsonObject, case: Case, namespace: str | None, item: Object) -> bool:
    labels = labels_of(item)
    if not selector_matches(mapping_at(hook, "objectSelector"), labels):
        return False
    if namespace is None:
        return True
    known = case.survey.namespaces.get(namespace)
    own = labels_of(known)
    for wanted in case.wanted:
        if wanted.desired.namespace == namespace:
            own = {**own, **wanted.desired.namespace_labels}
    return selector_matches(mapping_at(hook, "namespaceSelector"), {"kubernetes.io/metadata.name": namespace, **own})


def expression_holds(labels: Mapping[str, str], key: str, operator: str, values: Sequence[str]) -> bool:
    """One line of ``matchExpressions``, of label selectors and of node affinity."""
    match operator:
        case "Gt":
            return key in labels and parse(labels[key]) > parse(values[0])
        case "Lt":
            return key in labels and parse(labels[key]) < parse(values[0])
        case _:
            return label_expression_holds(labels, key, operator, values)


# --------------------------------------------------------------------------- aggregated APIs, clocks


def api_services(case: Case) -> Iterator[Finding]:
    """Aggregated APIs that do not answer: namespaces cannot be deleted while one is down."""
    for item in case.survey.api_services:
        for condition in conditions_of(item):
            if condition.get("type") == "Available" and condition.get("status") == "False":
                message = f"it does not answer: {condition.get('message') or condition.get('reason')}"
                hint = f"mend it, or remove what is left of it: kubectl delete apiservice {name_of(item)}"
                yield warn("api-service", f"APIService {name_of(item)}", message, hint)


def clock(case: Case) -> Iterator[Finding]:
    """Our clock against the API server's; certificates, tokens and locks depend on both agreeing."""
    skew = case.survey.skew_s
    if skew is None:
        return
    way = "ahead of" if skew > 0 else "behind"
    message = f"this machine's clock is {abs(skew):.0f} s {way} the API server's"
    hint = "set the clocks by NTP"
    if abs(skew) >= CLOCK_SKEW_FAIL_S:
        yield fail("clock-skew", "cluster", message, hint)
    elif abs(skew) >= CLOCK_SKEW_WARN_S:
        yield warn("clock-skew", "cluster", message, hint)
