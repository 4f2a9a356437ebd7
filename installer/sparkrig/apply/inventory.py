"""Which objects a release consists of, and which of them go with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sparkrig.errors import OperationError
from sparkrig.helm.storage.recovery import stored_manifest
from sparkrig.kube.client import KubeApi
from sparkrig.models.objects import ObjectRef, refs_of
from sparkrig.models.operation import UninstallRelease
from sparkrig.plan.crds.drift import CRD_KIND
from sparkrig.yaml.plain import objects

KEEP_ANNOTATION = "helm.sh/resource-policy"
"""Helm leaves an object with this annotation (value ``keep``) in the cluster when it uninstalls."""
DATA_KINDS = ("PersistentVolumeClaim", "Namespace")
"""Kinds taken for data where no record says which kinds the component keeps."""


def inventory(api: KubeApi, manifests: Sequence[dict[str, Any]], namespace: str) -> tuple[ObjectRef, ...]:
    """Names the objects of a rendered release; cluster-scoped kinds get no namespace."""
    refs = refs_of(manifests, namespace)
    return tuple(
        ref if api.resource_of(ref.group, ref.version, ref.kind).namespaced else replace(ref, namespace="")
        for ref in refs
    )


def leaving(api: KubeApi, operation: UninstallRelease) -> list[ObjectRef]:
    """What Helm will delete, after making sure that nothing which holds data is among it.

    Helm reads the keep annotation from the manifest stored in the release, not from the live
    object, so that is where it is looked for.
    """
    text = stored_manifest(api, operation.release, operation.namespace, operation.helm_revision)
    manifests = objects(text)
    kept = [item for item in manifests if _annotations(item).get(KEEP_ANNOTATION) == "keep"]
    everything = inventory(api, manifests, operation.namespace)
    staying = frozenset(inventory(api, kept, operation.namespace))
    going = [ref for ref in everything if ref not in staying]
    data = (CRD_KIND, *(operation.state.keep if operation.state.digest else DATA_KINDS))
    at_risk = [ref for ref in going if ref.kind in data and ref.kind not in operation.purged]
    if at_risk:
        raise OperationError(
            f"{operation.component} holds data that uninstalling would delete: {', '.join(map(str, at_risk))}",
            hint=f"give them the annotation {KEEP_ANNOTATION}: keep by the chart's values, apply, then try again",
        )
    return going


def _annotations(item: dict[str, Any]) -> dict[str, str]:
    return (item.get("metadata") or {}).get("annotations") or {}
