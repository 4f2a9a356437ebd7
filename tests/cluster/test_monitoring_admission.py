"""A real API server takes monitors, rules, dashboards and alert routes, by the CRDs of kube-prometheus-stack.

The CRDs are the stand-in's, which are open, or those of the real chart where SPARKRIG_REAL_CHARTS names a folder that
has it; then every field is judged. A cluster of its own: CRDs are for all, and other tests bring theirs.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.monitoring_support import CHART
from tests.own_charts import ROOT, cases, render
from tests.upstream.check_paths import CATALOG, chart_of
from tests.upstream.documents import upstream_folders

from sparkrig.clusters import sim as provider
from sparkrig.errors import SparkrigError
from sparkrig.helm.charts.archive import crds
from sparkrig.kube.client import KubeApi

pytestmark = pytest.mark.cluster

REAL: Final = os.environ.get("SPARKRIG_REAL_CHARTS")
GOOD: Final = [case for case in cases() if case.chart == CHART and not case.bad]
NAMESPACES: Final = ("monitoring", "jupyterhub")


@pytest.fixture(scope="module")
def served(environment: Path) -> Iterator[KubeApi]:
    """An API server that knows the kinds of the Prometheus operator."""
    name = f"monitoring-{os.getpid()}"
    try:
        api = KubeApi(provider.create(name))
        for item in definitions():
            api.apply(item)
        for namespace in NAMESPACES:
            api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        for item in definitions():
            established(api, item["metadata"]["name"])
        yield api
        api.close()
    finally:
        provider.delete(name)


def definitions() -> list[dict[str, Any]]:
    """The CRDs of kube-prometheus-stack at its pinned version."""
    (folder,) = [each for each in upstream_folders(CATALOG) if each.name == "kube-prometheus-stack"]
    chart = chart_of(folder, Path(REAL) if REAL else ROOT / "tests" / "charts")
    assert chart is not None, f"no kube-prometheus-stack in {REAL}"
    return crds(chart, {})


def established(api: KubeApi, name: str) -> None:
    """Waits until the API server serves a kind: the watch answers with the object as it is, then with each change."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    found, version = api.list_with_version(path, field_selector=f"metadata.name={name}")
    if ready(found[0]):
        return
    for event in api.watch(path, version, timeout_s=120):
        if event["object"].get("metadata", {}).get("name") == name and ready(event["object"]):
            return
    raise AssertionError(f"{name} is not served")


def ready(item: dict[str, Any]) -> bool:
    conditions = (item.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


@pytest.mark.parametrize("case", GOOD, ids=str)
def test_what_each_good_case_renders_is_taken(case: Any, served: KubeApi) -> None:
    kinds = set()
    for item in render(case.chart, case.data["values"]):
        served.server_dry_run(item)
        kinds.add(item["kind"])
    assert kinds or case.data["values"]["triton"] == {"enabled": False}


@pytest.mark.skipif(not REAL, reason="stand-in CRDs take everything; SPARKRIG_REAL_CHARTS names the real ones")
@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("AlertmanagerConfig", ["spec", "route", "groupsBy"], ["alertname"]),
        ("AlertmanagerConfig", ["spec", "route", "groupWait"], "soon"),
        ("PrometheusRule", ["spec", "groups", 0, "interval"], "sometimes"),
        ("ServiceMonitor", ["spec", "endpoints", 0, "interval"], "15 s"),
        ("PodMonitor", ["spec", "podMetricsEndpoint"], []),
    ],
)
def test_a_wrong_field_is_refused(kind: str, path: list[Any], value: Any, served: KubeApi) -> None:
    four = next(case for case in GOOD if case.data["name"].startswith("four ways"))
    item = copy.deepcopy(next(each for each in render(CHART, four.data["values"]) if each["kind"] == kind))
    holder = item
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    with pytest.raises(SparkrigError):
        served.server_dry_run(item)
