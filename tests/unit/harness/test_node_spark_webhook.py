"""The webhook of the imitated Spark operator: defaults, refusals, pods, certificates, and who leads."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiException
from tests.mini import ROOT

sys.path.append(str(ROOT / "tests" / "node" / "images" / "spark-operator"))
from sparkoperator import admission, certificates, lease, pods, webhook
from sparkoperator.states import APP_LABEL

HOST = "spark-operator-webhook-svc.spark-operator.svc"
APPLICATION = "sparkoperator-k8s-io-v1beta2-sparkapplication"


def application(spec: Mapping[str, Any] | None = None, state: str = "", name: str = "pi") -> dict[str, Any]:
    made: dict[str, Any] = {"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication"}
    made |= {"metadata": {"name": name, "namespace": "jobs", "uid": "u1"}, "spec": dict(spec or {})}
    return {**made, "status": {"applicationState": {"state": state}}} if state else made


# --------------------------------------------------------------------------- defaults


def test_the_defaults_of_an_application() -> None:
    assert admission.defaulted(application())["spec"] == {
        "type": "Scala",
        "mode": "cluster",
        "restartPolicy": {"type": "Never"},
        "driver": {"cores": 1, "memory": "1g"},
        "executor": {"cores": 1, "memory": "1g", "instances": 1},
    }


def test_what_sparkconf_says_is_not_written_as_a_field() -> None:
    conf = {"spark.driver.memory": "2g", "spark.executor.cores": "2", "spark.executor.instances": "5"}
    got = admission.defaulted(application({"sparkConf": conf}))["spec"]
    assert got["driver"] == {"cores": 1}
    assert got["executor"] == {"memory": "1g"}


def test_a_policy_that_retries_gets_its_intervals() -> None:
    got = admission.defaulted(application({"restartPolicy": {"type": "OnFailure", "onFailureRetryInterval": 9}}))
    assert got["spec"]["restartPolicy"] == {
        "type": "OnFailure",
        "onFailureRetryInterval": 9,
        "onSubmissionFailureRetryInterval": 5,
    }


def test_scaling_needs_no_number_of_executors() -> None:
    got = admission.defaulted(application({"dynamicAllocation": {"enabled": True}}))["spec"]
    assert "instances" not in got["executor"]
    assert got["dynamicAllocation"] == {"enabled": True, "shuffleTrackingEnabled": True}
    # Spark's own property is not seen: the operator asks for another spelling.
    spelled = application({"sparkConf": {"spark.dynamicAllocation.enabled": "true"}})
    assert admission.defaulted(spelled)["spec"]["executor"]["instances"] == 1


@pytest.mark.parametrize(("state", "written"), [("COMPLETED", False), ("RUNNING", False), ("INVALIDATING", True)])
def test_only_what_has_not_run_is_defaulted(state: str, written: bool) -> None:
    assert ("mode" in admission.defaulted(application(state=state))["spec"]) is written


# --------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({}, ""),
        (
            {"nodeSelector": {"a": "b"}, "driver": {"nodeSelector": {"a": "c"}}},
            "node selector cannot be defined at both SparkApplication and Driver/Executor",
        ),
        (
            {"sparkVersion": "2.4.8", "driver": {"template": {}}},
            "pod template feature requires Spark version 3.0.0 or higher",
        ),
        ({"sparkVersion": "4.0.4-scala", "driver": {"template": {}}}, ""),
        (
            {"sparkVersion": "nightly", "executor": {"template": {}}},
            "pod template feature requires Spark version 3.0.0 or higher",
        ),
        ({"sparkConf": {"spark.kubernetes.driver.podTemplateFile": "/x"}}, ""),
        (
            {"sparkConf": {"spark.kubernetes.container.image": "x"}},
            'sparkConf key "spark.kubernetes.container.image" is not allowed: use the image field on the CRD instead',
        ),
        (
            {"sparkConf": {"spark.kubernetes.authenticate.driver.serviceAccountName": "x"}},
            (
                'sparkConf key "spark.kubernetes.authenticate.driver.serviceAccountName" is not allowed: '
                "configure the service account via the CRD spec instead"
            ),
        ),
        (
            {"sparkConf": {"spark.kubernetes.namespace": "other"}},
            (
                'sparkConf key "spark.kubernetes.namespace" is not allowed: '
                'must equal the application namespace "jobs", got "other"'
            ),
        ),
        ({"sparkConf": {"spark.kubernetes.namespace": "jobs"}}, ""),
        (
            {"driverIngressOptions": [{"servicePort": 1, "ingressURLFormat": "a"}, {"servicePort": 1}]},
            "DriverIngressOptions has duplicate ServicePort: 1",
        ),
    ],
)
def test_what_is_refused(spec: Any, why: str) -> None:
    assert admission.refusal(application(spec)) == why


def test_a_name_must_do_for_a_service() -> None:
    assert admission.refusal(application(name="2pi")).startswith(
        'invalid SparkApplication name "2pi": a DNS-1035 label'
    )
    assert "must be no more than 63" in admission.refusal(application(name="a" * 64))


def test_an_update_that_leaves_the_spec_alone_is_taken() -> None:
    wrong = application({"nodeSelector": {"a": "b"}, "driver": {"nodeSelector": {"a": "c"}}})
    assert admission.refusal(wrong, wrong) == ""
    assert admission.refusal(wrong, application())


# --------------------------------------------------------------------------- pods


def pod(role: str = "driver", **spec: Any) -> dict[str, Any]:
    own = {"name": f"spark-kubernetes-{role}", "image": "spark:1", "env": [{"name": "SPARK", "value": "1"}]}
    labels = {"spark-role": role, APP_LABEL: "pi"}
    return {"metadata": {"name": "p", "labels": labels}, "spec": {"containers": [own, {"name": "side"}], **spec}}


def test_fields_that_reach_the_driver() -> None:
    part = {
        "env": [{"name": "A", "value": "1"}],
        "envFrom": [{"configMapRef": {"name": "e"}}],
        "configMaps": [{"name": "scripts", "path": "/etc/scripts"}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "unknown", "mountPath": "/u"}],
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "nodeSelector": {"disk": "fast"},
        "initContainers": [{"name": "first", "image": "i"}],
        "sidecars": [{"name": "second", "image": "i"}],
        "securityContext": {"runAsUser": 185},
        "podSecurityContext": {"fsGroup": 185},
        "priorityClassName": "high",
        "schedulerName": "mine",
        "memoryLimit": "2g",
        "gpu": {"name": "nvidia.com/gpu", "quantity": 1},
        "hostNetwork": True,
    }
    volumes = [{"name": "data", "emptyDir": {}}, {"name": "unused", "emptyDir": {}}]
    given = pod(tolerations=[{"key": "old"}], nodeSelector={"a": "b"}, priority=0, preemptionPolicy="Never")
    got = pods.mutated(given, application({"volumes": volumes, "driver": part}))
    own, side, second = got["spec"]["containers"]
    assert own == {
        "name": "spark-kubernetes-driver",
        "image": "spark:1",
        "env": [{"name": "SPARK", "value": "1"}, {"name": "A", "value": "1"}],
        "envFrom": [{"configMapRef": {"name": "e"}}],
        "volumeMounts": [
            {"name": "scripts-vol", "readOnly": True, "mountPath": "/etc/scripts"},
            {"name": "data", "mountPath": "/data"},
        ],
        "resources": {"limits": {"memory": "2Gi", "nvidia.com/gpu": "1"}},
        "securityContext": {"runAsUser": 185},
    }
    assert (side["name"], second["name"]) == ("side", "second")
    rest = {key: value for key, value in got["spec"].items() if key != "containers"}
    assert rest == {
        "volumes": [{"name": "scripts-vol", "configMap": {"name": "scripts"}}, volumes[0]],
        "tolerations": [{"key": "old"}, {"key": "gpu", "operator": "Exists"}],
        "nodeSelector": {"a": "b", "disk": "fast"},
        "initContainers": [{"name": "first", "image": "i"}],
        "securityContext": {"fsGroup": 185},
        "priorityClassName": "high",
        "schedulerName": "mine",
        "hostNetwork": True,
        "dnsPolicy": "ClusterFirstWithHostNet",
    }
    (owner,) = got["metadata"]["ownerReferences"]
    assert (owner["name"], owner["controller"]) == ("pi", True)


def test_an_executor_has_its_own_part_and_no_owner_added() -> None:
    made = application({"driver": {"nodeSelector": {"a": "b"}}, "executor": {"nodeSelector": {"a": "c"}}})
    got = pods.mutated(pod("executor"), made)
    assert got["spec"]["nodeSelector"] == {"a": "c"}
    assert "ownerReferences" not in got["metadata"]


def test_a_pod_of_another_role_is_left_alone() -> None:
    assert pods.mutated(pod("other"), application({"driver": {"hostNetwork": True}})) == pod("other")


def test_a_pod_without_wishes_is_left_as_it_is() -> None:
    assert pods.mutated(pod("executor"), application())["spec"] == pod("executor")["spec"]


# --------------------------------------------------------------------------- answers over HTTPS


def review(what: Mapping[str, Any], operation: str = "CREATE", **more: Any) -> dict[str, Any]:
    request = {"uid": "r1", "operation": operation, "namespace": "jobs", "object": what, **more}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return certificates.generated(HOST, tmp_path_factory.mktemp("made"))


def test_it_answers_over_https_with_the_certificates_of_the_secret(made: dict[str, str], tmp_path: Path) -> None:
    server = webhook.serve(0, certificates.written(made, tmp_path), ("jobs",))
    try:
        authority = base64.b64decode(made[certificates.CA]).decode()
        context = ssl.create_default_context(cadata=authority)
        connection = http.client.HTTPSConnection("localhost", server.server_port, context=context, timeout=10)
        body = json.dumps(review(application()))
        connection.request("POST", f"/mutate-{APPLICATION}?timeout=10s", body)
        answer = json.loads(connection.getresponse().read())
    finally:
        server.shutdown()
        server.server_close()
    assert answer["kind"] == "AdmissionReview"
    response = answer["response"]
    assert (response["uid"], response["allowed"], response["patchType"]) == ("r1", True, "JSONPatch")
    (patch,) = json.loads(base64.b64decode(response["patch"]))
    assert (patch["op"], patch["path"]) == ("replace", "/spec")
    assert patch["value"]["executor"]["instances"] == 1


def test_a_refusal_is_an_answer_too() -> None:
    got = webhook.answered(review(application(name="2pi")), f"/validate-{APPLICATION}", ("jobs",))["response"]
    assert not got["allowed"]
    assert got["status"]["code"] == 403
    assert got["status"]["message"].startswith('invalid SparkApplication name "2pi"')
    gone = review(application(name="2pi"), "DELETE")
    assert webhook.answered(gone, f"/validate-{APPLICATION}", ("jobs",))["response"]["allowed"]


def test_pods_of_other_namespaces_and_of_nobody_are_not_asked_about() -> None:
    """No client is configured here: a question to the API server would fail."""
    for found in (review(pod(), namespace="other"), review({"metadata": {}, "spec": {"containers": []}})):
        got = webhook.answered(found, "/mutate--v1-pod", ("jobs",))["response"]
        assert got == {"uid": "r1", "allowed": True}


def test_a_driver_whose_application_is_gone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Api:
        def get_namespaced_custom_object(self, *_: Any) -> Any:
            raise ApiException(status=404, reason="Not Found")

    monkeypatch.setattr(webhook.client, "CustomObjectsApi", Api)
    got = webhook.answered(review(pod()), "/mutate--v1-pod", ("jobs",))["response"]
    assert not got["allowed"]
    missing = 'SparkApplication.sparkoperator.k8s.io "pi" not found'
    assert got["status"]["message"] == f"failed to get SparkApplication jobs/pi: {missing}"


# --------------------------------------------------------------------------- certificates


def test_certificates_of_another_host_or_none_are_made_again(made: dict[str, str], tmp_path: Path) -> None:
    assert certificates.usable(made, HOST, tmp_path)
    assert not certificates.usable(made, "other.svc", tmp_path)
    assert not certificates.usable({}, HOST, tmp_path)
    assert not certificates.usable({**made, certificates.KEY: ""}, HOST, tmp_path)
    assert set(made) == {"ca-key.pem", "ca-cert.pem", "server-key.pem", "server-cert.pem"}
    for key in (certificates.KEY, certificates.CA_KEY):
        assert base64.b64decode(made[key]).startswith(b"-----BEGIN RSA PRIVATE KEY-----")
    assert list(tmp_path.iterdir()) == []


# --------------------------------------------------------------------------- who leads


def test_a_lease_that_somebody_left_is_waited_out_from_the_first_look() -> None:
    """However old it is: a removed release leaves it, and the next one leads fifteen seconds later."""
    one = lease.Candidate("me", 15)
    left = {"holderIdentity": "gone", "leaseDurationSeconds": 15, "renewTime": "2020-01-01T00:00:00.000000Z"}
    assert not one.may_take(left, 100.0)
    assert not one.may_take(left, 115.0)
    assert one.may_take(left, 115.1)


def test_a_lease_that_is_renewed_is_never_taken() -> None:
    one = lease.Candidate("me", 15)
    for tick in range(0, 60, 2):
        renewed = {"holderIdentity": "leader", "leaseDurationSeconds": 15, "renewTime": str(tick)}
        assert not one.may_take(renewed, float(tick))


@pytest.mark.parametrize("spec", [None, {"holderIdentity": ""}, {"holderIdentity": "me", "leaseDurationSeconds": 15}])
def test_no_lease_an_empty_one_and_my_own_are_taken_at_once(spec: Any) -> None:
    assert lease.Candidate("me", 15).may_take(spec, 0.0)


def test_durations_as_go_writes_them() -> None:
    assert [lease.seconds(text) for text in ("15s", "1m30s", "2.5s", "1h")] == [15, 90, 2.5, 3600]


@pytest.mark.parametrize("path", sorted(set(webhook.PATHS) - {"/mutate--v1-pod"}))
@pytest.mark.parametrize("spec", [{}, {"spec": None}, {"spec": {}}, {"spec": {"driver": None, "template": None}}])
def test_an_object_without_a_spec_gets_an_answer(path: str, spec: dict[str, Any]) -> None:
    """sparkrig asks with the smallest object there is, and so may a person."""
    about = {"metadata": {"name": "probe", "namespace": "jobs"}, **spec}
    request = {"uid": "1", "operation": "CREATE", "namespace": "jobs", "object": about}
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    response = webhook.answered(review, path, ())["response"]
    assert "Error" not in response.get("status", {}).get("message", "")
