"""Why a controller does not know an Ingress: its class is not the one that the controller serves."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from sparkrig.checks.kinds.base import Context, Subject
from sparkrig.errors import AccessDenied
from sparkrig.kube.client import ApiError
from sparkrig.models.json import JsonObject, annotations_of, dig

COLLECTION: Final = "/apis/networking.k8s.io/v1/ingressclasses"
OLD: Final = "kubernetes.io/ingress.class"
"""The annotation that named a class before there was a field for it; controllers still read it."""


def unserved(context: Context, ingress: JsonObject, provider: Subject | None) -> str:
    """What is wrong with the class of an Ingress, to be put behind what the controller answered; empty if nothing is.

    ``provider`` is the component of the stack that brings the controller, if one does.
    """
    annotations = annotations_of(ingress)
    name = dig(ingress, "spec", "ingressClassName") or annotations.get(OLD)
    known = [ref.name for ref in provider.state.inventory if ref.kind == "IngressClass"] if provider else []
    if name in known:
        return ""
    ours = f"; that of {provider.component} is {', '.join(known)}" if provider and known else ""
    if not name:
        return f"; it names no IngressClass, and none was the default when it was made{ours}"
    try:
        there = context.api.get(f"{COLLECTION}/{quote(str(name), safe='')}", missing_ok=True)
    except (ApiError, AccessDenied):  # classes are the cluster's: rights in one namespace do not reach them
        return f"; it names IngressClass {name}{ours}" if ours else ""
    if there is None:
        return f"; it names IngressClass {name}, which does not exist{ours}"
    return f"; it names IngressClass {name}{ours}" if ours else ""
