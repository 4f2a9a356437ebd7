"""What an admission webhook is probed with, and what the API server's answer says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrig.kube.discovery import ResourceInfo
from sparkrig.kube.webhooks import calls_webhooks
from sparkrig.plan.server.webhook_probe import (
    answered,
    minimal,
    namespace_for,
    probe,
    resources_of,
    unanswered,
    why_not,
)

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "webhooks" / "probe.yaml").read_text(encoding="utf-8"))
SERVED = [ResourceInfo(**each) for each in CASES["served"]]


def named(section: str) -> Any:
    return pytest.mark.parametrize("case", CASES[section], ids=lambda case: case["what"])


@named("picks")
def test_a_probe_is_something_that_the_webhook_is_asked_about(case: dict[str, Any]) -> None:
    hook = {**CASES["hook"], **case.get("hook", {})}
    namespace = namespace_for(hook, CASES["namespaces"])
    usable = [r for r in resources_of(hook, SERVED) if namespace is not None or not r.namespaced]
    if case["picked"] is None:
        assert usable == []
        return
    kind, place = case["picked"]
    assert usable[0].kind == kind
    made = probe(hook, usable[0], namespace or "", "probe", {})
    assert made is not None
    assert made["metadata"].get("namespace") == place
    assert made["metadata"].get("labels", {}) == case.get("labels", {})


def test_a_preferred_namespace_comes_first() -> None:
    assert namespace_for(CASES["hook"], CASES["namespaces"], ["gone", "jobs"]) == "jobs"


def test_an_object_selector_that_no_label_meets_allows_no_probe() -> None:
    selector = {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}
    assert probe({**CASES["hook"], "objectSelector": selector}, SERVED[0], "default", "probe", None) is None


def test_a_pod_is_allowed_at_every_security_level() -> None:
    made = probe(CASES["hook"], SERVED[1], "default", "probe", None)
    assert made is not None
    (container,) = made["spec"]["containers"]
    assert container["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert set(container["resources"]) == {"requests", "limits"}


@named("refused")
def test_some_webhooks_no_dry_run_can_ask(case: dict[str, Any]) -> None:
    assert why_not({**CASES["hook"], **case["hook"]}) == case["why"]


@named("schemas")
def test_the_smallest_value_of_a_schema(case: dict[str, Any]) -> None:
    assert minimal(case["schema"]) == case["made"]


def test_a_custom_resource_has_a_spec_although_its_schema_requires_none() -> None:
    schema = {"type": "object", "properties": {"spec": {"type": "object"}, "status": {"type": "object"}}}
    made = probe(CASES["hook"], SERVED[3], "jobs", "probe", schema)
    assert made == {
        "apiVersion": "jobs.example.k8s.io/v1",
        "kind": "Work",
        "metadata": {"name": "probe", "namespace": "jobs"},
        "spec": {},
    }


@named("answers")
def test_what_the_api_server_says_of_a_webhook(case: dict[str, Any]) -> None:
    assert unanswered(case["message"], ["a.example.org"]) == case["unanswered"]
    invalid = case.get("invalid", False)
    said = {
        kind: answered(case["message"], "a.example.org", later, invalid=invalid)
        for kind, later in (("mutating", ["later.example.org"]), ("validating", None))
    }
    assert said == case["answered"]


@pytest.mark.parametrize(
    ("plugins", "called"),
    [
        (("LimitRanger", "ValidatingAdmissionWebhook"), True),
        (("LimitRanger", "MutatingAdmissionWebhook"), True),
        (("LimitRanger", "ResourceQuota"), False),
        ((), True),
    ],
)
def test_counters_tell_whether_webhooks_are_called(plugins: tuple[str, ...], called: bool) -> None:
    metric = "apiserver_admission_controller_admission_duration_seconds_count"
    text = "\n".join(
        f'{metric}{{name="{name}",operation="CREATE",rejected="false",type="admit"}} 3' for name in plugins
    )
    assert calls_webhooks(text) is called
