"""How many GPUs pods have been given."""

from __future__ import annotations

from sparkrig.clusters.facts.gpu import GPU_RESOURCE
from sparkrig.errors import AccessDenied
from sparkrig.kube.client import KubeApi
from sparkrig.models.json import JsonObject, mapping_at, mappings_at, number_at, text_at

PREFIXES = (GPU_RESOURCE, "nvidia.com/mig-")
"""Whole GPUs, and slices of them under names of their own."""


def allocated_gpus(api: KubeApi) -> int | None:
    """Return the sum of what pods that have a node and have not ended ask for; None where pods may not be listed."""
    try:
        pods = api.list("/api/v1/pods", field_selector="spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed")
    except AccessDenied:
        return None
    return sum(_of_pod(mapping_at(pod, "spec")) for pod in pods)


def _of_pod(spec: JsonObject) -> int:
    """As the scheduler counts: containers together, or the largest init container, whichever is more."""
    running = sum(map(_of_container, mappings_at(spec, "containers")))
    first = [_of_container(c) for c in mappings_at(spec, "initContainers") if c.get("restartPolicy") != "Always"]
    beside = sum(_of_container(c) for c in mappings_at(spec, "initContainers") if c.get("restartPolicy") == "Always")
    return max(running + beside, max(first, default=0))


def _of_container(container: JsonObject) -> int:
    resources = container.get("resources") or {}
    # An extended resource's request equals its limit, and may be left out.
    asked = {**mapping_at(resources, "limits"), **mapping_at(resources, "requests")}
    return sum(number_at(asked, name) for name in asked if name.startswith(PREFIXES) and text_at(asked, name).isdigit())
