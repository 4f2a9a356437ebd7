"""Says why an object or a namespace does not go: which finalizer, whose controller, and what frees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sparkrig.cluster.api import KubeApi
from sparkrig.errors import SparkrigError
from sparkrig.model import ObjectRef

SHOWN = 5
_TELLING = (
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
    "NamespaceDeletionContentFailure",
)
"""Conditions of a namespace that tell more than the objects in it."""


def explain_object(api: KubeApi, ref: ObjectRef, found: Mapping[str, Any], component: str = "") -> list[str]:
    """Lines about an object that was deleted and is still there."""
    finalizers = found["metadata"].get("finalizers") or []
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
    from sparkrig.apply.contents import contents_of

    name = found["metadata"]["name"]
    conditions = (found.get("status") or {}).get("conditions") or ()
    lines = [str(c.get("message")) for c in conditions if c.get("type") in _TELLING and c.get("status") == "True"]
    if any("DiscoveryFailure" in str(c.get("type")) and c.get("status") == "True" for c in conditions):
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
    return lines or [f"{len(contents)} objects are still in it, none has a finalizer"]


def _plural(api: KubeApi, ref: ObjectRef) -> str:
    try:
        return api.resource_of(ref.group, ref.version, ref.kind).plural
    except SparkrigError:
        return ref.kind.lower()
