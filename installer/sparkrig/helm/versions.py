"""Chart versions: which are the same, which are near, how a choice of them is told. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_NUMBERS = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?P<rest>.*)")
_SHOWN = 5


def same(one: str, other: str) -> bool:
    """True when two versions name the same release of a chart: a leading v does not count."""
    return one.removeprefix("v") == other.removeprefix("v")


def nearest(wanted: str, known: Iterable[str]) -> list[str]:
    """Returns a few of the known versions, the nearest first; final ones before pre-releases."""
    goal = _numbers(wanted)

    def distance(version: str) -> tuple[bool, tuple[int, ...], str]:
        final = not (match := _NUMBERS.fullmatch(version)) or not match["rest"].startswith("-")
        parts = tuple(abs(a - b) for a, b in zip(_numbers(version), goal, strict=True))
        return (not final, parts, version)

    return sorted(set(known), key=distance)[:_SHOWN]


def similar(name: str, names: Iterable[str]) -> str | None:
    """Returns the name that was probably meant."""
    found = difflib.get_close_matches(name, sorted(set(names)), n=1)
    return found[0] if found else None


def _numbers(version: str) -> tuple[int, int, int]:
    match = _NUMBERS.fullmatch(version)
    if match is None:
        return (0, 0, 0)
    major, minor, patch = (int(part or 0) for part in match.groups()[:3])
    return (major, minor, patch)
