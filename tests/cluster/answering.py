"""A simulated cluster whose pods answer: KWOK forwards their ports to servers of the test, on loopback.

Everything between a check and the server is real: the API server, its port-forward, the kubelet's protocol, HTTP, TLS.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sparkrig.clusters import sim as provider
from sparkrig.clusters.sim import state
from sparkrig.kube.client import KubeApi
from sparkrig.kube.watch import ObjectWatch
from sparkrig.models.cluster import ClusterHandle

NAMESPACE = "answers"
HTTP_PORT, TLS_PORT, CLOSED_PORT = 8080, 8443, 8081


@dataclass(frozen=True)
class Seen:
    """One request as a server got it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    server_name: str | None


Reply = tuple[int, Mapping[str, str], bytes]
Route = Callable[[Seen], Reply]


@dataclass
class Site:
    """What the pods answer: set ``routes`` for a test; ``seen`` holds the requests."""

    handle: ClusterHandle
    api: KubeApi
    watch: ObjectWatch
    routes: dict[str, Route] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    pki: Path = Path()
    tls_address: str = ""

    def says(self, path: str, body: Any = b"", status: int = 200, **headers: str) -> None:
        """Answer a path with a fixed reply; anything but bytes is sent as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.routes[path] = lambda _seen: (status, {k.replace("_", "-"): v for k, v in headers.items()}, data)

    def reset(self) -> None:
        self.routes.clear()
        self.seen.clear()


def until(look: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    """What ``look`` returns, once it is something."""
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)
    return found


@contextmanager
def answering(folder: Path, log: str) -> Iterator[Site]:
    """Start servers and cluster, and a Deployment ``web`` with a Service of ports 80, 443 and 81 (nobody listens)."""
    plain, secure = _server(), _server()
    with socket.create_server(("127.0.0.1", 0)) as free:
        closed = free.getsockname()[1]
    log_file = folder / "pod.log"
    log_file.write_text(log)
    stages = folder / "answers.yaml"
    stages.write_text(_kwok_configuration(plain.server_port, secure.server_port, closed, log_file))
    name = f"answers-{uuid.uuid4().hex[:6]}"
    handle = provider.create(name, provider.SimOptions(1, 1, 4, webhooks=True, stages=(stages,)))
    api = KubeApi(handle)
    watch = ObjectWatch(api)
    pki = state.cluster_dir(name) / "pki"
    site = Site(handle, api, watch, pki=pki, tls_address=f"https://127.0.0.1:{secure.server_port}")
    names: dict[int, str | None] = {}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    context.sni_callback = lambda sock, server_name, _context: names.__setitem__(id(sock), server_name)
    # The handshake is its handler's, in a thread of its own: where connections are accepted, one whose handshake does
    # not end holds up every other one (seen: one that KWOK had forwarded and kept open, while later ones waited).
    secure.socket = context.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
    for server in (plain, secure):
        server.RequestHandlerClass = _handler(site, names)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        _furnish(api, state.read_record(name))
        yield site
    finally:
        watch.close()
        api.close()
        provider.delete(name)
        for server in (plain, secure):
            server.shutdown()
            server.server_close()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that does not like our certificate hangs up; that is what is tested."""


def _server() -> ThreadingHTTPServer:
    return _Quiet(("127.0.0.1", 0), BaseHTTPRequestHandler)


def _handler(site: Site, names: Mapping[int, str | None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {key.lower(): value for key, value in self.headers.items()}
            seen = Seen(self.command, self.path, headers, body, names.get(id(self.connection)))
            site.seen.append(seen)
            route = site.routes.get(self.path.partition("?")[0])
            status, more, data = route(seen) if route else (404, {}, b"no such page")
            self.send_response(status)
            for key, value in more.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_POST = do_HEAD = _any  # noqa: N815 - the names are http.server's

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    return Handler


def _kwok_configuration(plain: int, secure: int, closed: int, log: Path) -> str:
    api = "kwok.x-k8s.io/v1alpha1"
    forwards = [
        {"ports": [inner], "target": {"port": outer, "address": "127.0.0.1"}}
        for inner, outer in ((HTTP_PORT, plain), (TLS_PORT, secure), (CLOSED_PORT, closed))
    ]
    documents = [
        {"apiVersion": api, "kind": "ClusterPortForward", "metadata": {"name": "all"}, "spec": {"forwards": forwards}},
        {
            "apiVersion": api,
            "kind": "ClusterLogs",
            "metadata": {"name": "all"},
            "spec": {"logs": [{"logsFile": str(log), "follow": False}]},
        },
    ]
    return "\n---\n".join(json.dumps(document) for document in documents)


def _furnish(api: KubeApi, record: Any) -> None:
    kubelet = {"kubeletEndpoint": {"Port": record.ports["kwok"]}}
    status = {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}], "daemonEndpoints": kubelet}
    for node in api.list("/api/v1/nodes"):
        api.patch(f"/api/v1/nodes/{node['metadata']['name']}", {"status": status}, subresource="status")
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "web"}]}}
    ports = [
        {"name": "http", "port": 80, "targetPort": HTTP_PORT},
        {"name": "https", "port": 443, "targetPort": TLS_PORT},
        {"name": "broken", "port": 81, "targetPort": CLOSED_PORT},
    ]
    for kind, spec in (
        ("Deployment", {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}),
        ("Service", {"selector": labels, "ports": ports}),
    ):
        if kind == "Deployment":
            api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        version = "apps/v1" if kind == "Deployment" else "v1"
        metadata = {"name": "web", "namespace": NAMESPACE}
        api.apply({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})
    nobody = {"name": "nobody", "namespace": NAMESPACE}
    api.apply({"apiVersion": "v1", "kind": "Service", "metadata": nobody, "spec": {"ports": [{"port": 80}]}})
    until(lambda: _ready(api))


def _ready(api: KubeApi) -> bool:
    path = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"
    slices = api.list(path, label_selector="kubernetes.io/service-name=web")
    return any(e["conditions"].get("ready") for each in slices for e in each.get("endpoints") or ())
