"""Ranges of Kubernetes versions, as Chart.yaml and ``component.yaml`` write them.

The forms are those of Helm's library (Masterminds/semver): ``>=1.27``, ``>= 1.19, < 1.30``, ``^1.2``, ``~1.2.3``,
``1.x``, ``1.2 - 1.4``, alternatives with ``||``. Unlike there, what vendors append to a version (``-gke.100``,
``+k3s1``) does not count: the range is about the API.
"""

from __future__ import annotations

import re
from typing import Final

Version = tuple[int, int, int]

_NUMBERS: Final = re.compile(r"v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:[-+][0-9A-Za-z.+-]*)?")
_TERM: Final = re.compile(r"(>=|=>|<=|=<|!=|>|<|=|\^|~>|~)?\s*(v?[0-9xX*][0-9A-Za-z.*+-]*)")
_HYPHEN: Final = re.compile(r"(\S+)\s+-\s+(\S+)")


def version_of(text: str) -> Version | None:
    """The three numbers of a version; None for what is none."""
    match = _NUMBERS.match(text.strip())
    if match is None or not match[1].isdigit():
        return None
    return (int(match[1]), _number(match[2]), _number(match[3]))


def within(version: str, wanted: str) -> bool | None:
    """Whether a version lies in a range; None where either cannot be read."""
    number = version_of(version)
    if number is None:
        return None
    answers = [_all_of(number, part) for part in wanted.split("||")]
    return None if None in answers else True in answers


def _all_of(number: Version, text: str) -> bool | None:
    text = _HYPHEN.sub(r">=\1 <=\2", text.strip())
    rest, terms = _TERM.sub("", text), _TERM.findall(text)
    if not terms or rest.replace(",", "").strip():
        return None
    answers = [_term(number, operator, bound) for operator, bound in terms]
    return None if None in answers else all(answers)


def _term(number: Version, operator: str, text: str) -> bool | None:
    low, high = _span(text)
    if low is None or high is None:
        return None
    match operator:
        case ">=" | "=>":
            return number >= low
        case ">":
            return number >= high
        case "<=" | "=<":
            return number < high
        case "<":
            return number < low
        case "!=":
            return not low <= number < high
        case "^":
            return low <= number < _caret(low, text)
        case "~" | "~>":
            return low <= number < _tilde(low, text)
        case _:
            return low <= number < high


def _span(text: str) -> tuple[Version | None, Version | None]:
    """The first version that a text stands for, and the first after: ``1.2`` is all of 1.2."""
    match = _NUMBERS.fullmatch(text)
    if match is None:
        return None, None
    parts = [int(part) for part in match.groups() if part is not None and part.isdigit()]
    given = next((i for i, part in enumerate(match.groups()) if part is None or not part.isdigit()), 3)
    parts = parts[:given]
    if not parts:
        return (0, 0, 0), (10**6, 0, 0)
    low = (*parts, 0, 0)[:3]
    above = (*parts[:-1], parts[-1] + 1, 0, 0)[:3]
    return (low[0], low[1], low[2]), (above[0], above[1], above[2])


def _caret(low: Version, text: str) -> Version:
    del text
    if low[0]:
        return (low[0] + 1, 0, 0)
    return (0, low[1] + 1, 0) if low[1] else (0, 0, low[2] + 1)


def _tilde(low: Version, text: str) -> Version:
    return (low[0], low[1] + 1, 0) if text.removeprefix("v")[:1].isdigit() and "." in text else (low[0] + 1, 0, 0)


def _number(part: str | None) -> int:
    return int(part) if part is not None and part.isdigit() else 0
