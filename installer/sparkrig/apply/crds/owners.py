"""Hands CRDs from one owner to another, and keeps Helm from deleting them on the way.

Who applies the CRDs of a component may change with its catalogue (``crds.owner``), and what changes it is
an ordinary upgrade or rollback. Helm deletes what its last manifest had and the next one lacks, custom
resources and all, unless the live object says ``helm.sh/resource-policy: keep``; and two managers of one
CRD undo each other's work. So before Helm is called, CRDs that are in its hands are told to stay, and CRDs
that are to be Helm's or a hook's are let go of.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from sparkrig.apply.crds.apply import KEEP, KEPT, LAST_APPLIED, NAMESPACE, RELEASE, installed
from sparkrig.defaults import FIELD_MANAGER, LABEL_COMPONENT
from sparkrig.errors import AccessDenied
from sparkrig.helm.charts.archive import crds as chart_crds
from sparkrig.kube.client import PATCH_TYPES, KubeApi
from sparkrig.models.component import CrdOwner
from sparkrig.models.json import JsonValue, annotations_of, dig, labels_of, mappings_at, name_of
from sparkrig.models.objects import ObjectRef
from sparkrig.models.operation import InstallRelease, RollbackRelease, WriteRelease
from sparkrig.models.release import DesiredRelease
from sparkrig.plan.crds.drift import CRD_KIND, CRDS, DIGEST, applies

Say = Callable[[str], None]

HELM: Final = "helm"
"""Helm's field manager."""
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
_WITHOUT_HELM: Final = (CrdOwner.US, CrdOwner.NONE)
"""Owners of CRDs with which neither Helm nor a hook has any."""


def pass_on(api: KubeApi, operation: WriteRelease, say: Say) -> None:
    """Before an upgrade or a rollback: CRDs that get another owner are let go of, those that Helm loses stay.

    What the API server tells of CRDs is large (who owns each field of each schema), so it is asked once, and not at all
    for the first install of a release whose CRDs are not to be Helm's or a hook's: nobody has any, Helm loses none.
    """
    if (
        isinstance(operation, InstallRelease)
        and operation.helm_revision is None
        and operation.desired.crd_owner in _WITHOUT_HELM
    ):
        return
    try:
        there = installed(api)
    except AccessDenied:
        if _has_none(operation):  # a user with rights in single namespaces, and a release that never had any
            return
        raise
    if going := changing_hands(operation, there):
        say(f"handing {len(going)} CRDs over to {new_owner(operation)}")
        let_go(api, going, operation.release, operation.namespace, to_helm=_to_helm(operation))
    spare(api, {k: v for k, v in there.items() if k not in going}, operation.release, operation.namespace)


def _has_none(operation: WriteRelease) -> bool:
    """Whether neither the recorded release nor the wanted one has CRDs, so that there is nothing to keep."""
    state = operation.state
    if state is None or state.crds or any(ref.kind == CRD_KIND for ref in state.inventory):
        return False
    if isinstance(operation, RollbackRelease):
        return True
    return operation.desired.crd_owner in _WITHOUT_HELM and not operation.desired.crds


def new_owner(operation: WriteRelease) -> str:
    """To whom ``changing_hands`` go, in a person's words."""
    return "Helm" if _to_helm(operation) else "the job of the chart"


def _to_helm(operation: WriteRelease) -> bool:
    return isinstance(operation, RollbackRelease) or operation.desired.crd_owner is CrdOwner.HELM


