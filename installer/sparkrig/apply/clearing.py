"""Makes way for what Helm cannot do: objects that cannot be changed, and what earlier hooks left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Literal

from sparkrig.apply.waiting import Waiter
from sparkrig.kube.client import KubeApi
from sparkrig.models.json import dig, name_of, owners_of
from sparkrig.models.objects import ObjectRef
from sparkrig.models.operation import HelmWrite

Say = Callable[[str], None]
GONE_S: Final = 60.0
"""Until an object that was deleted is gone; the garbage collector takes about a second for an orphaning."""


async def clear_the_way(api: KubeApi, waiter: Waiter, operation: HelmWrite, say: Say) -> None:
    """Deletes what the operation makes anew, so that Helm creates it; what holds data lives on.

    A StatefulSet is deleted without its pods and volume claims: the new one finds and adopts them. The pods of one
    whose selector changes would be nobody's and keep their names from the new ones: they go, the claims stay.
    Everything else goes with what it owns (ReplicaSets, pods).

    Raises:
        OperationError: something is still there after ``GONE_S``.
    """
    for ref in operation.leftovers:
        say(f"removing {ref}, left by an earlier hook")
        await _delete(api, waiter, ref, "Background", say)
    for ref in operation.recreated:
        say(f"making {ref} anew: it cannot be changed")
        if ref.kind != "StatefulSet":
            await _delete(api, waiter, ref, "Background", say)
            continue
        pods = await asyncio.to_thread(_pods_of, api, ref) if ref in operation.reselected else []
        await _delete(api, waiter, ref, "Orphan", say)
        for pod in pods:
            await _delete(api, waiter, pod, "Background", say)


async def _delete(
    api: KubeApi, waiter: Waiter, ref: ObjectRef, propagation: Literal["Background", "Orphan"], say: Say
) -> None:
    await asyncio.to_thread(lambda: api.delete(api.path_of(ref), propagation=propagation))
    await waiter.until_gone([ref], timeout_s=GONE_S, say=say)


def _pods_of(api: KubeApi, ref: ObjectRef) -> list[ObjectRef]:
    owner: dict[str, Any] | None = api.get(api.path_of(ref), missing_ok=True)
    if owner is None:
        return []
    pods = api.list(f"/api/v1/namespaces/{ref.namespace}/pods")
    return [
        ObjectRef("", "v1", "Pod", ref.namespace, name_of(pod))
        for pod in pods
        if any(o.get("uid") == dig(owner, "metadata", "uid") for o in owners_of(pod))
    ]
