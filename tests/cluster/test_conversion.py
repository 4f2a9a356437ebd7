"""Stored versions move on although a webhook converts them: one that answers, one that is slow, one that is dead."""

from __future__ import annotations

import base64
import copy
import json
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
from tests.cluster.test_crds import Kind, install, version
from tests.mini import World

from sparkrig.kube.client import KubeApi

pytestmark = pytest.mark.cluster

TLS = Path(__file__).parents[1] / "cases" / "tls"
NAMES = {"v1beta1": "size", "v1": "amount"}
"""What the one field is called in each version: nothing but the webhook knows that it is the same."""


@dataclass
class Converter:
    """A conversion webhook on loopback."""

    url: str = ""
    delay_s: float = 0.0
    dead: threading.Event = field(default_factory=threading.Event)
    """While it is set, connections are taken and nothing is said."""
    ended: threading.Event = field(default_factory=threading.Event)
    asked: int = 0

    def converted(self, item: dict[str, Any], wanted: str) -> dict[str, Any]:
        item = copy.deepcopy(item)
        group, _, old = item["apiVersion"].partition("/")
        new = wanted.partition("/")[2]
        if old != new:
            item["spec"] = {NAMES[new]: item["spec"][NAMES[old]]}
            item["apiVersion"] = f"{group}/{new}"
        return item


@pytest.fixture
def converter() -> Iterator[Converter]:
    made = Converter()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            request = review["request"]
            made.asked += 1
            while made.dead.is_set() and not made.ended.wait(0.1):
                pass
            made.ended.wait(made.delay_s)
            objects = [made.converted(item, request["desiredAPIVersion"]) for item in request["objects"]]
            response = {"uid": request["uid"], "convertedObjects": objects, "result": {"status": "Success"}}
            body = json.dumps({**review, "request": None, "response": response}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
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
    made.url = f"https://127.0.0.1:{server.server_port}/convert"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield made
    made.ended.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def kind(api: KubeApi, world: World) -> Iterator[Kind]:
    made = Kind(api, f"c{uuid.uuid4().hex[:6]}.example.org")
    yield made
    # Nothing that wants a webhook may stay in the shared cluster: nobody could delete it.
    api.patch(made.path, {"spec": {"conversion": {"strategy": "None", "webhook": None}}})
    api.delete(made.path)


@pytest.fixture
def stored(world: World, kind: Kind, converter: Converter) -> dict[str, str]:
    """Three custom resources that are stored in the old version, and a chart that lacks it: name -> UID."""
    client = {"url": converter.url, "caBundle": base64.b64encode((TLS / "ca.crt").read_bytes()).decode()}
    conversion = {
        "strategy": "Webhook",
        "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1"]},
    }
    old = version("v1beta1", **{NAMES["v1beta1"]: "string"})
    new = version("v1", **{NAMES["v1"]: "string"})
    install(world, kind.crd(old, {**new, "storage": False}, conversion=conversion))
    first = world.up()
    assert first.code == 0, first.err
    for number in range(3):
        kind.make(f"old-{number}", {NAMES["v1beta1"]: str(number)}, "v1beta1")
    uids = {item["metadata"]["name"]: item["metadata"]["uid"] for item in kind.api.list(kind.collection("v1beta1"))}
    install(world, kind.crd(new, conversion=conversion), chart="2.0.0")
    return uids


def check_moved(kind: Kind, uids: dict[str, str]) -> None:
    live = kind.live()
    assert live["status"]["storedVersions"] == ["v1"]
    assert [each["name"] for each in live["spec"]["versions"]] == ["v1"]
    found = {item["metadata"]["name"]: item for item in kind.api.list(kind.collection())}
    assert {name: item["metadata"]["uid"] for name, item in found.items()} == uids
    assert {item["spec"][NAMES["v1"]] for item in found.values()} == {"0", "1", "2"}


@pytest.mark.parametrize("delay_s", [0.0, 3.0], ids=["answers", "slow"])
def test_a_webhook_that_answers_converts_what_is_stored(
    world: World, kind: Kind, converter: Converter, stored: dict[str, str], delay_s: float
) -> None:
    converter.delay_s = delay_s
    done = world.up("--allow-crd-change", kind.name)
    assert done.code == 0, done.err + done.out
    assert converter.asked
    converter.delay_s = 0.0
    check_moved(kind, stored)


@pytest.mark.timeout(900)
def test_a_dead_webhook_is_named_and_holds_nothing_up(
    world: World, kind: Kind, converter: Converter, stored: dict[str, str]
) -> None:
    converter.dead.set()
    started = time.monotonic()
    failed = world.run("up", "--yes", "--allow-crd-change", kind.name, timeout_s=500)
    took = time.monotonic() - started
    said = " ".join((failed.err + failed.out).split())
    assert failed.code == 6, said
    assert f"CRD {kind.name}" in said
    assert "conversion webhook for" in said
    assert converter.url in said
    assert "both versions stay" in said
    assert took < 180, took
    live = kind.live()
    assert [each["name"] for each in live["spec"]["versions"]] == ["v1", "v1beta1"]
    assert "v1beta1" in live["status"]["storedVersions"]
    # Kubernetes itself lets no namespace go meanwhile: a removal ends all the same, and says why.
    started = time.monotonic()
    down = world.run("down", "--yes", timeout_s=400)
    assert down.code == 1, down.err + down.out
    assert time.monotonic() - started < 300
    assert f"CRD {kind.name}: its custom resources cannot be read as v1 (" in " ".join(down.out.split())
    # Alive again, the namespace goes (its controller asks again with growing pauses), and the next run goes on where
    # it stopped; until then preflight refuses to install into it.
    converter.dead.clear()
    until = time.monotonic() + 300
    while any(each["metadata"]["name"] == f"{world.stack}-a" for each in kind.api.list("/api/v1/namespaces")):
        assert time.monotonic() < until, "the namespace does not go although its webhook answers"
        time.sleep(1)
    done = world.up("--allow-crd-change", kind.name)
    assert done.code == 0, done.err + done.out
    check_moved(kind, stored)