def changing_hands(operation: WriteRelease, there: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The component's CRDs that its new owner does not have yet; ``there`` is from ``installed``."""
    if isinstance(operation, RollbackRelease):  # Helm writes again what was in the manifest of the recorded release
        known = {ref.name for ref in operation.state.inventory if ref.kind == CRD_KIND}
    elif operation.desired.crd_owner in (CrdOwner.HELM, CrdOwner.HOOK):
        recorded = operation.state.crds if operation.state else ()
        known = {*recorded, *ours(there, operation.component)}
    else:
        return []
    mine = (operation.release, operation.namespace)
    if _to_helm(operation):
        return [name for name in sorted(known & there.keys()) if release_of(there[name]) != mine]
    held = {name for name in known & there.keys() if release_of(there[name]) == mine}
    return sorted(held | set(ours(there, operation.component)))


def release_of(metadata: Mapping[str, Any]) -> tuple[Any, Any]:
    """Name and namespace of the Helm release that has an object, by its annotations."""
    annotations = metadata.get("annotations") or {}
    return annotations.get(RELEASE), annotations.get(NAMESPACE)


def crds_of(
    api: KubeApi, desired: DesiredRelease, refs: Sequence[ObjectRef], applied: tuple[str, ...]
) -> tuple[str, ...]:
    """The CRDs of a component whose release has ``refs``: those that we ``applied``, or that Helm or a hook brought."""
    if desired.crd_owner in _WITHOUT_HELM:
        return applied
    brought = {name_of(crd) for crd in chart_crds(desired.chart.path, desired.values)}
    names = {ref.name for ref in refs if ref.kind == CRD_KIND} | set(desired.crds) | brought
    return tuple(sorted(names & installed(api).keys()))


def spare(api: KubeApi, there: Mapping[str, Mapping[str, Any]], release: str, namespace: str) -> None:
    """Tells the CRDs that a Helm release has to stay when the release's next manifest lacks them.

    ``there`` is from ``installed``, without those that were let go of meanwhile: they were told.
    """
    for name, metadata in there.items():
        if release_of(metadata) == (release, namespace) and (metadata.get("annotations") or {}).get(KEEP) != KEPT:
            api.patch(f"{CRDS}/{name}", {"metadata": {"annotations": {KEEP: KEPT}}})


def ours(there: Mapping[str, Mapping[str, Any]], component: str) -> tuple[str, ...]:
    """The CRDs that we applied for a component, of those in ``there`` (from ``installed``)."""
    return tuple(
        name
        for name, metadata in sorted(there.items())
        if (metadata.get("labels") or {}).get(LABEL_COMPONENT) == component
        and any(e.get("manager") == FIELD_MANAGER and applies(e) for e in metadata.get("managedFields") or ())
    )


def let_go(api: KubeApi, names: Collection[str], release: str, namespace: str, *, to_helm: bool) -> None:
    """Makes CRDs somebody else's: with ``to_helm`` the release's, else a hook's.

    Fields, custom resources and UIDs stay. Nobody manages the fields until the new owner applies them.
    """
    for name in names:
        path = f"{CRDS}/{name}"
        live = api.get(path, missing_ok=True)
        if live is None:
            continue
        written = mappings_at(live, "metadata", "managedFields")
        kept = [e for e in written if e.get("manager") != FIELD_MANAGER and not applies(e)]
        labels = {k: v for k, v in labels_of(live).items() if k not in (MANAGED_BY, LABEL_COMPONENT)}
        gone = (DIGEST, RELEASE, NAMESPACE, LAST_APPLIED)
        annotations = {k: v for k, v in annotations_of(live).items() if k not in gone} | {KEEP: KEPT}
        if to_helm:  # what Helm wants to see before it takes an object for its own
            labels[MANAGED_BY] = "Helm"
            annotations |= {RELEASE: release, NAMESPACE: namespace}
        operations: list[JsonValue] = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": dig(live, "metadata", "resourceVersion")},
            {"op": "add", "path": "/metadata/managedFields", "value": kept or [{}]},
            {"op": "add", "path": "/metadata/labels", "value": labels},
            {"op": "add", "path": "/metadata/annotations", "value": annotations},
        ]
        params = {"fieldManager": HELM if to_helm else FIELD_MANAGER}
        api.request("PATCH", path, body=operations, params=params, content_type=PATCH_TYPES["json"])
