"""``custom-resource-run``: make a custom resource, wait until its controller is done with it, read a result."""

from __future__ import annotations

import re
import time

from sparkrig.checks.kinds.base import Context, Depth, Kind, NotYet, Wrong
from sparkrig.checks.kinds.logs import explained, read_log
from sparkrig.checks.kinds.made import made
from sparkrig.checks.kinds.matching import error_text, mismatch, shown
from sparkrig.models.component import ReadinessRule
from sparkrig.models.json import JsonDict, JsonObject, mapping_at, mapping_or_none, mappings_at, text_at
from sparkrig.models.objects import ObjectRef, Readiness
from sparkrig.readiness.custom import by_rule


def ask(context: Context) -> str:
    """``object`` must meet ``until`` and not ``failed``; then ``result`` of it and the ``log`` of a pod are read."""
    parameters = context.parameters
    name = context.name
    wanted = mapping_at(parameters, "object")
    metadata = {**mapping_at(wanted, "metadata"), "name": name, "namespace": context.namespace}
    manifest = {**wanted, "metadata": metadata}
    group, _, version = str(manifest["apiVersion"]).rpartition("/")
    kind = str(manifest["kind"])
    rule = ReadinessRule(group, kind, mapping_at(parameters, "until"), mapping_or_none(parameters, "failed"))
    with made(context, manifest):
        path = context.api.path_of(ObjectRef(group, version, kind, context.namespace, name))
        made_at = time.monotonic()
        try:
            done = context.until_value(lambda: _done(context, path, rule, time.monotonic() - made_at))
            said = _result(context, parameters, done)
        except (NotYet, Wrong) as error:
            raise Wrong(f"{error}{explained(context, parameters.get('pods'))}") from error
        return f"{kind} is done{said}"


def _done(context: Context, path: str, rule: ReadinessRule, age_s: float) -> JsonDict | None:
    found = context.api.get(path, missing_ok=True)
    if found is None:
        raise Wrong("somebody deleted it")
    verdict = by_rule(found, rule)
    if verdict.readiness is Readiness.FAILED:
        error = error_text(found)
        raise Wrong(f"it failed: {verdict.message}{f': {shown(error)}' if error else ''}")
    if verdict.readiness is Readiness.READY:
        return found
    begun = context.parameters.get("begun")
    if isinstance(begun, int | float) and age_s > begun and not found.get("status"):
        raise Wrong(f"nobody took it up within {begun} s: its status is empty, so its controller does not work")
    raise NotYet(f"not done after {context.spec.timeout_s:.0f} s: {verdict.message}")


def _result(context: Context, parameters: JsonObject, done: JsonObject) -> str:
    for test in mappings_at(parameters, "result"):
        if why := mismatch(done, test):
            raise Wrong(why)
    wanted = mapping_at(parameters, "log")
    if not wanted:
        return ""
    pattern = text_at(wanted, "matches")
    log = context.until_value(lambda: _matching(context, wanted, pattern))
    return f", prints {shown(log)}"


def _matching(context: Context, wanted: JsonObject, pattern: str) -> str | None:
    log = read_log(context, context.namespace, text_at(wanted, "pod"), text_at(wanted, "container"))
    match = re.search(pattern, log)
    if match is None:
        raise NotYet(f"the log of pod {wanted['pod']} does not match {pattern}: {shown(log[-300:]) or 'empty'}")
    return match[0]


KIND = Kind(ask, Depth.DEEP, once=True)
