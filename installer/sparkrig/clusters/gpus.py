"""How many GPUs pods have been given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkrig.clusters.facts.gpu import GPU_RESOURCE
from sparkrig.errors import AccessDenied
from sparkrig.kube.client import KubeApi

PREFIXES = (GPU_RESOURCE, "nvidia.com/mig-")
"""Whole GPUs, and slices of them under names of their own."""


def allocated_gpus(api: KubeApi) -> int | None:
    """Return the sum of what pods that have a node and have not ended ask for; None where pods may not be listed."""
    try:
        pods = api.list("/api/v1/pods", field_selector="spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed")
    except AccessDenied:
        return None
    return sum(_of_pod(pod.get("spec") or {}) for pod in pods)


def _of_pod(spec: Mapping[str, Any]) -> int:
    """As the scheduler counts: containers together, or the largest init container, whichever is more."""
    running = sum(map(_of_container, spec.get("containers") or ()))
    first = [_of_container(c) for c in spec.get("initContainers") or () if c.get("restartPolicy") != "Always"]
    beside = sum(_of_container(c) for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always")
    return max(running + beside, max(first, default=0))


def _of_container(container: Mapping[str, Any]) -> int:
    resources = container.get("resources") or {}
    # An extended resource's request equals its limit, and may be left out.
    asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return sum(int(value) for name, value in asked.items() if name.startswith(PREFIXES) and str(value).isdigit())
