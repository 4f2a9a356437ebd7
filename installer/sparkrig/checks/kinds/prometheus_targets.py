"""``prometheus-targets``: Prometheus scrapes what the release's monitors describe, and every target of them is up.

A monitor that Prometheus does not select, or that its operator refuses, is no error anywhere: nothing is scraped, and
no alert about it can fire. ``up`` tells nothing of it either. Each one that is taken is a scrape pool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from sparkrig.checks.kinds.base import Context, Depth, Kind, NotApplicable, NotYet
from sparkrig.checks.kinds.exchange import Ask, Target, find_target, port_of, send
from sparkrig.checks.kinds.matching import shown
from sparkrig.models.json import JsonObject, mapping_at, mapping_or_none, mappings_at, text_at, texts_at
from sparkrig.models.objects import ObjectRef

LISTED = 4
"""How many of what is wrong are named."""


def ask(context: Context) -> str:
    """Each object of ``kinds`` that the release brought has a scrape pool, and all targets of those are up.

    A pool without targets is well: what the monitor is for need not be installed.
    """
    monitors = _monitors(context)
    if not monitors:
        raise NotApplicable(f"the release brings no {' and no '.join(texts_at(context.parameters, 'kinds'))}")
    target = find_target(context, text_at(context.parameters, "service"), port_of(context.parameters))
    pools = texts_at(_get(context, target, "scrape_pools", {}), "scrapePools")
    own = {monitor: [pool for pool in pools if pool.startswith(_prefix(monitor))] for monitor in monitors}
    unknown = [f"{m.kind} {m.namespace}/{m.name}" for m, found in own.items() if not found]
    if unknown:
        raise NotYet(f"Prometheus does not scrape {_some(unknown, ', ')}")
    targets = [each for found in own.values() for pool in found for each in _targets(context, target, pool)]
    bad = [_why(each) for each in targets if each.get("health") != "up"]
    if bad:
        raise NotYet(f"{len(bad)} of {len(targets)} targets are not up: {_some(bad, '; ')}")
    return f"{len(monitors)} monitors, {len(targets)} targets up"


def _monitors(context: Context) -> Sequence[ObjectRef]:
    group = text_at(context.parameters, "apiVersion").rpartition("/")[0]
    kinds = texts_at(context.parameters, "kinds")
    return [ref for ref in context.subject.state.inventory if ref.group == group and ref.kind in kinds]


def _prefix(monitor: ObjectRef) -> str:
    """What the names of its scrape pools begin with: one for each of its endpoints, numbered."""
    return f"{monitor.kind[0].lower()}{monitor.kind[1:]}/{monitor.namespace}/{monitor.name}/"


def _targets(context: Context, target: Target, pool: str) -> Sequence[JsonObject]:
    data = _get(context, target, "targets", {"state": "active", "scrapePool": pool})
    return mappings_at(data, "activeTargets")


def _get(context: Context, target: Target, what: str, query: Mapping[str, str]) -> JsonObject:
    parameters = context.parameters
    path = f"{text_at(parameters, 'prefix').rstrip('/')}/api/v1/{what}?{urlencode(query)}"
    ask = Ask(path, host=text_at(parameters, "service"), tls=mapping_or_none(parameters, "tls"))
    answer = send(context, target, ask)
    said = mapping_at(answer.json())
    data = said.get("data")
    if said.get("status") != "success" or not isinstance(data, Mapping):
        raise NotYet(f"{what}: status {answer.status}: {shown(said.get('error') or answer.text)}")
    return data


def _why(target: JsonObject) -> str:
    """The pool, the address, and what Prometheus says of it."""
    reason = target.get("lastError") or "not asked yet"
    return f"{target.get('scrapePool')} {target.get('scrapeUrl')}: {shown(reason)}"


def _some(names: Sequence[str], between: str) -> str:
    more = f"{between}and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return between.join(names[:LISTED]) + more


KIND = Kind(ask, Depth.NORMAL)
