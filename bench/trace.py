"""What sparkrig's own timeline says of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any


def critical_path(trace: Path) -> list[float]:
    """Seconds of the longest chain of the plan's operations, by what each took; empty where nothing was executed.

    Waiting for a worker does not count: it is what more workers, or more cores, would take away.
    """
    if not trace.is_file():
        return []
    events = json.loads(trace.read_text())["traceEvents"]
    operations = {event["name"]: event for event in events if event.get("cat") == "operation"}
    return [longest_chain(operations)] if operations else []


def longest_chain(operations: Mapping[str, Mapping[str, Any]]) -> float:
    """An operation that lets the next one through before its own end counts until then, but for the last."""
    needs = {
        name: [need for need in event["args"].get("needs", ()) if need in operations]
        for name, event in operations.items()
    }
    opened: dict[str, float] = {}
    ended: dict[str, float] = {}
    for name in TopologicalSorter(needs).static_order():
        seconds = operations[name]["dur"] / 1e6
        start = max((opened[need] for need in needs[name]), default=0.0)
        opened[name] = start + operations[name]["args"].get("through", seconds)
        ended[name] = start + seconds
    return max(ended.values())
