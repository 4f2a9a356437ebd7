"""Hooks that fail or were left behind, and webhooks that are slow or dead: named, and no run hangs on them."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.mini import CONFIGMAP, World

from sparkrig.clusters import sim as provider
from sparkrig.clusters.sim import state
from sparkrig.kube.client import KubeApi
from sparkrig.models.cluster import ClusterHandle

pytestmark = pytest.mark.cluster

TLS = Path(__file__).parents[1] / "cases" / "tls"
LOG = "".join(
    f"2026-11-22T10:00:00.000000000Z stdout F {line}\n"
    for line in ("it begins", *(f"step {n}" for n in range(20)), "no such table: users")
)
"""In the form in which a container runtime writes it."""
HOOK = """
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-migrate
  annotations:
    helm.sh/hook: pre-install,pre-upgrade,pre-rollback
    helm.sh/hook-delete-policy: {{ .Values.policy }}
spec:
  backoffLimit: 0
  template:
    metadata: {annotations: {sim.sparkrig.dev/exits: {{ .Values.exits | quote }}}}
    spec:
      restartPolicy: Never
      containers: [{name: migrate, image: "registry.example.org/migrate:{{ .Values.image }}"}]
"""
OTHERS = ("LimitRange", "ResourceQuota", "ServiceAccount")
"""Helm writes one kind after the other, all objects of a kind at once."""
VALUES = {"policy": "before-hook-creation", "exits": "0", "image": "1", "text": "hello"}
KINDS = ["configmaps", "limitranges", "resourcequotas", "serviceaccounts"]
TEMPLATES = {"hook.yaml": HOOK, "c.yaml": CONFIGMAP}


@dataclass
class Guard:
    """An admission webhook on loopback; it keeps its callers waiting ``delay_s``."""

    url: str
    delay_s: float = 0.0
    seen: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def cluster(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterHandle]:
    """A cluster that asks its webhooks, and whose pods have a log."""
    folder = tmp_path_factory.mktemp("logs")
    (folder / "pod.log").write_text(LOG)
    logs = {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterLogs",
        "metadata": {"name": "all"},
        "spec": {"logs": [{"logsFile": str(folder / "pod.log"), "follow": False}]},
    }
    (folder / "logs.yaml").write_text(json.dumps(logs))
    name = f"hooks-{uuid.uuid4().hex[:6]}"
    try:
        handle = provider.create(name, provider.SimOptions(1, 0, 0, webhooks=True, stages=(folder / "logs.yaml",)))
        _with_kubelet(handle)
        yield handle
    finally:
        provider.delete(name)


def _with_kubelet(handle: ClusterHandle) -> None:
    """Tells the API server where the logs of the pods are: at KWOK."""
    record = state.read_record(handle.name)
    assert record is not None
    endpoints = {"kubeletEndpoint": {"Port": record.ports["kwok"]}}
    status = {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}], "daemonEndpoints": endpoints}
    api = KubeApi(handle)
    for node in api.list("/api/v1/nodes"):
        api.patch(f"/api/v1/nodes/{node['metadata']['name']}", {"status": status}, subresource="status")
    api.close()


@pytest.fixture
def api(cluster: ClusterHandle) -> Iterator[KubeApi]:
    api = KubeApi(cluster)
    yield api
    for kind in ("validatingwebhookconfigurations", "mutatingwebhookconfigurations"):
        for item in api.list(f"/apis/admissionregistration.k8s.io/v1/{kind}"):
            api.delete(f"/apis/admissionregistration.k8s.io/v1/{kind}/{item['metadata']['name']}")
    api.close()


@pytest.fixture
def world(cluster: ClusterHandle, api: KubeApi, tmp_path: Path) -> World:
    return World(tmp_path, f"sim:{cluster.name}", stack=f"h{uuid.uuid4().hex[:6]}")


@pytest.fixture
def guard() -> Iterator[Guard]:
    made = Guard("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked = review["request"]
            made.seen.append(f"{asked['operation']} {asked['kind']['kind']} {asked.get('name')}")
            time.sleep(made.delay_s)
            body = json.dumps({**review, "response": {"uid": asked["uid"], "allowed": True}, "request": None}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """The API server gave up waiting."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "server.crt", TLS / "server.key")
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    made.url = f"https://127.0.0.1:{server.server_port}/guard"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def hole() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listening:
        yield f"https://127.0.0.1:{listening.getsockname()[1]}/guard"


