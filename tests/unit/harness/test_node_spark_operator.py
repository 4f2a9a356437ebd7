"""The imitation of the Spark operator: its state machine, and what it calls spark-submit with."""

from __future__ import annotations

import datetime
import sys
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
import yaml
from tests.mini import ROOT

HOME = ROOT / "tests" / "node" / "images" / "spark-operator"
sys.path.append(str(HOME))
from sparkoperator import metrics, states, submission  # noqa: E402
from sparkoperator.states import Report, Stuck, Submit, Wait  # noqa: E402

TEMPLATES = {"driver": "/t/driver.yaml", "executor": "/t/executor.yaml"}
SPEC: dict[str, Any] = {"type": "Scala", "mode": "cluster", "mainApplicationFile": "local:///a.jar"}
NOW = datetime.datetime(2026, 11, 30, 12, 0, 0, tzinfo=datetime.UTC)
MASTER = "k8s://https://10.0.0.1:443"


def ago(seconds: float) -> str:
    return states.text(NOW - datetime.timedelta(seconds=seconds))


def application(spec: Mapping[str, Any] | None = None, status: Mapping[str, Any] | None = None) -> dict[str, Any]:
    metadata = {"name": "pi", "namespace": "jobs", "uid": "u1", "generation": 3}
    made = {"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": metadata}
    return {**made, "spec": {**SPEC, **(spec or {})}, **({"status": status} if status is not None else {})}


