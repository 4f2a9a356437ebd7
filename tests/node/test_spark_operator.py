"""SparkApplications on real pods: an imitation of the operator runs them, with its webhook, and a check can fail."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.mini import Done
from tests.node.conftest import Shared
from tests.node.kubectl import Kubectl, until
from tests.node.stacks import NodeStack, furnished

from sparkrig import tools

pytestmark = pytest.mark.timeout(1200)
JOB_S = 500
"""An application: spark-submit, a driver, an executor, each a JVM; 40 s on two idle cores."""
VERIFY_S = 700
"""The check's own time, and some."""
PI = "local:///opt/spark/examples/src/main/python/pi.py"
CONTROLLER = "app.kubernetes.io/component=controller"
WEBHOOK = "app.kubernetes.io/component=webhook"
LOCK = "spark-operator-controller-lock"
SMALL = {"spark.kubernetes.driver.request.cores": "200m", "spark.kubernetes.executor.request.cores": "200m"}
RESTRICTED = {
    "runAsUser": 185,
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
VALUES: dict[str, Mapping[str, Any]] = {
    "spark-platform": {"sparkDefaults": {"extra": SMALL}},
    "spark-operator": {},
    # The pretend GPUs would switch the example for GPUs on.
    "spark-examples": {
        "retries": 0,
        "resources": {"executor": {"instances": 1}},
        "pi": {"slices": 4},
        "rapids": {"enabled": False},
    },
}


@pytest.fixture(scope="module")
def stack(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeStack]:
    furnished(shared.node, ("spark", "spark-operator", "spark-without-python"))
    made = NodeStack(tmp_path_factory.mktemp("applications"), shared.node, "applications")
    made.write(VALUES)
    made.up(*made.charts)
    yield made
    gone = made.run("down", "--yes", "--purge", "all")
    assert gone.code == 0, gone.out + gone.err


@pytest.fixture
def jobs(stack: NodeStack, shared: Shared) -> Kubectl:
    """kubectl in the job namespace."""
    return Kubectl(tools.find("kubectl").path, shared.node.kubeconfig, "spark-jobs")


@pytest.fixture
def operator(stack: NodeStack, shared: Shared) -> Kubectl:
    """kubectl in the operator's namespace."""
    return Kubectl(tools.find("kubectl").path, shared.node.kubeconfig, "spark-operator")


@pytest.mark.core
def test_the_examples_complete(jobs: Kubectl) -> None:
    for name in ("example-pi", "example-python"):
        status = ended(jobs, name)
        assert status["applicationState"]["state"] == "COMPLETED", f"{status}\n{driver_log(jobs, name)[-3000:]}"
        assert status["driverInfo"]["podName"] == f"{name}-driver"
        assert (status["submissionAttempts"], status["executionAttempts"]) == (1, 1)
        # Which of the two depends on whether the driver deletes its executors before or after the controller looks.
        assert set(status["executorState"].values()) <= {"COMPLETED", "FAILED"}
        assert len(status["executorState"]) == 1
        driver = jobs.get("pod", f"{name}-driver")
        assert driver["metadata"]["labels"]["spark-app-selector"] == status["sparkApplicationId"]
        assert driver["spec"]["serviceAccountName"] == "spark"
    found = re.search(r"Pi is roughly (\d\.\d+)", driver_log(jobs, "example-pi"))
    assert found
    assert 3.1 < float(found[1]) < 3.2
    # The three lines of textstats.py, a hundred times; 3200 words.
    log = driver_log(jobs, "example-python")
    assert "work: 300" in log.splitlines()
    assert "counted 3200 words" in log.splitlines()


def test_every_check_passes(stack: NodeStack) -> None:
    done = verify(stack, "--deep")
    assert done.code == 0, done.out + done.err
    found = {(c["component"], c["name"]): (c["status"], c["message"]) for c in done.json["checks"]}
    assert {key: what for key, what in found.items() if what[0] != "pass"} == {}
    status, message = found["spark-operator", "application"]
    assert status == "pass"
    assert re.search(r"SparkApplication is done, prints Pi is roughly 3\.1", message)
    assert found["spark-examples", "python"][0] == "pass"
    # The webhook was asked, by name.
    assert found["spark-operator", "defaults"][0] == found["spark-operator", "validation"][0] == "pass"


def test_fields_reach_the_pods_through_the_webhook(jobs: Kubectl) -> None:
    """What spark-submit has no property for."""
    driver = jobs.get("pod", "example-python-driver")
    (own,) = [c for c in driver["spec"]["containers"] if c["name"] == "spark-kubernetes-driver"]
    assert {m["mountPath"] for m in own["volumeMounts"]} >= {"/etc/spark-examples"}
    assert own["securityContext"]["readOnlyRootFilesystem"] is True
    labels = driver["metadata"]["labels"]
    assert labels["sparkoperator.k8s.io/launched-by-spark-operator"] == "true"
    (owner,) = [o for o in driver["metadata"]["ownerReferences"] if o["kind"] == "SparkApplication"]
    assert (owner["name"], owner["controller"]) == ("example-python", True)


def test_defaults_are_written_into_the_resource(jobs: Kubectl) -> None:
    """By the platform's policy, then by the operator's webhook. Suspended, so that nothing runs."""
    bare = application("bare", PI, suspend=True)
    for role in ("driver", "executor"):
        bare["spec"][role] = {}
    jobs.apply(bare)
    spec = jobs.get("sparkapplication", "bare")["spec"]
    assert {key: spec["driver"][key] for key in ("cores", "memory")} == {"cores": 1, "memory": "1g"}
    executor = {"cores": 1, "memory": "1g", "instances": 2}  # of sparkDefaults; the operator alone would say 1
    assert {key: spec["executor"][key] for key in executor} == executor
    assert spec["restartPolicy"] == {"type": "Never"}
    jobs("delete", "sparkapplication", "bare")


def test_a_changed_example_runs_again(stack: NodeStack, jobs: Kubectl) -> None:
    before = jobs.get("sparkapplication", "example-pi")["status"]["submissionID"]
    stack.up(*stack.charts, "--set", "spark-examples.pi.slices=6")
    until("it is another submission", lambda: status_of(jobs, "example-pi").get("submissionID") != before, JOB_S)
    assert ended(jobs, "example-pi")["applicationState"]["state"] == "COMPLETED"


def test_a_failed_application_is_tried_again_and_given_up(jobs: Kubectl) -> None:
    policy = {"type": "OnFailure", "onFailureRetries": 1, "onFailureRetryInterval": 1}
    jobs.apply(application("wrong", "local:///opt/spark/none.py", restartPolicy=policy))
    status = ended(jobs, "wrong")
    assert status["applicationState"]["state"] == "FAILED"
    assert re.match(r"driver container failed with ExitCode: \d+", status["applicationState"]["errorMessage"])
    assert status["executionAttempts"] == 2
    jobs("delete", "sparkapplication", "wrong")


def test_what_the_quota_forbids_is_a_failed_submission(jobs: Kubectl) -> None:
    jobs.apply(application("huge", PI, sparkConf={"spark.kubernetes.driver.request.cores": "64"}))
    state = ended(jobs, "huge")["applicationState"]
    assert state["state"] == "FAILED"
    assert "exceeded quota: spark-jobs, requested: requests.cpu=64" in state["errorMessage"]
    jobs("delete", "sparkapplication", "huge")


def test_an_operator_that_dies_meanwhile_loses_nothing(jobs: Kubectl, operator: Kubectl) -> None:
    """And its driver goes with the application."""
    jobs.apply(application("long", PI, arguments=["150"]))
    until("it runs", lambda: state_of(jobs, "long") == "RUNNING", JOB_S)
    before = operator.get("lease", LOCK)["spec"]["holderIdentity"]
    operator("delete", "pods", "-l", CONTROLLER, "--grace-period=0", "--force")
    status = ended(jobs, "long")
    assert status["applicationState"]["state"] == "COMPLETED"
    assert (status["submissionAttempts"], status["executionAttempts"]) == (1, 1)
    # The new one waited until the Lease of the dead one had run out.
    assert operator.get("lease", LOCK)["spec"]["holderIdentity"] != before
    jobs("delete", "sparkapplication", "long")
    until("its driver is gone", lambda: not jobs.pods("sparkoperator.k8s.io/app-name=long"))


def test_an_operator_that_dies_in_a_submission_leaves_a_driver_behind(jobs: Kubectl, operator: Kubectl) -> None:
    """Its status is written only when spark-submit has ended; the next one finds the driver in its way."""
    for name in ("torn-1", "torn-2", "torn-3"):
        # spark-submit ends a moment after it has made the driver: one that was quicker than we are is no submission.
        jobs.apply(application(name, PI, arguments=["400"]))
        driver = f"sparkoperator.k8s.io/app-name={name}"
        until("spark-submit has made the driver", lambda driver=driver: jobs.pods(driver), JOB_S)
        operator("delete", "pods", "-l", CONTROLLER, "--grace-period=0", "--force")
        if status_of(jobs, name) == {}:
            break
        jobs("delete", "sparkapplication", name)
    status = ended(jobs, name)
    assert status["applicationState"]["state"] == "FAILED"
    assert status["applicationState"]["errorMessage"].endswith("driver pod already exist")
    assert jobs.get("pod", f"{name}-driver")["status"]["phase"] in ("Pending", "Running")
    jobs("delete", "sparkapplication", name)
    until("its driver is gone", lambda: not jobs.pods(driver))


# --------------------------------------------------------------------------- checks can fail


def test_a_driver_without_rights_fails_the_check(stack: NodeStack, jobs: Kubectl) -> None:
    binding = jobs.get("rolebinding", "spark-driver")
    jobs("delete", "rolebinding", "spark-driver")
    try:
        failed = failing(verify(stack, "--deep", "--only", "spark-operator/application"), "application")
    finally:
        metadata = {key: binding["metadata"][key] for key in ("name", "namespace", "labels", "annotations")}
        jobs.apply({**binding, "metadata": metadata})
    assert re.match(r"it failed: status\.applicationState\.state is FAIL(ED|ING): ", failed["message"])
    assert "forbidden" in failed["message"].lower()
    assert "kubectl -n spark-jobs get events" in failed["hint"]


def test_an_image_without_python_fails_the_check(stack: NodeStack, jobs: Kubectl) -> None:
    """A class of Spark's own does not miss it: the other example completes on the same image."""
    stack.up(*stack.charts, "--set", "spark-examples.image.tag=4.0.4-scala")
    assert ended(jobs, "example-pi", "4.0.4-scala")["applicationState"]["state"] == "COMPLETED"
    assert ended(jobs, "example-python", "4.0.4-scala")["applicationState"]["state"] == "FAILED"
    failed = failing(verify(stack, "--only", "spark-examples"), "python")
    assert 'Cannot run program "python3"' in failed["message"]
    assert failed["hint"].startswith("an image without Python (tags like 4.0.4-scala) runs no Python job")


def test_an_absent_webhook_refuses_what_it_was_to_look_at(stack: NodeStack, jobs: Kubectl, operator: Kubectl) -> None:
    operator("scale", "deployment", "spark-operator-webhook", "--replicas=0")
    try:
        until("its pod is gone", lambda: not operator.get("pods", "-l", WEBHOOK)["items"])
        done = verify(stack, "--only", "spark-operator")
    finally:
        stack.up(*stack.charts, "--repair")
    assert done.code == 1, done.out + done.err
    found = {c["name"]: c["status"] for c in done.json["checks"]}
    assert found["defaults"] == "fail"


def test_what_the_program_made_stays_and_delays_the_next_one(stack: NodeStack, operator: Kubectl) -> None:
    """Secret and Leases are in no chart: whoever removes the release leaves them."""
    held = operator.get("lease", "spark-operator-webhook-lock")["spec"]["holderIdentity"]
    assert held
    kept = operator.get("secret", "spark-operator-webhook-certs")["data"]
    assert set(kept) == {"ca-key.pem", "ca-cert.pem", "server-key.pem", "server-cert.pem"}


def test_an_absent_operator_fails_the_check(stack: NodeStack, operator: Kubectl) -> None:
    """An application is taken by the API server, and nobody looks at it."""
    operator("delete", "deployment", "spark-operator-controller")
    try:
        until("its pod is gone", lambda: not operator.get("pods", "-l", CONTROLLER)["items"])
        failed = failing(verify(stack, "--deep", "--only", "spark-operator/application"), "application")
    finally:
        stack.up(*stack.charts, "--repair")
    assert failed["message"].startswith("nobody took it up within 300 s: its status is empty")
    assert "logs deployment/spark-operator-controller" in failed["hint"]


def verify(stack: NodeStack, *arguments: str) -> Done:
    return stack.run("verify", "--output", "json", *arguments, seconds=VERIFY_S)


def failing(done: Done, name: str) -> dict[str, Any]:
    """The one check that failed, and made the command fail."""
    assert done.code == 1, done.out + done.err
    (failed,) = [check for check in done.json["checks"] if check["status"] == "fail"]
    assert failed["name"] == name
    return dict(failed)


def application(name: str, file: str, **spec: Any) -> dict[str, Any]:
    """An application of Python, as small as it goes, with what the namespace's pod-security level asks for."""
    role = {"cores": 1, "memory": "512m", "securityContext": RESTRICTED}
    whole = {
        "type": "Python",
        "mode": "cluster",
        "image": "docker.io/apache/spark:4.0.4",
        "sparkVersion": "4.0.4",
        "mainApplicationFile": file,
        "driver": {**role, "serviceAccount": "spark"},
        "executor": {**role, "instances": 1},
        **spec,
    }
    kind = {"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication"}
    return {**kind, "metadata": {"name": name}, "spec": whole}


def status_of(jobs: Kubectl, name: str) -> dict[str, Any]:
    return dict(jobs.get("sparkapplication", name).get("status") or {})


def state_of(jobs: Kubectl, name: str) -> str:
    return str((status_of(jobs, name).get("applicationState") or {}).get("state", ""))


def ended(jobs: Kubectl, name: str, tag: str = "") -> dict[str, Any]:
    """Its status once it has come to an end; with ``tag``, once a driver of this image has."""

    def found() -> dict[str, Any] | None:
        status = status_of(jobs, name)
        over = (status.get("applicationState") or {}).get("state") in ("COMPLETED", "FAILED")
        return status if over and image_of(jobs, status).endswith(tag) else None

    return dict(until(f"{name} has ended: {json.dumps(status_of(jobs, name))}", found, JOB_S))


def image_of(jobs: Kubectl, status: Mapping[str, Any]) -> str:
    """The image of the last submission's driver; empty where it made none."""
    label = f"spark-role=driver,sparkoperator.k8s.io/submission-id={status.get('submissionID', '')}"
    return next((pod["spec"]["containers"][0]["image"] for pod in jobs.get("pods", "-l", label)["items"]), "")


def driver_log(jobs: Kubectl, name: str) -> str:
    return jobs("logs", f"{name}-driver")
