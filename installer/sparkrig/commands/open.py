"""Where a component can be opened: through an Ingress, a load balancer, a node's port, or a port-forward."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparkrig.catalog.references import Scope, Unknown
from sparkrig.commands.session import Session
from sparkrig.errors import NotFound, OperationError, Refused
from sparkrig.kube.client import KubeApi
from sparkrig.kube.ingresses import routes, wanted_host
from sparkrig.models.json import mappings_at, name_of, text_map_at
from sparkrig.models.objects import ObjectRef
from sparkrig.models.release import ReleaseState
from sparkrig.readiness.fields import value_at

PORTS = {"http": 80, "https": 443}
LOCAL = ".localhost"
"""Browsers take every such name for this machine, whatever an Ingress in a cluster says."""


@dataclass(frozen=True, slots=True)
class Forward:
    """A Service that is only reached by a port-forward."""

    namespace: str
    service: str
    port: int
    scheme: str
    path: str

    def url(self, address: tuple[str, int]) -> str:
        """The URL on this machine, once ``address`` listens."""
        return f"{self.scheme}://{address[0]}:{address[1]}{self.path}"


@dataclass(frozen=True, slots=True)
class Way:
    """How to open a component: a URL, or a port-forward that gives one."""

    how: str
    """``Ingress``, ``LoadBalancer``, ``NodePort`` or ``port-forward``."""
    url: str | None = None
    note: str = ""
    """What must hold for the URL to work."""
    forward: Forward | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """A first user's name and password. Shown on request only; never logged."""

    username: str
    password: str


def find_way(session: Session, stack: str, component: str, *, forward_only: bool = False) -> Way:
    """How to reach a deployed component; an address from outside before a port-forward.

    Raises:
        NotFound: it is not deployed, or has nothing to open.
        Refused: only a port-forward would reach it, and simulated pods serve nothing.
    """
    state, entry = _deployed(session, stack, component)
    api = session.api
    service = _service(api, state, entry, stack)
    if not forward_only:
        way = _by_ingress(session, stack, state, entry) or (_by_service(api, service, entry) if service else None)
        if way is not None:
            return way
    if service is None:
        raise NotFound(f"{component} has no Service and no Ingress that could be opened")
    if session.facts.simulated:
        raise Refused(
            f"{component} would be reached by a port-forward, and a simulated pod serves nothing",
            hint=f"{_no_address(api, state, entry)}; or use a cluster with real pods",
        )
    metadata = service["metadata"]
    port = _port(service, entry)
    forward = Forward(metadata["namespace"], metadata["name"], int(port["port"]), _scheme(entry, port), _path(entry))
    return Way("port-forward", forward=forward)


def _no_address(api: KubeApi, state: ReleaseState, entry: Mapping[str, Any]) -> str:
    """What keeps it from having an address by an Ingress: that none is asked for, made, there, or served."""
    made = _of_kind(state, "networking.k8s.io", "Ingress")
    host, path = wanted_host(state.values, entry), str(entry.get("host") or "")
    if made and not list(_ingresses(api, state)):
        return f"its {made[0]} is missing: sparkrig up --repair brings it back"
    if made:
        return f"its {made[0]} has no address from outside: see that an ingress controller serves it"
    if not host:
        wanted = f" ({path}, which global.domain fills in)" if path else ""
        return f"give it an address by an Ingress{wanted}"
    switch = f"{path.rpartition('.')[0]}.enabled" if "." in path else ""
    if switch and value_at(state.values, switch) is not True:
        return f"{path} is {host} and its release has no Ingress: components.{state.component}.values.{switch}: true"
    return f"{path} is {host} and its release has no Ingress: see which value of its chart makes one"


def read_login(session: Session, stack: str, component: str) -> Login:
    """The first user's name and password, from the Secret that ``component.yaml`` names.

    Raises:
        NotFound: it names none, or the Secret is not there.
    """
    state, entry = _deployed(session, stack, component)
    place = entry.get("credentials")
    if place is None:
        raise NotFound(f"component.yaml of {component} names no Secret with credentials")
    name = _scope(state, stack).expand(place["secret"])
    found = session.api.get(f"/api/v1/namespaces/{state.namespace}/secrets/{name}", missing_ok=True)
    data = text_map_at(found, "data")
    if place["username"] not in data or place["password"] not in data:
        what = f"has no {place['username']} and {place['password']}" if found else "does not exist"
        raise NotFound(f"Secret {state.namespace}/{name} {what}")
    username, password = (base64.b64decode(data[place[key]]).decode() for key in ("username", "password"))
    return Login(username, password)


def _deployed(session: Session, stack: str, component: str) -> tuple[ReleaseState, Mapping[str, Any]]:
    last, _, _ = session.history(stack).newest()
    states = {state.component: state for state in (last.after if last else ())}
    if component not in states:
        known = ", ".join(states) or "nothing is"
        raise NotFound(f"{component} is not deployed in stack {stack}", hint=f"deployed: {known}")
    spec = session.catalog.components.get(component)
    return states[component], spec.urls[0] if spec and spec.urls else {}


def _scope(state: ReleaseState, stack: str) -> Scope:
    return Scope(state.component, state.release, state.namespace, stack, state.values)


# --------------------------------------------------------------------------- from outside


