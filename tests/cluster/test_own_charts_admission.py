"""A real API server takes what the charts of our own render, and its pod-security admission lets their pods in.

``restricted`` is enforced on pods, not on Deployments, so each pod template is sent as a pod too. Server dry-runs only,
but for the namespaces and CRDs that they need.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from tests.own_charts import ROOT, Case, cases, component, pods, profiles, render

from sparkrig.errors import SparkrigError
from sparkrig.kube.client import KubeApi

pytestmark = pytest.mark.cluster

ADMITTED = [case for case in cases() if not case.bad]
PROFILES = list(profiles())
RUNNING = sorted({chart for chart, _, values in PROFILES if list(pods(render(chart, values)))})
CLUSTER_SCOPED = {"Namespace", "ClusterRole", "ClusterRoleBinding", "PriorityClass"}
CLUSTER_SCOPED |= {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"}
FOREIGN = {"LocalQueue", "SparkApplication", "ScheduledSparkApplication"}
FOREIGN |= {"ScaledObject", "HTTPRoute", "GRPCRoute"}
FOREIGN |= {"ServiceMonitor", "PodMonitor", "PrometheusRule", "AlertmanagerConfig"}
"""Their APIs are other components'; what they would say to them is not asked here. See test_monitoring_admission."""


@pytest.fixture
def restricted(api: KubeApi, namespace: str) -> str:
    """A namespace with the labels that the charts' components give theirs."""
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    api.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": labels}})
    return namespace


def as_pod(template: dict[str, Any], namespace: str) -> dict[str, Any]:
    spec = copy.deepcopy(template["spec"])
    # The service account is in the same chart, but a dry-run leaves nothing behind that could be found.
    spec.pop("serviceAccountName", None)
    metadata = {"name": "admitted", "namespace": namespace, "labels": template["metadata"]["labels"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


@pytest.mark.parametrize(("chart", "profile", "values"), PROFILES, ids=lambda value: getattr(value, "name", None))
def test_pods_of_each_profile_are_admitted(
    chart: Path, profile: str, values: dict[str, Any], api: KubeApi, restricted: str
) -> None:
    assert component(chart)["podSecurity"]["exceptions"] == []
    for _, template in pods(render(chart, values)):
        api.server_dry_run(as_pod(template, restricted))


@pytest.mark.parametrize("case", ADMITTED, ids=str)
def test_pods_of_each_good_case_are_admitted_but_for_a_folder_of_the_node(
    case: Case, api: KubeApi, restricted: str
) -> None:
    for _, template in pods(render(case.chart, case.data["values"])):
        pod = as_pod(template, restricted)
        pod["spec"].pop("priorityClassName", None)  # it need not be there
        if any("hostPath" in volume for volume in pod["spec"].get("volumes", [])):
            with pytest.raises(SparkrigError, match=r"PodSecurity.*hostPath"):
                api.server_dry_run(pod)
        else:
            api.server_dry_run(pod)


@pytest.mark.parametrize("chart", RUNNING, ids=lambda chart: chart.name)
@pytest.mark.parametrize(
    ("field", "value"),
    [("allowPrivilegeEscalation", True), ("runAsNonRoot", False), ("capabilities", {}), ("runAsUser", 0)],
)
def test_a_pod_below_restricted_is_refused(
    chart: Path, field: str, value: object, api: KubeApi, restricted: str
) -> None:
    _, template = next(pods(render(chart, {})))
    pod = as_pod(template, restricted)
    pod["spec"]["containers"][0]["securityContext"][field] = value
    with pytest.raises(SparkrigError, match="PodSecurity"):
        api.server_dry_run(pod)


@pytest.mark.parametrize("case", ADMITTED, ids=str)
def test_the_api_server_takes_the_objects_of_each_good_case(case: Case, api: KubeApi, restricted: str) -> None:
    for item in render(case.chart, case.data["values"]):
        if item["kind"] in FOREIGN:
            continue
        metadata = item["metadata"] if item["kind"] in CLUSTER_SCOPED else {**item["metadata"], "namespace": restricted}
        api.server_dry_run({**item, "metadata": metadata})


def test_a_running_chart_is_among_them() -> None:
    assert [chart.name for chart in RUNNING] == ["spark-platform", "triton"]
    assert ROOT.joinpath("charts", "triton", "profiles", "ha.yaml").exists()