def configure(api: KubeApi, world: World, name: str, url: str, policy: str, timeout_s: int = 10) -> None:
    """A webhook that is asked about the objects of the stack's component."""
    client = {"url": url, "caBundle": base64.b64encode((TLS / "ca.crt").read_bytes()).decode()}
    hook = {
        "name": f"{name}.example.org",
        "clientConfig": client,
        "failurePolicy": policy,
        "timeoutSeconds": timeout_s,
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": KINDS}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": f"{world.stack}-a"}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    api.apply(
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [hook],
        }
    )
    probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe", "namespace": f"{world.stack}-a"}}
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{world.stack}-a"}})
    if policy == "Fail":  # the API server notices a new webhook after a moment
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                api.apply(probe, dry_run=True, timeout_s=2)
            except Exception:
                return
            time.sleep(0.2)
    time.sleep(2)


def hook_job(api: KubeApi, world: World) -> dict[str, Any] | None:
    return api.get(f"/apis/batch/v1/namespaces/{world.stack}-a/jobs/a-migrate", missing_ok=True)


# ------------------------------------------------------------------ hooks


def test_a_failed_hook_shows_its_pod_and_the_end_of_its_log(world: World) -> None:
    world.component("a", templates=TEMPLATES, values={**VALUES, "exits": "3"})
    world.write_stack()
    failed = world.up()
    assert failed.code == 1
    said = failed.out + failed.err
    assert f"hook Job {world.stack}-a/a-migrate: BackoffLimitExceeded" in said
    assert "pod a-migrate-" in said
    assert "ended with exit code 3" in said
    assert "last lines of the log of pod a-migrate-" in said
    assert "no such table: users" in said
    assert "step 19" in said
    assert "it begins" not in said, "the end of it, not all of it"


def test_an_old_hook_that_failed_is_cleared_away(world: World, api: KubeApi) -> None:
    values = {**VALUES, "policy": "hook-succeeded"}
    world.component("a", templates=TEMPLATES, values={**values, "exits": "1"})
    world.write_stack()
    assert world.up().code == 1
    old = hook_job(api, world)
    assert old is not None
    # The same Job once more: without help helm would take the old one's failure for the new one's.
    world.component("a", templates=TEMPLATES, values=values)
    done = world.up()
    assert done.code == 0, done.out + done.err
    assert f"removes Job {world.stack}-a/a-migrate, left by an earlier hook" in " ".join(done.err.split())


def test_an_old_hook_that_succeeded_does_not_stand_in_for_the_new_one(world: World, api: KubeApi) -> None:
    values = {**VALUES, "policy": "hook-failed"}
    world.component("a", templates=TEMPLATES, values=values)
    world.write_stack()
    assert world.up().code == 0
    old = hook_job(api, world)
    assert old is not None
    world.write_stack(a={"values": {"text": "changed"}})
    shown = world.run("plan")
    assert f"removes Job {world.stack}-a/a-migrate, left by an earlier hook" in " ".join(shown.out.split())
    assert world.up().code == 0
    new = hook_job(api, world)
    assert new is not None
    assert new["metadata"]["uid"] != old["metadata"]["uid"], "the hook ran again"
    # On the way back nobody planned for it: helm fails on it, it is cleared away, and helm is called once more.
    world.write_stack(a={"values": {"text": "again", "image": "2"}})
    assert world.up().code == 0
    back = world.run("rollback", "--yes")
    assert back.code == 0, back.out + back.err
    last = hook_job(api, world)
    assert last is not None
    assert last["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":1")


def test_a_job_of_somebody_else_is_left_alone(world: World, api: KubeApi) -> None:
    world.component("a", templates=TEMPLATES, values={**VALUES, "policy": "hook-failed"})
    world.write_stack()
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{world.stack}-a"}})
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "x", "image": "example.org/theirs:1"}]}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a-migrate", "namespace": f"{world.stack}-a"}}
    made = api.apply({**job, "spec": {"template": template}})
    assert world.up().code == 1
    found = hook_job(api, world)
    assert found is not None
    assert found["metadata"]["uid"] == made["metadata"]["uid"]