def _by_ingress(session: Session, stack: str, state: ReleaseState, entry: Mapping[str, Any]) -> Way | None:
    found = routes(_ingresses(session.api, state), wanted_host(state.values, entry))
    outside = [route for route in found if not f".{route.host}".endswith(LOCAL)]
    if not outside:
        return None
    route = outside[0]
    scheme = "https" if route.secure else "http"
    door = _controller_door(session, stack, PORTS[scheme]) or _status_door(route.ingress)
    if door is None:
        return None
    address, port = door
    shown = "" if port == PORTS[scheme] else f":{port}"
    return Way("Ingress", route.url(entry, shown), f"{route.host} must resolve to {address}")


def _ingresses(api: KubeApi, state: ReleaseState) -> Iterator[Mapping[str, Any]]:
    for ref in _of_kind(state, "networking.k8s.io", "Ingress"):
        found = api.get(api.path_of(ref), missing_ok=True)
        if found is not None:
            yield found


def _controller_door(session: Session, stack: str, port: int) -> tuple[str, int] | None:
    """Address and port at which the stack's ingress controller takes requests from outside."""
    last, _, _ = session.history(stack).newest()
    for state in last.after if last else ():
        spec = session.catalog.components.get(state.component)
        if spec is None or "ingress-class" not in spec.provides:
            continue
        for service in _services(session.api, state):
            if any(each.get("port") == port for each in service["spec"].get("ports") or ()):
                return _door(session.api, service, port)
    return None


def _status_door(ingress: Mapping[str, Any]) -> tuple[str, int] | None:
    address = _balancer_address(ingress)
    return (address, PORTS["https" if (ingress.get("spec") or {}).get("tls") else "http"]) if address else None


def _by_service(api: KubeApi, service: Mapping[str, Any], entry: Mapping[str, Any]) -> Way | None:
    port = _port(service, entry)
    door = _door(api, service, int(port["port"]))
    if door is None:
        return None
    scheme = _scheme(entry, port)
    shown = "" if door[1] == PORTS[scheme] else f":{door[1]}"
    kind = "LoadBalancer" if _balancer_address(service) else "NodePort"
    return Way(kind, f"{scheme}://{_bracketed(door[0])}{shown}{_path(entry)}")


def _door(api: KubeApi, service: Mapping[str, Any], port: int) -> tuple[str, int] | None:
    """Where a Service is reached from outside: its load balancer, or a node's port."""
    if address := _balancer_address(service):
        return address, port
    spec = service["spec"]
    number = next((p.get("nodePort") for p in spec.get("ports") or () if p.get("port") == port), None)
    if spec.get("type") not in ("NodePort", "LoadBalancer") or not number:
        return None
    address = _node_address(api)
    return (address, int(number)) if address else None


def _balancer_address(found: Mapping[str, Any]) -> str:
    published = ((found.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return next((str(each.get("hostname") or each.get("ip")) for each in published), "")


def _node_address(api: KubeApi) -> str:
    """Of a ready node; one that the world can reach before one that its network can."""
    for node in api.list("/api/v1/nodes"):
        status = node.get("status") or {}
        if not any(c.get("type") == "Ready" and c.get("status") == "True" for c in mappings_at(status, "conditions")):
            continue
        known = {each.get("type"): each.get("address") for each in mappings_at(status, "addresses")}
        if address := known.get("ExternalIP") or known.get("InternalIP"):
            return str(address)
    return ""


# --------------------------------------------------------------------------- which Service


def _service(api: KubeApi, state: ReleaseState, entry: Mapping[str, Any], stack: str) -> Mapping[str, Any] | None:
    """The Service that ``component.yaml`` names, else the only one that is no detail of the release."""
    if "service" in entry:
        try:
            name = _scope(state, stack).expand(entry["service"])
        except Unknown as error:
            raise OperationError(f"component.yaml of {state.component}: {error}") from error
        return api.get(f"/api/v1/namespaces/{state.namespace}/services/{name}", missing_ok=True)
    services = [each for each in _services(api, state) if each["spec"].get("clusterIP") != "None"]
    named = [each for each in services if name_of(each) == state.release]
    return next(iter(named or services), None) if named or len(services) == 1 else None


def _services(api: KubeApi, state: ReleaseState) -> Iterator[Mapping[str, Any]]:
    for ref in _of_kind(state, "", "Service"):
        found = api.get(api.path_of(ref), missing_ok=True)
        if found is not None:
            yield found


def _of_kind(state: ReleaseState, group: str, kind: str) -> Sequence[ObjectRef]:
    return [ref for ref in state.inventory if (ref.group, ref.kind) == (group, kind)]


def _port(service: Mapping[str, Any], entry: Mapping[str, Any]) -> Mapping[str, Any]:
    ports: Sequence[Mapping[str, Any]] = service["spec"].get("ports") or ()
    wanted = entry.get("port")
    for port in ports:
        if wanted is None or wanted in (port.get("port"), port.get("name")):
            return port
    name = name_of(service)
    raise OperationError(f"Service {name} has no port {wanted}" if ports else f"Service {name} has no ports")


def _scheme(entry: Mapping[str, Any], port: Mapping[str, Any]) -> str:
    if port.get("port") == PORTS["https"] or str(port.get("name", "")).startswith("https"):
        return "https"
    return "http" if "service" in entry else str(entry.get("scheme", "http"))


def _path(entry: Mapping[str, Any]) -> str:
    return str(entry.get("path", "/"))


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
