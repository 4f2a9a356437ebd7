"""The marker ConfigMap: says that a cluster is one for tests, and which way charts were chosen there."""

from __future__ import annotations

from dataclasses import dataclass

from sparkrig.defaults import MARK_CONFIGMAP, SYSTEM_NAMESPACE
from sparkrig.kube.client import KubeApi
from sparkrig.models.json import mapping_at

MARK_PATH = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/configmaps/{MARK_CONFIGMAP}"
_TEST = "test-cluster"
_STAND_INS = "stand-ins"


@dataclass(frozen=True, slots=True)
class Mark:
    """What the marker says; a cluster without one is nobody's test cluster."""

    test_cluster: bool = False
    stand_ins: bool | None = None
    """Whether this cluster's stack was made from stand-in charts; None when that was never decided."""


def read_mark(api: KubeApi) -> Mark:
    """Read the marker; a missing one says nothing."""
    data = mapping_at(api.get(MARK_PATH, missing_ok=True), "data")
    choice = data.get(_STAND_INS)
    return Mark(data.get(_TEST) == "true", None if choice is None else choice == "true")


def write_mark(api: KubeApi, *, test_cluster: bool | None = None, stand_ins: bool | None = None) -> Mark:
    """Write the marker and return it; what is None stays as it was. Makes the system namespace where needed."""
    old = read_mark(api)
    mark = Mark(
        old.test_cluster if test_cluster is None else test_cluster,
        old.stand_ins if stand_ins is None else stand_ins,
    )
    data = {_TEST: str(mark.test_cluster).lower()}
    if mark.stand_ins is not None:
        data[_STAND_INS] = str(mark.stand_ins).lower()
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}})
    metadata = {"name": MARK_CONFIGMAP, "namespace": SYSTEM_NAMESPACE}
    api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    return mark
