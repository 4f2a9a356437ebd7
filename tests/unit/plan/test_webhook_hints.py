"""What is said of a webhook that does not answer: the way to its pods, and what is refused meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from sparkrig.models.objects import ObjectRef
from sparkrig.plan.server.webhooks import Admission, Silent, asked_of, pod_port, webhook_named

REF = ObjectRef("", "v1", "Pod", "app", "a")
RULES = [{"operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]
SLICE = {
    "metadata": {"name": "s", "namespace": "x", "labels": {"kubernetes.io/service-name": "guard"}},
    "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
}


def service(**port: Any) -> dict[str, Any]:
    return {"metadata": {"name": "guard", "namespace": "x"}, "spec": {"ports": [{"port": 443, **port}]}}


def silent(*, closed: bool = True, services: Any = (), slices: Any = ()) -> Silent:
    client = {"service": {"namespace": "x", "name": "guard", "path": "/validate"}}
    hook = {"name": "a.b.c", "clientConfig": client, "rules": RULES, "failurePolicy": "Fail" if closed else "Ignore"}
    configuration = {"kind": "ValidatingWebhookConfiguration", "metadata": {"name": "guard"}, "webhooks": [hook]}
    (found,) = webhook_named(Admission([configuration], services, slices), "a.b.c", [REF])
    return found


def test_a_closed_way_names_the_port_of_the_pods_and_what_is_refused() -> None:
    hint = silent(services=[service(targetPort=9443)], slices=[SLICE]).hint
    assert "the API server must reach port 9443 of the pods of Service x/guard: see whether a firewall" in hint
    assert hint.startswith("every create and update of pods is refused until it answers: ")


@pytest.mark.parametrize(
    ("services", "told"),
    [([service(targetPort=9443)], "look at the pods of Service x/guard"), ([], "remove what is left of it: kubectl")],
    ids=["no pod is ready", "a leftover"],
)
def test_what_is_refused_is_said_of_a_dead_one_too(services: Any, told: str) -> None:
    hint = silent(services=services).hint
    assert told in hint
    assert "firewall" not in hint
    assert hint.startswith("every create and update of pods is refused until it answers: ")


def test_nothing_is_refused_by_one_that_fails_open() -> None:
    assert "refused" not in silent(closed=False, services=[service()], slices=[SLICE]).hint


@pytest.mark.parametrize(
    ("client", "port", "found"),
    [
        ({}, {}, "443"),
        ({}, {"targetPort": "webhook"}, "webhook"),
        ({"port": 8443}, {"port": 8443, "targetPort": 10250}, "10250"),
        ({"port": 8443}, {}, ""),
        ({"name": "gone"}, {}, ""),
    ],
)
def test_the_port_that_requests_arrive_at(client: dict[str, Any], port: dict[str, Any], found: str) -> None:
    assert pod_port({"namespace": "x", "name": "guard", **client}, [service(**port)]) == found


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (RULES, "create and update of pods"),
        ([{"operations": ["*"], "resources": ["*"]}], "write of everything"),
        ([{"operations": ["DELETE"], "resources": ["pods", "services"]}], "delete of pods and services"),
        ([], ""),
    ],
)
def test_what_a_webhook_is_asked_about(rules: list[dict[str, Any]], told: str) -> None:
    assert asked_of({"rules": rules}) == told
