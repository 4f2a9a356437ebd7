"""How a private chart source is entered: credentials, certificates, and how helm gets to see them.

Knows no file of the user's: what is here was resolved by the caller, for the moment of one download.
A password is in no argument list, no log and no file: helm reads it from an anonymous file in
memory where the kernel has those, else from a private one that is gone when helm ends.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from sparkrig.helm.errors import ChartError

_DEFAULT_PORTS = {"http": 80, "https": 443, "oci": 443}


@dataclass(frozen=True, slots=True)
class Access:
    """What one source wants of whoever fetches from it."""

    username: str = ""
    password: str = field(default="", repr=False)
    certificate: Path | None = None
    """Client certificate, PEM; with ``key``."""
    key: Path | None = None
    ca_file: Path | None = None
    """Trusted beside the system's certificates."""
    plain_http: bool = False
    """Registries only: no TLS."""

    @property
    def basic(self) -> tuple[str, str] | None:
        """User name and password, where there are any."""
        return (self.username, self.password) if self.username or self.password else None


AccessFor = Callable[[str], Access | None]
"""Address -> how to enter it. Called only when something is fetched; may raise SparkrigError."""


def open_to_all(_url: str) -> Access | None:
    """The ``AccessFor`` of somebody who has no credentials."""
    return None


def below(url: str, prefix: str) -> bool:
    """True when ``url`` is ``prefix`` or lies below it: same scheme, host and port, whole path segments."""
    one, other = urlsplit(url), urlsplit(prefix)
    if origin(url) != origin(prefix):
        return False
    path = other.path.rstrip("/")
    return one.path.rstrip("/") == path or one.path.startswith(f"{path}/")


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), _port(parts)


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:  # not a number: whoever fetches from it says so
        return None


def split_userinfo(url: str) -> tuple[str, Access | None]:
    """An address without the user name and password in it, and those."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    name, _, password = user.partition(":")
    return parts._replace(netloc=host).geturl(), Access(unquote(name), unquote(password))


def tls_context(access: Access, where: str) -> ssl.SSLContext:
    """The TLS settings of a source.

    Raises:
        ChartError: a certificate or key cannot be read, or they do not belong together.
    """
    import httpx

    context = httpx.create_ssl_context()
    try:
        if access.ca_file is not None:
            context.load_verify_locations(access.ca_file)
        if access.certificate is not None:
            # An empty password keeps OpenSSL from asking for one on the terminal.
            context.load_cert_chain(access.certificate, access.key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        files = ", ".join(str(path) for path in (access.ca_file, access.certificate, access.key) if path)
        raise ChartError(
            f"{where}: certificates cannot be used ({getattr(error, 'reason', None) or error})",
            hint=f"expected PEM files that belong together, the key without a passphrase: {files}",
        ) from error
    return context


def helm_flags(access: Access | None) -> list[str]:
    """Flags of ``helm pull`` that hold no secret."""
    if access is None:
        return []
    flags = ["--plain-http"] if access.plain_http else []
    pairs = (("--ca-file", access.ca_file), ("--cert-file", access.certificate), ("--key-file", access.key))
    for flag, path in pairs:
        flags += [flag, str(path)] if path is not None else []
    return flags


@contextlib.contextmanager
def registry_config(access: Access | None, reference: str) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """Gives helm the credentials of a registry: (flags, file descriptors that the child inherits).

    Without credentials helm looks where Docker keeps them, by its own rules.
    """
    if access is None or access.basic is None:
        yield [], ()
        return
    token = base64.b64encode(":".join(access.basic).encode()).decode()
    text = json.dumps({"auths": {urlsplit(reference).netloc: {"auth": token}}}).encode()
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("registry")
        try:
            os.write(descriptor, text)
            yield ["--registry-config", f"/proc/self/fd/{descriptor}"], (descriptor,)
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as file:  # readable by its owner only
        file.write(text)
        file.flush()
        yield ["--registry-config", file.name], ()
