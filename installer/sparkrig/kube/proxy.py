"""Which HTTP proxy stands before an API server: the rules of Go's clients, so that Helm goes the same way. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit


@dataclass(frozen=True, slots=True)
class ProxyChoice:
    """A proxy, and who asked for it."""

    url: str = field(repr=False)
    """May hold a password: show ``shown``."""
    source: str
    """``proxy-url of the kubeconfig``, or the environment variable's name."""

    @property
    def shown(self) -> str:
        """The address without user and password."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))


def proxy_for(server: str, proxy_url: str | None, environment: Mapping[str, str]) -> ProxyChoice | None:
    """Return the proxy for a server's URL; the kubeconfig's own goes before the environment's."""
    if proxy_url:
        return ProxyChoice(_with_scheme(proxy_url), "proxy-url of the kubeconfig")
    parts = urlsplit(server)
    name = "https_proxy" if parts.scheme == "https" else "http_proxy"
    # As in Go: the spelling in capitals first.
    for variable in (name.upper(), name):
        if value := environment.get(variable):
            excepted = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
            if bypassed(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80), excepted):
                return None
            return ProxyChoice(_with_scheme(value), variable)
    return None


def bypassed(host: str, port: int, no_proxy: str) -> bool:
    """Whether a host is reached without the environment's proxy, by Go's reading of ``NO_PROXY``.

    Names match themselves and what is below them (``.name`` only what is below); addresses and CIDR ranges match
    addresses; ``*`` matches everything; ``:port`` limits an entry to that port. This machine never has a proxy.
    """
    host = host.lower().rstrip(".")
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    for entry in (part.strip().lower() for part in no_proxy.split(",")):
        if entry == "*":
            return True
        if entry and _matches(host, address, port, entry):
            return True
    return False


def _matches(host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, port: int, entry: str) -> bool:
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name, wanted = _split_port(entry)
    if wanted and wanted != str(port):
        return False
    if (own := _address(name)) is not None:
        return own == address
    name = name.removeprefix("*")
    if name.startswith("."):
        return host.endswith(name)
    return host == name or host.endswith(f".{name}")


def _split_port(entry: str) -> tuple[str, str]:
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    name, colon, port = entry.rpartition(":")
    return (name, port) if colon and port.isdigit() and ":" not in name else (entry, "")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _with_scheme(url: str) -> str:
    return url if "://" in url else f"http://{url}"
