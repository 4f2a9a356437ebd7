"""Compares the custom resources of a release, as they are stored, with what Helm was given.

A CRD that is older than the operator lacks fields that the chart sets. Server-side apply refuses those
by name; a release that Helm still applies the old way (one of Helm 3) loses them without a word.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sparkrig.apply.removal.delete import is_custom
from sparkrig.errors import OperationError
from sparkrig.kube.client import KubeApi
from sparkrig.kube.errors import NotFoundApi
from sparkrig.models.json import name_of
from sparkrig.models.objects import ObjectRef
from sparkrig.plan.crds.use import dropped_fields

SHOWN = 5
"""Fields named of one object before the rest is counted."""
_NOT_COMPARED = ("apiVersion", "kind", "metadata", "status")


def refuse_dropped(
    api: KubeApi, manifests: Sequence[Mapping[str, Any]], inventory: Sequence[ObjectRef], allowed: Collection[str] = ()
) -> None:
    """Fails where the API server stored less than it was given.

    ``manifests`` and ``inventory`` name the same objects. ``allowed`` names CRDs for which that is known and accepted.

    Raises:
        OperationError: names each object, field and CRD.
    """
    wanted = {(i["kind"], i["metadata"].get("namespace"), name_of(i)): i for i in manifests}
    lines, crds = [], set()
    for ref, stored in _stored(api, [ref for ref in inventory if is_custom(ref)]):
        given = wanted.get((ref.kind, ref.namespace or None, ref.name)) or wanted.get((ref.kind, None, ref.name), {})
        lost = [".".join(path) for path in dropped_fields(_compared(given), stored)]
        crd = f"{api.resource_of(ref.group, ref.version, ref.kind).plural}.{ref.group}"
        if lost and crd not in allowed:
            more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
            lines.append(f"{ref}: {', '.join(lost[:SHOWN])}{more} (CRD {crd}, version {ref.version})")
            crds.add(crd)
    if lines:
        raise OperationError(
            "fields that are configured were dropped by the API server: their CRD does not know them",
            detail=lines,
            hint="bring the CRD to the version of the chart; to go on without these fields: "
            + " ".join(f"--allow-crd-change {crd}" for crd in sorted(crds)),
        )


def _stored(api: KubeApi, refs: Sequence[ObjectRef]) -> list[tuple[ObjectRef, Mapping[str, Any]]]:
    """The objects as they are, one LIST a kind and namespace."""
    found: list[tuple[ObjectRef, Mapping[str, Any]]] = []
    for kind in sorted({(ref.group, ref.version, ref.kind, ref.namespace) for ref in refs}):
        members = [ref for ref in refs if (ref.group, ref.version, ref.kind, ref.namespace) == kind]
        try:
            items = api.list(api.resource_of(*kind[:3]).collection(kind[3]))
        except NotFoundApi:
            continue
        there = {name_of(item): item for item in items}
        found += [(ref, there[ref.name]) for ref in members if ref.name in there]
    return found


def _compared(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in _NOT_COMPARED}
