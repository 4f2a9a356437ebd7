"""Which addresses Ingresses publish, and which one a component's values ask for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sparkrig.models.json import JsonObject, mappings_at, sequence_at, text_at
from sparkrig.readiness.fields import value_at


@dataclass(frozen=True, slots=True)
class Route:
    """One host of an Ingress."""

    host: str
    path: str
    secure: bool
    """Whether the Ingress has TLS for it."""
    ingress: JsonObject

    def url(self, entry: JsonObject, port: str = "") -> str:
        """The address, with the path that ``component.yaml`` gives; ``port`` is ``:8443`` or empty."""
        return f"{'https' if self.secure else 'http'}://{self.host}{port}{entry.get('path') or self.path}"


def wanted_host(values: JsonObject, entry: JsonObject) -> str:
    """The host that a release's values ask for at the path that an entry of ``urls`` names; empty where none does."""
    found = value_at(values, text_at(entry, "host")) if "host" in entry else None
    found = found[0] if isinstance(found, list) and found else found
    return found if isinstance(found, str) else ""


def routes(ingresses: Iterable[JsonObject], wanted: str = "") -> list[Route]:
    """Everything that the Ingresses publish under a whole name, the wanted host first."""
    return sorted((route for found in ingresses for route in _routes(found)), key=lambda route: route.host != wanted)


def _routes(ingress: JsonObject) -> Iterator[Route]:
    secured = {host for each in mappings_at(ingress, "spec", "tls") for host in sequence_at(each, "hosts")}
    for rule in mappings_at(ingress, "spec", "rules"):
        host = text_at(rule, "host")
        paths = mappings_at(rule, "http", "paths") or [{}]
        if host and "*" not in host:
            yield Route(host, str(paths[0].get("path") or "/"), host in secured, ingress)
