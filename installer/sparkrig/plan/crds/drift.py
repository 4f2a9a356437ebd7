"""Whether the CRDs in the cluster are those that a revision recorded. Pure.

Judged by the metadata of a CRD alone: a CRD is up to a megabyte, its metadata some hundred bytes. The annotation says
what was applied, and ``managedFields`` whether somebody changed it since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from sparkrig.defaults import FIELD_MANAGER
from sparkrig.models.release import ReleaseState
from sparkrig.models.state import CrdDrift

DIGEST: Final = "sparkrig.dev/crd-digest"
"""Annotation: ``sha256:…`` over the CRD as it was applied, without this annotation."""
CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CRD_KIND: Final = "CustomResourceDefinition"
_OURS: Final = ("f:group", "f:scope", "f:versions")
"""Fields of the spec that whoever applies a CRD owns; a change by somebody else takes them away."""

Metadata = Mapping[str, Any]


def is_as_applied(metadata: Metadata | None, digest: str) -> bool:
    """Whether the CRD with that metadata is what sparkrig applied with this digest, unchanged since."""
    if metadata is None or metadata.get("deletionTimestamp"):
        return False
    if (metadata.get("annotations") or {}).get(DIGEST) != digest:
        return False
    mine = [e for e in metadata.get("managedFields") or () if e.get("manager") == FIELD_MANAGER]
    return any(entry.get("operation") == "Apply" and all(key in _spec(entry) for key in _OURS) for entry in mine)


def applies(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of managedFields belongs to a manager that applies the CRD itself.

    A manager that only injects a certificate or writes the status does not count.
    """
    return any(key in _spec(entry) for key in _OURS)


def other_managers(metadata: Metadata) -> set[str]:
    """The field managers other than sparkrig that apply the CRD."""
    entries = metadata.get("managedFields") or ()
    return {str(e.get("manager")) for e in entries if applies(e)} - {FIELD_MANAGER}


def _spec(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an entry of managedFields owns of the spec."""
    owned: Mapping[str, Any] = (entry.get("fieldsV1") or {}).get("f:spec") or {}
    return owned


def find_drift(
    states: Iterable[ReleaseState], there: Mapping[str, Metadata], unserved: Callable[[str], str]
) -> dict[str, tuple[CrdDrift, ...]]:
    """Component -> its CRDs that are not as recorded; components without such CRDs are left out.

    ``there`` maps each CRD in the cluster to its metadata. ``unserved`` gives the reason why the API server does not
    serve a CRD that exists, or an empty text. CRDs in a Helm manifest are left out: they are objects of the release.
    """
    states = tuple(states)
    accepted: dict[str, set[str]] = {}
    for state in states:  # two components may bring the same CRD; the one that applied it last decides
        for name, digest in state.crd_digests.items():
            accepted.setdefault(name, set()).add(digest)
    found: dict[str, tuple[CrdDrift, ...]] = {}
    for state in states:
        in_manifest = {ref.name for ref in state.inventory if ref.kind == CRD_KIND}
        verdicts = (
            _judge(name, there.get(name), accepted.get(name, set()) if name in state.crd_digests else set(), unserved)
            for name in state.crds
            if name not in in_manifest
        )
        if drifted := tuple(verdict for verdict in verdicts if verdict is not None):
            found[state.component] = drifted
    return found


def _judge(name: str, metadata: Metadata | None, digests: set[str], unserved: Callable[[str], str]) -> CrdDrift | None:
    if metadata is None:
        return CrdDrift(name, "missing", "is missing")
    if metadata.get("deletionTimestamp"):
        return CrdDrift(name, "missing", "is being deleted")
    if digests and not any(is_as_applied(metadata, digest) for digest in digests):
        return CrdDrift(name, "changed", _why_changed(metadata, digests))
    why = unserved(name)
    return CrdDrift(name, "unserved", f"is not served: {why}") if why else None


def _why_changed(metadata: Metadata, digests: set[str]) -> str:
    if others := sorted(other_managers(metadata)):
        return f"was changed by {', '.join(others)}"
    if (metadata.get("annotations") or {}).get(DIGEST) not in digests:
        return "is of another version than the one recorded"
    return "was changed"


def shown(drift: Sequence[CrdDrift], limit: int = 6) -> tuple[str, ...]:
    """As ``describe``, the rest counted."""
    more = (f"and {len(drift) - limit} more CRDs",) if len(drift) > limit else ()
    return (*describe(drift[:limit]), *more)


def describe(drift: Iterable[CrdDrift]) -> tuple[str, ...]:
    """One line for each CRD: ``CRD things.example.org is missing``."""
    return tuple(f"CRD {one.name} {one.why}" for one in drift)