def in_state(state: str, policy: Mapping[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    spec = {"restartPolicy": policy} if policy else {}
    known = {"lastSubmissionAttemptTime": ago(60), "submissionAttempts": 1, "executionAttempts": 1}
    return application(spec, {"applicationState": {"state": state}, **known, **status})


def driver(phase: str, **ended: Any) -> dict[str, Any]:
    statuses = [{"name": "spark-kubernetes-driver", "state": {"terminated": ended}}] if ended else []
    return {"metadata": {"name": "pi-driver"}, "status": {"phase": phase, "containerStatuses": statuses}}


# --------------------------------------------------------------------------- what is next


@pytest.mark.parametrize("made", [application(), application(status={}), in_state("RESUMING")])
def test_what_has_no_run_yet_is_submitted(made: dict[str, Any]) -> None:
    assert states.next_step(made, None, NOW) == Submit()
    # A driver of an earlier try is in the way, and is not removed: spark-submit will fail on it.
    assert states.next_step(made, driver("Running"), NOW) == Submit()


@pytest.mark.parametrize(
    ("state", "pod", "expected"),
    [
        ("SUBMITTED", driver("Pending"), ("SUBMITTED", None)),
        ("SUBMITTED", driver("Running"), ("RUNNING", None)),
        ("RUNNING", driver("Running"), ("RUNNING", None)),
        ("RUNNING", driver("Succeeded", exitCode=0), ("SUCCEEDING", None)),
        # A sidecar runs on.
        ("RUNNING", driver("Running", exitCode=0), ("SUCCEEDING", None)),
        ("RUNNING", driver("Failed", exitCode=0), ("SUCCEEDING", None)),
        ("RUNNING", None, ("FAILING", "driver pod not found")),
        (
            "RUNNING",
            driver("Failed", exitCode=137, reason="OOMKilled"),
            ("FAILING", "driver container failed with ExitCode: 137, Reason: OOMKilled"),
        ),
        ("SUBMITTED", driver("Failed"), ("FAILING", "driver container status missing")),
        ("RUNNING", driver(""), ("UNKNOWN", None)),
        ("SUCCEEDING", None, ("COMPLETED", None)),
        ("FAILING", driver("Failed", exitCode=1), ("FAILED", None)),
        ("SUBMISSION_FAILED", None, ("FAILED", None)),
        ("INVALIDATING", driver("Running"), ("PENDING_RERUN", None)),
    ],
)
def test_the_drivers_state_is_the_applications(state: str, pod: Any, expected: Any) -> None:
    got = states.next_step(in_state(state), pod, NOW)
    assert isinstance(got, Report)
    found = got.status["applicationState"]
    assert (found["state"], found.get("errorMessage")) == expected


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED"])
def test_the_end_is_the_end(state: str) -> None:
    assert states.next_step(in_state(state), driver("Succeeded"), NOW) is None


def test_a_driver_may_be_missing_for_ten_seconds_after_its_submission() -> None:
    young = in_state("SUBMITTED", lastSubmissionAttemptTime=ago(9))
    assert states.next_step(young, None, NOW) == Wait(states.POLL_S)
    assert isinstance(states.next_step(in_state("SUBMITTED", lastSubmissionAttemptTime=ago(11)), None, NOW), Report)


def test_another_spec_is_another_run_but_for_two_fields() -> None:
    before = {"image": "a", "suspend": False}
    assert not states.changed(before, {"image": "a", "suspend": True, "timeToLiveSeconds": 5})
    assert states.changed(before, {"image": "b", "suspend": False})


def test_a_rerun_begins_when_the_driver_of_before_is_gone() -> None:
    made = in_state("INVALIDATING", sparkApplicationId="s", submissionID="x", driverInfo={"podName": "pi-driver"})
    got = states.next_step(made, driver("Running"), NOW)
    assert isinstance(got, Report)
    assert got.delete
    after = {**made, "status": states.merged(made["status"], got.status)}
    assert after["status"] == {
        "applicationState": {"state": "PENDING_RERUN"},
        "submissionID": "x",
        "driverInfo": {},
    }
    assert states.next_step(after, driver("Running"), NOW) is None
    assert states.next_step(after, None, NOW) == Submit()


def test_a_suspended_application_waits() -> None:
    assert states.next_step(application({"suspend": True}), None, NOW) == Report(
        {"applicationState": {"state": "SUSPENDING"}}
    )
    got = states.next_step(application({"suspend": True}, {"applicationState": {"state": "SUSPENDING"}}), None, NOW)
    assert isinstance(got, Report)
    assert got.delete
    stands = application({"suspend": True}, {"applicationState": {"state": "SUSPENDED"}})
    assert states.next_step(stands, None, NOW) is None
    assert states.next_step(in_state("SUSPENDED"), None, NOW) == Report({"applicationState": {"state": "RESUMING"}})


RETRIED = {
    "type": "OnFailure",
    "onFailureRetries": 2,
    "onFailureRetryInterval": 7,
    "onSubmissionFailureRetries": 1,
    "onSubmissionFailureRetryInterval": 9,
}


@pytest.mark.parametrize(
    ("state", "policy", "status", "expected"),
    [
        ("FAILING", RETRIED, {"executionAttempts": 2}, "PENDING_RERUN"),
        ("FAILING", RETRIED, {"executionAttempts": 3}, "FAILED"),
        ("FAILING", {"type": "Never"}, {}, "FAILED"),
        ("FAILING", {"type": "OnFailure"}, {}, "FAILED"),
        ("SUBMISSION_FAILED", RETRIED, {"submissionAttempts": 2}, "FAILED"),
        ("SUCCEEDING", RETRIED, {}, "COMPLETED"),
        ("SUCCEEDING", {"type": "Always"}, {"executionAttempts": 50}, "PENDING_RERUN"),
    ],
)
def test_a_restart_policy_counts(state: str, policy: Any, status: Any, expected: str) -> None:
    got = states.next_step(in_state(state, policy, **status), None, NOW)
    assert isinstance(got, Report)
    assert got.status["applicationState"]["state"] == expected


def test_the_pause_before_a_retry_grows_with_the_submissions() -> None:
    twice = in_state("FAILING", RETRIED, submissionAttempts=2, lastSubmissionAttemptTime=ago(4))
    assert states.next_step(twice, None, NOW) == Wait(10)
    failed = in_state("SUBMISSION_FAILED", RETRIED, lastSubmissionAttemptTime=ago(4))
    assert states.next_step(failed, None, NOW) == Wait(5)
    assert states.next_step(in_state("SUBMISSION_FAILED", RETRIED), None, NOW) == Submit()
    assert states.next_step(in_state("SUBMISSION_FAILED", RETRIED), driver("Running"), NOW) == Wait(1.0, delete=True)


def test_without_the_interval_that_the_webhook_writes_a_retry_never_comes() -> None:
    policy = {"type": "OnFailure", "onFailureRetries": 3}
    got = states.next_step(in_state("FAILING", policy), None, NOW)
    assert isinstance(got, Stuck)
    assert got.why.startswith("invalid retry interval (None)")


def test_a_status_is_merged() -> None:
    """The CRD wants to hear of a driver in any case."""
    old = {"applicationState": {"state": "FAILING", "errorMessage": "no"}, "executorState": {"e1": "RUNNING"}}
    got = states.merged(old, {"applicationState": {"state": "FAILED"}, "executorState": None})
    assert got == {"driverInfo": {}, "applicationState": {"state": "FAILED", "errorMessage": "no"}}
    assert old["executorState"] == {"e1": "RUNNING"}


def test_executors_that_are_gone() -> None:
    pods = [{"metadata": {"name": "e2"}, "status": {"phase": "Running"}}, {"metadata": {"name": "e3"}, "status": {}}]
    known = {"e1": "RUNNING", "e2": "PENDING", "e0": "FAILED"}
    now = states.executors(pods, known, "RUNNING")
    assert now == {"e0": "FAILED", "e1": "UNKNOWN", "e2": "RUNNING", "e3": "UNKNOWN"}
    assert set(states.executors([], {"e1": "RUNNING"}, "COMPLETED").values()) == {"COMPLETED"}
    # At the driver's end, before the application is COMPLETED: upstream says so of executors that did their work.
    assert set(states.executors([], {"e1": "RUNNING"}, "SUCCEEDING").values()) == {"FAILED"}


def test_an_application_whose_time_is_over() -> None:
    made = application({"timeToLiveSeconds": 30}, {"terminationTime": ago(31)})
    assert states.expired(made, NOW)
    assert not states.expired(application({"timeToLiveSeconds": 30}, {"terminationTime": ago(29)}), NOW)
    assert not states.expired(application({}, {"terminationTime": ago(31)}), NOW)


def test_what_it_has_done_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "counted", Counter({"SUBMITTED": 3, "FAILED": 1, "RUNNING": 2}))
    lines = metrics.page().splitlines()
    assert lines[:2] == ["# TYPE spark_application_submit_count counter", "spark_application_submit_count 3"]
    assert "spark_application_failure_count 1" in lines


# --------------------------------------------------------------------------- spark-submit


def words(spec: Mapping[str, Any]) -> list[str]:
    return submission.arguments(application(spec), MASTER, "s1", TEMPLATES)


def properties(spec: Mapping[str, Any]) -> dict[str, str]:
    """As spark-submit takes them: the last one wins."""
    return dict(b.split("=", 1) for a, b in pairwise(words(spec)) if a == "--conf")


def test_the_order_of_arguments() -> None:
    deps = {"jars": ["a", "b"], "pyFiles": ["m.py"], "packages": ["p"], "files": ["f"], "archives": ["z"]}
    got = words({"mainClass": "a.B", "arguments": ["1", "--x"], "deps": deps, "proxyUser": "me"})
    assert got[:18] == [
        *("--master", MASTER, "--deploy-mode", "cluster", "--class", "a.B", "--name", "pi"),
        *("--jars", "a,b", "--packages", "p", "--py-files", "m.py", "--files", "f", "--archives", "z"),
    ]
    assert got[-5:] == ["--proxy-user", "me", "local:///a.jar", "1", "--x"]
    names = [b.split("=")[0] for a, b in pairwise(got) if a == "--conf"]
    assert names == [
        "spark.kubernetes.namespace",
        "spark.kubernetes.submission.waitAppCompletion",
        "spark.kubernetes.driver.podTemplateFile",
        "spark.kubernetes.driver.podTemplateContainerName",
        "spark.kubernetes.driver.pod.name",
        "spark.kubernetes.driver.label.sparkoperator.k8s.io/app-name",
        "spark.kubernetes.driver.label.sparkoperator.k8s.io/launched-by-spark-operator",
        "spark.kubernetes.driver.label.sparkoperator.k8s.io/mutated-by-spark-operator",
        "spark.kubernetes.driver.label.sparkoperator.k8s.io/submission-id",
        "spark.kubernetes.executor.podTemplateFile",
        "spark.kubernetes.executor.podTemplateContainerName",
        "spark.kubernetes.executor.label.sparkoperator.k8s.io/app-name",
        "spark.kubernetes.executor.label.sparkoperator.k8s.io/launched-by-spark-operator",
        "spark.kubernetes.executor.label.sparkoperator.k8s.io/mutated-by-spark-operator",
        "spark.kubernetes.executor.label.sparkoperator.k8s.io/submission-id",
    ]


def test_the_operators_pod_template_beats_that_of_sparkconf() -> None:
    conf = {f"spark.kubernetes.{role}.podTemplateFile": "/etc/spark/templates/x.yaml" for role in submission.ROLES}
    got = words({"sparkConf": conf})
    own = got.index("spark.kubernetes.executor.podTemplateFile=/t/executor.yaml")
    assert got.index("spark.kubernetes.executor.podTemplateFile=/etc/spark/templates/x.yaml") < own
    assert properties({"sparkConf": conf})["spark.kubernetes.driver.podTemplateFile"] == "/t/driver.yaml"


def test_a_template_of_the_application_is_the_one_that_is_passed() -> None:
    given = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "x"}], "tolerations": [{}]}}
    made = application({"driver": {"template": given}})
    got = submission.template(made, "driver")
    assert got["spec"] == given["spec"]
    assert got["metadata"]["labels"] == {"a": "b"}
    (owner,) = got["metadata"]["ownerReferences"]
    assert owner == submission.owner(made)
    assert (owner["controller"], owner["blockOwnerDeletion"]) == (True, True)
    assert "ownerReferences" not in given["metadata"]
    mutated = "spark.kubernetes.driver.label.sparkoperator.k8s.io/mutated-by-spark-operator"
    assert mutated not in properties({"driver": {"template": given}})


