"""A release with admission webhooks is ready once they have answered, on an API server that calls them."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.answering import until
from tests.mini import CONFIGMAP, World

from sparkrig.apply.waiting import Waiter
from sparkrig.clusters import sim as provider
from sparkrig.errors import OperationError
from sparkrig.kube.client import KubeApi
from sparkrig.kube.watch import ObjectWatch
from sparkrig.kube.webhooks import are_called
from sparkrig.models.cluster import ClusterHandle
from sparkrig.models.objects import ObjectRef

pytestmark = pytest.mark.cluster

TLS = Path(__file__).parents[1] / "cases" / "tls"
CA = base64.b64encode((TLS / "service.crt").read_bytes()).decode()
SPACE, SERVICE = "webhooks", "hook"
GROUP = "admission"


@dataclass
class Server:
    """A webhook on loopback, for the API server that of Service ``hook``; nobody listens until ``start``."""

    port: int
    verdict: Callable[[dict[str, Any]], dict[str, Any]] = lambda _request: {"allowed": True}
    asked: list[dict[str, Any]] = field(default_factory=list)
    server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / "service.crt", TLS / "service.key")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(review["request"])
                response = {"uid": review["request"]["uid"], **_judged(review["request"], outer.verdict)}
                body = json.dumps({**review, "request": None, "response": response}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """The API server does not trust the certificate yet."""

        self.server = Quiet(("127.0.0.1", self.port), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()


def _judged(request: dict[str, Any], verdict: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """The answer to an admission review, or to a conversion review: the same objects in another version."""
    if "objects" not in request:
        return verdict(request)
    converted = [{**item, "apiVersion": request["desiredAPIVersion"]} for item in request["objects"]]
    return {"convertedObjects": converted, "result": {"status": "Success"}}


@pytest.fixture(scope="module")
def calling(environment: Path) -> Iterator[ClusterHandle]:
    """A cluster whose API server calls webhooks."""
    name = f"hooks-{uuid.uuid4().hex[:6]}"
    try:
        yield provider.create(name, provider.SimOptions(1, 0, 0, webhooks=True))
    finally:
        provider.delete(name)


@pytest.fixture(scope="module")
def hooked(calling: ClusterHandle) -> Iterator[KubeApi]:
    api = KubeApi(calling)
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
    # The API server dials what an ExternalName says; no proxy of a node is needed.
    spec = {"type": "ExternalName", "externalName": "127.0.0.1"}
    api.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE, "namespace": SPACE}, "spec": spec})
    yield api
    api.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        made = Server(free.getsockname()[1])
    yield made
    made.stop()


@pytest.fixture
def registered(hooked: KubeApi, server: Server) -> Iterator[Callable[..., ObjectRef]]:
    """Registers a webhook for ConfigMaps in a namespace; what is given changes its fields."""
    refs: list[ObjectRef] = []

    def make(kind: str = "Validating", ca: str | None = CA, **fields: Any) -> ObjectRef:
        name = f"h{uuid.uuid4().hex[:6]}"
        ref = ObjectRef("admissionregistration.k8s.io", "v1", f"{kind}WebhookConfiguration", "", name)
        service = {"namespace": SPACE, "name": SERVICE, "port": server.port}
        hook = {
            "name": f"{name}.example.org",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "clientConfig": {"service": service, **({"caBundle": ca} if ca else {})},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": SPACE}},
            "rules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}
            ],
            "timeoutSeconds": 2,
            **fields,
        }
        version = f"{ref.group}/{ref.version}"
        hooked.apply({"apiVersion": version, "kind": ref.kind, "metadata": {"name": name}, "webhooks": [hook]})
        refs.append(ref)
        return ref

    yield make
    for ref in refs:
        hooked.delete(hooked.path_of(ref))


@dataclass
class Waited:
    """How a wait for objects went."""

    seconds: float
    ready: list[float]
    said: list[str]
    error: OperationError | None = None


def wait(api: KubeApi, *refs: ObjectRef, timeout_s: float = 30.0, converted: tuple[str, ...] = ()) -> Waited:
    began = time.monotonic()
    waited = Waited(0.0, [], [])
    with ObjectWatch(api) as watch:
        try:
            asyncio.run(
                Waiter(api, watch).until_ready(
                    refs,
                    (),
                    timeout_s=timeout_s,
                    say=waited.said.append,
                    when_ready=lambda: waited.ready.append(time.monotonic() - began),
                    converted=converted,
                )
            )
        except OperationError as error:
            waited.error = error
    waited.seconds = time.monotonic() - began
    return waited


def text(error: OperationError | None) -> str:
    assert error is not None
    return " ".join((error.message, *error.detail, error.hint or ""))


@pytest.mark.parametrize("kind", ["Validating", "Mutating"])
def test_what_needs_a_webhook_starts_after_it_has_answered(
    hooked: KubeApi, server: Server, registered: Callable[..., ObjectRef], kind: str
) -> None:
    ref = registered(kind)
    timer = threading.Timer(3.0, server.start)
    timer.start()
    waited = wait(hooked, ref)
    timer.join()
    assert waited.error is None
    assert len(waited.ready) == 1
    assert waited.ready[0] >= 2.5
    assert server.asked
    assert all(request["dryRun"] for request in server.asked)
    assert any("does not answer yet" in line and "connection refused" in line for line in waited.said), waited.said


def test_the_ca_is_waited_for(hooked: KubeApi, server: Server, registered: Callable[..., ObjectRef]) -> None:
    ref = registered(ca=None)
    server.start()
    patch = [{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": CA}]
    timer = threading.Timer(2.0, lambda: hooked.patch(hooked.path_of(ref), patch, "json"))
    timer.start()
    waited = wait(hooked, ref)
    timer.join()
    assert waited.error is None
    assert waited.ready[0] >= 1.5
    assert any("no CA yet for webhook" in line for line in waited.said)


def test_a_ca_of_an_earlier_life_is_not_enough(
    hooked: KubeApi, server: Server, registered: Callable[..., ObjectRef]
) -> None:
    ref = registered(ca=base64.b64encode((TLS / "ca.crt").read_bytes()).decode())
    server.start()
    patch = [{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": CA}]
    timer = threading.Timer(3.0, lambda: hooked.patch(hooked.path_of(ref), patch, "json"))
    timer.start()
    waited = wait(hooked, ref)
    timer.join()
    assert waited.error is None
    assert waited.ready[0] >= 2.5
    assert any("does not answer yet" in line and "x509" in line for line in waited.said), waited.said


def test_a_refusal_is_an_answer(hooked: KubeApi, server: Server, registered: Callable[..., ObjectRef]) -> None:
    server.verdict = lambda _request: {"allowed": False, "status": {"message": "not that one"}}
    server.start()
    waited = wait(hooked, registered())
    assert waited.error is None
    assert server.asked
    assert not [line for line in waited.said if "not probed" in line]


def test_one_that_never_answers_is_named_at_the_deadline(
    hooked: KubeApi, server: Server, registered: Callable[..., ObjectRef]
) -> None:
    ref = registered()
    waited = wait(hooked, ref, timeout_s=3.0)
    assert not waited.ready
    said = text(waited.error)
    assert f"webhook {ref.name}.example.org does not answer yet" in said
    assert "connection refused" in said
    assert "look at the pods of the webhook's Service" in said
    assert waited.seconds < 10


def test_a_service_without_pods_is_named(hooked: KubeApi, registered: Callable[..., ObjectRef]) -> None:
    hooked.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "empty", "namespace": SPACE},
            "spec": {"selector": {"app": "nobody"}, "ports": [{"port": 443}]},
        }
    )
    service = {"namespace": SPACE, "name": "empty", "port": 443}
    waited = wait(hooked, registered(clientConfig={"service": service, "caBundle": CA}), timeout_s=2.0)
    assert f"its Service {SPACE}/empty has no ready endpoint" in text(waited.error)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"failurePolicy": "Ignore"}, "its failurePolicy lets requests through"),
        ({"matchConditions": [{"name": "no", "expression": "false"}]}, "its matchConditions decide"),
        ({"namespaceSelector": {"matchLabels": {"nobody": "has-it"}}}, "no object was found that it would be asked"),
    ],
    ids=["fails open", "conditions", "no namespace"],
)
def test_one_that_cannot_be_asked_holds_nothing_up(
    hooked: KubeApi, registered: Callable[..., ObjectRef], fields: dict[str, Any], why: str
) -> None:
    waited = wait(hooked, registered(**fields), timeout_s=10.0)
    assert waited.error is None
    assert waited.seconds < 8
    assert any("was not probed" in line and why in line for line in waited.said), waited.said


def test_a_custom_resource_is_made_up_from_its_schema(
    hooked: KubeApi, server: Server, registered: Callable[..., ObjectRef]
) -> None:
    """A validating webhook is asked after validation: an object that lacks a field would never reach it."""
    group = f"w{uuid.uuid4().hex[:6]}.example.org"
    properties = {
        "type": {"type": "string", "enum": ["Java", "Python"]},
        "size": {"type": "string", "pattern": "^[0-9]+Gi$"},
        "parts": {
            "type": "array",
            "minItems": 2,
            "items": {
                "type": "object",
                "required": ["count"],
                "properties": {"count": {"type": "integer", "minimum": 3}},
            },
        },
    }
    spec = {"type": "object", "required": list(properties), "properties": properties}
    schema = {"type": "object", "properties": {"spec": spec}}
    hooked.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"works.{group}"},
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"plural": "works", "singular": "work", "kind": "Work", "listKind": "WorkList"},
                "versions": [
                    {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}},
                ],
            },
        }
    )
    crd = ObjectRef("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "", f"works.{group}")
    wait(hooked, crd)
    rules = [{"apiGroups": [group], "apiVersions": ["v1"], "resources": ["works"], "operations": ["CREATE", "UPDATE"]}]
    server.start()
    try:
        waited = wait(hooked, registered(rules=rules), timeout_s=10.0)
    finally:
        hooked.delete(hooked.path_of(crd))
    assert waited.error is None
    assert [request["kind"]["kind"] for request in server.asked] == ["Work"], waited.said
    made = server.asked[0]["object"]["spec"]
    assert made == {"type": "Java", "size": "1Gi", "parts": [{"count": 3}, {"count": 3}]}


@pytest.mark.parametrize("in_release", [False, True], ids=["applied by us", "applied by helm"])
def test_a_webhook_that_converts_is_waited_for(hooked: KubeApi, server: Server, in_release: bool) -> None:
    group = f"c{uuid.uuid4().hex[:6]}.example.org"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    service = {"namespace": SPACE, "name": SERVICE, "port": server.port, "path": "/convert"}
    crd = ObjectRef("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "", f"works.{group}")
    versions = [{"name": name, "served": True, "storage": name == "v2", "schema": schema} for name in ("v1", "v2")]
    webhook = {"clientConfig": {"service": service}, "conversionReviewVersions": ["v1"]}
    hooked.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": crd.name},
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"plural": "works", "singular": "work", "kind": "Work", "listKind": "WorkList"},
                "versions": versions,
                "conversion": {"strategy": "Webhook", "webhook": webhook},
            },
        }
    )
    patch = {"spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": CA}}}}}
    timers = [threading.Timer(2.0, hooked.patch, (hooked.path_of(crd), patch)), threading.Timer(5.0, server.start)]
    for timer in timers:
        timer.start()
    try:
        until(lambda: [v for v in hooked.discovery.fresh() if v.group == group], 30.0)
        waited = wait(hooked, *([crd] if in_release else []), converted=() if in_release else (crd.name,))
    finally:
        for timer in timers:
            timer.join()
        hooked.patch(hooked.path_of(crd), {"spec": {"conversion": {"strategy": "None", "webhook": None}}})
        hooked.delete(hooked.path_of(crd))
    assert waited.error is None
    assert waited.ready
    assert [request["desiredAPIVersion"] for request in server.asked], waited.said
    assert any("its conversion webhook does not answer yet" in line for line in waited.said), waited.said


def test_nobody_waits_where_the_api_server_calls_no_webhooks(api: KubeApi, namespace: str) -> None:
    ref = ObjectRef("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration", "", namespace)
    hook = {
        "name": "uncalled.example.org",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": {"service": {"namespace": namespace, "name": "nobody"}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}],
    }
    api.apply(
        {
            "apiVersion": f"{ref.group}/{ref.version}",
            "kind": ref.kind,
            "metadata": {"name": ref.name},
            "webhooks": [hook],
        }
    )
    try:
        waited = wait(api, ref, timeout_s=10.0)
    finally:
        api.delete(api.path_of(ref))
    assert waited.error is None
    assert waited.seconds < 5


def test_whether_webhooks_are_called_is_read_from_the_api_server(api: KubeApi, hooked: KubeApi) -> None:
    assert are_called(hooked)
    assert not are_called(api)


def test_up_starts_dependents_after_the_webhook_answered(
    helm: Path, calling: ClusterHandle, hooked: KubeApi, server: Server, tmp_path: Path
) -> None:
    """The whole command: without the wait, the second release would fail with a refused connection."""
    world = World(tmp_path, f"sim:{calling.name}", stack=f"s{uuid.uuid4().hex[:6]}")
    hook = f"""
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{name: {world.stack}}}
webhooks:
  - name: guard.example.org
    admissionReviewVersions: [v1]
    sideEffects: None
    clientConfig:
      service: {{namespace: {SPACE}, name: {SERVICE}, port: {server.port}}}
      caBundle: {CA}
    namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {world.stack}-b}}}}
    rules: [{{apiGroups: [""], apiVersions: [v1], resources: [configmaps], operations: [CREATE]}}]
"""
    world.component("a", templates={"hook.yaml": hook})
    world.component("b", templates={"map.yaml": CONFIGMAP}, needs=["a"])
    world.write_stack(a={}, b={})
    process = world.start("up", "--yes", "--on", world.target)
    try:
        path = f"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{world.stack}"
        until(lambda: hooked.get(path, missing_ok=True), 60.0)
        time.sleep(4.0)
        server.start()
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
        assert hooked.get(f"/api/v1/namespaces/{world.stack}-b/configmaps/b") is not None
        assert "b" in [request["name"] for request in server.asked if not request["dryRun"]]
    finally:
        world.run("down", "--yes", "--purge", "all")
