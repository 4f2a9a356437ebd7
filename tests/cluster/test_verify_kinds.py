"""Each kind of check against real servers behind real port-forwards, a real API server, real webhooks."""

from __future__ import annotations

import base64
import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.answering import NAMESPACE, Seen, Site, answering, until

from sparkrig.checks.kinds.base import Cluster, Subject
from sparkrig.checks.run import run_checks
from sparkrig.checks.selection import Selection
from sparkrig.defaults import LABEL_CHECK
from sparkrig.errors import OperationError
from sparkrig.kube.portforward import LocalForward, open_tunnel, pod_behind
from sparkrig.models.check import CheckResult, CheckStatus
from sparkrig.models.cluster import ClusterFacts
from sparkrig.models.component import CheckSpec, ReadinessRule
from sparkrig.models.objects import ObjectRef
from sparkrig.models.release import ReleaseState

pytestmark = pytest.mark.cluster

PASS, FAIL, SKIP = CheckStatus.PASS, CheckStatus.FAIL, CheckStatus.SKIP
REAL = ClusterFacts(simulated=False, gpu_nodes=1, values={"gpu.nodes-present": True})
"""What the facts would say if these pods were real; for these tests their ports are."""
LOG = "".join(f"2026-01-01T00:00:00.000000000Z stdout F {line}\n" for line in ("warming up", "Pi is roughly 3.14159"))
"""As a container runtime writes it; the kubelet takes the front of each line away."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, environment: Path) -> Iterator[Site]:
    with answering(tmp_path_factory.mktemp("answers"), LOG) as site:
        yield site


@pytest.fixture
def site(cluster: Site) -> Site:
    cluster.reset()
    return cluster


def state(*inventory: ObjectRef, component: str = "web", values: Mapping[str, Any] | None = None) -> ReleaseState:
    return ReleaseState(
        component, component, NAMESPACE, "web", "1.0.0", "", False, "", 1, inventory, values=values or {}
    )


def ask(
    site: Site,
    kind: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    inventory: Sequence[ObjectRef] = (),
    patience_s: float | None = 0.0,
    facts: ClusterFacts = REAL,
    selection: Selection | None = None,
    others: Sequence[Subject] = (),
    rules: tuple[ReadinessRule, ...] = (),
    values: Mapping[str, Any] | None = None,
    **spec: Any,
) -> CheckResult:
    check = CheckSpec("it", kind, True, spec.pop("timeout_s", 10.0), parameters=parameters or {}, **spec)
    subject = Subject("web", state(*inventory, values=values), (check,), rules, spec.get("provides", ()))
    whole = Cluster(site.api, site.watch, facts, "lab", (subject, *others))
    asked = run_checks(whole, [subject], selection or Selection(require=("it",)), patience_s=patience_s)
    assert leftovers(site) == []
    return asked.results[0]


def leftovers(site: Site) -> list[str]:
    jobs = site.api.list("/apis/batch/v1/jobs", label_selector=LABEL_CHECK)
    return [job["metadata"]["name"] for job in jobs if not job["metadata"].get("deletionTimestamp")]


def http(site: Site, expect: Mapping[str, Any] | None = None, **more: Any) -> CheckResult:
    parameters = {"service": "web", "port": 80, "path": "/page", **more, **({"expect": expect} if expect else {})}
    return ask(site, "http", parameters)


# --------------------------------------------------------------------------- http


def test_an_answer_as_it_should_be(site: Site) -> None:
    site.says("/page", {"database": "ok", "nodes": [{"up": True}]}, 203, X_Version="12.1")
    tests = [{"path": "database", "equals": ["ok", "fine"]}, {"path": "nodes.0.up", "equals": True}]
    expect = {"status": [200, 203], "body": "data.*ok", "json": tests, "headers": {"x-version": r"^12\."}}
    result = http(site, expect, headers={"X-Asked": "yes"}, host="web.example.org")
    assert (result.status, result.message) == (PASS, "GET /page: 203")
    assert (result.simulated, result.expected, result.kind) == (False, True, "http")
    (seen,) = site.seen
    assert (seen.headers["x-asked"], seen.headers["host"]) == ("yes", "web.example.org")


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ({}, "status 503, expected 200: out of order"),
        ({"status": [503], "body": "in order"}, "the body does not match in order: out of order"),
        ({"status": [503], "json": [{"path": "a"}]}, "the answer is no JSON: out of order"),
        ({"status": [503], "headers": {"X-Version": "1"}}, "header X-Version is missing, expected a match of 1"),
    ],
)
def test_an_answer_that_is_not(site: Site, expect: Mapping[str, Any], message: str) -> None:
    site.says("/page", b"out of order", 503)
    result = http(site, expect)
    assert (result.status, result.message, result.ok) == (FAIL, message, False)


def test_who_does_not_listen_is_named(site: Site) -> None:
    result = ask(site, "http", {"service": "web", "port": "broken"})
    assert result.status is FAIL
    assert result.message.startswith(f"Service {NAMESPACE}/web:broken (pod web-")
    assert "connection refused" in result.message


@pytest.mark.parametrize(
    ("service", "port", "message"),
    [
        ("nobody", 80, f"Service {NAMESPACE}/nobody: no pod is behind it"),
        ("web", 82, f"Service {NAMESPACE}/web has no port 82; it has 80 http, 443 https, 81 broken"),
        ("gone", 80, 'services "gone" not found'),
    ],
)
def test_where_there_is_nobody_to_ask(site: Site, service: str, port: int, message: str) -> None:
    result = ask(site, "http", {"service": service, "port": port})
    assert result.status is FAIL
    assert message in result.message


def test_a_login_with_a_password_from_a_secret(site: Site) -> None:
    """The API server's proxy would drop this header."""
    secret = {"user": base64.b64encode(b"admin").decode(), "word": base64.b64encode(b"hunter2").decode()}
    metadata = {"name": "login", "namespace": NAMESPACE}
    site.api.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": secret})
    right = "Basic " + base64.b64encode(b"admin:hunter2").decode()
    site.routes["/page"] = lambda seen: (200 if seen.headers.get("authorization") == right else 401, {}, b"")
    auth = {"secret": "login", "username": "user", "password": "word"}
    assert http(site, basicAuth=auth).status is PASS
    missing = http(site, basicAuth={**auth, "password": "pin"})
    assert missing.message == f"Secret {NAMESPACE}/login has no key pin"
    assert http(site).message.startswith("status 401")


