"""The operator of Prometheus as a process: what it makes of custom resources, and how sparkrig waits for it."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from typing import Any

import pytest
from tests.controllers.site import Site
from tests.controllers.stacks import Stack
from tests.controllers.waiting import condition

from sparkrig.kube.errors import ApiError

RECIPES = ("prometheus-operator", "kube-webhook-certgen")
NAMESPACE = "monitoring"
RELEASE = "kube-prometheus-stack"
GROUP = f"/apis/monitoring.coreos.com/v1/namespaces/{NAMESPACE}"
PAUSE_S = 4.0
VALUES: Mapping[str, Any] = {"grafana": {"enabled": False}, "alertmanager": {"enabled": True}}


def replicas(count: int) -> dict[str, Any]:
    return {"kube-prometheus-stack": {**VALUES, "prometheus": {"prometheusSpec": {"replicas": count}}}}


def prometheus(site: Site) -> dict[str, Any]:
    found = site.api.get(f"{GROUP}/prometheuses/{RELEASE}-prometheus")
    assert found is not None
    return found


def up_to_date(item: Mapping[str, Any]) -> bool:
    """Its operator says Available, and of the newest generation."""
    told = condition(item, "Available")
    return told.get("status") == "True" and told.get("observedGeneration") == item["metadata"]["generation"]


@pytest.fixture(scope="module", autouse=True)
def installed(stack: Stack) -> None:
    stack.write(replicas(1))
    stack.up()


def test_up_waits_for_what_the_operator_makes_of_the_custom_resources(site: Site) -> None:
    """At the end of ``up`` the status is the operator's and the StatefulSets are complete."""
    assert up_to_date(prometheus(site))
    assert up_to_date(site.api.get(f"{GROUP}/alertmanagers/{RELEASE}-alertmanager") or {})
    sets = {
        item["metadata"]["name"]: item for item in site.api.list(f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets")
    }
    assert {name: item["status"].get("readyReplicas") for name, item in sets.items()} == {
        f"prometheus-{RELEASE}-prometheus": 1,
        f"alertmanager-{RELEASE}-alertmanager": 1,
    }


def test_the_hook_jobs_made_the_certificate_of_the_webhook(site: Site) -> None:
    """Run as processes too: without them there is no Secret, and the operator's pod does not start."""
    secret = site.api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/{RELEASE}-admission")
    assert secret is not None
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    configuration = site.api.get(f"{path}/{RELEASE}-admission")
    assert configuration is not None
    assert configuration["webhooks"][0]["clientConfig"]["caBundle"] == secret["data"]["ca"]
    assert base64.b64decode(secret["data"]["cert"]).startswith(b"-----BEGIN CERTIFICATE-----")


def test_the_webhook_refuses_a_rule_that_no_prometheus_could_load(site: Site) -> None:
    def rule(expression: str) -> dict[str, Any]:
        groups = [{"name": "g", "rules": [{"record": "a:b", "expr": expression}]}]
        metadata = {"name": "r", "namespace": NAMESPACE}
        return {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": metadata,
            "spec": {"groups": groups},
        }

    with pytest.raises(ApiError, match="denied the request"):
        site.api.apply(rule("sum(("), dry_run=True)
    site.api.apply(rule("sum(up)"), dry_run=True)


def test_verify_judges_what_the_operator_says(stack: Stack) -> None:
    done = stack.run("verify", "--deep", "--output", "json")
    found = {check["name"]: check["status"] for check in done.json["checks"]}
    wanted = ("workloads", "crds", "prometheus", "alertmanager", "rules")
    assert {name: found[name] for name in wanted} == dict.fromkeys(wanted, "pass"), done.out


def test_up_again_changes_nothing(site: Site, stack: Stack) -> None:
    before = prometheus(site)["metadata"]["resourceVersion"]
    done = stack.up()
    assert "nothing to do" in done.out + done.err
    assert prometheus(site)["metadata"]["resourceVersion"] == before


def ready_replicas(site: Site) -> int:
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/prometheus-{RELEASE}-prometheus"
    return int((site.api.get(path) or {})["status"]["readyReplicas"])


def test_a_change_is_done_when_the_operator_has_seen_it(site: Site, stack: Stack) -> None:
    """While the operator stands still the old status says Available: that is no reason to be content."""
    stack.write(replicas(2))
    (operator,) = site.kubelet.named(f"{RELEASE}-operator")
    before = prometheus(site)["metadata"]["generation"]
    with operator.paused():
        process = stack.start("up", "--yes", *stack.charts)
        began = time.monotonic()
        while prometheus(site)["metadata"]["generation"] == before:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() - began < 60, "the change does not come"
            time.sleep(0.1)
        time.sleep(PAUSE_S)
        assert condition(prometheus(site), "Available")["status"] == "True"
        assert process.poll() is None, f"it ended before the operator had seen the change: {process.communicate()}"
    done = stack.finish(process)
    assert done.code == 0, done.out + done.err
    assert up_to_date(prometheus(site))
    assert ready_replicas(site) == 2


def test_rollback_is_done_when_the_operator_has_seen_it(site: Site, stack: Stack) -> None:
    stack.write(replicas(2))
    stack.up()  # nothing to do behind the test before
    stack.good("rollback", "--yes")
    assert prometheus(site)["spec"]["replicas"] == 1
    assert up_to_date(prometheus(site))
    assert ready_replicas(site) == 1


def test_down_leaves_nothing(site: Site, stack: Stack) -> None:
    """What the operator made goes too: its StatefulSets with their owners, and the Service that no release contains."""
    stack.good("down", "--yes", "--purge", "all")
    assert not site.kubelet.named(RELEASE)
    assert site.api.get(f"/api/v1/namespaces/{NAMESPACE}", missing_ok=True) is None
    assert site.api.get(f"/api/v1/namespaces/kube-system/services/{RELEASE}-kubelet", missing_ok=True) is None
    names = [c["metadata"]["name"] for c in site.api.list("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")]
    assert not [name for name in names if name.endswith("monitoring.coreos.com")]
