"""Reads whether the CRDs in the cluster are those that a revision recorded. Writes nothing.

Every look at a stack asks this, so it costs one metadata-only LIST, and the whole CRD only where discovery lacks it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sparkrig.errors import AccessDenied, Refused, SparkrigError
from sparkrig.kube.client import KubeApi
from sparkrig.models.json import mapping_at, name_of
from sparkrig.models.objects import ObjectRef, Readiness
from sparkrig.models.release import ReleaseState
from sparkrig.models.revision import Revision
from sparkrig.models.state import CrdDrift
from sparkrig.plan.crds.drift import CRD_KIND, CRDS, find_drift
from sparkrig.readiness import judge

# What only a rollback or a comparison needs is imported there: `status` reads this too.
if TYPE_CHECKING:
    from sparkrig.plan.diff.revisions import ObjectChange


def read_crds(api: KubeApi) -> dict[str, dict[str, Any]] | None:
    """Name -> metadata of every CRD; None where this user may not list them."""
    try:
        return {name_of(item): dict(mapping_at(item, "metadata")) for item in api.list(CRDS, metadata_only=True)}
    except AccessDenied:  # a user with rights in single namespaces: nothing is known of CRDs
        return None


def crd_drift(
    api: KubeApi, states: Sequence[ReleaseState], there: Mapping[str, Mapping[str, Any]] | None
) -> dict[str, tuple[CrdDrift, ...]]:
    """Component -> its CRDs that are not as recorded. ``there`` is from ``read_crds``."""
    if there is None or not any(state.crds for state in states):
        return {}
    served = api.discovery.plurals()

    def unserved(name: str) -> str:
        plural, _, group = name.partition(".")
        if (group, plural) in served:
            return ""
        found = api.get(f"{CRDS}/{name}", missing_ok=True)  # discovery may lag behind what was established just now
        if found is None:
            return "it was deleted meanwhile"
        verdict = judge(found)
        return "" if verdict.readiness is Readiness.READY else verdict.message

    return find_drift(states, there, unserved)


def drift_from(api: KubeApi, target: Revision) -> dict[str, tuple[CrdDrift, ...]]:
    """Component -> its CRDs that are not as a revision to return to recorded them.

    Raises:
        Refused: CRDs would have to be applied again whose content is no longer stored.
    """
    from sparkrig.history.crds import CrdStore

    if not any(state.crds for state in target.after):
        return {}
    drift = crd_drift(api, target.after, read_crds(api))
    store = CrdStore(api, target.stack)
    lost = [
        f"{state.component}: CRD {one.name} {one.why}"
        for state in target.after
        if (recorded := [one for one in drift.get(state.component, ()) if one.name in state.crd_digests])
        and not store.has(state)
        for one in recorded
    ]
    if lost:
        raise Refused(
            f"revision {target.number} cannot be restored: the CRDs that it recorded are no longer stored",
            detail=lost,
            hint="check out the stack file of that time and run up",
        )
    return drift


def crd_changes(
    api: KubeApi,
    state: ReleaseState,
    drift: Sequence[CrdDrift],
    stack: str,
    compare: Callable[[ObjectRef, Mapping[str, Any]], ObjectChange | None],
) -> list[ObjectChange]:
    """The drifted CRDs of a release for ``diff``; ``compare`` finds the fields that differ from what was applied."""
    if not drift:
        return []
    from sparkrig.history.crds import CrdStore
    from sparkrig.plan.diff.revisions import ObjectChange

    recorded: dict[str, dict[str, Any]] = {}
    if any(one.what == "changed" for one in drift):
        try:
            recorded = {name_of(crd): crd for crd in CrdStore(api, stack).read(state)}
        except SparkrigError:  # without the content it is still known, by the digest, that the CRD differs
            recorded = {}
    found = []
    for one in drift:
        ref, note = (
            ObjectRef("apiextensions.k8s.io", "v1", CRD_KIND, "", one.name),
            "" if one.why == "is missing" else one.why,
        )
        fields = compare(ref, recorded[one.name]) if one.what == "changed" and one.name in recorded else None
        missing = ObjectChange(ref, "missing" if one.what == "missing" else "changed", note=note)
        found.append(replace(fields, note=note) if fields is not None else missing)
    return found