def test_without_a_template_there_is_an_empty_container_and_nothing_of_the_platform() -> None:
    got = submission.template(application({"nodeSelector": {"disk": "fast"}}), "executor")
    assert got["spec"] == {"containers": [{"name": "spark-kubernetes-executor"}]}
    (owner,) = got["metadata"]["ownerReferences"]
    assert owner == {
        "apiVersion": "sparkoperator.k8s.io/v1beta2",
        "kind": "SparkApplication",
        "name": "pi",
        "uid": "u1",
    }


def test_fields_become_properties_and_win_over_sparkconf() -> None:
    got = properties(
        {
            "image": "spark:1",
            "sparkConf": {"spark.executor.cores": "9", "spark.kubernetes.driver.pod.name": "other"},
            "imagePullSecrets": ["a", "b"],
            "nodeSelector": {"disk": "fast"},
            "dynamicAllocation": {"enabled": True, "maxExecutors": 4},
            "driver": {
                "podName": "mine",
                "serviceAccount": "spark",
                "envSecretKeyRefs": {"K": {"name": "s", "key": "k"}},
            },
            "executor": {"cores": 2, "instances": 3, "labels": {"team": "etl"}, "envVars": {"A": "1"}},
        }
    )
    expected = {
        "spark.executor.cores": "2",
        "spark.executor.instances": "3",
        "spark.kubernetes.driver.pod.name": "mine",
        "spark.kubernetes.driver.container.image": "spark:1",
        "spark.kubernetes.authenticate.driver.serviceAccountName": "spark",
        "spark.kubernetes.container.image.pullSecrets": "a,b",
        "spark.kubernetes.node.selector.disk": "fast",
        "spark.kubernetes.driver.secretKeyRef.K": "s:k",
        "spark.executorEnv.A": "1",
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.maxExecutors": "4",
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",
        "spark.kubernetes.executor.label.team": "etl",
        "spark.kubernetes.executor.label.sparkoperator.k8s.io/app-name": "pi",
        "spark.kubernetes.driver.label.sparkoperator.k8s.io/submission-id": "s1",
    }
    assert {key: got.get(key) for key in expected} == expected


