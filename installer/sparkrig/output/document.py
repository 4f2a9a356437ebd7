"""What every JSON document of sparkrig begins with, and the parts that several share. Pure."""

from __future__ import annotations

from typing import Any

from sparkrig.models.objects import API_VERSION, ObjectRef
from sparkrig.models.release import ReleaseState


def document(kind: str, **fields: Any) -> dict[str, Any]:
    """A JSON document: ``apiVersion`` and ``kind`` first, then the fields in the given order."""
    return {"apiVersion": API_VERSION, "kind": kind, **fields}


def release_json(state: ReleaseState) -> dict[str, Any]:
    """One release without its values, which may be long and are recorded in the cluster."""
    return {
        "component": state.component,
        "release": state.release,
        "namespace": state.namespace,
        "chart": state.chart,
        "version": state.version,
        "chartDigest": state.chart_digest,
        "standIn": state.stand_in,
        "helmRevision": state.helm_revision,
    }


def object_json(ref: ObjectRef) -> dict[str, Any]:
    """The name of one Kubernetes object."""
    return {"apiVersion": ref.api_version, "kind": ref.kind, "namespace": ref.namespace, "name": ref.name}
