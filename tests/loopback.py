"""An API server's address on loopback, played by a test, and an HTTP proxy: for what happens before any real answer."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

TLS = Path(__file__).parent / "cases" / "tls"
Reply = tuple[int, Mapping[str, str], Any]
VERSION: Reply = (200, {}, {"gitVersion": "v1.36.3"})


@dataclass
class Loopback:
    """What the server answers: ``answer`` gets method, path and headers; GET /version is answered beside it."""

    url: str
    answer: Callable[[str, str, Mapping[str, str]], Reply] = lambda _method, _path, _headers: (200, {}, {"items": []})
    version: Reply = VERSION
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def kubeconfig(self, folder: Path, user: Mapping[str, Any], **cluster: Any) -> Path:
        """A kubeconfig for it in a folder, with this user."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": self.url, **cluster}}],
            "users": [{"name": "u", "user": dict(user)}],
        }
        file = folder / "kubeconfig"
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
        return file


@contextlib.contextmanager
def loopback(certificate: str = "") -> Iterator[Loopback]:
    """Serve; with ``certificate`` over TLS, by that name in tests/cases/tls."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def reply(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            played.seen.append((self.command, self.path, headers))
            plain = played.version is not None and self.path == "/version"
            code, more, body = played.version if plain else played.answer(self.command, self.path, headers)
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(code)
            for name, value in {"Content-Length": str(len(data)), "Content-Type": "application/json", **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = reply  # noqa: N815 - the names are http.server's

        def log_message(self, *_: Any) -> None:
            pass

    with _serving(Handler) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(TLS / f"{certificate}.crt", TLS / f"{certificate}.key")
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        played = Loopback(f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield played
        finally:
            server.shutdown()
            thread.join()


@dataclass
class HttpProxy:
    """A proxy for CONNECT: ``refusal`` is what it answers instead of connecting, e.g. ``403 Forbidden``."""

    url: str
    refusal: str = ""
    target: tuple[str, int] | None = None
    """Where every tunnel leads, whatever name was asked for."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Host and Proxy-Authorization of each CONNECT."""


@contextlib.contextmanager
def http_proxy() -> Iterator[HttpProxy]:
    """A proxy on loopback, for as long as the block runs."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            proxy.asked.append((self.path, self.headers.get("Proxy-Authorization")))
            self.close_connection = True
            if proxy.refusal:
                code, _, words = proxy.refusal.partition(" ")
                self.send_response(int(code), words)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            host, _, port = self.path.rpartition(":")
            with socket.create_connection(proxy.target or (host, int(port)), timeout=10) as other:
                self.send_response(200, "Connection established")
                self.end_headers()
                up = threading.Thread(target=_copy, args=(self.connection, other), daemon=True)
                up.start()
                _copy(other, self.connection)

        def log_message(self, *_: Any) -> None:
            pass

    with _serving(Handler) as server:
        proxy = HttpProxy(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()


class _Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that does not like our certificate hangs up; that is what is tested."""


@contextlib.contextmanager
def _serving(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[_Quiet]:
    server = _Quiet(("127.0.0.1", 0), handler)
    try:
        yield server
    finally:
        server.server_close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