def test_tls_with_a_server_name(site: Site) -> None:
    site.says("/page", b"secure")
    tls = {"serverName": "web.example.org", "verify": False}
    result = ask(site, "http", {"service": "web", "port": "https", "path": "/page", "tls": tls})
    assert result.status is PASS, result.message
    assert site.seen[0].server_name == "web.example.org"
    strict = ask(site, "http", {"service": "web", "port": "https", "path": "/page", "tls": {}})
    assert "shows a certificate that is not accepted" in strict.message
    plain = ask(site, "http", {"service": "web", "port": "http", "path": "/page", "tls": {}})
    assert "does not speak TLS" in plain.message


def test_an_answer_that_comes_late_is_waited_for(site: Site) -> None:
    replies = iter([503, 503, 200])
    site.routes["/page"] = lambda _seen: (next(replies), {}, b"")
    parameters = {"service": "web", "port": 80, "path": "/page"}
    assert ask(site, "http", parameters, patience_s=None).status is PASS
    assert len(site.seen) == 3
    site.says("/page", b"", 503)
    site.seen.clear()
    assert ask(site, "http", parameters, patience_s=0.0).status is FAIL
    assert len(site.seen) == 1


def test_a_server_that_does_not_answer_is_given_up(site: Site) -> None:
    over = threading.Event()
    site.routes["/page"] = lambda _seen: ((over.wait(20) and 200) or 500, {}, b"")
    started = time.monotonic()
    result = ask(site, "http", {"service": "web", "port": 80, "path": "/page"}, timeout_s=1.0)
    over.set()
    assert result.status is FAIL
    assert "accepts the connection and does not answer" in result.message
    assert time.monotonic() - started < 4


# --------------------------------------------------------------------------- prometheus-query


def vector(*samples: tuple[Mapping[str, str], str]) -> dict[str, Any]:
    result = [{"metric": labels, "value": [1.0, value]} for labels, value in samples]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


UP = {"service": "web", "port": 80, "query": "up", "each": {"equals": 1}}
API = "/api/v1/query"


def test_every_sample_must_be_good(site: Site) -> None:
    site.says(API, vector(({"job": "a"}, "1"), ({"job": "b"}, "1")))
    assert ask(site, "prometheus-query", UP).message == "2 samples of up are good"
    assert site.seen[0].body == b"query=up"
    site.says(API, vector(({"job": "a"}, "1"), ({"job": "b", "pod": "p-0", "instance": "10.0.0.1:9090"}, "0")))
    result = ask(site, "prometheus-query", UP)
    assert result.message == "1 of 2 samples are wrong: b p-0 10.0.0.1:9090: value is 0.0, expected 1.0"


def test_no_sample_is_not_a_good_one(site: Site) -> None:
    site.says(API, vector())
    assert ask(site, "prometheus-query", UP).message == "0 samples for up, expected 1 or more"


def test_a_number_that_is_none_is_wrong(site: Site) -> None:
    site.says(API, vector(({}, "NaN")))
    assert ask(site, "prometheus-query", {**UP, "each": {"atLeast": 0}}).status is FAIL


def test_a_query_that_is_none_is_not_repeated(site: Site) -> None:
    site.says(API, {"status": "error", "errorType": "bad_data", "error": "parse error"}, 400)
    result = ask(site, "prometheus-query", UP, patience_s=None)
    assert result.message == "the query failed (status 400): parse error"
    assert len(site.seen) == 1


# --------------------------------------------------------------------------- inference-v2

INFER = {
    "service": "web",
    "port": 80,
    "model": "double",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [[1, 2], [3, 4]]}],
    "outputs": [{"name": "y", "shape": [2, 2], "data": [2.0, 4.0, 6.0, 8.0]}],
}


def double(scale: float, shape: Sequence[int] = (2, 2)) -> Any:
    def answer(seen: Seen) -> Any:
        request = json.loads(seen.body)
        data = [number * scale for number in request["inputs"][0]["data"]]
        document = {"model_name": "double", "outputs": [{"name": "y", "shape": list(shape), "data": data}]}
        return 200, {}, json.dumps(document).encode()

    return answer


