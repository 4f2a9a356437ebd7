"""The operator of tests/node/images/spark-operator: what it does next, what it calls spark-submit with, its pods."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.mini import ROOT

HOME = ROOT / "tests" / "node" / "images" / "spark-operator"
sys.path.append(str(HOME))
from sparkoperator import cluster, metrics, states, submission  # noqa: E402
from sparkoperator.states import Report, Submit  # noqa: E402

TEMPLATES = {"driver": "/t/driver.yaml", "executor": "/t/executor.yaml"}
SPEC: dict[str, Any] = {"type": "Scala", "mode": "cluster", "mainApplicationFile": "local:///a.jar"}


def application(spec: Mapping[str, Any] | None = None, status: Mapping[str, Any] | None = None) -> dict[str, Any]:
    metadata = {"name": "pi", "namespace": "jobs", "uid": "u1", "generation": 3}
    made = {"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": metadata}
    return {**made, "spec": {**SPEC, **(spec or {})}, **({"status": status} if status is not None else {})}


def in_state(state: str, policy: Mapping[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    spec = {"restartPolicy": policy} if policy else {}
    return application(spec, {"applicationState": {"state": state}, "submissionID": "s1.3", **status})


def driver(phase: str, **ended: Any) -> dict[str, Any]:
    statuses = [{"name": "spark-kubernetes-driver", "state": {"terminated": ended}}] if ended else []
    return {"metadata": {"name": "pi-driver"}, "status": {"phase": phase, "containerStatuses": statuses}}


# --------------------------------------------------------------------------- what is next


def test_a_new_application_and_a_changed_one_are_submitted() -> None:
    fresh = Submit(0, {"submissionAttempts": 1, "executionAttempts": 0})
    assert states.next_step(application(), None) == fresh
    assert states.next_step(in_state("COMPLETED", submissionID="s1.2"), driver("Succeeded")) == fresh
    assert states.next_step(in_state("FAILED", submissionID="s1.2", executionAttempts=4), None) == fresh


@pytest.mark.parametrize(
    ("state", "pod", "expected"),
    [
        ("SUBMITTED", driver("Pending"), None),
        ("SUBMITTED", driver("Running"), ("RUNNING", None, 1)),
        ("RUNNING", driver("Running"), None),
        ("RUNNING", driver("Succeeded"), ("COMPLETED", None, 0)),
        # So short that nobody saw it run.
        ("SUBMITTED", driver("Succeeded"), ("COMPLETED", None, 1)),
        ("RUNNING", None, ("FAILING", "the driver's pod is gone", 0)),
        (
            "RUNNING",
            driver("Failed", exitCode=137, reason="OOMKilled"),
            ("FAILING", "the driver ended with exit code 137 (OOMKilled)", 0),
        ),
        (
            "SUBMITTED",
            {"metadata": {}, "status": {"phase": "Failed", "reason": "Evicted", "message": "disk pressure"}},
            ("FAILING", "the driver's pod failed: Evicted disk pressure", 1),
        ),
        ("FAILING", driver("Failed", exitCode=1), ("FAILED", None, None)),
        ("SUBMISSION_FAILED", None, ("FAILED", None, None)),
        ("FAILED", None, None),
        ("COMPLETED", driver("Succeeded"), None),
    ],
)
def test_the_drivers_phase_is_the_applications(state: str, pod: Any, expected: Any) -> None:
    got = states.next_step(in_state(state), pod)
    if expected is None:
        assert got is None
        return
    assert isinstance(got, Report)
    found = got.status["applicationState"]
    assert (found["state"], found.get("errorMessage"), got.status.get("executionAttempts")) == expected


def test_a_submission_says_which_description_it_is_of() -> None:
    assert states.submission_id(application(), "s1") == "s1.3"
    made = application(
        status={"applicationState": {"state": "FAILED"}, "submissionID": states.submission_id(application(), "x")}
    )
    assert states.next_step(made, None) is None


def test_a_status_is_merged() -> None:
    """As the API server would merge a patch; the CRD wants to hear of a driver in any case."""
    old = {
        "applicationState": {"state": "FAILING", "errorMessage": "no"},
        "executorState": {"e1": "RUNNING"},
        "submissionAttempts": 2,
    }
    change = {
        "applicationState": {"state": "SUBMITTED", "errorMessage": None},
        "executorState": None,
        "terminationTime": None,
    }
    assert states.merged(old, change) == {
        "driverInfo": {},
        "applicationState": {"state": "SUBMITTED"},
        "submissionAttempts": 2,
    }
    assert states.merged({"driverInfo": {"podName": "a"}}, {"executorState": {"e1": "X"}}) == {
        "driverInfo": {"podName": "a"},
        "executorState": {"e1": "X"},
    }
    assert old["applicationState"]["errorMessage"] == "no"


def test_what_it_has_done_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "counted", Counter({"SUBMITTED": 3, "FAILED": 1, "RUNNING": 2}))
    lines = metrics.page().splitlines()
    assert lines[:2] == ["# TYPE spark_application_submit_count counter", "spark_application_submit_count 3"]
    assert "spark_application_failure_count 1" in lines
    assert "spark_application_success_count 0" in lines


RETRIED = {
    "type": "OnFailure",
    "onFailureRetries": 2,
    "onFailureRetryInterval": 7,
    "onSubmissionFailureRetries": 1,
    "onSubmissionFailureRetryInterval": 9,
}


def again(after: float, submissions: int, runs: int) -> Submit:
    return Submit(after, {"submissionAttempts": submissions, "executionAttempts": runs})


@pytest.mark.parametrize(
    ("state", "policy", "status", "expected"),
    [
        ("FAILING", RETRIED, {"executionAttempts": 2, "submissionAttempts": 1}, again(7, 1, 2)),
        ("FAILING", RETRIED, {"executionAttempts": 3}, "FAILED"),
        ("SUBMISSION_FAILED", RETRIED, {"submissionAttempts": 1}, again(9, 2, 0)),
        ("SUBMISSION_FAILED", RETRIED, {"submissionAttempts": 2}, "FAILED"),
        ("FAILING", {"type": "Never"}, {"executionAttempts": 1}, "FAILED"),
        ("FAILING", {"type": "OnFailure"}, {"executionAttempts": 1}, "FAILED"),
        ("COMPLETED", RETRIED, {}, None),
        ("COMPLETED", {"type": "Always"}, {"executionAttempts": 50}, again(5, 1, 50)),
    ],
)
def test_a_restart_policy_counts(state: str, policy: Any, status: Any, expected: Any) -> None:
    got = states.next_step(in_state(state, policy, **status), None)
    assert (got.status["applicationState"]["state"] if isinstance(got, Report) else got) == expected


def test_executors_that_are_gone_keep_their_end() -> None:
    pods = [{"metadata": {"name": "e2"}, "status": {"phase": "Running"}}, {"metadata": {"name": "e3"}, "status": {}}]
    known = {"e1": "RUNNING", "e2": "PENDING", "e0": "FAILED"}
    now = states.executors(pods, known, ended=False)
    assert now == {"e0": "FAILED", "e1": "RUNNING", "e2": "RUNNING", "e3": "UNKNOWN"}
    assert states.executors([], now, ended=True) == {**now, "e1": "COMPLETED", "e2": "COMPLETED"}


# --------------------------------------------------------------------------- spark-submit


def properties(spec: Mapping[str, Any]) -> dict[str, str]:
    words = submission.arguments(application(spec), "https://api", "s1", TEMPLATES)
    return dict(b.split("=", 1) for a, b in pairwise(words) if a == "--conf")


def test_the_order_of_arguments() -> None:
    words = submission.arguments(application({"mainClass": "a.B", "arguments": ["1", "--x"]}), "https://api", "s1", {})
    assert words[:8] == [
        "--master", "k8s://https://api", "--deploy-mode", "cluster", "--name", "pi", "--class", "a.B",
    ]  # fmt: skip
    assert words[-3:] == ["local:///a.jar", "1", "--x"]


def test_fields_become_properties_and_win_over_sparkconf() -> None:
    got = properties(
        {
            "sparkConf": {"spark.executor.cores": "9", "spark.ui.enabled": "false"},
            "imagePullSecrets": ["a", "b"],
            "deps": {"pyFiles": ["local:///m.py", "local:///n.py"]},
            "dynamicAllocation": {"enabled": True, "maxExecutors": 4},
            "driver": {"podName": "mine", "serviceAccount": "spark"},
            "executor": {"cores": 2, "instances": 3, "labels": {"team": "etl"}},
        }
    )
    expected = {
        "spark.executor.cores": "2",
        "spark.ui.enabled": "false",
        "spark.executor.instances": "3",
        "spark.kubernetes.namespace": "jobs",
        "spark.kubernetes.driver.pod.name": "mine",
        "spark.kubernetes.authenticate.driver.serviceAccountName": "spark",
        "spark.kubernetes.container.image.pullSecrets": "a,b",
        "spark.submit.pyFiles": "local:///m.py,local:///n.py",
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.maxExecutors": "4",
        "spark.kubernetes.executor.label.team": "etl",
        "spark.kubernetes.executor.label.sparkoperator.k8s.io/app-name": "pi",
        "spark.kubernetes.driver.label.sparkoperator.k8s.io/submission-id": "s1",
        "spark.kubernetes.driver.podTemplateFile": "/t/driver.yaml",
    }
    assert {key: got.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"batchScheduler": "volcano"}, "spec.batchScheduler is not known to this operator"),
        ({"driver": {"gpu": {}}}, "spec.driver.gpu is not known to this operator"),
        ({"mode": "client"}, "spec.mode is client: only cluster is done here"),
        ({"mainApplicationFile": ""}, "spec.mainApplicationFile is missing"),
        (
            {"nodeSelector": {"a": "b"}, "executor": {"nodeSelector": {"a": "c"}}},
            "spec.nodeSelector is given for the application and for one of its parts",
        ),
    ],
)
def test_what_it_does_not_do_is_refused(spec: Any, why: str) -> None:
    with pytest.raises(submission.Refused) as caught:
        submission.check({**SPEC, **spec})
    assert str(caught.value) == why


def test_every_field_that_our_charts_set_is_known() -> None:
    """The component's own check; the examples are run on the node."""
    file = ROOT / "charts" / "spark-operator-values" / "component.yaml"
    checks = yaml.safe_load(file.read_text(encoding="utf-8"))["checks"]
    (made,) = [check["with"]["object"] for check in checks if check["name"] == "application"]
    submission.check(made["spec"])


