"""``ingress``: what the release publishes under a host name is reached through the ingress controller."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sparkrig.checks.kinds.base import Context, Depth, Kind, NotApplicable, NotYet, Subject, Wrong
from sparkrig.checks.kinds.exchange import Answer, Ask, Target, find_target, port_of, send
from sparkrig.checks.kinds.http import judge
from sparkrig.checks.kinds.ingress_class import unserved
from sparkrig.checks.kinds.matching import shown
from sparkrig.models.json import JsonObject, mapping_at, mapping_or_none, mappings_at, sequence_at, text_at

PROVIDES = "ingress-class"
PORTS = {"http": 80, "https": 443}
NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class _Route:
    """One host and path of one Ingress."""

    ingress: str
    host: str
    path: str
    tls: bool
    object: JsonObject
    """The Ingress."""


def ask(context: Context) -> str:
    """One request for each host and path of the release's Ingress objects, with that Host header, and SNI where TLS is.

    Without ``expect`` any answer counts that is neither 404 (no such route) nor 5xx (nothing behind it).
    """
    routes = list(_routes(context))
    if not routes:
        raise NotApplicable("the release has no Ingress")
    for route in routes:
        answer = _through(context, route)
        where = f"{'https' if route.tls else 'http'}://{route.host}{route.path}"
        try:
            _judge(context, answer)
        except NotYet as error:
            why = unserved(context, route.object, _provider(context)) if answer.status == NOT_FOUND else ""
            raise NotYet(f"Ingress {route.ingress}, {where}: {error}{why}") from error
    hosts = list(dict.fromkeys(route.host for route in routes))
    return f"{', '.join(hosts[:3])}{' …' if len(hosts) > 3 else ''} through the controller"


def _judge(context: Context, answer: Answer) -> None:
    expect = mapping_or_none(context.parameters, "expect")
    if expect is not None:
        judge(answer, expect)
    elif answer.status == NOT_FOUND or answer.status >= 500:
        raise NotYet(f"status {answer.status}: {shown(answer.text) or 'no body'}")


def _routes(context: Context) -> Iterator[_Route]:
    refs = [ref for ref in context.subject.state.inventory if ref.kind == "Ingress"]
    for ref in refs:
        found = context.api.get(context.api.path_of(ref), missing_ok=True)
        if found is None:
            raise NotYet(f"{ref} does not exist")
        secured = {host for each in mappings_at(found, "spec", "tls") for host in sequence_at(each, "hosts")}
        for rule in mappings_at(found, "spec", "rules"):
            host = text_at(rule, "host")
            for path in mappings_at(rule, "http", "paths"):
                where = text_at(context.parameters, "path") or text_at(path, "path") or "/"
                yield _Route(ref.name, host.replace("*", "check") or "localhost", where, host in secured, found)


def _through(context: Context, route: _Route) -> Answer:
    target = _controller(context, "https" if route.tls else "http")
    # The certificate is the default one of the controller unless somebody brought his own: not ours to judge.
    tls = {"serverName": route.host, "verify": False, **mapping_at(context.parameters, "tls")} if route.tls else None
    return send(context, target, Ask(route.path, host=route.host, tls=tls))


def _controller(context: Context, scheme: str) -> Target:
    """The pod of the ingress controller that takes requests of this scheme."""
    given = mapping_or_none(context.parameters, "controller")
    if given is not None:
        port = port_of(given, f"{scheme}Port") if f"{scheme}Port" in given else PORTS[scheme]
        return find_target(context, text_at(given, "service"), port, text_at(given, "namespace"))
    provider = _provider(context)
    if provider is None:
        raise NotApplicable("the stack brings no ingress controller, and the check names none (controller)")
    service = _public_service(context, provider, PORTS[scheme])
    return find_target(context, service, PORTS[scheme], provider.state.namespace)


def _provider(context: Context) -> Subject | None:
    return next((each for each in context.cluster.subjects if PROVIDES in each.provides), None)


def _public_service(context: Context, provider: Subject, port: int) -> str:
    for ref in provider.state.inventory:
        if (ref.group, ref.kind) == ("", "Service"):
            found = context.api.get(context.api.path_of(ref), missing_ok=True)
            if any(each.get("port") == port for each in mappings_at(found, "spec", "ports")):
                return ref.name
    raise Wrong(f"{provider.component}, which provides the ingress class, has no Service with port {port}")


KIND = Kind(ask, Depth.NORMAL)
