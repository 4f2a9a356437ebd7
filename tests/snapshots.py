"""Every object of a cluster, to compare two looks at it."""

from __future__ import annotations

from sparkrig.apply.removal.contents import resources
from sparkrig.errors import OperationError
from sparkrig.kube.client import KubeApi


def snapshot(api: KubeApi) -> set[tuple[str, str, str, str]]:
    """Group, kind, namespace and name of every object that is served, but for what lives by itself."""
    found = set()
    for info in resources(api).values():
        if info.kind in ("Event", "Lease", "ComponentStatus"):
            continue
        try:
            items = api.list(info.collection(), metadata_only=True)
        except OperationError:  # can be made, not listed
            continue
        found |= {(info.group, info.kind, i["metadata"].get("namespace", ""), i["metadata"]["name"]) for i in items}
    return found
