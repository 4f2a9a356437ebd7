"""The comment beside or above a key: in our files it is the reason for the value. Pure."""

from __future__ import annotations

import re
from typing import Final

from sparkrig.models.problem import Position

MAX_LENGTH: Final = 240
_QUOTED: Final = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\'\'|[^\'])*\'')
_COMMENT: Final = re.compile(r"(?:^|\s)#+\s?(.*)$")
_COMMENTED_OUT: Final = re.compile(r"^[\w.\"'/-]+:(\s|$)|^- ")
_MARK: Final = re.compile(r"^(@\w+\s*)?--\s*(\([^)]*\)\s*)?")


def comment_at(text: str, position: Position) -> str | None:
    """What is said about the key at ``position``: at the end of its line, else in the lines above it."""
    lines = text.splitlines()
    if not 1 <= position.line <= len(lines):
        return None
    column = position.column - 1
    said = _beside(lines, position.line - 1, column) or _above(lines, position.line - 1, column)
    words = " ".join(_MARK.sub("", line).strip() for line in said).strip()
    if not words:
        return None
    return words if len(words) <= MAX_LENGTH else words[: MAX_LENGTH - 1].rstrip() + "…"


def _beside(lines: list[str], index: int, column: int) -> list[str]:
    # Quoted text keeps its length, so that columns stay right.
    line = _QUOTED.sub(lambda match: "x" * len(match[0]), lines[index])
    match = _COMMENT.search(line, column)
    if match is None:
        return []
    found = [lines[index][match.start(1) :]]
    at = line.index("#", match.start())
    for more in lines[index + 1 :]:
        if more[:at].strip() or not more[at:].startswith("#"):
            break
        found.append(more[at:].lstrip("#").strip())
    return found


def _above(lines: list[str], index: int, column: int) -> list[str]:
    found: list[str] = []
    for line in reversed(lines[:index]):
        body = line.strip()
        if not body.startswith("#") or len(line) - len(line.lstrip()) != column:
            break
        body = body.lstrip("#").strip()
        if not body or _COMMENTED_OUT.match(body):
            break
        if not body.startswith("@"):  # an annotation for a generator
            found.append(body)
    return found[::-1]
