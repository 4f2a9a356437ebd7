"""Where in the stack file an object that the API server refuses comes from, as far as names tell. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sparkrig.models.problem import Position
from sparkrig.preflight.finding import Finding
from sparkrig.stack.file import ComponentEntry
from sparkrig.yaml.nodes import MapNode

CODES: Final = frozenset({"immutable", "refused-object", "conflict"})
"""Findings about a field of a rendered object."""
_FIELD: Final = re.compile(r"\b[a-z]\w*(?:\[[^\]]*\])?(?:\.[a-z]\w*(?:\[[^\]]*\])?)+")
"""``spec.template.spec.containers[0].image``."""


def origin(finding: Finding, entry: ComponentEntry | None) -> str:
    """The line of the one value that is called as the field is, else that of the component; empty where neither is."""
    if entry is None or finding.code not in CODES:
        return ""
    names = {re.sub(r"\[.*", "", path.rpartition(".")[2]) for path in _FIELD.findall(finding.message)}
    found = [position for key, position in _leaves(entry.values) if key in names] if entry.values else []
    if len(found) == 1:
        return f"set at {found[0]}"
    return f"component {entry.name} at {entry.position}"


def _leaves(node: MapNode | None) -> Iterator[tuple[str, Position]]:
    for key, entry in (node.entries if node else {}).items():
        if isinstance(entry.node, MapNode):
            yield from _leaves(entry.node)
        else:
            yield key, entry.node.position
