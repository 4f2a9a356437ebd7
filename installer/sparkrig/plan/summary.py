"""What a plan does, in one line for the history. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from sparkrig.models.plan import Change, Plan

SHOWN: Final = 6
"""Components named before the rest is counted."""


def summary(plan: Plan) -> str:
    """``serving 0.1.0 -> 0.2.0, +ingress, -metrics``; empty when it changes nothing."""
    changes = [change for change in plan.changes if change.symbol != "="]
    if plan.base == 0 and plan.action == "up" and changes and all(change.symbol == "+" for change in changes):
        return f"first install: {_listed([change.component for change in changes])}"
    return _listed(list(_words(changes)))


def _words(changes: Sequence[Change]) -> Iterator[str]:
    for change in changes:
        version, _, what = (part.strip() for part in change.text.partition("  "))
        match change.symbol:
            case "+" | "-":
                yield f"{change.symbol}{change.component}"
            case ">":
                yield f"{change.component} left in place"
            case "!" if what.startswith("repair"):
                yield f"{change.component} repaired"
            case "!":
                continue  # looked at, not changed
            case "^":
                yield f"{change.component} recovered"
            case _ if " -> " in version:
                yield f"{change.component} {version}"
            case _:
                yield f"{change.component} {_value(change) if what == 'values' else what or version}".rstrip()


def _value(change: Change) -> str:
    """The changed value where it is a single one."""
    details = [line for line in change.details if not line.startswith("! ")]
    if len(details) != 1 or " -> " not in details[0]:
        return "values"
    path, _, values = details[0].partition("  ")
    return f"{path} {values}"


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more
