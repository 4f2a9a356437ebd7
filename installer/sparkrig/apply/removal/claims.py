"""Volume claims that a ``down`` purges, and the pods that hold them.

Kubernetes keeps a deleted claim (finalizer ``kubernetes.io/pvc-protection``) as long as a pod that was scheduled
names it, and a pod that has finished counts too: every Spark job with event logs on a claim leaves one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sparkrig.defaults import LABEL_STACK
from sparkrig.kube.client import KubeApi
from sparkrig.models.json import name_of, namespace_of
from sparkrig.models.objects import ObjectRef
from sparkrig.models.release import ReleaseState
from sparkrig.plan.removal import foreign_releases
from sparkrig.plan.survey import CLAIM, Content

FINISHED = ("Succeeded", "Failed")


def claims_of(
    api: KubeApi, stack: str, states: Iterable[ReleaseState], contents: Mapping[str, tuple[Content, ...]]
) -> tuple[ObjectRef, ...]:
    """Volume claims of the releases, and those in the stack's namespaces that no Helm release of others shares."""
    named = {(ref.namespace, ref.name) for s in states for ref in s.inventory if ref.kind == CLAIM}
    spaces = {name for name, found in contents.items() if not foreign_releases(found, stack)}
    items = api.list("/api/v1/persistentvolumeclaims", metadata_only=True)
    places = sorted((namespace_of(item), name_of(item)) for item in items)
    return tuple(ObjectRef("", "v1", CLAIM, *p) for p in places if p in named or p[0] in spaces)


def finished_pods(api: KubeApi, claims: Iterable[ObjectRef]) -> tuple[ObjectRef, ...]:
    """Pods that have ended and still name one of the claims."""
    return tuple(sorted({_ref(pod) for _, pod in _users(api, claims) if _phase(pod) in FINISHED}))


def let_go(api: KubeApi, stack: str, claims: Collection[ObjectRef], *, whole_namespaces: bool) -> None:
    """Deletes the pods that hold claims which are being deleted.

    Those that have ended; and all others where their namespace goes too (``whole_namespaces``), unless a Helm release
    that is not the stack's is in it. A claim that is being deleted lets no new pod be scheduled.
    """
    shared: dict[str, bool] = {}
    for ref, pod in {_ref(pod): pod for _, pod in _users(api, claims)}.items():
        if pod["metadata"].get("deletionTimestamp"):
            continue
        if _phase(pod) not in FINISHED:
            if ref.namespace not in shared:
                shared[ref.namespace] = _has_other_releases(api, stack, ref.namespace)
            if not whole_namespaces or shared[ref.namespace]:
                continue
        api.delete(api.path_of(ref))


def explain_claim(api: KubeApi, claim: ObjectRef) -> list[str]:
    """Lines about the pods that hold a claim; none where none does."""
    lines = []
    for _, pod in _users(api, (claim,)):
        ref = _ref(pod)
        lines += [
            f"{claim} is in use by {ref} ({_phase(pod)}): Kubernetes keeps it until that pod is gone",
            f"    kubectl delete pod {ref.name} -n {ref.namespace}",
        ]
    return lines


def _has_other_releases(api: KubeApi, stack: str, namespace: str) -> bool:
    others = f"owner=helm,{LABEL_STACK}!={stack}"
    return bool(api.list(f"/api/v1/namespaces/{namespace}/secrets", label_selector=others, metadata_only=True))


def _users(api: KubeApi, claims: Iterable[ObjectRef]) -> Iterator[tuple[ObjectRef, Mapping[str, Any]]]:
    """Each claim with each pod that names it; one LIST a namespace."""
    spaces: dict[str, dict[str, ObjectRef]] = {}
    for claim in claims:
        spaces.setdefault(claim.namespace, {})[claim.name] = claim
    for namespace, named in sorted(spaces.items()):
        for pod in api.list(f"/api/v1/namespaces/{namespace}/pods"):
            for name in _named(pod):
                if name in named:
                    yield named[name], pod


def _named(pod: Mapping[str, Any]) -> Sequence[str]:
    """Names of the claims in a pod's volumes; that of an ephemeral volume is made of the pod's and the volume's."""
    names = []
    for volume in pod["spec"].get("volumes") or ():
        if claim := volume.get("persistentVolumeClaim"):
            names.append(str(claim["claimName"]))
        elif "ephemeral" in volume:
            names.append(f"{name_of(pod)}-{volume['name']}")
    return names


def _phase(pod: Mapping[str, Any]) -> str:
    return str((pod.get("status") or {}).get("phase", "Unknown"))


def _ref(pod: Mapping[str, Any]) -> ObjectRef:
    return ObjectRef("", "v1", "Pod", namespace_of(pod), name_of(pod))