# ------------------------------------------------------------------ webhooks


def test_a_webhook_that_answers_is_no_trouble(world: World, api: KubeApi, guard: Guard) -> None:
    world.component("a", templates={"c.yaml": CONFIGMAP}, values={"text": "one"})
    world.write_stack()
    configure(api, world, "alive", guard.url, "Fail")
    assert world.up().code == 0
    world.write_stack(a={"values": {"text": "two"}})
    done = world.up()
    assert done.code == 0, done.err
    assert "alive" not in done.out + done.err
    assert "UPDATE ConfigMap a" in guard.seen


def test_a_dead_fail_closed_webhook_is_named_with_what_it_blocks(world: World, api: KubeApi, hole: str) -> None:
    world.component("a", templates={"c.yaml": CONFIGMAP}, values={"text": "one"}, timeout=20)
    world.write_stack()
    assert world.up().code == 0
    configure(api, world, "closed", hole, "Fail", timeout_s=1)
    world.write_stack(a={"values": {"text": "two"}})
    refused = world.run("up", "--yes", "--output", "json")
    assert refused.code == 4, refused.out + refused.err
    (said,) = refused.json["detail"]
    assert said.startswith("[dead-webhook] ValidatingWebhookConfiguration closed: webhook closed.example.org ")
    assert f"blocks ConfigMap {world.stack}-a/a: " in said
    assert "kubectl delete validatingwebhookconfiguration closed" in said
    # Accepted all the same, helm meets it: the error names it too.
    failed = world.up("--accept", "dead-webhook", "--on-failure", "stop")
    assert failed.code == 1
    assert "webhook closed.example.org (ValidatingWebhookConfiguration closed) blocks ConfigMap" in failed.out


def test_a_dead_fail_open_webhook_does_not_hold_a_run_and_is_named(world: World, api: KubeApi, hole: str) -> None:
    others = {f"{kind}.yaml": f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: a}}\n" for kind in OTHERS}
    world.component("a", templates={"c.yaml": CONFIGMAP, **others}, values={"text": "one"}, timeout=10)
    world.write_stack()
    configure(api, world, "open", hole, "Ignore", timeout_s=5)
    started = time.monotonic()
    failed = world.up()
    assert failed.code == 1
    assert time.monotonic() - started < 45, "10 s, and the grace after TERM; not five for each kind of object"
    said = " ".join(failed.out.split())
    assert "webhook open.example.org (ValidatingWebhookConfiguration open) delays " in said
    assert "without an answer" in said
    assert "kubectl delete validatingwebhookconfiguration open" in said


def test_a_slow_webhook_is_named_before_the_upgrade(world: World, api: KubeApi, guard: Guard) -> None:
    world.component("a", templates={"c.yaml": CONFIGMAP}, values={"text": "one"})
    world.write_stack()
    assert world.up().code == 0
    configure(api, world, "slow", guard.url, "Ignore", timeout_s=15)
    guard.delay_s = 6.0
    world.write_stack(a={"values": {"text": "two"}})
    done = world.up()
    assert done.code == 0, done.err
    said = " ".join(done.err.split())
    assert "[slow-webhook] ValidatingWebhookConfiguration slow: webhook slow.example.org " in said
    assert "s a request on average" in said
