"""``node-allocatable``: nodes offer a resource to pods."""

from __future__ import annotations

from sparkrig.checks.kinds.base import Context, Depth, Kind, NotYet
from sparkrig.models.json import JsonObject, mapping_at, name_of, number_at, text_at, text_or_none


def ask(context: Context) -> str:
    """Every node that ``selector`` picks offers ``atLeast`` (default 1) of ``resource``; no such node is a failure."""
    resource, selector = text_at(context.parameters, "resource"), text_or_none(context.parameters, "selector")
    least = number_at(context.parameters, "atLeast", default=1)
    nodes = context.api.list("/api/v1/nodes", label_selector=selector)
    if not nodes:
        raise NotYet(f"no node has the label {selector}" if selector else "the cluster has no nodes")
    offered = {name_of(node): _count(node, resource) for node in nodes}
    short = [f"{name} offers {count}" for name, count in offered.items() if count < least]
    if short:
        raise NotYet(f"{resource}: {', '.join(short[:4])}{' …' if len(short) > 4 else ''}, expected {least} or more")
    return f"{sum(offered.values())} {resource} on {len(nodes)} {'node' if len(nodes) == 1 else 'nodes'}"


def _count(node: JsonObject, resource: str) -> int:
    text = str(mapping_at(node, "status", "allocatable").get(resource, "0"))
    return int(text) if text.isdigit() else 0


KIND = Kind(ask, Depth.FAST)