def test_the_numbers_are_compared(site: Site) -> None:
    site.says("/v2/health/ready")
    site.routes["/v2/models/double/infer"] = double(2.00001)
    assert ask(site, "inference-v2", INFER).message == "double computes y right"
    assert json.loads(site.seen[1].body)["inputs"][0]["data"] == [1, 2, 3, 4]
    exact = ask(site, "inference-v2", {**INFER, "tolerance": {"absolute": 0, "relative": 0}})
    assert exact.message == "double: y[0] is 2.00001, expected 2.0"
    site.routes["/v2/models/double/infer"] = double(2, (4, 1))
    assert ask(site, "inference-v2", INFER).message == "double: y has the shape [4, 1], expected [2, 2]"


def test_a_model_that_fails_says_why(site: Site) -> None:
    site.says("/v2/health/ready")
    site.says("/v2/models/double/infer", {"error": "unknown model"}, 400)
    assert ask(site, "inference-v2", INFER).message == "double: status 400: unknown model"


def test_every_listed_model_must_be_ready(site: Site) -> None:
    site.says("/v2/health/ready", b"", 503)
    parameters = {"service": "web", "port": 80}
    assert ask(site, "inference-v2", parameters).message == "the server is not ready: status 503"
    site.says("/v2/health/ready")
    site.says("/v2/repository/index", [{"name": "a", "version": "1", "state": "READY"}])
    assert ask(site, "inference-v2", parameters).message == "1 model is ready"
    broken = {"name": "b", "version": "1", "state": "UNAVAILABLE", "reason": "no backend"}
    site.says("/v2/repository/index", [{"name": "a", "state": "READY"}, broken])
    assert ask(site, "inference-v2", parameters).message == "b 1 is UNAVAILABLE: no backend"


def test_no_model_is_nothing_to_ask_unless_it_was_required(site: Site) -> None:
    site.says("/v2/health/ready")
    site.says("/v2/repository/index", [])
    parameters = {"service": "web", "port": 80}
    quiet = ask(site, "inference-v2", parameters, selection=Selection())
    assert (quiet.status, quiet.expected, quiet.ok) == (SKIP, False, True)
    assert ask(site, "inference-v2", parameters).ok is False


def test_named_models_must_be_ready_whatever_the_server_says_of_itself(site: Site) -> None:
    parameters = {"service": "web", "port": 80, "models": ["a", "b/c"]}
    site.says("/v2/health/ready", b"", 400)
    site.says("/v2/models/a/ready")
    site.says("/v2/models/b%2Fc/ready")
    assert ask(site, "inference-v2", parameters).message == "a, b/c are ready"
    site.says("/v2/health/ready")
    site.says("/v2/models/b%2Fc/ready", b"", 400)
    unloaded = ask(site, "inference-v2", parameters)
    assert (unloaded.status, unloaded.message) == (FAIL, "b/c is not ready: status 400")


# --------------------------------------------------------------------------- Services by labels


@contextmanager
def labelled(site: Site, **annotations: str | None) -> Iterator[str]:
    """Services of these names, each before the pod of ``web``; yields a selector for them."""
    made = [f"/api/v1/namespaces/{NAMESPACE}/services/{name}" for name in annotations]
    for name, listed in annotations.items():
        metadata: dict[str, Any] = {"name": name, "namespace": NAMESPACE, "labels": {"tier": "server"}}
        if listed is not None:
            metadata["annotations"] = {"example.org/models": listed}
        spec = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
        site.api.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
        path = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"
        by_name = f"kubernetes.io/service-name={name}"
        until(lambda path=path, by=by_name: any(e.get("endpoints") for e in site.api.list(path, label_selector=by)))
    yield "tier=server"
    for path in made:
        site.api.delete(path)


def test_each_service_with_the_labels_is_asked_and_none_is_a_failure(site: Site) -> None:
    nothing = ask(site, "http", {"selector": "tier=server", "port": 80})
    assert (nothing.status, nothing.message) == (FAIL, f"no Service in {NAMESPACE} has the labels tier=server")
    site.says("/")
    with labelled(site, llm=None, vision=None) as selector:
        assert (
            ask(site, "http", {"selector": selector, "port": "http"}).message == "llm: GET /: 200; vision: GET /: 200"
        )
        assert [seen.headers["host"] for seen in site.seen] == ["llm", "vision"]
        site.routes["/"] = lambda seen: (503 if seen.headers["host"] == "vision" else 200, {}, b"")
        one = ask(site, "http", {"selector": selector, "port": "http"})
        assert (one.status, one.message) == (FAIL, "vision: status 503, expected 200: no body")


def test_the_models_of_each_service_stand_in_its_annotation(site: Site) -> None:
    site.says("/v2/health/ready")
    site.says("/v2/models/a/ready")
    parameters: dict[str, Any] = {"port": 80, "modelsFrom": {"annotation": "example.org/models"}}
    with labelled(site, llm="a", vision="") as selector:
        found = ask(site, "inference-v2", {**parameters, "selector": selector})
        assert found.message == "llm: a is ready; vision: the server is ready and needs no model"
    with labelled(site, llm="a, b", vision=None) as selector:
        found = ask(site, "inference-v2", {**parameters, "selector": selector})
        assert (found.status, found.message) == (FAIL, "llm: b is not ready: status 404")
    with labelled(site, llm="", vision="") as selector:
        found = ask(site, "inference-v2", {**parameters, "selector": selector}, selection=Selection())
        assert (found.status, found.expected) == (SKIP, False)


