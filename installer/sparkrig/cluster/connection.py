"""TLS, credentials and connection pools to one API server.

Contexts with certificates or tokens are served from here with urllib3 alone: importing the kubernetes library
costs a quarter of a second, which a ``status`` of half a second cannot spare. api.py takes the library for the rest.
"""

from __future__ import annotations

import base64
import os
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkrig.cluster.kubeconfig import Credentials
from sparkrig.defaults import API_CONNECTIONS
from sparkrig.errors import OperationError

if TYPE_CHECKING:
    import urllib3

WATCH_CONNECTIONS = 64
"""Watches hold their connection for minutes, so they have a pool of their own; one for each watched resource."""
TOKEN_FILE_AGE_S = 60.0
"""A token file is read again after this time; projected tokens are renewed long before they end."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An API server and the way in. Holds credentials: never log or print."""

    server: str
    context: str
    pool: urllib3.PoolManager = field(repr=False)
    watch_pool: urllib3.PoolManager = field(repr=False)
    authorization: Callable[[], str | None] = field(repr=False)
    """The Authorization header as of now; may read a file or run a plugin. Thread-safe."""
    headers: tuple[tuple[str, str], ...] = ()


class SharedContext(ssl.SSLContext):
    """A TLS context that many threads make connections with at once: its protocols are set before it is shared.

    urllib3 sets them again for each connection, while OpenSSL copies them for another one without Python's lock: a use
    after free (https://github.com/python/cpython/issues/141012). Seen here as a server's "decode error".
    """

    PROTOCOLS = ("http/1.1",)

    def __init__(self, _protocol: int | None = None) -> None:
        super().set_alpn_protocols(self.PROTOCOLS)

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Nothing, where they are the ones that are set.

        Raises:
            ValueError: they are others.
        """
        if tuple(alpn_protocols) != self.PROTOCOLS:
            raise ValueError(f"a shared TLS context speaks {', '.join(self.PROTOCOLS)} only")


def plain_endpoint(credentials: Credentials) -> Endpoint:
    """Make the pools for certificates and tokens.

    Raises:
        OperationError: a certificate or key cannot be read.
    """
    import urllib3

    context = _tls(credentials)
    if context.verify_mode == ssl.CERT_NONE:
        # The kubeconfig asks for it; urllib3 would say so again at each request.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    arguments: dict[str, Any] = {"ssl_context": context, "retries": False, "socket_options": keepalive_options()}
    if name := credentials.cluster.get("tls-server-name"):
        arguments["server_hostname"] = str(name)
        arguments["assert_hostname"] = False if context.verify_mode == ssl.CERT_NONE else str(name)
    return Endpoint(
        credentials.server,
        credentials.context,
        urllib3.PoolManager(1, maxsize=API_CONNECTIONS, **arguments),
        urllib3.PoolManager(1, maxsize=WATCH_CONNECTIONS, **arguments),
        _token_source(credentials.user),
        tuple(credentials.impersonation()),
    )


def keepalive_options() -> list[tuple[int, int, int]]:
    """Return socket options that notice a dead peer within a minute, so that a watch does not wait for ever."""
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options


def _tls(credentials: Credentials) -> ssl.SSLContext:
    cluster, user = credentials.cluster, credentials.user
    try:
        context = SharedContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificate and host name
        file, data = cluster.get("certificate-authority"), _decoded(cluster.get("certificate-authority-data"))
        if file or data:
            context.load_verify_locations(cafile=None if data else file, cadata=data)
        else:
            context.load_default_certs()
        # As for kubectl, an intermediate authority in the kubeconfig is enough. Not VERIFY_X509_STRICT, which Python
        # has by default since 3.13: CAs made by kubeadm, k3s and kwok lack the extensions it asks for.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if cluster.get("insecure-skip-tls-verify"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        _load_client_certificate(context, user)
    except (OSError, ValueError) as error:
        raise OperationError(
            f"the certificates of context {credentials.context!r} cannot be used: {error}",
            hint="the kubeconfig names files that are gone or not certificates; write it anew",
        ) from None
    return context


def _load_client_certificate(context: ssl.SSLContext, user: Mapping[str, Any]) -> None:
    certificate, key = user.get("client-certificate-data"), user.get("client-key-data")
    certificate_file, key_file = user.get("client-certificate"), user.get("client-key")
    if not (certificate or certificate_file):
        return
    with tempfile.TemporaryDirectory(prefix="sparkrig-") as folder:  # mode 0700, gone once OpenSSL has read it
        if certificate:
            certificate_file = _write_private(Path(folder) / "crt", certificate)
        if key:
            key_file = _write_private(Path(folder) / "key", key)
        context.load_cert_chain(str(certificate_file), str(key_file) if key_file else None, password="")


def _write_private(path: Path, encoded: str) -> str:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64decode(encoded))
    return str(path)


def _decoded(encoded: str | None) -> str | None:
    return base64.b64decode(encoded).decode("ascii") if encoded else None


def _token_source(user: Mapping[str, Any]) -> Callable[[], str | None]:
    if file := user.get("tokenFile"):
        return _TokenFile(Path(file))
    header = f"Bearer {user['token']}" if user.get("token") else None
    return lambda: header


class _TokenFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._header = ""
        self._read_at = float("-inf")

    def __call__(self) -> str:
        with self._lock:
            if time.monotonic() - self._read_at > TOKEN_FILE_AGE_S:
                try:
                    self._header = f"Bearer {self._path.read_text(encoding='ascii').strip()}"
                except (OSError, ValueError) as error:
                    raise OperationError(
                        f"the token file {self._path} cannot be read: {type(error).__name__}"
                    ) from None
                self._read_at = time.monotonic()
            return self._header