def test_what_only_the_webhook_can_do_is_no_argument() -> None:
    """env, tolerations, security contexts, config maps: without the webhook they are lost."""
    part = {"env": [{"name": "A", "value": "1"}], "tolerations": [{}], "securityContext": {"runAsUser": 185}}
    part |= {"configMaps": [{"name": "scripts", "path": "/s"}], "nodeSelector": {"a": "b"}}
    assert properties({"driver": part, "executor": part}) == properties({})


def test_scratch_volumes_are_properties() -> None:
    volumes = [{"name": "spark-local-dir-1", "emptyDir": {"sizeLimit": "5Gi"}}, {"name": "data", "emptyDir": {}}]
    mounts = [{"name": "spark-local-dir-1", "mountPath": "/scratch"}, {"name": "data", "mountPath": "/data"}]
    got = properties({"volumes": volumes, "executor": {"volumeMounts": mounts}})
    prefix = "spark.kubernetes.executor.volumes.emptyDir.spark-local-dir-1."
    assert {k: v for k, v in got.items() if ".volumes." in k} == {
        f"{prefix}mount.path": "/scratch",
        f"{prefix}options.sizeLimit": "5Gi",
    }


def test_the_address_of_the_api_server() -> None:
    found = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    assert submission.master_of(found) == "k8s://https://[fd00::1]:443"
    with pytest.raises(submission.Refused, match="KUBERNETES_SERVICE_PORT is not found"):
        submission.master_of({"KUBERNETES_SERVICE_HOST": "a"})


def test_what_it_does_not_do_is_refused() -> None:
    with pytest.raises(submission.Refused) as caught:
        submission.check({**SPEC, "batchScheduler": "volcano", "monitoring": {}})
    assert str(caught.value) == (
        "spec.batchScheduler is not done by this imitation of the operator; "
        "spec.monitoring is not done by this imitation of the operator"
    )


def test_every_field_that_our_charts_set_is_done() -> None:
    """The component's own check; the examples are run on the node."""
    file = ROOT / "charts" / "spark-operator-values" / "component.yaml"
    checks = yaml.safe_load(file.read_text(encoding="utf-8"))["checks"]
    (made,) = [check["with"]["object"] for check in checks if check["name"] == "application"]
    submission.check(made["spec"])