# --------------------------------------------------------------------------- ingress


@contextmanager
def ingress(
    site: Site, name: str, rules: Sequence[Mapping[str, Any]], tls: Sequence[str] = (), **more: str
) -> Iterator[ObjectRef]:
    def paths(path: str) -> dict[str, Any]:
        backend = {"service": {"name": "web", "port": {"number": 80}}}
        return {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}

    spec: dict[str, Any] = {"rules": [{"host": each["host"], "http": paths(each["path"])} for each in rules], **more}
    if tls:
        spec["tls"] = [{"hosts": list(tls)}]
    metadata = {"name": name, "namespace": NAMESPACE}
    site.api.apply({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec})
    ref = ObjectRef("networking.k8s.io", "v1", "Ingress", NAMESPACE, name)
    yield ref
    site.api.delete(site.api.path_of(ref))


SERVICE = ObjectRef("", "v1", "Service", NAMESPACE, "web")
CONTROLLER = Subject("door", state(SERVICE, component="door"), provides=("ingress-class",))


def test_hosts_are_asked_for_through_the_controller(site: Site) -> None:
    site.routes["/app"] = lambda seen: (200 if seen.headers["host"] == "app.example.org" else 404, {}, b"")
    site.routes["/"] = lambda seen: (302 if seen.headers["host"] == "check.example.org" else 404, {}, b"")
    rules = [{"host": "app.example.org", "path": "/app"}, {"host": "*.example.org", "path": "/"}]
    with ingress(site, "app", rules) as ref:
        result = ask(site, "ingress", inventory=[ref], others=[CONTROLLER])
        assert result.message == "app.example.org, check.example.org through the controller"
        exact = ask(site, "ingress", {"expect": {"status": [200]}}, inventory=[ref], others=[CONTROLLER])
        where = "Ingress app, http://check.example.org/: "
        assert exact.message == f"{where}status 302, expected 200: no body"


def test_a_route_that_the_controller_does_not_know(site: Site) -> None:
    with ingress(site, "app", [{"host": "app.example.org", "path": "/"}]) as ref:
        result = ask(site, "ingress", inventory=[ref], others=[CONTROLLER])
        assert result.message == (
            "Ingress app, http://app.example.org/: status 404: no such page; "
            "it names no IngressClass, and none was the default when it was made"
        )


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("other", "; it names IngressClass other, which does not exist; that of door is door"),
        ("door", ""),
    ],
)
def test_a_route_of_another_class(site: Site, name: str, why: str) -> None:
    served = ObjectRef("networking.k8s.io", "v1", "IngressClass", "", "door")
    door = Subject("door", state(SERVICE, served, component="door"), provides=("ingress-class",))
    with ingress(site, "app", [{"host": "app.example.org", "path": "/"}], ingressClassName=name) as ref:
        result = ask(site, "ingress", inventory=[ref], others=[door])
        assert result.message == f"Ingress app, http://app.example.org/: status 404: no such page{why}"


def test_the_certificate_that_is_shown(site: Site) -> None:
    """That of the server is for 127.0.0.1 only, so that it is for no host."""
    shown = {"service": "web", "port": "https", "serverName": "web.example.org"}
    result = ask(site, "certificate", shown)
    assert result.status is FAIL
    assert re.search(r"^the certificate \(signed by .+\) is for .*, and not for web\.example\.org$", result.message)
    assert [seen.path for seen in site.seen] == []
    plain = ask(site, "certificate", {**shown, "port": "http"})
    assert "does not speak TLS" in plain.message


def test_a_host_with_tls_is_asked_for_by_its_name(site: Site) -> None:
    site.says("/")
    with ingress(site, "safe", [{"host": "safe.example.org", "path": "/"}], tls=["safe.example.org"]) as ref:
        assert ask(site, "ingress", inventory=[ref], others=[CONTROLLER]).status is PASS
        assert [(s.server_name, s.headers["host"]) for s in site.seen] == [("safe.example.org", "safe.example.org")]


def test_without_an_ingress_there_is_nothing_to_ask(site: Site) -> None:
    result = ask(site, "ingress", selection=Selection(), others=[CONTROLLER])
    assert (result.status, result.message, result.ok) == (SKIP, "the release has no Ingress", True)


# --------------------------------------------------------------------------- webhook


@contextmanager
def webhook(site: Site, kind: str) -> Iterator[None]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    bundle = base64.b64encode((site.pki / "ca.crt").read_bytes()).decode()
    hook = {
        "name": "it.example.org",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "timeoutSeconds": 2,
        "failurePolicy": "Ignore",
        "clientConfig": {"url": f"{site.tls_address}/admit", "caBundle": bundle},
        "rules": [rule],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}},
    }
    api, kind_name = "admissionregistration.k8s.io/v1", f"{kind}WebhookConfiguration"
    site.api.apply({"apiVersion": api, "kind": kind_name, "metadata": {"name": "it"}, "webhooks": [hook]})
    try:
        yield
    finally:
        site.api.delete(f"/apis/{api}/{kind_name.lower()}s/it")


