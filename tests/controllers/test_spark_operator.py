"""The Spark operator's own controller and webhook with its own chart: needs a binary and charts that somebody made."""

from __future__ import annotations

from typing import Any

import pytest
from tests.controllers.given import need
from tests.controllers.site import Site
from tests.controllers.stacks import Stack

from sparkrig.kube.errors import ApiError

need("spark-operator")

RECIPES = ("spark-operator",)
NAMESPACE = "spark-operator"
JOBS = "spark-jobs"


def application(**spec: Any) -> dict[str, Any]:
    part = {"cores": 1, "memory": "512m"}
    whole = {"type": "Scala", "mode": "cluster", "image": "spark:4", "sparkVersion": "4.0.4", "mainClass": "a.B"}
    whole |= {"mainApplicationFile": "local:///a.jar", "driver": part, "executor": {**part, "instances": 1}}
    return {
        "apiVersion": "sparkoperator.k8s.io/v1beta2",
        "kind": "SparkApplication",
        "metadata": {"name": "dry", "namespace": JOBS},
        "spec": whole | spec,
    }


@pytest.fixture(scope="module", autouse=True)
def installed(stack: Stack) -> None:
    stack.write({"spark-platform": {}, "spark-operator": {}})
    stack.up()


def test_controller_and_webhook_run(site: Site) -> None:
    parts = {c.spec["args"][0] for pod in site.kubelet.named(NAMESPACE) for c in pod.containers if c.ready}
    assert parts == {"controller", "webhook"}


def test_a_dry_run_is_given_the_defaults_of_the_webhook(site: Site) -> None:
    """The webhook made its certificate and wrote the authority into the configurations itself."""
    found = site.api.apply(application(), dry_run=True)
    assert found["spec"]["restartPolicy"]["type"] == "Never"


def test_the_webhook_refuses_what_it_must(site: Site) -> None:
    refused = application(nodeSelector={"a": "b"}, driver={"cores": 1, "nodeSelector": {"a": "b"}})
    with pytest.raises(ApiError, match="denied the request"):
        site.api.apply(refused, dry_run=True)


def test_verify_asks_the_webhook(stack: Stack) -> None:
    done = stack.run("verify", "--deep", "--only", "spark-operator/defaults", "--output", "json")
    assert {check["status"] for check in done.json["checks"]} == {"pass"}, done.out


def test_up_again_changes_nothing(stack: Stack) -> None:
    done = stack.up()
    assert "nothing to do" in done.out + done.err
