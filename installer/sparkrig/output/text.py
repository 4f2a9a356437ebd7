"""Text for people: what is safe to print, how wide it is, how long and how long ago. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

ELLIPSIS = "…"
_NARROW = str.maketrans(dict.fromkeys("✓✗…·—→≥≤", " "))
"""What we write ourselves beyond ASCII, one column each: no table of all characters need be loaded for it."""

_ESCAPES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """The text without escape sequences and control characters; line ends stay, a tab is a space.

    Messages come from containers and from other people's objects: none may move our cursor.
    """
    text = text.replace("\r\n", "\n").replace("\t", " ")
    return _CONTROLS.sub("", _ESCAPES.sub("", text))


def first_line(text: str) -> str:
    """The first line that says something, cleaned."""
    return next((line.strip() for line in clean(text).splitlines() if line.strip()), "")


def width_of(text: str) -> int:
    """Columns the text takes on a terminal: two for a wide character, none for a combining one."""
    if text.isascii() or text.translate(_NARROW).isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def pad(text: str, width: int, *, right: bool = False) -> str:
    """The text filled with spaces to ``width`` columns; ``right`` aligns it to the right."""
    space = " " * max(0, width - width_of(text))
    return space + text if right else text + space


def cut(text: str, width: int) -> str:
    """The text in at most ``width`` columns, an ellipsis where something was left out."""
    if width_of(text) <= width:
        return text
    return _head(text, width - 1) + ELLIPSIS if width > 0 else ""


def wrap(text: str, width: int) -> list[str]:
    """The text in lines of at most ``width`` columns, broken at spaces where there are any.

    ``width`` 0 is without limit. A word that is longer than a line is broken, never cut: it may
    be a path or an address that somebody needs whole.
    """
    if width <= 0 or width_of(text) <= width:
        return [text]
    lines: list[str] = []
    line = ""
    for part in text.split(" "):
        word = part
        if line and width_of(line) + 1 + width_of(word) <= width:
            line = f"{line} {word}"
            continue
        if line:
            lines.append(line)
        while width_of(word) > width:
            head = _head(word, width) or word[0]
            lines.append(head)
            word = word[len(head) :]
        line = word
    return [*lines, line] if line else lines


def indent(text: str, by: int, width: int = 0) -> list[str]:
    """The lines of a message, cleaned, wrapped to ``width`` (0: not), each behind ``by`` spaces.

    A line's own indentation is kept, on the lines that it is broken into too.
    """
    result: list[str] = []
    for line in clean(text).splitlines():
        body = line.strip()
        if not body:
            continue
        front = " " * (by + len(line) - len(line.lstrip()))
        room = max(16, width - len(front)) if width else 0
        result += [front + piece for piece in wrap(body, room)]
    return result


def duration(seconds: float) -> str:
    """A time span: ``0.4s``, ``14s``, ``1m48s``, ``2h05m``."""
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def parse_time(text: str) -> datetime | None:
    """An RFC 3339 time; None when it is none. A time without a zone is read as UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def ago(text: str | None, now: datetime) -> str:
    """How long before ``now`` (with a zone) a RFC 3339 time was: ``2 h ago``.

    Over 30 days it is the date; a time in the future, as of another clock, is given as it is.
    """
    moment = parse_time(text) if text else None
    if moment is None:
        return clean(text) if text else "-"
    seconds = (now - moment).total_seconds()
    if seconds < -60:
        return moment.strftime("%Y-%m-%d %H:%M:%SZ" if moment.utcoffset() == UTC.utcoffset(None) else "%F %T%z")
    for limit, size, unit in ((10, 0, "just now"), (60, 1, "s"), (3600, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds // size)} {unit} ago" if size else unit
    if seconds < 30 * 86400:
        return f"{int(seconds // 86400)} days ago"
    return moment.strftime("%Y-%m-%d")


def seconds_between(start: str | None, end: str | None) -> float | None:
    """Seconds from one RFC 3339 time to another; None when either is unknown."""
    first, last = (parse_time(text) if text else None for text in (start, end))
    return (last - first).total_seconds() if first and last else None


def count(number: int, noun: str, plural: str | None = None) -> str:
    """``1 component``, ``3 components``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def joined(lines: Iterable[str]) -> str:
    """The lines as one text without trailing spaces, ended by a newline; empty for no lines."""
    text = "\n".join(line.rstrip() for line in lines)
    return f"{text}\n" if text else ""


def _head(text: str, width: int) -> str:
    """The longest beginning of the text that fits ``width`` columns."""
    used = 0
    for position, character in enumerate(text):
        used += width_of(character)
        if used > width:
            return text[:position]
    return text