def review(seen: Seen, **response: Any) -> Any:
    uid = json.loads(seen.body)["request"]["uid"]
    document = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": uid, **response}}
    return 200, {"Content-Type": "application/json"}, json.dumps(document).encode()


OBJECT = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"size": "-1"}}


@pytest.mark.parametrize("status", [{}, {"code": 403, "reason": "Forbidden"}], ids=["bare", "forbidden"])
def test_a_webhook_must_refuse(site: Site, status: Mapping[str, Any]) -> None:
    """With 403, as controller-runtime's do: that is no lack of rights."""
    refuses = {"object": OBJECT, "denied": "size must be positive"}
    judged = {"message": "size must be positive", **status}
    site.routes["/admit"] = lambda seen: review(seen, allowed=False, status=judged)
    with webhook(site, "Validating"):
        until(lambda: ask(site, "webhook", refuses).status is PASS)
        other = ask(site, "webhook", {"object": OBJECT, "denied": "colour"})
        assert other.message.startswith("refused for another reason")
        site.routes["/admit"] = lambda seen: review(seen, allowed=True)
        blind = "a ConfigMap that must be refused was accepted: the webhook does not see it"
        assert ask(site, "webhook", refuses).message == blind
        site.says("/admit", b"", 500)  # failurePolicy Ignore: the object passes
        assert ask(site, "webhook", refuses).message == blind
    assert site.api.list(f"/api/v1/namespaces/{NAMESPACE}/configmaps", label_selector=LABEL_CHECK) == []


def test_a_webhook_must_change(site: Site) -> None:
    patch = base64.b64encode(json.dumps([{"op": "add", "path": "/data/colour", "value": "red"}]).encode()).decode()
    site.routes["/admit"] = lambda seen: review(seen, allowed=True, patch=patch, patchType="JSONPatch")
    changes = {"object": OBJECT, "changed": [{"path": "data.colour", "equals": "red"}]}
    assert ask(site, "webhook", changes).message == (
        "the webhook did not change the ConfigMap: data.colour is not there"
    )
    with webhook(site, "Mutating"):
        until(lambda: ask(site, "webhook", changes).status is PASS)


# --------------------------------------------------------------------------- what the API server tells

DEPLOYMENT = ObjectRef("apps", "v1", "Deployment", NAMESPACE, "web")


def test_workloads_must_be_there_and_ready(site: Site) -> None:
    assert ask(site, "workloads", inventory=[DEPLOYMENT, SERVICE]).message == "2/2 objects ready"
    gone = ObjectRef("apps", "v1", "Deployment", NAMESPACE, "gone")
    assert ask(site, "workloads", inventory=[DEPLOYMENT, gone]).message == f"{gone} does not exist"


def test_a_workload_scaled_to_zero_is_named_and_can_be_refused(site: Site) -> None:
    """It counts as ready, since it has all of the pods that it should have: none."""
    empty = replace(DEPLOYMENT, name="empty")
    labels = {"app": "empty"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "empty", "image": "empty"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": "empty", "namespace": NAMESPACE}
    site.api.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
    inventory = [DEPLOYMENT, empty]
    until(lambda: ask(site, "workloads", inventory=inventory).status is PASS)
    named = ask(site, "workloads", inventory=inventory)
    assert named.message == "2/2 objects ready, 1 scaled to 0: Deployment empty"
    refused = ask(site, "workloads", {"scaledToZero": "refused"}, inventory=inventory)
    assert (refused.status, refused.message) == (FAIL, "Deployment empty is scaled to 0, so nothing of it runs")
    site.api.delete(site.api.path_of(empty))


def test_nothing_passes_on_nothing(site: Site) -> None:
    assert ask(site, "workloads").message == "the release has no objects at all"
    assert ask(site, "workloads", {"kinds": ["Job"]}, inventory=[DEPLOYMENT]).message == "the release has no Job"
    assert ask(site, "crds").message == "no CRD is known to belong to this component"
    nodes = {"resource": "example.org/gpu", "selector": "no=where"}
    assert ask(site, "node-allocatable", nodes).message == "no node has the label no=where"
    pods = {"apiVersion": "v1", "kind": "Pod", "selector": "no=where", "ready": {"condition": "Ready"}}
    assert ask(site, "condition", pods).message == "there is no Pod with no=where"
    widgets = {"apiVersion": "no.example.org/v1", "kind": "Widget", "ready": {"condition": "Ready"}}
    assert ask(site, "condition", widgets).status is FAIL


def test_what_nodes_offer(site: Site) -> None:
    gpus = {"resource": "nvidia.com/gpu", "selector": "nvidia.com/gpu.present=true", "atLeast": 4}
    assert ask(site, "node-allocatable", gpus).message == "4 nvidia.com/gpu on 1 node"
    short = ask(site, "node-allocatable", {"resource": "nvidia.com/gpu"})
    assert short.message == "nvidia.com/gpu: sim-cpu-0 offers 0, expected 1 or more"


def test_a_condition_must_hold(site: Site) -> None:
    available = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "ready": {"condition": "Available"}}
    assert ask(site, "condition", available).message == "Deployment web: condition Available is True"
    replicas = {**available, "ready": {"path": "status.readyReplicas", "equals": [3]}}
    assert ask(site, "condition", replicas).message == "Deployment web: status.readyReplicas is 1"


