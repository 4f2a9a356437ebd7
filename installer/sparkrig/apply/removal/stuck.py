"""Says why an object or a namespace does not go: which finalizer, whose controller, and what frees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sparkrig.apply.removal.claims import explain_claim
from sparkrig.defaults import API_CONNECTIONS
from sparkrig.errors import SparkrigError
from sparkrig.kube.client import KubeApi
from sparkrig.kube.errors import ApiError, NotFoundApi
from sparkrig.models.json import mapping_at, name_of
from sparkrig.models.objects import ObjectRef
from sparkrig.plan.crds.drift import CRDS
from sparkrig.plan.crds.safety import strategy
from sparkrig.plan.held import dead_apis
from sparkrig.plan.survey import CLAIM

SHOWN = 5
UNREADABLE_S = 35.0
"""For one look at the custom resources of a kind; the API server waits 30 s for a conversion webhook, then says so."""
_TELLING = (
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
    "NamespaceDeletionContentFailure",
)
"""Conditions of a namespace that tell more than the objects in it."""
_HELD = ("NamespaceFinalizersRemaining", "NamespaceContentRemaining")
API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"


def explain_object(api: KubeApi, ref: ObjectRef, found: Mapping[str, Any], component: str = "") -> list[str]:
    """Lines about an object that was deleted and is still there."""
    finalizers = found["metadata"].get("finalizers") or []
    if ref.kind == CLAIM and (lines := explain_claim(api, ref)):
        return lines
    if not finalizers:
        return [f"{ref}: no finalizer holds it; the garbage collector has not come to it yet"]
    kind = f"{_plural(api, ref)}.{ref.group}" if ref.group else _plural(api, ref)
    space = f" -n {ref.namespace}" if ref.namespace else ""
    return [
        f"{ref} waits for finalizer{'s' if len(finalizers) > 1 else ''} {', '.join(finalizers)}: {_who(component)}",
        "    if nobody will take it off, and what it stands for may stay behind:",
        f'    kubectl patch {kind} {ref.name}{space} --type=merge -p \'{{"metadata":{{"finalizers":null}}}}\'',
    ]


def _who(component: str) -> str:
    if component:
        return f"its controller is that of component {component}; see whether that runs (sparkrig status)"
    return "no component of this stack has its controller; is what installed it gone?"


def explain_namespace(api: KubeApi, found: Mapping[str, Any], owner: Callable[[ObjectRef], str]) -> list[str]:
    """Lines about a namespace that was deleted and is still there; best effort."""
    from sparkrig.apply.removal.contents import contents_of

    name = name_of(found)
    conditions = (found.get("status") or {}).get("conditions") or ()
    lines = [str(c.get("message")) for c in conditions if c.get("type") in _TELLING and c.get("status") == "True"]
    if any("DiscoveryFailure" in str(c.get("type")) and c.get("status") == "True" for c in conditions):
        dead = dead_api_services(api)
        lines += [
            f"    APIService {name}: {why}; kubectl delete apiservice {name}, if its server is gone"
            for name, why in dead.items()
        ]
        if not dead:
            lines.append("    an APIService whose Service is gone does that: kubectl get apiservices")
    try:
        contents = contents_of(api, name)
    except SparkrigError as error:
        return [*lines, f"(cannot look into it: {error.message})"]
    held = [content for content in contents if content.metadata.get("finalizers")]
    for content in held[:SHOWN]:
        lines += explain_object(api, content.ref, {"metadata": content.metadata}, owner(content.ref))
    if len(held) > SHOWN:
        lines.append(f"and {len(held) - SHOWN} more objects with finalizers")
    if not held:
        lines += unreadable(api)
    return lines or [f"{len(contents)} objects are still in it, none has a finalizer"]


def dead_api_services(api: KubeApi) -> dict[str, str]:
    """APIService -> why it does not answer; none where they may not be read."""
    try:
        return dead_apis(api.list(API_SERVICES))
    except SparkrigError:
        return {}


def held_by(namespace: Mapping[str, Any]) -> str:
    """What a namespace's conditions say holds it; empty where they say nothing yet."""
    conditions = (namespace.get("status") or {}).get("conditions") or ()
    told = {c.get("type"): str(c.get("message") or "") for c in conditions if c.get("status") == "True"}
    return next((text for kind in (*_TELLING, *_HELD) if (text := told.get(kind, ""))), "")


def unreadable(api: KubeApi) -> list[str]:
    """Lines about CRDs whose custom resources nobody can read, because the webhook that converts them is dead.

    Kubernetes looks through every kind before it lets a namespace go, whoever brought the kind.
    """
    try:
        crds = [crd for crd in api.list(CRDS) if strategy(mapping_at(crd, "spec")) == "Webhook"]
    except SparkrigError:
        return []

    def look(crd: Mapping[str, Any]) -> list[str]:
        spec, name = crd["spec"], name_of(crd)
        for version in (v["name"] for v in spec["versions"] if v.get("served")):
            path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
            try:
                api.request("GET", path, params={"limit": "1"}, timeout_s=UNREADABLE_S)
            except NotFoundApi:
                continue
            except ApiError as error:
                return [
                    f"CRD {name}: its custom resources cannot be read as {version} ({error.message})",
                    "    Kubernetes lets no namespace go until they can: see that its conversion webhook runs",
                ]
        return []

    with ThreadPoolExecutor(API_CONNECTIONS) as pool:
        return [line for lines in pool.map(look, crds) for line in lines]


def _plural(api: KubeApi, ref: ObjectRef) -> str:
    try:
        return api.resource_of(ref.group, ref.version, ref.kind).plural
    except SparkrigError:
        return ref.kind.lower()
