"""``prometheus-query``: an instant query of the Prometheus HTTP API returns samples, and all of them are good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from sparkrig.checks.kinds.base import Context, Depth, Kind, NotYet, Wrong
from sparkrig.checks.kinds.exchange import Answer, Ask, find_target, send
from sparkrig.checks.kinds.matching import mismatch, shown

NAMING = ("job", "namespace", "service", "pod", "instance")
"""Labels by which a person finds a target."""


def ask(context: Context) -> str:
    """Each sample of ``query`` must meet ``each``; fewer than ``atLeast`` samples (default 1) is a failure."""
    parameters = context.parameters
    target = find_target(context, parameters["service"], parameters["port"])
    path = f"{parameters.get('prefix', '').rstrip('/')}/api/v1/query"
    body = urlencode({"query": parameters["query"]}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = send(context, target, Ask(path, "POST", parameters["service"], headers, body, parameters.get("tls")))
    samples = _samples(answer)
    least = int(parameters.get("atLeast", 1))
    if len(samples) < least:
        raise NotYet(f"{len(samples)} samples for {shown(parameters['query'])}, expected {least} or more")
    bad = [f"{_name(s)}: {why}" for s in samples if (why := _wrong(s, parameters.get("each", {})))]
    if bad:
        more = f"; and {len(bad) - 4} more" if len(bad) > 4 else ""
        raise NotYet(f"{len(bad)} of {len(samples)} samples are wrong: {'; '.join(bad[:4])}{more}")
    return f"{len(samples)} samples of {shown(parameters['query'])} are good"


def _samples(answer: Answer) -> Sequence[Mapping[str, Any]]:
    document = answer.json()
    said = document if isinstance(document, Mapping) else {}
    if said.get("status") != "success":
        text = f"the query failed (status {answer.status}): {shown(said.get('error') or answer.text)}"
        raise Wrong(text) if said.get("errorType") == "bad_data" else NotYet(text)
    data = said.get("data") or {}
    if data.get("resultType") == "scalar":
        return [{"metric": {}, "value": data["result"]}]
    if data.get("resultType") != "vector":
        raise Wrong(f"the query gives a {data.get('resultType')}, expected samples at one moment")
    return list(data.get("result") or ())


def _wrong(sample: Mapping[str, Any], test: Mapping[str, Any]) -> str | None:
    number = float(sample["value"][1])
    wanted = {**test, **({"equals": float(test["equals"])} if "equals" in test else {})}
    return mismatch({"value": number}, {"path": "value", **wanted})


def _name(sample: Mapping[str, Any]) -> str:
    labels = sample.get("metric") or {}
    return " ".join(str(labels[name]) for name in NAMING if name in labels) or "a sample without labels"


KIND = Kind(ask, Depth.NORMAL)