def test_an_account_must_have_its_rights(site: Site) -> None:
    """Role and binding are what is asked about; the account itself need not be there."""
    rights = [
        {"resources": ["pods", "pods/log"], "verbs": ["get"]},
        {"group": "batch", "resources": ["jobs"], "verbs": ["create", "delete"]},
    ]
    parameters = {"serviceAccount": "worker", "may": rights}
    refused = ask(site, "access", parameters)
    assert (refused.status, refused.message) == (
        FAIL,
        f"service account {NAMESPACE}/worker may not: get pods, get pods/log, create jobs.batch, delete jobs.batch",
    )
    few = {
        **parameters,
        "may": [{"resources": ["pods"], "verbs": ["get", "list", "watch", "create", "patch", "delete"]}],
    }
    assert ask(site, "access", few).message.endswith("get pods, list pods, watch pods, create pods and 2 more")
    rules = [
        {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["*"]},
    ]
    with allowed(site, "worker", rules):
        until(lambda: ask(site, "access", parameters).status is PASS)
        assert ask(site, "access", parameters).message == f"{NAMESPACE}/worker has the 4 rights that it needs"
        # In another namespace, and another account, it has none of them.
        elsewhere = ask(site, "access", {**parameters, "namespace": "default", "accountNamespace": NAMESPACE})
        assert elsewhere.message.startswith(f"service account {NAMESPACE}/worker may not in default: get pods,")
        assert ask(site, "access", {**parameters, "serviceAccount": "other"}).status is FAIL


