"""Problems as text in the manner of a compiler, and as JSON. Reads no file: sources are handed in."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.yaml.secret_names import with_covered
from sparkrig.yaml.setflag import is_flag

MAX_WIDTH: Final = 100
"""Terminal cells of a source line that are shown; a longer line is cut around its carets."""
TAB: Final = 4

_LINE_BREAK = re.compile("\r\n|\n|\r")
_BROKEN = re.compile("[ \t]*[\r\n]+[ \t]*")
_COLORS = {"error": "1;31", "warning": "1;33", "bold": "1", "frame": "1;34", "hint": "36"}


def render(problems: Iterable[Problem], sources: Mapping[str, str], color: bool = False) -> str:
    """All problems, sorted by place. ``sources`` maps a file's name to its text; without it no line is shown."""
    found = in_order(problems)
    named = {problem.position.file for problem in found if problem.position is not None}
    lines = {
        name: _LINE_BREAK.split(with_covered(text.removeprefix("\ufeff"), None))
        for name, text in sources.items()
        if name in named
    }
    paint = _painted if color else _unpainted
    return "\n".join(_one(problem, lines, paint) for problem in found)


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """By file, line and column, each problem once; those without a place in a file last."""
    return sorted(dict.fromkeys(problems), key=_order)


def summary(problems: Iterable[Problem], *, files: int | None = None, components: int | None = None) -> str:
    """``2 problems (1 error, 1 warning) in 2 files, 9 components``."""
    unique = list(dict.fromkeys(problems))
    errors = sum(problem.severity is Severity.ERROR for problem in unique)
    warnings = len(unique) - errors
    parts = [_count(number, noun) for number, noun in ((errors, "error"), (warnings, "warning")) if number]
    text = f"{_count(len(unique), 'problem')} ({', '.join(parts)})" if parts else "no problems"
    looked_at = [_count(n, noun) for n, noun in ((files, "file"), (components, "component")) if n is not None]
    return text + (f" in {', '.join(looked_at)}" if looked_at else "")


def took(seconds: float) -> str:
    """``4 ms``, ``1.2 s``."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def to_json(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Stable fields for ``--output json``: absent ones are null; ``file`` is null for a place that is no file."""
    return [_json(problem) for problem in in_order(problems)]


def _json(problem: Problem) -> dict[str, Any]:
    at = None if is_flag(problem.position) else problem.position
    return {
        "severity": problem.severity.value,
        "code": problem.code,
        "message": problem.message,
        "file": at.file if at else None,
        "line": at.line if at else None,
        "column": at.column if at else None,
        "length": at.length if at else None,
        "where": _where(problem),
        "label": problem.label,
        "hint": problem.hint,
    }


def _where(problem: Problem) -> str | None:
    where = problem.where
    if where is None and problem.position is not None and is_flag(problem.position):
        where = problem.position.file
    return with_covered(where, None) if where else where


def _order(problem: Problem) -> tuple[bool, str, int, int]:
    at = problem.position
    if at is None or is_flag(at):
        return True, _where(problem) or "", 0, at.column if at else 0
    return False, at.file, at.line, at.column


def _one(problem: Problem, sources: Mapping[str, Sequence[str]], paint: Any) -> str:
    kind = problem.severity.value
    message, *below = _lines(problem.message) or [""]
    out = [f"{paint(f'{kind}[{problem.code}]', kind)}{paint(': ' + clean(message), 'bold')}"]
    out += [f"    {paint(clean(line), 'bold')}" for line in below]
    at, flag = problem.position, is_flag(problem.position)
    line = _source_line(at, sources)
    number = str(at.line) if at is not None and line is not None and not flag else ""
    gutter = " " * (len(number) or 2)
    where = clean(_where(problem) or "")
    if at is not None and not flag:
        where = clean(str(at)) + (f" ({where})" if where else "")
    if where:
        out.append(f"{gutter}{paint('-->', 'frame')} {where}")
    bar = paint("|", "frame")
    if at is not None and line is not None:
        shown, offset, width = window(line, at.column, at.length)
        label = f" {clean(problem.label)}" if problem.label else ""
        out.append(f"{gutter} {bar}")
        out.append(f"{paint(number or gutter, 'frame')} {bar} {shown}".rstrip())
        out.append(f"{gutter} {bar} {' ' * offset}{paint('^' * width + label, kind)}")
    elif problem.label:
        out.append(f"{gutter} {paint('=', 'frame')} {clean(problem.label)}")
    if problem.hint:
        first, *rest = _lines(problem.hint) or [""]
        out.append(f"{gutter} {paint('=', 'frame')} {paint(clean(first), 'hint')}")
        out.extend(f"{gutter}   {paint(clean(more), 'hint')}" for more in rest)
    return "\n".join(out) + "\n"


