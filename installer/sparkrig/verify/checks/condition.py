"""``condition``: objects of one kind say that they are well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sparkrig.cluster.api import KindNotServed
from sparkrig.model import Judgement, Readiness, ReadinessRule
from sparkrig.readiness.custom import by_rule
from sparkrig.verify.checks.base import REAL_PODS, Context, Depth, Kind, NotYet
from sparkrig.verify.checks.logs import explained
from sparkrig.verify.checks.matching import error_text, shown


def ask(context: Context) -> str:
    """All objects that ``name`` or ``selector`` picks, or all of the kind, must meet the rule; none is a failure."""
    parameters = context.parameters
    group, _, version = parameters["apiVersion"].rpartition("/")
    kind = parameters["kind"]
    try:
        info = context.api.resource_of(group, version, kind)
    except KindNotServed as error:
        raise NotYet(error.message) from error
    collection = info.collection("" if parameters.get("allNamespaces") else context.namespace)
    found = _found(context, collection)
    if not found:
        raise NotYet(f"there is no {kind}{_which(parameters)}")
    failed = {key: parameters["failed"] for key in ("failed",) if key in parameters}
    rule = ReadinessRule(group, kind, parameters["ready"], failed.get("failed"))
    judged = [(item, by_rule(item, rule)) for item in found]
    unwell = [(item, verdict) for item, verdict in judged if verdict.readiness is not Readiness.READY]
    if unwell:
        said = "; ".join(_unwell(kind, item, verdict) for item, verdict in unwell[:4])
        raise NotYet(f"{said}{explained(context, parameters.get('pods'), unwell[0][0]['metadata'].get('namespace'))}")
    item, verdict = judged[0]
    which = f"{kind} {item['metadata']['name']}" if len(found) == 1 else f"{len(found)} {kind}"
    return f"{which}: {verdict.message}"


def _unwell(kind: str, item: Mapping[str, Any], verdict: Judgement) -> str:
    error = error_text(item) if verdict.readiness is Readiness.FAILED else ""
    return f"{kind} {item['metadata']['name']}: {verdict.message}{f': {shown(error)}' if error else ''}"


def _found(context: Context, collection: str) -> list[dict[str, Any]]:
    name = context.parameters.get("name")
    # Listed also by name: in all namespaces together nothing can be read by one.
    by_name = f"metadata.name={name}" if name is not None else None
    return context.api.list(collection, label_selector=context.parameters.get("selector"), field_selector=by_name)


def _which(parameters: Mapping[str, Any]) -> str:
    if "name" in parameters:
        return f" {parameters['name']}"
    return f" with {parameters['selector']}" if "selector" in parameters else ""


def needs(parameters: Mapping[str, Any]) -> Sequence[str]:
    """A custom resource's status is written by a pod; that of Kubernetes' own kinds by real controllers."""
    group = str(parameters.get("apiVersion", "")).rpartition("/")[0]
    own = "." not in group or (group.endswith(".k8s.io") and group.split(".")[0] in OWN)
    return () if own else (REAL_PODS,)


OWN = frozenset({"apiextensions", "apiregistration", "networking", "storage", "scheduling", "certificates"})

KIND = Kind(ask, Depth.FAST, needs)
