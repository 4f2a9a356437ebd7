"""An application that says nothing, on real pods: templates and sizes of the platform reach it through the operator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.node.conftest import Shared
from tests.node.kubectl import Kubectl, until
from tests.node.stacks import NodeStack, furnished
from tests.node.test_spark_operator import JOB_S, SMALL, ended, image_of

from sparkrig import tools

pytestmark = [pytest.mark.core, pytest.mark.timeout(1200)]
SIZES = {"driver": {"memory": "640m"}, "executor": {"cores": 2, "memory": "720m", "instances": 1}}
VALUES: dict[str, Mapping[str, Any]] = {
    "spark-platform": {"sparkDefaults": {**SIZES, "extra": SMALL}},
    "spark-operator": {},
}
# Runs long enough to look at its executors.
SILENT = {
    "type": "Scala",
    "sparkVersion": "4.0.4",
    "mainClass": "org.apache.spark.examples.SparkPi",
    "mainApplicationFile": "local:///opt/spark/examples/jars/spark-examples.jar",
    "arguments": ["300"],
    "driver": {},
    "executor": {},
}


@pytest.fixture(scope="module")
def stack(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeStack]:
    furnished(shared.node, ("spark", "spark-operator"))
    made = NodeStack(tmp_path_factory.mktemp("policy"), shared.node, "policy")
    made.write(VALUES)
    made.up(*made.charts)
    yield made
    gone = made.run("down", "--yes", "--purge", "all")
    assert gone.code == 0, gone.out + gone.err


@pytest.fixture
def jobs(stack: NodeStack, shared: Shared) -> Kubectl:
    """kubectl in the job namespace."""
    return Kubectl(tools.find("kubectl").path, shared.node.kubeconfig, "spark-jobs")


def test_an_application_that_says_nothing_runs_as_the_platform_wants_it(jobs: Kubectl) -> None:
    kind = {"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication"}
    jobs.apply({**kind, "metadata": {"name": "silent"}, "spec": SILENT})
    executors = "spark-role=executor,sparkoperator.k8s.io/app-name=silent"
    until("it has an executor", lambda: jobs.pods(executors), JOB_S)
    (executor,) = jobs.get("pods", "-l", executors)["items"]
    driver = jobs.get("pod", "silent-driver")
    for pod, role in ((driver, "driver"), (executor, "executor")):
        (container,) = pod["spec"]["containers"]
        assert pod["spec"]["priorityClassName"] == f"spark-{role}"
        assert pod["spec"]["securityContext"]["runAsUser"] == 185
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {"/tmp", "/etc/spark/scripts"} <= {mount["mountPath"] for mount in container["volumeMounts"]}
    # 640 and 720 MiB of heap, and 384 beside it.
    assert driver["spec"]["containers"][0]["resources"]["requests"]["memory"] == "1Gi"
    assert executor["spec"]["containers"][0]["resources"]["requests"]["memory"] == "1104Mi"
    environment = {e["name"]: e.get("value") for e in executor["spec"]["containers"][0]["env"]}
    assert environment["SPARK_EXECUTOR_CORES"] == "2"
    status = ended(jobs, "silent")
    assert status["applicationState"]["state"] == "COMPLETED", status
    assert len(status["executorState"]) == 1
    assert image_of(jobs, status) == "docker.io/apache/spark:4.0.4"
    jobs("delete", "sparkapplication", "silent")
