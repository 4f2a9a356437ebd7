"""TLS, credentials and connection pools to one API server.

All of it is done here with urllib3, whatever kind of user and whether or not there is a proxy: one set of TLS flags,
and no import of the kubernetes library, which costs a quarter of a second and reads exec plugins differently in each
of its versions. Only the token of an ``auth-provider`` comes from the library; see api.py.
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
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

from sparkrig.defaults import API_CONNECTIONS
from sparkrig.errors import OperationError
from sparkrig.kube.auth_exec import ExecPlugin
from sparkrig.kube.kubeconfig import Credentials
from sparkrig.kube.proxy import ProxyChoice, proxy_for
from sparkrig.models.json import JsonObject, mapping_at, text_at, text_or_none

if TYPE_CHECKING:
    import urllib3

WATCH_CONNECTIONS = 64
"""Watches hold their connection for minutes, so they have a pool of their own; one for each watched resource."""
TOKEN_FILE_AGE_S = 60.0
"""A token file is read again after this time; projected tokens are renewed long before they end."""


class TokenSource(Protocol):
    """Where the Authorization header comes from. Thread-safe."""

    def authorization(self) -> str | None:
        """The header as of now; may read a file or run a program."""

    def renew(self, refused: str | None) -> bool:
        """Look for other credentials after the API server refused this header (401); True when there are some."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An API server and the way in. Holds credentials: never log or print."""

    server: str
    context: str
    pool: urllib3.PoolManager = field(repr=False)
    watch_pool: urllib3.PoolManager = field(repr=False)
    tokens: TokenSource = field(repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    proxy: ProxyChoice | None = None

    def authorization(self) -> str | None:
        """The Authorization header as of now; see ``TokenSource``."""
        return self.tokens.authorization()


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


def endpoint_of(credentials: Credentials, tokens: TokenSource | None = None) -> Endpoint:
    """Make the pools for a context. ``tokens`` is where an ``auth-provider`` has its token from.

    Raises:
        OperationError: a certificate or key cannot be read.
        Refused: the kubeconfig's credential plugin is one that Helm could not use.
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
    proxy = proxy_for(credentials.server, text_or_none(credentials.cluster, "proxy-url"), os.environ)
    pool, watch_pool = (_pool(proxy, maxsize, arguments) for maxsize in (API_CONNECTIONS, WATCH_CONNECTIONS))

    def on_certificate(certificate: str, key: str) -> None:
        _load_client_certificate(
            context, {"client-certificate-data": _encoded(certificate), "client-key-data": _encoded(key)}
        )
        for each in (pool, watch_pool):  # open connections were made with the certificate before
            each.clear()

    return Endpoint(
        credentials.server,
        credentials.context,
        pool,
        watch_pool,
        tokens or _token_source(credentials, on_certificate),
        tuple(credentials.impersonation()),
        proxy,
    )


def _pool(proxy: ProxyChoice | None, maxsize: int, arguments: Mapping[str, Any]) -> urllib3.PoolManager:
    import urllib3

    if proxy is None:
        return urllib3.PoolManager(1, maxsize=maxsize, **arguments)
    parts = urlsplit(proxy.url)
    if parts.scheme.startswith("socks"):
        try:
            from urllib3.contrib.socks import SOCKSProxyManager
        except ImportError:
            raise OperationError(
                f"the proxy {proxy.shown} ({proxy.source}) speaks SOCKS, which needs the Python package PySocks",
                hint="pip install pysocks, into the environment that sparkrig is installed in",
            ) from None
        # Go's socks5 lets the proxy look names up, as this one does.
        address = proxy.url.replace("socks5://", "socks5h://", 1)
        return SOCKSProxyManager(address, num_pools=1, maxsize=maxsize, **arguments)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise OperationError(
            f"the proxy {proxy.shown} ({proxy.source}) is not a URL of kind http, https or socks5",
            hint="write it as http://HOST:PORT",
        )
    headers = {}
    if parts.username is not None:
        headers = urllib3.make_headers(proxy_basic_auth=f"{unquote(parts.username)}:{unquote(parts.password or '')}")
    return urllib3.ProxyManager(proxy.url, num_pools=1, maxsize=maxsize, proxy_headers=headers, **arguments)


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
        file = text_or_none(cluster, "certificate-authority")
        data = _decoded(text_or_none(cluster, "certificate-authority-data"))
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


def _load_client_certificate(context: ssl.SSLContext, user: JsonObject) -> None:
    certificate, key = text_at(user, "client-certificate-data"), text_at(user, "client-key-data")
    certificate_file, key_file = text_at(user, "client-certificate"), text_at(user, "client-key")
    if not (certificate or certificate_file):
        return
    with tempfile.TemporaryDirectory(prefix="sparkrig-") as folder:  # mode 0700, gone once OpenSSL has read it
        if certificate:
            certificate_file = _write_private(Path(folder) / "crt", certificate)
        if key:
            key_file = _write_private(Path(folder) / "key", key)
        context.load_cert_chain(certificate_file, key_file or None, password="")


def _write_private(path: Path, encoded: str) -> str:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64decode(encoded))
    return str(path)


def _decoded(encoded: str | None) -> str | None:
    return base64.b64decode(encoded).decode("ascii") if encoded else None


def _encoded(pem: str) -> str:
    return base64.b64encode(pem.encode("ascii")).decode("ascii")


def _token_source(credentials: Credentials, on_certificate: Callable[[str, str], None]) -> TokenSource:
    """What a user's entry asks for; of several a token goes first, then the plugin, as in client-go."""
    user = credentials.user
    if file := text_at(user, "tokenFile"):
        return _TokenFile(Path(file))
    if user.get("token"):
        return _Fixed(f"Bearer {user['token']}")
    if settings := mapping_at(user, "exec"):
        return ExecPlugin(credentials.context, settings, credentials.server, credentials.cluster, on_certificate)
    if user.get("username"):
        pair = f"{user['username']}:{user.get('password') or ''}"
        return _Fixed("Basic " + base64.b64encode(pair.encode()).decode("ascii"))
    return _Fixed(None)


@dataclass(frozen=True, slots=True)
class _Fixed:
    header: str | None = field(repr=False)

    def authorization(self) -> str | None:
        return self.header

    def renew(self, _refused: str | None) -> bool:
        return False


class _TokenFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._header = ""
        self._read_at = float("-inf")

    def authorization(self) -> str:
        with self._lock:
            return self._current()

    def renew(self, refused: str | None) -> bool:
        """Reads the file again: whoever renews tokens may have done so before the old one was looked for again."""
        with self._lock:
            if self._header == refused:
                self._read_at = float("-inf")
            return self._current() != refused

    def _current(self) -> str:
        if time.monotonic() - self._read_at > TOKEN_FILE_AGE_S:
            try:
                self._header = f"Bearer {self._path.read_text(encoding='ascii').strip()}"
            except (OSError, ValueError) as error:
                raise OperationError(f"the token file {self._path} cannot be read: {type(error).__name__}") from None
            self._read_at = time.monotonic()
        return self._header
