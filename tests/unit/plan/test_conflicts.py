"""What the API server's answers to a dry run mean, as data: tests/cases/conflicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrig.kube.webhooks import Counters, parse_answers
from sparkrig.models.objects import ObjectRef
from sparkrig.plan.diff.fields import path_text
from sparkrig.plan.server.answers import contested, path_of, refused
from sparkrig.plan.server.webhooks import Admission, Answers, Request, asked_about, asks, silent_webhooks, webhook_named

CASES: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "cases" / "conflicts" / "answers.yaml").read_text())
REF = ObjectRef("apps", "v1", "Deployment", "lab", "d")
METRICS = """
# TYPE apiserver_admission_webhook_fail_open_count counter
apiserver_admission_webhook_fail_open_count{name="open.example.org",type="validating"} 3
apiserver_admission_webhook_admission_duration_seconds_sum{name="open.example.org",operation="CREATE"} 20.5
apiserver_admission_webhook_admission_duration_seconds_sum{name="open.example.org",operation="UPDATE"} 9.5
apiserver_admission_webhook_admission_duration_seconds_count{name="open.example.org",operation="CREATE"} 2
apiserver_admission_webhook_admission_duration_seconds_count{name="open.example.org",operation="UPDATE"} 1
apiserver_admission_webhook_admission_duration_seconds_bucket{name="open.example.org",le="+Inf"} 3
apiserver_request_total{code="200"} 1e+06
"""


@pytest.mark.parametrize("case", CASES["paths"], ids=lambda case: case["text"])
def test_paths_of_managed_fields(case: dict[str, str]) -> None:
    assert path_text(path_of(case["text"], CASES["document"])) == case["path"]


@pytest.mark.parametrize("case", CASES["refusals"], ids=lambda case: case["field"] + case["message"][:12])
def test_what_cannot_be_changed_is_told_from_what_is_wrong(case: dict[str, Any]) -> None:
    live = {**CASES["document"], "spec": {**CASES["document"]["spec"], "args": ["a"], "ports": [], "replicas": 3}}
    answer = {"details": {"causes": [{"field": case["field"], "message": case["message"]}]}}
    found = refused(REF, CASES["document"], live, answer)
    assert [field for field, _ in found.fields] == case["fixed"] if found else case["fixed"] == []


def test_a_long_quotation_is_left_out() -> None:
    quoted = 'Invalid value: {"Spec":' + "x" * 3000 + "}: field is immutable"
    answer = {"details": {"causes": [{"field": "spec.template", "message": quoted}]}}
    found = refused(REF, CASES["document"], CASES["document"], answer)
    assert found is not None
    assert found.fields == (("spec.template", "field is immutable"),)


def test_owner_and_both_values_of_each_field() -> None:
    live = {**CASES["document"], "spec": {**CASES["document"]["spec"], "replicas": 4}}
    message = 'conflict with "kubectl" with subresource "scale" using apps/v1'
    cause = {"reason": "FieldManagerConflict", "message": message, "field": ".spec.replicas"}
    found = contested(REF, CASES["document"], live, {"details": {"causes": [cause]}})
    assert found is not None
    ((field),) = found.fields
    assert (field.path, field.before, field.after, field.owner) == ("spec.replicas", 1, 4, "kubectl (scale)")
    assert contested(REF, CASES["document"], live, {"details": {"causes": []}}) is None, "an ordinary 409"


@pytest.mark.parametrize("case", CASES["webhooks"], ids=lambda case: case["what"])
def test_which_webhooks_are_asked(case: dict[str, Any]) -> None:
    hook = {"rules": [case["rule"]], "namespaceSelector": case.get("namespaces")}
    assert asks(hook, Request(REF, "deployments", {}), {"lab": {}}) is case["asked"]


def test_the_counters_of_the_api_server_name_who_does_not_answer() -> None:
    read = parse_answers(METRICS)
    assert read == {"open.example.org": Counters(3, 30.0, 3)}
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["deployments"]}
    hook = {"name": "open.example.org", "failurePolicy": "Ignore", "rules": [rule]}
    hook["clientConfig"] = {"url": "https://127.0.0.1:1/x"}
    configuration = {"kind": "MutatingWebhookConfiguration", "metadata": {"name": "open"}, "webhooks": [hook]}
    request = Request(REF, "deployments")
    answers = {name: Answers(one.asked, one.seconds, one.failed_open) for name, one in read.items()}
    admission = Admission([configuration], answers=answers)
    (silent,) = silent_webhooks(admission, [request])
    assert silent.text() == (
        "webhook open.example.org (MutatingWebhookConfiguration open) delays Deployment lab/d: its server at "
        "https://127.0.0.1:1/x left 3 requests without an answer and takes 10.0 s a request on average"
    )
    assert silent.hint.endswith("kubectl delete mutatingwebhookconfiguration open")
    well = Admission([configuration], answers={"open.example.org": Answers(1000, 2.0, 0)})
    assert silent_webhooks(well, [request]) == ()


def _failing(services: list[dict[str, Any]]) -> Any:
    """What is told of a webhook for Deployments that refused a connection while a release was installed."""
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["deployments"]}
    client = {"service": {"namespace": "lab", "name": "guard"}}
    hook = {"name": "guard.example.org", "rules": [rule], "clientConfig": client}
    configuration = {"kind": "ValidatingWebhookConfiguration", "metadata": {"name": "guard"}, "webhooks": [hook]}
    ready = {
        "metadata": {"namespace": "lab", "labels": {"kubernetes.io/service-name": "guard"}},
        "endpoints": [{"conditions": {"ready": True}}],
    }
    admission = Admission([configuration], services, [ready] if services else [])
    settings = Request(ObjectRef("", "v1", "ConfigMap", "lab", "settings"), "configmaps", {})
    release = [settings, Request(REF, "deployments", {})]
    (silent,) = webhook_named(admission, "guard.example.org", asked_about(admission, "guard.example.org", release))
    return silent


def test_only_what_a_webhook_is_asked_about_is_named_as_blocked() -> None:
    silent = _failing([{"metadata": {"namespace": "lab", "name": "guard"}}])
    assert silent.requests == (REF,)
    assert "ConfigMap" not in silent.text()
    (nothing,) = webhook_named(
        Admission([{"kind": "X", "metadata": {"name": "x"}, "webhooks": [{"name": "y"}]}]), "y", ()
    )
    assert nothing.text() == "webhook y (X x): it does not answer"


def test_nobody_is_told_to_delete_a_webhook_whose_service_lives() -> None:
    living = _failing([{"metadata": {"namespace": "lab", "name": "guard"}}])
    assert "kubectl delete" not in living.hint
    assert "look at the pods of Service lab/guard" in living.hint
    left = _failing([])
    assert left.why == "its Service lab/guard does not exist"
    assert left.hint.endswith("kubectl delete validatingwebhookconfiguration guard")
