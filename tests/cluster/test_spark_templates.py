"""Pods as Spark builds them on the chart's templates: taken by a real API server where `restricted` is enforced."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from tests.own_charts import ROOT, Case, cases, render

from sparkrig.errors import SparkrigError
from sparkrig.kube.client import KubeApi

pytestmark = pytest.mark.cluster

CHART = ROOT / "charts" / "spark-platform"
GOOD = [case for case in cases() if not case.bad and case.chart == CHART]
VALUES_WITH_ALL = {
    "podTemplates": {
        "h100": {
            "device": {"resource": "nvidia.com/gpu", "models": ["NVIDIA-H100-80GB-HBM3"], "minMemoryMiB": 80000},
            "spot": "avoid",
            "runtimeClassName": "nvidia",
            "priorityClassName": "spark-driver",
            "tolerations": [{"key": "dedicated", "operator": "Exists"}],
            "nodeSelector": {"zone": "a"},
            "affinity": {
                "podAntiAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {
                            "weight": 1,
                            "podAffinityTerm": {
                                "topologyKey": "kubernetes.io/hostname",
                                "labelSelector": {"matchLabels": {"spark-role": "driver"}},
                            },
                        }
                    ]
                }
            },
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
            ],
            "labels": {"team": "a"},
            "annotations": {"example.org/why": "tests"},
            "volumes": [{"name": "fast", "emptyDir": {"medium": "Memory"}}],
            "volumeMounts": [{"name": "fast", "mountPath": "/fast"}],
        },
        "slice": {"device": {"resource": "nvidia.com/mig-1g.10gb"}, "spot": "only"},
        "amd": {"device": {"resource": "amd.com/gpu", "count": 2}, "writableRoot": True},
    }
}


def templates(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every pod template by its file, the same in each namespace."""
    found: dict[str, dict[str, Any]] = {}
    for item in render(CHART, values):
        if item["kind"] == "ConfigMap" and item["metadata"]["name"] == "spark-pod-templates":
            for name, text in item["data"].items():
                document = yaml.safe_load(text)
                assert found.setdefault(name, document) == document
    return found


def as_spark_makes_it(template: dict[str, Any], namespace: str) -> dict[str, Any]:
    """With what Spark adds: image, arguments, name, requests, its labels."""
    pod: dict[str, Any] = yaml.safe_load(yaml.safe_dump(template))
    (container,) = pod["spec"]["containers"]
    container["image"] = "docker.io/apache/spark:4.0.4"
    container["args"] = ["executor"]
    resources = container.setdefault("resources", {})
    resources["requests"] = {"cpu": "1", "memory": "1408Mi"}
    resources["limits"] = {**resources.get("limits", {}), "memory": "1408Mi"}
    pod["metadata"] |= {"name": "spark-exec-1", "namespace": namespace}
    pod["metadata"]["labels"] |= {"spark-role": "executor", "spark-app-selector": "spark-1"}
    # The classes are cluster-wide and not made here: a name that is there stands for them.
    pod["spec"].pop("priorityClassName", None)
    pod["spec"].pop("runtimeClassName", None)
    pod["spec"]["restartPolicy"] = "Never"
    return pod


@pytest.fixture
def restricted(api: KubeApi, namespace: str) -> str:
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    api.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": labels}})
    return namespace


@pytest.mark.parametrize("values", [{}, VALUES_WITH_ALL], ids=["defaults", "everything"])
def test_pods_of_all_templates_are_admitted_where_restricted_is_enforced(
    values: dict[str, Any], api: KubeApi, restricted: str
) -> None:
    found = templates(values)
    assert {"driver.yaml", "cpu.yaml", "gpu.yaml", "spot.yaml"} <= set(found)
    for name, template in found.items():
        pod = as_spark_makes_it(template, restricted)
        admitted = api.server_dry_run(pod)
        assert admitted["spec"]["automountServiceAccountToken"] is (name == "driver.yaml")
        scripts = [v for v in admitted["spec"]["volumes"] if v["name"] == "spark-scripts"]
        assert scripts[0]["configMap"]["defaultMode"] == 0o555
        pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
        with pytest.raises(SparkrigError, match="PodSecurity"):
            api.server_dry_run(pod)


@pytest.mark.parametrize("case", GOOD, ids=str)
def test_templates_of_each_good_case_are_admitted(case: Case, api: KubeApi, restricted: str) -> None:
    for name, template in templates(case.data["values"]).items():
        if template["kind"] == "Pod":
            api.server_dry_run(as_spark_makes_it(template, restricted))
        else:
            assert (name, template["kind"]) == ("podgroup.yaml", "PodGroup")


def test_a_device_puts_the_pod_on_nodes_that_have_it(api: KubeApi, restricted: str) -> None:
    pod = as_spark_makes_it(templates(VALUES_WITH_ALL)["h100.yaml"], restricted)
    spec = api.server_dry_run(pod)["spec"]
    (term,) = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert {"key": "nvidia.com/gpu.memory", "operator": "Gt", "values": ["79999"]} in term["matchExpressions"]
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in spec["tolerations"]
    assert "podAntiAffinity" in spec["affinity"]
