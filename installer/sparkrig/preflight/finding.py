"""One answer of preflight."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Level(enum.StrEnum):
    """What a finding means for a change."""

    FAIL = "fail"
    """It would go wrong: ``up`` refuses."""
    WARN = "warn"
    """Worth a look; nothing is refused."""
    OK = "ok"
    """Looked at, and as it should be."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one thing that was looked at."""

    level: Level
    code: str
    """Stable kebab-case identifier; docs/preflight.md explains each."""
    subject: str
    """A component, ``cluster``, ``node x``, ``namespace x``: what it is about."""
    message: str
    """One sentence: what was found and what was expected."""
    hint: str = ""
    """What to do next."""


def fail(code: str, subject: str, message: str, hint: str = "") -> Finding:
    """Something that would go wrong."""
    return Finding(Level.FAIL, code, subject, message, hint)


def warn(code: str, subject: str, message: str, hint: str = "") -> Finding:
    """Something worth a look."""
    return Finding(Level.WARN, code, subject, message, hint)


def ok(code: str, subject: str, message: str) -> Finding:
    """Something that is as it should be."""
    return Finding(Level.OK, code, subject, message)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Each finding once; what fails first, then warnings; otherwise in the order in which it was asked."""
    places = {level: place for place, level in enumerate(Level)}
    return tuple(sorted(dict.fromkeys(findings), key=lambda finding: places[finding.level]))


def listed(items: Iterable[str], most: int = 5) -> str:
    """``a, b and 3 more``: at most ``most`` of the items."""
    everything = list(dict.fromkeys(items))
    if len(everything) <= most:
        return ", ".join(everything)
    return f"{', '.join(everything[:most])} and {len(everything) - most} more"
