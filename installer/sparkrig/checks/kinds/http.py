"""``http``: a Service, or each that has certain labels, answers a request as it should."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from sparkrig.checks.kinds.base import Context, Depth, Kind, NotYet
from sparkrig.checks.kinds.exchange import Answer, Ask, basic_auth, find_target, send
from sparkrig.checks.kinds.matching import mismatch, shown
from sparkrig.checks.kinds.services import Asked, ask_each


def ask(context: Context) -> str:
    """Status (``expect.status``, default 200), then body, JSON and headers."""

    def one(service: Asked) -> str:
        target = find_target(context, service.name, context.parameters["port"])
        request = request_of(context, default_host=service.name)
        answer = send(context, target, request)
        judge(answer, context.parameters.get("expect", {}))
        return f"{request.method} {request.path}: {answer.status}"

    return ask_each(context, one)


def request_of(context: Context, *, default_host: str) -> Ask:
    """The request that the parameters describe."""
    parameters = context.parameters
    headers = dict(parameters.get("headers", {}))
    if "basicAuth" in parameters:
        headers["Authorization"] = basic_auth(context, parameters["basicAuth"])
    body = parameters.get("body")
    if body is not None and not isinstance(body, str):
        headers.setdefault("Content-Type", "application/json")
        body = json.dumps(body)
    return Ask(
        path=parameters.get("path", "/"),
        method=parameters.get("method", "GET" if body is None else "POST"),
        host=parameters.get("host", default_host),
        headers=headers,
        body=None if body is None else body.encode(),
        tls=parameters.get("tls"),
    )


def judge(answer: Answer, expect: Mapping[str, Any]) -> None:
    """Raises NotYet where the answer is not what is expected."""
    statuses = expect.get("status", [200])
    if answer.status not in statuses:
        wanted = " or ".join(map(str, statuses))
        raise NotYet(f"status {answer.status}, expected {wanted}: {shown(answer.text) or 'no body'}")
    if "body" in expect and not re.search(expect["body"], answer.text):
        raise NotYet(f"the body does not match {expect['body']}: {shown(answer.text) or 'empty'}")
    for test in expect.get("json", ()):
        if why := mismatch(answer.json(), test):
            raise NotYet(why)
    for name, pattern in expect.get("headers", {}).items():
        value = answer.headers.get(name.lower())
        if value is None or not re.search(pattern, value):
            raise NotYet(f"header {name} is {shown(value) if value else 'missing'}, expected a match of {pattern}")


KIND = Kind(ask, Depth.NORMAL)
