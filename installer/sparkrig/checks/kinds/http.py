"""``http``: a Service, or each that has certain labels, answers a request as it should."""

from __future__ import annotations

import json
import re

from sparkrig.checks.kinds.base import Context, Depth, Kind, NotYet
from sparkrig.checks.kinds.exchange import Answer, Ask, basic_auth, find_target, port_of, send
from sparkrig.checks.kinds.matching import mismatch, shown
from sparkrig.checks.kinds.services import Asked, ask_each
from sparkrig.models.json import JsonObject, mapping_at, mapping_or_none, mappings_at, sequence_at, text_at, text_map_at


def ask(context: Context) -> str:
    """Status (``expect.status``, default 200), then body, JSON and headers."""

    def one(service: Asked) -> str:
        target = find_target(context, service.name, port_of(context.parameters))
        request = request_of(context, default_host=service.name)
        answer = send(context, target, request)
        judge(answer, mapping_at(context.parameters, "expect"))
        return f"{request.method} {request.path}: {answer.status}"

    return ask_each(context, one)


def request_of(context: Context, *, default_host: str) -> Ask:
    """The request that the parameters describe."""
    parameters = context.parameters
    headers = dict(text_map_at(parameters, "headers"))
    if "basicAuth" in parameters:
        headers["Authorization"] = basic_auth(context, text_map_at(parameters, "basicAuth"))
    body = parameters.get("body")
    if body is not None and not isinstance(body, str):
        headers.setdefault("Content-Type", "application/json")
        body = json.dumps(body)
    return Ask(
        path=text_at(parameters, "path", default="/"),
        method=text_at(parameters, "method", default="GET" if body is None else "POST"),
        host=text_at(parameters, "host", default=default_host),
        headers=headers,
        body=None if body is None else body.encode(),
        tls=mapping_or_none(parameters, "tls"),
    )


def judge(answer: Answer, expect: JsonObject) -> None:
    """Raises NotYet where the answer is not what is expected."""
    statuses = sequence_at(expect, "status") or [200]
    if answer.status not in statuses:
        wanted = " or ".join(map(str, statuses))
        raise NotYet(f"status {answer.status}, expected {wanted}: {shown(answer.text) or 'no body'}")
    if "body" in expect and not re.search(text_at(expect, "body"), answer.text):
        raise NotYet(f"the body does not match {expect['body']}: {shown(answer.text) or 'empty'}")
    for test in mappings_at(expect, "json"):
        if why := mismatch(answer.json(), test):
            raise NotYet(why)
    for name, pattern in text_map_at(expect, "headers").items():
        value = answer.headers.get(name.lower())
        if value is None or not re.search(pattern, value):
            raise NotYet(f"header {name} is {shown(value) if value else 'missing'}, expected a match of {pattern}")


KIND = Kind(ask, Depth.NORMAL)
