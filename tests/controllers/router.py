"""The way from the API server to the processes: an HTTP CONNECT proxy that routes as kube-proxy does.

The API server resolves the Service of a webhook to its cluster address, asks this proxy for the connection
(``SimOptions.egress``), and verifies the certificate for the Service's name. So nothing is rewritten: not the webhook's
clientConfig, not its certificate, not its port.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sparkrig.errors import SparkrigError
from sparkrig.kube.client import KubeApi
from sparkrig.kube.errors import ApiError

Dial = Callable[[str, int], socket.socket]
"""Takes a pod's address and port; raises OSError where nothing answers."""
CHUNK = 65536


class UnixServer(socketserver.ThreadingUnixStreamServer):
    """Serves a Unix socket, a thread for each connection."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, path: Path, handle: Callable[[socket.socket], None]) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):  # either end may hang up at any time
                    handle(self.request)

        super().__init__(str(path), Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """End serving; connections end with their other ends."""
        self.shutdown()
        self.server_close()


def api_gate(path: Path, port: int) -> UnixServer:
    """Serve a socket that leads to a port of this machine's loopback: the API server."""
    return UnixServer(path, lambda here: join(here, socket.create_connection(("127.0.0.1", port))))


def egress(path: Path, api: Callable[[], KubeApi], dial: Dial) -> UnixServer:
    """Serve the proxy for the API server; ``dial`` connects to a pod, ``api`` is asked only once there is a request."""

    def handle(here: socket.socket) -> None:
        target = _connect_target(here)
        try:
            there = _dial(target, api(), dial)
        except (OSError, SparkrigError) as error:
            here.sendall(f"HTTP/1.1 502 {' '.join(str(error).split())}\r\n\r\n".encode())
            return
        here.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        join(here, there)

    return UnixServer(path, handle)


def join(here: socket.socket, there: socket.socket) -> None:
    """Pass on what either side sends until both are done; closes ``there``."""

    def copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=copy, args=(there, here), daemon=True)
    back.start()
    copy(here, there)
    back.join()
    there.close()


def _connect_target(here: socket.socket) -> tuple[str, int]:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < CHUNK:
        if not (data := here.recv(CHUNK)):
            raise ConnectionError("no request")
        head += data
    method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
    if method != "CONNECT":
        raise ConnectionError(f"{method} is not CONNECT")
    host, _, port = target.rpartition(":")
    return host.strip("[]"), int(port)


def _dial(target: tuple[str, int], api: KubeApi, dial: Dial) -> socket.socket:
    host, port = target
    if host.startswith("127."):
        return socket.create_connection(target)
    service = next((s for s in api.list("/api/v1/services") if s["spec"].get("clusterIP") == host), None)
    if service is None:
        return dial(host, port)
    refused: Exception = ConnectionRefusedError(f"no endpoint of {service['metadata']['name']} is ready")
    for address, number in endpoints(api, service, port):
        try:
            return dial(address, number)
        except OSError as error:
            refused = error
    raise refused


def endpoints(api: KubeApi, service: Mapping[str, Any], port: int) -> list[tuple[str, int]]:
    """Return address and port of each ready endpoint behind a port of a Service; none while it is not there."""
    metadata = service["metadata"]
    name = next((p.get("name", "") for p in service["spec"].get("ports") or () if p["port"] == port), None)
    path = f"/apis/discovery.k8s.io/v1/namespaces/{metadata['namespace']}/endpointslices"
    try:
        slices = api.list(path, label_selector=f"kubernetes.io/service-name={metadata['name']}")
    except ApiError:
        return []
    return [
        (address, number["port"])
        for one in slices
        for number in one.get("ports") or ()
        if number.get("name", "") == name
        for endpoint in one.get("endpoints") or ()
        if endpoint.get("conditions", {}).get("ready", True)
        for address in endpoint["addresses"]
    ]
