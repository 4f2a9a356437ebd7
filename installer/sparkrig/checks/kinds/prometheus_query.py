"""``prometheus-query``: an instant query of the Prometheus HTTP API returns samples, and all of them are good."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from sparkrig.checks.kinds.base import Context, Depth, Kind, NotYet, Wrong
from sparkrig.checks.kinds.exchange import Answer, Ask, find_target, port_of, send
from sparkrig.checks.kinds.matching import mismatch, shown
from sparkrig.models.json import JsonObject, mapping_at, mapping_or_none, mappings_at, number_at, text_at, texts_at

NAMING = ("job", "namespace", "service", "pod", "instance")
"""Labels by which a person finds a target."""


def ask(context: Context) -> str:
    """Each sample of ``query`` must meet ``each``; fewer than ``atLeast`` samples (default 1) is a failure."""
    parameters = context.parameters
    service = text_at(parameters, "service")
    target = find_target(context, service, port_of(parameters))
    path = f"{text_at(parameters, 'prefix').rstrip('/')}/api/v1/query"
    body = urlencode({"query": parameters["query"]}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = send(context, target, Ask(path, "POST", service, headers, body, mapping_or_none(parameters, "tls")))
    samples = _samples(answer)
    least = number_at(parameters, "atLeast", default=1)
    if len(samples) < least:
        raise NotYet(f"{len(samples)} samples for {shown(parameters['query'])}, expected {least} or more")
    bad = [f"{_name(s)}: {why}" for s in samples if (why := _wrong(s, mapping_at(parameters, "each")))]
    if bad:
        more = f"; and {len(bad) - 4} more" if len(bad) > 4 else ""
        raise NotYet(f"{len(bad)} of {len(samples)} samples are wrong: {'; '.join(bad[:4])}{more}")
    return f"{len(samples)} samples of {shown(parameters['query'])} are good"


def _samples(answer: Answer) -> Sequence[JsonObject]:
    said = mapping_at(answer.json())
    if said.get("status") != "success":
        text = f"the query failed (status {answer.status}): {shown(said.get('error') or answer.text)}"
        raise Wrong(text) if said.get("errorType") == "bad_data" else NotYet(text)
    data = mapping_at(said, "data")
    if data.get("resultType") == "scalar":
        return [{"metric": {}, "value": data["result"]}]
    if data.get("resultType") != "vector":
        raise Wrong(f"the query gives a {data.get('resultType')}, expected samples at one moment")
    return mappings_at(data, "result")


def _wrong(sample: JsonObject, test: JsonObject) -> str | None:
    number = float(texts_at(sample, "value")[1])
    wanted = {**test, **({"equals": float(text_at(test, "equals"))} if "equals" in test else {})}
    return mismatch({"value": number}, {"path": "value", **wanted})


def _name(sample: JsonObject) -> str:
    labels = mapping_at(sample, "metric")
    return " ".join(str(labels[name]) for name in NAMING if name in labels) or "a sample without labels"


KIND = Kind(ask, Depth.NORMAL)