def _source_line(at: Position | None, sources: Mapping[str, Sequence[str]]) -> str | None:
    """The line a position is in; a flag's text is its own source."""
    if at is None:
        return None
    if is_flag(at):
        return with_covered(at.file.partition(" ")[2], None)
    lines = sources.get(at.file)
    return lines[at.line - 1] if lines is not None and 0 < at.line <= len(lines) else None


def window(line: str, column: int, length: int) -> tuple[str, int, int]:
    """A line ready to print: its text, the cells before the carets, and how many carets.

    Tabs become spaces, what is not printable a box, and a long line is cut around the carets.
    """
    # More characters than fit are of no use, and a line may be a megabyte long.
    skipped = max(0, column - 1 - 2 * MAX_WIDTH)
    cut_off = len(line) > (end := column + 4 * MAX_WIDTH)
    piece = line[skipped:end]
    simple = piece.isascii() and piece.isprintable()
    shown = piece if simple else [_printable(char) for char in piece]
    cells = [1] * len(piece) if simple else [_cells(text) for text in shown]
    start = min(column - 1 - skipped, len(shown))
    stop = max(start, min(start + length, len(shown)))
    first, last = _cut(cells, start, stop)
    before, after = ("…" if first or skipped else ""), ("…" if last < len(shown) or cut_off else "")
    offset = len(before) + sum(cells[first:start])
    width = max(1, sum(cells[start : min(stop, last)]))
    return before + "".join(shown[first:last]) + after, offset, width


def _cut(cells: list[int], start: int, stop: int) -> tuple[int, int]:
    """First and last character to show: grown from the carets to both sides until the width is used up."""
    if sum(cells) <= MAX_WIDTH:
        return 0, len(cells)
    first = last = start
    used = 0
    while last < stop and used + cells[last] <= MAX_WIDTH:
        used += cells[last]
        last += 1
    grown = True
    while grown:
        grown = False
        if first > 0 and used + cells[first - 1] <= MAX_WIDTH:
            first -= 1
            used += cells[first]
            grown = True
        if last < len(cells) and used + cells[last] <= MAX_WIDTH:
            used += cells[last]
            last += 1
            grown = True
    return first, last


def _lines(text: str) -> list[str]:
    """The lines of a message of several, as helm and charts write them, without empty ones."""
    return [line.rstrip() for line in _LINE_BREAK.split(text) if line.strip()]


def clean(text: str) -> str:
    """Text in one line that cannot move the cursor, colour the terminal or reverse its own order."""
    text = _BROKEN.sub(" ", text)
    return text if text.isprintable() else "".join(" " if char == "\t" else _printable(char) for char in text)


def _printable(char: str) -> str:
    if char == "\t":
        return " " * TAB
    if char.isprintable() or unicodedata.category(char) == "Zs" or char == "\u200d":
        return char
    return "\u2423" if char in "\x85\u2028\u2029" else "\ufffd"


def _cells(text: str) -> int:
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _painted(text: str, style: str) -> str:
    return f"\x1b[{_COLORS[style]}m{text}\x1b[0m"


def _unpainted(text: str, style: str) -> str:  # noqa: ARG001
    return text
