"""Byte streams to ports of pods, through the API server: what ``kubectl port-forward`` does.

The websocket form of the protocol (``v4.channel.k8s.io``): the API server hands it on to the kubelet as it is. One
connection carries one stream to one port: channel 0 is data, channel 1 is the kubelet's error. TLS, proxies and
credentials are those of every other request to this API server.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from sparkrig.defaults import API_CONNECT_TIMEOUT_S, PORT_FORWARD_OPEN_S
from sparkrig.errors import OperationError
from sparkrig.kube.client import KubeApi
from sparkrig.kube.errors import ApiError, ConnectionLost
from sparkrig.kube.http import Answer, Request
from sparkrig.kube.no_answer import explain_failure
from sparkrig.models.json import JsonDict, mapping_at, mappings_at, number_at, text_at

if TYPE_CHECKING:
    import websocket

PROTOCOL = "v4.channel.k8s.io"
DATA, ERROR = 0, 1
CHUNK_BYTES = 1 << 16


class Tunnel:
    """One stream to one port of one pod. ``socket`` is an ordinary connected socket; close it, or this.

    A pod that does not listen shows as the end of the stream; ``error`` then says what the kubelet said.
    """

    def __init__(self, connection: websocket.WebSocket, raw: socket.socket, name: str) -> None:
        self._connection, self._raw = connection, raw
        self._error: list[bytes] = []
        self.socket, self._inner = socket.socketpair()
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=f"port-forward {name}", daemon=True)
            for target in (self._from_pod, self._to_pod)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def error(self) -> str:
        """What the kubelet said about the stream, empty when nothing."""
        return b"".join(self._error).decode("utf-8", "replace").strip()

    def wait(self, timeout_s: float | None = None) -> bool:
        """True when the stream has ended, at the latest after ``timeout_s`` seconds."""
        return self._closed.wait(timeout_s)

    def close(self) -> None:
        """End the stream, also for a reader in another thread."""
        for end in (self.socket, self._inner):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        # Closing a socket does not wake a thread that reads from it; shutting it down does.
        with contextlib.suppress(OSError):
            self._raw.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(2.0)
        for end in (self.socket, self._inner):
            end.close()
        self._raw.close()

    def __enter__(self) -> Tunnel:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self.close()

    def _from_pod(self) -> None:
        import websocket

        opened = {DATA: False, ERROR: False}
        try:
            while True:
                opcode, data = self._connection.recv_data()
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    return
                if opcode != websocket.ABNF.OPCODE_BINARY or not data or data[0] not in opened:
                    continue
                channel, payload = data[0], data[1:]
                if not opened[channel]:  # each channel begins with its port number, two bytes
                    opened[channel] = True
                    payload = payload[2:]
                if channel == ERROR:
                    self._error.append(payload)
                elif payload:
                    self._inner.sendall(payload)
        except (websocket.WebSocketException, OSError):
            return
        finally:
            self._closed.set()
            # What is still on its way to the reader must reach it: only the writing side is ended.
            with contextlib.suppress(OSError):
                self._inner.shutdown(socket.SHUT_WR)

    def _to_pod(self) -> None:
        import websocket

        with contextlib.suppress(websocket.WebSocketException, OSError):
            while data := self._inner.recv(CHUNK_BYTES):
                self._connection.send_binary(bytes((DATA,)) + data)
            if not self._closed.is_set():
                # The protocol has no half-closed streams; nobody writes any more, so the end may come.
                self._connection.send_close()


def open_tunnel(api: KubeApi, namespace: str, pod: str, port: int, *, timeout_s: float = PORT_FORWARD_OPEN_S) -> Tunnel:
    """Open a stream to a pod's port. That something listens there is only known when it answers.

    Raises:
        AccessDenied: no right to ``create`` (and ``get``) ``pods/portforward``.
        NotFoundApi: no such pod.
        ApiError: the pod runs nowhere yet, or its kubelet cannot be reached.
        ConnectionLost: the API server does not answer.
    """
    import websocket

    path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/portforward"
    request = Request("GET", path, params={"ports": str(port)})
    transport = api.transport()
    server = transport.endpoint.server
    headers = [f"{name}: {value}" for name, value in transport.endpoint.headers]
    if authorization := transport.endpoint.authorization():
        headers.append(f"Authorization: {authorization}")
    raw = _connected(api, timeout_s)
    connection = websocket.WebSocket(enable_multithread=True)
    try:
        connection.connect(  # type: ignore[no-untyped-call]
            "wss" + server.removeprefix("https") + request.target(),
            socket=raw,
            header=headers,
            subprotocols=[PROTOCOL],
            suppress_origin=True,
            host=urlsplit(server).netloc,
        )
        raw.settimeout(None)
    except websocket.WebSocketBadStatusException as error:
        raw.close()
        raise transport.error(request, Answer(error.status_code, _body(error.resp_body), None)) from None
    except (websocket.WebSocketException, OSError) as error:
        raw.close()
        raise ConnectionLost(f"port-forward to pod {namespace}/{pod}: {str(error) or type(error).__name__}") from error
    return Tunnel(connection, raw, f"{namespace}/{pod}:{port}")


def _connected(api: KubeApi, timeout_s: float) -> socket.socket:
    """A connected (TLS) socket to the API server, made by the same pool as every other connection."""
    import urllib3

    endpoint = api.transport().endpoint
    pool = endpoint.pool.connection_from_url(endpoint.server)
    # The one way to a connection with the pool's TLS, client certificate and proxy, and without a request on it.
    connection: Any = pool._new_conn()
    try:
        connection.timeout = min(API_CONNECT_TIMEOUT_S, timeout_s)
        if pool.proxy is not None and isinstance(pool, urllib3.HTTPSConnectionPool):
            pool._prepare_proxy(connection)
        else:
            connection.connect()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        connection.close()
        raise ConnectionLost(f"the API server at {endpoint.server} {explain_failure(error)}") from error
    raw: socket.socket = connection.sock
    raw.settimeout(timeout_s)
    return raw


def _body(data: bytes | None) -> JsonDict:
    import json

    try:
        parsed = json.loads(data or b"")
    except ValueError:
        return {"message": (data or b"")[:500].decode("utf-8", "replace").strip()}
    return parsed if isinstance(parsed, dict) else {"message": str(parsed)}


# --------------------------------------------------------------------------- which pod


def pod_behind(api: KubeApi, namespace: str, service: str, port: int | str) -> tuple[str, int]:
    """Return a ready pod behind a Service, and the pod's port for a port (name or number) of the Service.

    Raises:
        NotFoundApi: no such Service.
        OperationError: the Service has no such port, or no pod of it is ready; says which ports there are.
    """
    found = api.get(f"/api/v1/namespaces/{namespace}/services/{service}") or {}
    ports = mappings_at(found, "spec", "ports")
    wanted = next((p for p in ports if port in (p.get("port"), p.get("name")) or str(port) == text_at(p, "port")), None)
    if wanted is None:
        known = ", ".join(f"{text_at(p, 'port')} {text_at(p, 'name')}".rstrip() for p in ports) or "none"
        raise OperationError(f"Service {namespace}/{service} has no port {port}; it has {known}")
    slices = api.list(
        f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
        label_selector=f"kubernetes.io/service-name={service}",
    )
    waiting, name = 0, text_at(wanted, "name")
    for each in slices:
        number = next((number_at(p, "port") for p in mappings_at(each, "ports") if text_at(p, "name") == name), 0)
        for endpoint in mappings_at(each, "endpoints"):
            target = mapping_at(endpoint, "targetRef")
            if target.get("kind") != "Pod" or not number:
                continue
            if mapping_at(endpoint, "conditions").get("ready", True):
                return text_at(target, "name"), number
            waiting += 1
    what = f"none of its {waiting} pods is ready" if waiting else "no pod is behind it"
    raise OperationError(f"Service {namespace}/{service}: {what}")


# --------------------------------------------------------------------------- a port of this machine


class LocalForward:
    """A port on this machine's loopback address; each connection to it becomes a stream to a pod behind a Service.

    The pod is looked up for each connection, so that a restart of it is not the end.
    """

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        service: str,
        port: int | str,
        *,
        local_port: int = 0,
        on_problem: Callable[[str], None] = lambda _message: None,
    ) -> None:
        """Listens at once. ``local_port`` 0 takes a free one.

        Raises:
            OperationError: the local port is taken.
        """
        self._api, self._namespace, self._service, self._port = api, namespace, service, port
        self._on_problem = on_problem
        self._tunnels: set[Tunnel] = set()
        self._lock = threading.Lock()
        self._closing = False
        try:
            self._listener = socket.create_server(("127.0.0.1", local_port))
        except OSError as error:
            raise OperationError(
                f"port {local_port} of this machine cannot be had: {error.strerror}", hint="name another with --port"
            ) from None
        self.address: tuple[str, int] = self._listener.getsockname()
        self._thread = threading.Thread(target=self._accept, name=f"port-forward {service}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End every connection and stop listening."""
        with self._lock:
            self._closing = True
            tunnels = list(self._tunnels)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for tunnel in tunnels:
            tunnel.close()
        self._thread.join(2.0)

    def __enter__(self) -> LocalForward:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), name="port-forward", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                pod, number = pod_behind(self._api, self._namespace, self._service, self._port)
                tunnel = open_tunnel(self._api, self._namespace, pod, number)
            except (OperationError, ApiError) as error:
                self._on_problem(error.message)
                return
            except Exception as error:
                self._on_problem(f"{type(error).__name__}: {error}")
                return
            with self._lock:
                if self._closing:
                    tunnel.close()
                    return
                self._tunnels.add(tunnel)
            try:
                _join(client, tunnel.socket)
            finally:
                said = tunnel.error
                tunnel.close()
                with self._lock:
                    self._tunnels.discard(tunnel)
                if said and not self._closing:
                    self._on_problem(said)


def _join(one: socket.socket, other: socket.socket) -> None:
    """Copy both ways until the pod's side ends, or until both writers have."""
    upward = threading.Thread(target=_copy, args=(one, other), name="port-forward", daemon=True)
    upward.start()
    _copy(other, one)
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    upward.join(2.0)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK_BYTES):
            target.sendall(data)
