"""``node-allocatable``: nodes offer a resource to pods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkrig.checks.kinds.base import Context, Depth, Kind, NotYet


def ask(context: Context) -> str:
    """Every node that ``selector`` picks offers ``atLeast`` (default 1) of ``resource``; no such node is a failure."""
    resource, selector = context.parameters["resource"], context.parameters.get("selector")
    least = int(context.parameters.get("atLeast", 1))
    nodes = context.api.list("/api/v1/nodes", label_selector=selector)
    if not nodes:
        raise NotYet(f"no node has the label {selector}" if selector else "the cluster has no nodes")
    offered = {node["metadata"]["name"]: _count(node, resource) for node in nodes}
    short = [f"{name} offers {count}" for name, count in offered.items() if count < least]
    if short:
        raise NotYet(f"{resource}: {', '.join(short[:4])}{' …' if len(short) > 4 else ''}, expected {least} or more")
    return f"{sum(offered.values())} {resource} on {len(nodes)} {'node' if len(nodes) == 1 else 'nodes'}"


def _count(node: Mapping[str, Any], resource: str) -> int:
    text = str(((node.get("status") or {}).get("allocatable") or {}).get(resource, "0"))
    return int(text) if text.isdigit() else 0


KIND = Kind(ask, Depth.FAST)
