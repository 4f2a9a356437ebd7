"""``--drift`` of ``plan`` and ``status``: what differs in the cluster, beside what they show."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from sparkrig.cli.prompt import out

if TYPE_CHECKING:
    from sparkrig.plan.diff.revisions import StackChange


def drift_text(found: StackChange | None, cluster: str) -> str:
    """The differences for a person, below what stands above them; empty where nothing is recorded."""
    if found is None:
        return ""
    from sparkrig.output.diff import diff_text

    terminal = out()
    now = datetime.datetime.now(datetime.UTC)
    return "\n" + diff_text(found, cluster=cluster, now=now, color=terminal.color, width=terminal.width)


def with_drift(document: dict[str, Any], found: StackChange | None, cluster: str) -> dict[str, Any]:
    """A JSON document with the differences as a document of kind ``Diff`` under ``drift``."""
    from sparkrig.output.diff import diff_json

    return {**document, "drift": diff_json(found, cluster=cluster) if found is not None else None}
