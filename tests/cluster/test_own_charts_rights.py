"""What the accounts of job namespaces may really do, and what an uninstall leaves: asked of a real API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.own_charts import ROOT, run_helm

from sparkrig.errors import SparkrigError
from sparkrig.kube.client import KubeApi
from sparkrig.models.cluster import ClusterHandle

pytestmark = pytest.mark.cluster

CHART = ROOT / "charts" / "spark-platform"
DRIVER_VERBS = {
    "pods": {"create", "get", "list", "watch", "patch", "delete", "deletecollection"},
    "configmaps": {"create", "get", "list", "delete", "deletecollection"},
    "services": {"create", "get", "list", "delete", "deletecollection"},
    "persistentvolumeclaims": {"create", "get", "list", "delete", "deletecollection"},
}
VERBS = {"create", "get", "list", "watch", "update", "patch", "delete", "deletecollection"}
ALSO_ASKED = ("secrets", "serviceaccounts", "resourcequotas", "events", "pods/exec", "pods/log")


class Helm:
    """helm on the shared cluster, in one namespace."""

    def __init__(self, handle: ClusterHandle, namespace: str) -> None:
        assert handle.kubeconfig is not None
        self.place = ("--kubeconfig", str(handle.kubeconfig), "--namespace", namespace)

    def upgrade(self, values: dict[str, Any]) -> None:
        done = run_helm("upgrade", "--install", "platform", str(CHART), *self.place, values=values)
        assert done.returncode == 0, done.stderr

    def uninstall(self) -> None:
        done = run_helm("uninstall", "platform", "--ignore-not-found", *self.place)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def jobs(api: KubeApi, namespace: str) -> Iterator[str]:
    """The name of a job namespace that the test makes."""
    name = f"jobs-{namespace[-6:]}"
    yield name
    api.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def helm_there(sim: ClusterHandle, namespace: str) -> Iterator[Helm]:
    helm = Helm(sim, namespace)
    yield helm
    helm.uninstall()


def allowed(api: KubeApi, account: str, namespace: str, verb: str, resource: str) -> bool:
    name, _, subresource = resource.partition("/")
    attributes = {"namespace": namespace, "verb": verb, "resource": name, "subresource": subresource}
    owner, _, short = account.partition("/")
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{owner}", "system:authenticated"]
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "metadata": {},
        "spec": {"user": f"system:serviceaccount:{owner}:{short}", "groups": groups, "resourceAttributes": attributes},
    }
    answer = api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


def test_the_driver_may_what_spark_needs_and_the_executor_nothing(api: KubeApi, jobs: str, helm_there: Helm) -> None:
    helm_there.upgrade({"jobNamespaces": [{"name": jobs}]})
    for resource in (*DRIVER_VERBS, *ALSO_ASKED):
        may = {verb for verb in VERBS if allowed(api, f"{jobs}/spark", jobs, verb, resource)}
        assert may == DRIVER_VERBS.get(resource, set()), resource
        assert not [verb for verb in VERBS if allowed(api, f"{jobs}/spark-executor", jobs, verb, resource)], resource
    assert not allowed(api, f"{jobs}/spark", "default", "list", "pods")


def pod(namespace: str, memory: str | None) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "spark", "image": "example.org/spark:1"}
    if memory is not None:
        container["resources"] = {"requests": {"cpu": "1", "memory": memory}, "limits": {"memory": memory}}
    metadata = {"name": "executor", "namespace": namespace}
    spec = {"containers": [container], "serviceAccountName": "spark-executor"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def test_an_executor_fits_the_quota_and_one_above_it_is_refused(api: KubeApi, jobs: str, helm_there: Helm) -> None:
    helm_there.upgrade({"jobNamespaces": [{"name": jobs, "quota": {"memory": "4Gi"}}]})
    wait_for_quota(api, jobs)
    admitted = api.server_dry_run(pod(jobs, "1408Mi"))
    assert "serviceaccount" not in json.dumps(admitted["spec"].get("volumes", []))
    filled = api.server_dry_run(pod(jobs, None))
    assert filled["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}
    with pytest.raises(SparkrigError, match="exceeded quota"):
        api.server_dry_run(pod(jobs, "5Gi"))


def wait_for_quota(api: KubeApi, namespace: str) -> None:
    """Until the quota controller has counted: what the API server says before that is about nothing."""
    found = api.get(f"/api/v1/namespaces/{namespace}/resourcequotas/spark-jobs")
    assert found is not None
    path, version = f"/api/v1/namespaces/{namespace}/resourcequotas", found["metadata"]["resourceVersion"]
    if "hard" in found.get("status", {}):
        return
    for event in api.watch(path, version, timeout_s=30):
        if "hard" in event["object"].get("status", {}):
            return
    pytest.fail("the quota controller did not answer")


def test_the_namespace_outlives_its_release_and_is_taken_over_again(api: KubeApi, jobs: str, helm_there: Helm) -> None:
    values = {"jobNamespaces": [{"name": jobs}]}
    helm_there.upgrade(values)
    work = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "work", "namespace": jobs},
        "data": {"a": "b"},
    }
    api.create(f"/api/v1/namespaces/{jobs}/configmaps", work)
    before = uid(api, jobs)

    helm_there.uninstall()
    assert uid(api, jobs) == before
    assert api.get(f"/api/v1/namespaces/{jobs}/configmaps/work") is not None
    assert api.get(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{jobs}/roles/spark-driver", missing_ok=True) is None

    helm_there.upgrade(values)
    assert uid(api, jobs) == before
    assert allowed(api, f"{jobs}/spark", jobs, "create", "pods")


def test_an_entry_that_is_taken_out_keeps_its_namespace(api: KubeApi, jobs: str, helm_there: Helm) -> None:
    other = f"{jobs}-too"
    try:
        helm_there.upgrade({"jobNamespaces": [{"name": jobs}, {"name": other}]})
        before = uid(api, other)
        helm_there.upgrade({"jobNamespaces": [{"name": jobs}]})
        assert uid(api, other) == before
        assert not allowed(api, f"{other}/spark", other, "create", "pods")
    finally:
        api.delete(f"/api/v1/namespaces/{other}")


def uid(api: KubeApi, namespace: str) -> str:
    found = api.get(f"/api/v1/namespaces/{namespace}")
    assert found is not None
    assert "deletionTimestamp" not in found["metadata"]
    return str(found["metadata"]["uid"])


def test_a_namespace_of_somebody_else_is_refused_by_helm(
    api: KubeApi, jobs: str, sim: ClusterHandle, namespace: str
) -> None:
    api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": jobs}})
    helm = Helm(sim, namespace)
    with pytest.raises(AssertionError, match=r"(?s)Namespace.*exists and cannot be imported"):
        helm.upgrade({"jobNamespaces": [{"name": jobs}]})
    helm.upgrade({"jobNamespaces": [{"name": jobs, "create": False}]})
    assert allowed(api, f"{jobs}/spark", jobs, "create", "pods")
    helm.uninstall()
