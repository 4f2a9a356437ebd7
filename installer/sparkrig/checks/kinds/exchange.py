"""One HTTP request to a pod, through a port-forward socket.

Not through the API server's proxy, which drops the Authorization header and gives no control of SNI.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from sparkrig.checks.kinds.base import Context, NotYet, Wrong
from sparkrig.checks.kinds.matching import shown
from sparkrig.defaults import CHECK_BODY_BYTES
from sparkrig.errors import AccessDenied, OperationError
from sparkrig.kube.errors import ConnectionLost
from sparkrig.kube.portforward import Tunnel, open_tunnel, pod_behind
from sparkrig.models.json import JsonObject, JsonValue, dig

T = TypeVar("T")
PREAMBLE = re.compile(r"^error forwarding port \d+ to pod \S+, uid \S*: *")
"""With which a kubelet begins what it says about a stream; we know it already."""


@dataclass(frozen=True, slots=True)
class Target:
    """A Service's port, and the pod behind it that answered the look-up."""

    name: str
    service: str
    namespace: str
    pod: str
    port: int


@dataclass(frozen=True, slots=True)
class Ask:
    """One request."""

    path: str = "/"
    method: str = "GET"
    host: str = "localhost"
    """The Host header."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    tls: JsonObject | None = None
    """``serverName`` (default: the host) is sent as SNI; ``verify`` false takes any certificate."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (lower-case names) and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    text: str

    def json(self) -> JsonValue:
        """The body as JSON.

        Raises:
            NotYet: it is none.
        """
        try:
            document: JsonValue = json.loads(self.body)
        except ValueError:
            raise NotYet(f"the answer is no JSON: {shown(self.text) or 'empty'}") from None
        return document


def find_target(context: Context, service: str, port: int | str, namespace: str = "") -> Target:
    """Return a ready pod behind a Service.

    Raises:
        NotYet: there is no such Service or port, or no pod of it is ready.
        Wrong: we may not look.
    """
    namespace = namespace or context.namespace
    try:
        pod, number = pod_behind(context.api, namespace, service, port)
    except AccessDenied as error:
        raise Wrong(error.message) from error
    except OperationError as error:
        raise NotYet(error.message) from error
    return Target(f"Service {namespace}/{service}:{port}", service, namespace, pod, number)


def send(context: Context, target: Target, ask: Ask) -> Answer:
    """Send one request to the pod and return its answer.

    Raises:
        NotYet: nothing listens, the connection breaks, or the certificate is not accepted.
        Wrong: we may not forward ports.
    """
    return through(context, target, lambda plain: exchange(plain, ask, context.request_s))


def through(context: Context, target: Target, talk: Callable[[socket.socket], T]) -> T:
    """What ``talk`` makes of a socket that is connected to the pod; the socket is closed behind it.

    Raises:
        NotYet: nothing listens, or ``talk`` raises OSError (ssl.SSLError among them) or HTTPException.
        Wrong: we may not forward ports.
    """
    try:
        tunnel = open_tunnel(context.api, target.namespace, target.pod, target.port, timeout_s=context.request_s)
    except AccessDenied as error:
        raise Wrong(error.message) from error
    except (OperationError, ConnectionLost) as error:
        raise NotYet(error.message) from error
    with context.closing(tunnel):
        try:
            return talk(tunnel.socket)
        except (OSError, http.client.HTTPException) as error:
            raise NotYet(f"{target.name} (pod {target.pod}) {_said(tunnel, error)}") from error


def exchange(plain: socket.socket, ask: Ask, timeout_s: float) -> Answer:
    """One request and its answer over a connected socket, which is used up.

    Raises:
        OSError, http.client.HTTPException: no answer, or none that is HTTP; ssl.SSLError among them.
    """
    plain.settimeout(timeout_s)
    connection = http.client.HTTPConnection(ask.host)
    connection.sock = _wrapped(plain, ask) if ask.tls is not None else plain
    try:
        headers = {"User-Agent": "sparkrig", "Accept": "*/*", **ask.headers, "Host": ask.host, "Connection": "close"}
        connection.request(ask.method, ask.path, body=ask.body, headers=headers)
        response = connection.getresponse()
        body = response.read(CHECK_BODY_BYTES)
        text = body.decode(response.headers.get_content_charset() or "utf-8", "replace")
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, body, text)
    except LookupError as error:
        raise http.client.HTTPException(f"an unknown character set: {error}") from error
    finally:
        connection.close()


def port_of(parameters: JsonObject, key: str = "port") -> int | str:
    """Return the port of a Service, a number or a name."""
    port = parameters[key]
    return port if isinstance(port, int) else str(port)


def basic_auth(context: Context, secret: Mapping[str, str]) -> str:
    """Return the Authorization header for a user and a password that lie in a Secret.

    Raises:
        NotYet: the Secret, or a key of it, is missing. Its values are in no message.
    """
    user, password = (read_secret(context, secret["secret"], secret[key]) for key in ("username", "password"))
    return "Basic " + base64.b64encode(user + b":" + password).decode("ascii")


def read_secret(context: Context, name: str, key: str) -> bytes:
    """Return one value of a Secret in the check's namespace."""
    found = context.api.get(f"/api/v1/namespaces/{context.namespace}/secrets/{name}", missing_ok=True)
    value = dig(found or {}, "data", key)
    if value is None:
        what = f"has no key {key}" if found else "does not exist"
        raise NotYet(f"Secret {context.namespace}/{name} {what}")
    return base64.b64decode(str(value))


def _wrapped(plain: socket.socket, ask: Ask) -> ssl.SSLSocket:
    assert ask.tls is not None  # noqa: S101 - asked by the caller
    secure = ssl.create_default_context()
    if not ask.tls.get("verify", True):
        secure.check_hostname = False
        secure.verify_mode = ssl.CERT_NONE
    return secure.wrap_socket(plain, server_hostname=str(ask.tls.get("serverName") or ask.host))


def _said(tunnel: Tunnel, error: Exception) -> str:
    tunnel.wait(0.5)  # the kubelet's word may come behind the end of the stream
    if tunnel.error:
        return f"does not answer: {shown(PREAMBLE.sub('', tunnel.error))}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"shows a certificate that is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"does not speak TLS: {shown(error.reason or error)}"
    if isinstance(error, TimeoutError):
        return "accepts the connection and does not answer"
    return f"does not answer as HTTP does: {shown(error) or type(error).__name__}"