# --------------------------------------------------------------------------- pods


BASE = {
    "metadata": {"labels": {"a": "b"}},
    "spec": {
        "containers": [
            {"name": "spark-kubernetes-driver", "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]},
            {"name": "side"},
        ],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "initContainers": [{"name": "first"}],
    },
}


def test_an_application_is_laid_over_the_platforms_pod() -> None:
    spec = {
        "volumes": [{"name": "tmp", "emptyDir": {"medium": "Memory"}}, {"name": "more", "emptyDir": {}}],
        "driver": {
            "configMaps": [{"name": "scripts", "path": "/etc/scripts"}],
            "volumeMounts": [{"name": "more", "mountPath": "/tmp"}],
            "securityContext": {"runAsUser": 185},
            "initContainers": [{"name": "second"}],
        },
    }
    got = submission.template(application(spec), "driver", BASE)
    own, side = got["spec"]["containers"]
    assert side == {"name": "side"}
    assert own["securityContext"] == {"runAsUser": 185}
    assert own["volumeMounts"] == [
        {"name": "more", "mountPath": "/tmp"},
        {"name": "scripts-map", "mountPath": "/etc/scripts"},
    ]
    assert [v["name"] for v in got["spec"]["volumes"]] == ["tmp", "more", "scripts-map"]
    assert got["spec"]["volumes"][0] == {"name": "tmp", "emptyDir": {"medium": "Memory"}}
    assert [c["name"] for c in got["spec"]["initContainers"]] == ["first", "second"]
    assert got["metadata"]["labels"] == {"a": "b"}
    (owner,) = got["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("SparkApplication", "pi", "u1")
    # What it was made from is as it was: the next application starts from it too.
    assert BASE["spec"]["containers"][0] == {
        "name": "spark-kubernetes-driver",
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }


def test_a_pod_out_of_nothing() -> None:
    got = submission.template(application({"nodeSelector": {"disk": "fast"}}), "executor", {})
    assert got["metadata"] == {}
    assert got["spec"]["nodeSelector"] == {"disk": "fast"}
    assert [c["name"] for c in got["spec"]["containers"]] == ["spark-kubernetes-executor"]


# --------------------------------------------------------------------------- reasons


REFUSED = """\
Exception in thread "main" io.fabric8.KubernetesClientException: Failure executing: POST at: https://a. \
Message: pods "pi-driver" is forbidden: exceeded quota: jobs. Received status: Status(apiVersion=v1, code=403).
\tat a.b(C.java)
"""


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (REFUSED, 'spark-submit ended with 1: pods "pi-driver" is forbidden: exceeded quota: jobs'),
        ("one\nError: Failed to load class a.B.\n", "spark-submit ended with 1: Failed to load class a.B."),
        ("line\n\nlast\n\n", "spark-submit ended with 1: last"),
        ("", "spark-submit ended with 1: "),
    ],
)
def test_why_a_submission_failed(log: str, reason: str) -> None:
    assert cluster.reason(log, 1) == reason


def test_defaults_are_read_as_spark_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "# a comment\n\nspark.a  1\nspark.b=2\nspark.c\n spark.d \t x y = z\n"
    (tmp_path / "spark-defaults.conf").write_text(text, encoding="utf-8")
    monkeypatch.setattr(cluster, "CONF", tmp_path)
    assert cluster._defaults() == {"spark.a": "1", "spark.b": "2", "spark.d": "x y = z"}
    monkeypatch.setattr(cluster, "CONF", tmp_path / "none")
    assert cluster._defaults() == {}
