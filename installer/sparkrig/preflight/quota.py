"""ResourceQuotas and LimitRanges of namespaces that are there already, against what comes new."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from sparkrig.models.json import JsonObject, mapping_at, mappings_at, name_of, namespace_of
from sparkrig.preflight.capacity import limit_defaults
from sparkrig.preflight.data import Case, Object
from sparkrig.preflight.finding import Finding, fail, listed
from sparkrig.preflight.fit import requests_of
from sparkrig.preflight.objects import Workload, kind_of, namespace_in, workloads
from sparkrig.preflight.quantity import Amounts, amounts, shown, total


def quota(case: Case) -> Iterator[Finding]:
    """Quotas that would be exceeded, containers that a quota or a LimitRange refuses."""
    defaults = limit_defaults(case)
    new = [w for w in workloads(case) if w.fresh and w.spec and not w.hook]
    for item in case.survey.quotas:
        spec = mapping_at(item, "spec")
        namespace = namespace_of(item)
        if spec.get("scopes") or spec.get("scopeSelector"):
            continue
        here = [w for w in new if w.namespace == namespace and w.kind != "DaemonSet"]
        if here:
            yield from _over(case, item, here, defaults.get(namespace))
    for item in case.survey.limit_ranges:
        namespace = namespace_of(item)
        for limit in mappings_at(item, "spec", "limits"):
            for workload in new:
                if workload.namespace == namespace:
                    yield from _outside(workload, item, limit, defaults.get(namespace))


def _over(case: Case, item: Object, here: Sequence[Workload], defaults: Amounts | None) -> Iterator[Finding]:
    hard, used = amounts(item, "spec", "hard"), amounts(item, "status", "used")
    asked = total(_counted(workload, defaults) for workload in here)
    asked["services"] = Decimal(_services(case, namespace_of(item)))
    title = f"ResourceQuota {namespace_of(item)}/{name_of(item)}"
    names = listed(dict.fromkeys(workload.component for workload in here))
    for resource, limit in hard.items():
        name = {"cpu": "requests.cpu", "memory": "requests.memory", "count/pods": "pods"}.get(resource, resource)
        left = limit - used.get(resource, Decimal(0))
        if asked.get(name, Decimal(0)) > left:
            message = (
                f"{title} leaves {shown(resource, max(left, Decimal(0)))} of {shown(resource, limit)} {resource}, "
                f"{names} asks for {shown(resource, asked[name])}"
            )
            yield fail("quota", names, message, "raise the quota, or choose another namespace")
        silent = _silent(here, name, defaults)
        if silent:
            message = f"{title} limits {resource}, so every container must name it; {listed(silent, 3)} does not"
            yield fail("quota", names, message, "set resources in the component's values, or add a LimitRange")


def _counted(workload: Workload, defaults: Amounts | None) -> Amounts:
    requests = requests_of(workload.spec, defaults)
    limits = total(amounts(c, "resources", "limits") for c in mappings_at(workload.spec, "containers"))
    named = {f"requests.{name}": amount for name, amount in requests.items() if name != "pods"}
    named |= {f"limits.{name}": amount for name, amount in limits.items()}
    return {name: amount * workload.replicas for name, amount in {**named, "pods": Decimal(1)}.items()}


def _services(case: Case, namespace: str) -> int:
    return sum(
        kind_of(item) == ("", "v1", "Service") and namespace_in(item, w) == namespace
        for w in case.wanted
        if w.fresh
        for item in w.objects
    )


def _silent(here: Sequence[Workload], name: str, defaults: Amounts | None) -> list[str]:
    """Workloads with a container that says nothing of a resource a quota counts; the API server refuses those."""
    kind, _, resource = name.partition(".")
    if kind not in ("requests", "limits") or resource not in ("cpu", "memory"):
        return []
    return [
        w.title for w in here if any(not _says(c, kind, resource, defaults) for c in mappings_at(w.spec, "containers"))
    ]


def _says(container: JsonObject, kind: str, resource: str, defaults: Amounts | None) -> bool:
    resources = mapping_at(container, "resources")
    given = {**mapping_at(resources, "limits"), **(mapping_at(resources, kind) if kind == "requests" else {})}
    return resource in given or resource in (defaults or {})


def _outside(workload: Workload, item: Object, limit: JsonObject, defaults: Amounts | None) -> Iterator[Finding]:
    title = f"LimitRange {namespace_of(item)}/{name_of(item)}"
    highest, lowest = amounts(limit, "max"), amounts(limit, "min")
    parts = [("pod", workload.spec)] if limit.get("type") == "Pod" else []
    if limit.get("type") == "Container":
        parts = [(f"container {c.get('name')}", {"containers": [c]}) for c in mappings_at(workload.spec, "containers")]
    for what, spec in parts:
        asked = requests_of(spec, defaults)
        who = f"{workload.title}: {what} asks for"
        for name, most in highest.items():
            if asked.get(name, Decimal(0)) > most:
                message = f"{who} {shown(name, asked[name])} {name}, {title} allows {shown(name, most)}"
                yield fail("limit-range", workload.component, message, "lower it in the component's values")
        for name, least in lowest.items():
            if name in asked and asked[name] < least:
                message = f"{who} {shown(name, asked[name])} {name}, {title} wants {shown(name, least)} at least"
                yield fail("limit-range", workload.component, message, "raise it in the component's values")
