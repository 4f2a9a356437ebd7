"""Who else uses a stack's CRDs: other stacks, and Helm releases that are in no stack. Writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sparkrig.defaults import LABEL_REVISION, LABEL_STACK, SYSTEM_NAMESPACE
from sparkrig.history.store import History
from sparkrig.kube.client import KubeApi
from sparkrig.models.json import labels_of
from sparkrig.models.objects import ObjectRef
from sparkrig.models.release import ReleaseState
from sparkrig.models.state import ObservedState
from sparkrig.plan.survey import CRD, Content, Shared

RELEASE = "meta.helm.sh/release-name"
RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"


def crds_of(state: ReleaseState) -> tuple[str, ...]:
    """A release's CRDs, whoever applied them; those in its manifest also where a record of old names none."""
    return tuple(dict.fromkeys((*state.crds, *(ref.name for ref in state.inventory if ref.kind == CRD[2]))))


def shared(
    api: KubeApi, stack: str, observed: ObservedState, resources: Mapping[str, Sequence[Content]]
) -> dict[str, Shared]:
    """CRD of ``resources`` (CRD -> its custom resources) that others use -> who, and which are theirs.

    Another stack uses a CRD that it brought too, one of whose kind its releases have objects, and one with custom
    resources in its namespaces. While a run of another stack is recorded as unfinished, it may use any.
    """
    if not resources:
        return {}
    found: dict[str, Shared] = {}
    stacks = _others(api, stack)
    for crd, contents in resources.items():
        who: dict[str, set[ObjectRef]] = {}
        for other, (states, pending) in stacks.items():
            theirs = {c.ref for c in contents if _is_of(other, c, states, observed)}
            if theirs or pending or any(crd in crds_of(state) for state in states):
                who.setdefault(f"stack {other}", set()).update(theirs)
        for content in contents:
            if (name := _release(content.metadata)) and not _in_a_stack(name, observed):
                who.setdefault(f"Helm release {name[0]}/{name[1]}", set()).add(content.ref)
        if who:
            found[crd] = Shared(" and ".join(sorted(who)), tuple(sorted(set().union(*who.values()))))
    return found


def _others(api: KubeApi, stack: str) -> dict[str, tuple[tuple[ReleaseState, ...], bool]]:
    """Every other stack in the cluster -> its releases by its newest record, and whether a run of it has not ended."""
    secrets = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/secrets"
    items = api.list(secrets, label_selector=LABEL_REVISION, metadata_only=True)
    found = {}
    for other in sorted({labels_of(item).get(LABEL_STACK, stack) for item in items} - {stack}):
        last, pending, _ = History(api, other).newest()
        found[other] = (last.after if last else (), pending is not None)
    return found


def _is_of(other: str, content: Content, states: Iterable[ReleaseState], observed: ObservedState) -> bool:
    ref = content.ref
    if observed.namespaces.get(ref.namespace, {}).get(LABEL_STACK) == other:
        return True
    places: Collection[tuple[str, str, str, str]] = {
        (r.group, r.kind, r.namespace, r.name) for state in states for r in state.inventory
    }
    return (ref.group, ref.kind, ref.namespace, ref.name) in places


def _release(metadata: Mapping[str, Any]) -> tuple[str, str] | None:
    annotations = metadata.get("annotations") or {}
    return (str(annotations.get(RELEASE_NAMESPACE)), str(annotations[RELEASE])) if RELEASE in annotations else None


def _in_a_stack(release: tuple[str, str], observed: ObservedState) -> bool:
    """True also for one that is gone: what it left behind is nobody's any more."""
    found = observed.releases.get(release)
    return found is None or found.stack is not None