@contextmanager
def allowed(site: Site, account: str, rules: Sequence[Mapping[str, Any]]) -> Iterator[None]:
    """A Role of these rules, bound to every account of the namespace called so."""
    base = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}"
    api = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": account}}
    site.api.create(f"{base}/roles", {**api, "kind": "Role", "rules": list(rules)})
    subject = {"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account}
    site.api.create(f"{base}/rolebindings", {**api, "kind": "RoleBinding", "roleRef": role, "subjects": [subject]})
    try:
        yield
    finally:
        site.api.delete(f"{base}/rolebindings/{account}")
        site.api.delete(f"{base}/roles/{account}")


# --------------------------------------------------------------------------- what makes objects


def test_a_job_must_end_and_print_as_told(site: Site) -> None:
    good = ask(site, "job", {"image": "tool", "prints": r"Pi is roughly 3\.1"})
    assert good.message == "exit code 0, prints Pi is roughly 3.1"
    assert ask(site, "job", {"image": "tool", "exitCode": 3}).message == "exit code 0, expected 3"
    silent = ask(site, "job", {"image": "tool", "prints": "Test PASSED"})
    assert silent.message.startswith("its log does not match Test PASSED: ")


def test_a_job_that_no_node_takes_says_so(site: Site) -> None:
    parameters = {"image": "tool", "resources": {"limits": {"nvidia.com/gpu": 99}}}
    result = ask(site, "job", parameters, timeout_s=2.0)
    assert "its pod is Pending after 2 s" in result.message
    assert "Insufficient nvidia.com/gpu" in result.message


CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "runs.check.example.org"},
    "spec": {
        "group": "check.example.org",
        "names": {"kind": "Run", "plural": "runs", "singular": "run", "listKind": "RunList"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
RUNS = f"/apis/check.example.org/v1/namespaces/{NAMESPACE}/runs"
RUN = {
    "object": {"apiVersion": "check.example.org/v1", "kind": "Run", "spec": {"called": "${name}"}},
    "until": {"path": "status.state", "equals": ["DONE"]},
    "failed": {"path": "status.state", "equals": ["FAILED"]},
    "result": [{"path": "status.answer", "atLeast": 42}],
}


@contextmanager
def controller(site: Site, status: Mapping[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """Plays the operator: gives every Run this status."""
    site.api.apply(CRD)
    until(lambda: ask(site, "crds", {"names": ["runs.check.example.org"]}).status is PASS)
    ended, seen = threading.Event(), []

    def work() -> None:
        while not ended.wait(0.05):
            for item in site.api.list(RUNS):
                if "status" not in item and not item["metadata"].get("deletionTimestamp"):
                    seen.append(item)
                    site.api.patch(f"{RUNS}/{item['metadata']['name']}", {"status": status}, subresource="status")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()
    assert site.api.list(RUNS) == []


def test_a_custom_resource_runs_to_its_end(site: Site) -> None:
    pod = {"containers": [{"name": "main", "image": "web"}]}
    metadata = {"name": "web-log", "namespace": NAMESPACE}
    site.api.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod})
    with controller(site, {"state": "DONE", "answer": 42}) as seen:
        log = {"pod": "web-log", "matches": r"Pi is roughly 3\.1\d+"}
        result = ask(site, "custom-resource-run", {**RUN, "log": log})
        assert result.message == "Run is done, prints Pi is roughly 3.14159"
        (made,) = seen
        assert made["spec"]["called"] == made["metadata"]["name"]
        assert made["metadata"]["labels"][LABEL_CHECK] == "web.it"
        wrong = ask(site, "custom-resource-run", {**RUN, "result": [{"path": "status.answer", "equals": 7}]})
        assert wrong.message == "status.answer is 42, expected 7"


def test_a_custom_resource_that_fails_says_why(site: Site) -> None:
    with controller(site, {"state": "FAILED", "errorMessage": "no image"}):
        result = ask(site, "custom-resource-run", RUN)
        assert result.message == "it failed: status.state is FAILED: no image"


def test_a_custom_resource_that_nobody_takes_up(site: Site) -> None:
    with controller(site, {"state": "SUBMITTED"}):
        result = ask(site, "custom-resource-run", RUN, timeout_s=5.0)
        assert result.message == "not done after 5 s: status.state is SUBMITTED"


def test_a_custom_resource_without_a_controller_is_not_waited_for_to_the_end(site: Site) -> None:
    """Nobody writes a status: the check says so long before its own time is over."""
    site.api.apply(CRD)
    until(lambda: ask(site, "crds", {"names": ["runs.check.example.org"]}).status is PASS)
    result = ask(site, "custom-resource-run", {**RUN, "begun": 1}, timeout_s=60.0)
    assert result.status is FAIL
    assert result.message == "nobody took it up within 1 s: its status is empty, so its controller does not work"
    assert result.seconds < 30


def test_what_a_controller_said_of_a_failure_is_told(site: Site) -> None:
    """Of one object and of several; two of one name in two namespaces are two."""
    site.api.apply(CRD)
    until(lambda: ask(site, "crds", {"names": ["runs.check.example.org"]}).status is PASS)
    other = "/apis/check.example.org/v1/namespaces/default/runs"
    for collection, status in ((RUNS, {"state": "FAILED", "errorMessage": "no image"}), (other, {"state": "DONE"})):
        site.api.create(collection, {"apiVersion": "check.example.org/v1", "kind": "Run", "metadata": {"name": "one"}})
        site.api.patch(f"{collection}/one", {"status": status}, subresource="status")
    rule = {key: RUN[key] for key in ("until", "failed")}
    parameters = {"apiVersion": "check.example.org/v1", "kind": "Run", "ready": rule["until"], "failed": rule["failed"]}
    try:
        result = ask(site, "condition", {**parameters, "allNamespaces": True})
        assert (result.status, result.message) == (FAIL, "Run one: status.state is FAILED: no image")
        assert ask(site, "condition", {**parameters, "namespace": "default"}).status is PASS
        assert ask(site, "condition", {**parameters, "namespace": "default", "name": "one"}).status is PASS
        # By name in all namespaces, as a component asks that does not know where its objects are.
        everywhere = ask(site, "condition", {**parameters, "allNamespaces": True, "name": "one"})
        assert everywhere.message == "Run one: status.state is FAILED: no image"
        other_name = ask(site, "condition", {**parameters, "allNamespaces": True, "name": "two"})
        assert other_name.message == "there is no Run two"
    finally:
        for collection in (RUNS, other):
            site.api.delete(f"{collection}/one")


def test_crds_are_served_and_take_new_objects(site: Site) -> None:
    """Asked by discovery; what that does not have is looked at, and one on its way out still has its old objects."""
    going = {**CRD, "metadata": {"name": "goings.going.example.org"}}
    names = {"kind": "Going", "plural": "goings", "singular": "going", "listKind": "GoingList"}
    going["spec"] = {**CRD["spec"], "group": "going.example.org", "names": names}  # type: ignore[dict-item]
    taken = {**going, "metadata": {"name": "others.going.example.org"}}
    taken["spec"] = {**going["spec"], "names": {**names, "plural": "others"}}  # type: ignore[dict-item]
    name = "goings.going.example.org"
    site.api.apply(going)
    until(lambda: ask(site, "crds", {"names": [name]}).message == "1 established")
    path = f"/apis/going.example.org/v1/namespaces/{NAMESPACE}/goings"
    held = {"name": "held", "finalizers": ["example.org/held"]}
    site.api.create(path, {"apiVersion": "going.example.org/v1", "kind": "Going", "metadata": held})
    site.api.apply(taken)
    asked = [name, "others.going.example.org", "gone.going.example.org", "a.gone.example.org"]
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    try:
        until(lambda: "in use" in ask(site, "crds", {"names": asked}).message)
        message = ask(site, "crds", {"names": asked}).message
        assert message.split("; ")[1:] == [
            "gone.going.example.org does not exist",
            "a.gone.example.org does not exist",
        ]
        assert message.startswith("others.going.example.org: ")
        site.api.delete(f"{crds}/{name}")
        leaving = until(lambda: (said := ask(site, "crds", {"names": [name]})).status is FAIL and said.message)
        assert leaving.startswith(f"{name}: ")
    finally:
        site.api.patch(f"{path}/held", {"metadata": {"finalizers": []}})
        site.api.delete(f"{crds}/others.going.example.org")


def start_job(site: Site) -> subprocess.Popen[str]:
    """A run of its own, whose Job never ends."""
    script = Path(__file__).parents[1] / "cases" / "verify" / "endless_job.py"
    process = subprocess.Popen(
        [sys.executable, str(script), site.handle.name, NAMESPACE], stdout=subprocess.PIPE, text=True
    )
    until(lambda: leftovers(site))
    return process


def test_ctrl_c_leaves_nothing_behind(site: Site) -> None:
    process = start_job(site)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=15)
    assert out.split() == ["interrupted", "skip", "the", "run", "was", "interrupted"]
    assert leftovers(site) == []


def test_what_a_killed_run_left_is_swept_and_what_a_live_one_uses_is_not(site: Site) -> None:
    killed, live = start_job(site), None
    (old,) = leftovers(site)
    killed.kill()
    killed.wait()
    try:
        live = start_job(site)
        until(lambda: leftovers(site) not in ([], [old]))
        (young,) = until(lambda: [name for name in leftovers(site) if name != old])
        assert leftovers(site) == [young]  # the start of the live run swept the old one
        check = CheckSpec("it", "job", True, 5.0, parameters={"image": "tool"})
        subject = Subject("web", state(), (check,))
        asked = run_checks(Cluster(site.api, site.watch, REAL, "lab", (subject,)), [subject], Selection(only=("web",)))
        assert asked.swept == ()
        assert leftovers(site) == [young]
    finally:
        if live is not None:
            live.terminate()
            live.wait(15)
            live.stdout.close()  # type: ignore[union-attr]
        killed.stdout.close()  # type: ignore[union-attr]
    assert leftovers(site) == []


# --------------------------------------------------------------------------- needs, when, references


def test_on_a_simulated_cluster_nothing_scripted_passes(site: Site) -> None:
    facts = ClusterFacts(simulated=True, gpu_nodes=1, values={"gpu.nodes-present": True})
    site.says("/")
    parameters = {"service": "web", "port": 80}
    quiet = ask(site, "http", parameters, facts=facts, selection=Selection())
    assert (quiet.status, quiet.simulated, quiet.ok) == (SKIP, True, True)
    required = ask(site, "http", parameters, facts=facts)
    assert (required.status, required.expected, required.ok) == (SKIP, True, False)
    assert site.seen == []
    for kind, more in (("node-allocatable", {"resource": "nvidia.com/gpu"}), ("job", {"image": "x"})):
        assert ask(site, kind, more, facts=facts).status is SKIP
    custom = {"apiVersion": "example.org/v1", "kind": "Thing", "ready": {"condition": "Ready"}}
    assert ask(site, "condition", custom, facts=facts).status is SKIP
    workloads = ask(site, "workloads", inventory=[DEPLOYMENT], facts=facts)
    assert (workloads.status, workloads.simulated) == (PASS, True)


def test_needs_that_are_not_met_or_not_known(site: Site) -> None:
    none = ClusterFacts(gpu_nodes=0)
    result = ask(site, "workloads", inventory=[DEPLOYMENT], facts=none, needs=("gpu",), selection=Selection())
    assert (result.status, result.message) == (SKIP, "the cluster has no GPU")
    internet = ask(site, "workloads", inventory=[DEPLOYMENT], needs=("internet",), selection=Selection())
    assert (internet.status, internet.ok) == (SKIP, True)
    assert ask(site, "workloads", inventory=[DEPLOYMENT], needs=("internet",)).status is PASS  # --require says so


def test_a_check_that_a_value_switches_off(site: Site) -> None:
    when = {"value": "ui.enabled", "equals": True, "default": True}
    off = ask(site, "workloads", inventory=[DEPLOYMENT], when=when, values={"ui": {"enabled": False}},
              selection=Selection())  # fmt: skip
    assert (off.status, off.message) == (SKIP, "web.ui.enabled is false")
    assert ask(site, "workloads", inventory=[DEPLOYMENT], when=when).status is PASS


def test_parameters_refer_to_the_release(site: Site) -> None:
    site.says("/base/health")
    parameters = {"service": "${values.names.0}", "port": 80, "path": "${values.base:-/base}/health"}
    assert ask(site, "http", parameters, values={"names": ["web"]}).status is PASS
    assert ask(site, "http", parameters).message == "values.names.0 is not set for web"


# --------------------------------------------------------------------------- port-forward


def test_a_local_port_leads_to_the_service(site: Site) -> None:
    site.says("/big", b"x" * 3_000_000)
    with LocalForward(site.api, NAMESPACE, "web", "http") as forward:
        url = f"http://{forward.address[0]}:{forward.address[1]}/big"
        for _ in range(2):
            with urllib.request.urlopen(url, timeout=10) as answer:
                assert len(answer.read()) == 3_000_000


def test_a_local_port_says_what_is_wrong_behind_it(site: Site) -> None:
    problems: list[str] = []
    with LocalForward(site.api, NAMESPACE, "web", 81, on_problem=problems.append) as forward:
        with pytest.raises(OSError, match=r"closed|reset|Remote"):
            urllib.request.urlopen(f"http://127.0.0.1:{forward.address[1]}/", timeout=10)
        until(lambda: problems)
        with pytest.raises(OperationError, match="cannot be had"):
            LocalForward(site.api, NAMESPACE, "web", 81, local_port=forward.address[1])
    assert "connection refused" in problems[0]


def test_a_tunnel_ends_when_it_is_closed_from_outside(site: Site) -> None:
    pod, port = pod_behind(site.api, NAMESPACE, "web", "http")
    tunnel = open_tunnel(site.api, NAMESPACE, pod, port)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(tunnel.socket.recv(1)))
    reader.start()
    time.sleep(0.1)
    tunnel.close()
    reader.join(5)
    assert got == [b""]
