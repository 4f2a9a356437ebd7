"""Aligned tables without a library. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from sparkrig.output.text import clean, cut, indent, width_of, wrap

GAPS: Final = (3, 2)
"""Spaces between columns, and where the terminal is narrow."""
NARROWEST: Final[Mapping[str, int]] = {"cut": 8, "wrap": 16}
"""A column of this fit is not made narrower than this for the terminal's sake."""
BELOW: Final = 6
"""Indentation of what stands below a row."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``fit`` says what happens where the terminal is too narrow for the table.

    ``keep``: nothing; ``cut``: cells lose their end; ``wrap``: cells take more lines; ``below``:
    the column goes, and its cells stand below their rows, whole.
    """

    title: str
    fit: Literal["keep", "cut", "wrap", "below"] = "keep"
    right: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A text and how it is painted; paint adds escape codes, which take no columns."""

    text: str
    paint: Callable[[str], str] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of one row, and lines that stand below it as they are."""

    cells: Sequence[str | Cell]
    below: Sequence[str] = ()


def table(
    columns: Sequence[Column],
    rows: Sequence[Row],
    *,
    width: int = 0,
    margin: int = 0,
    title: Callable[[str], str] | None = None,
) -> list[str]:
    """The lines of a table: titles, then the rows. Columns without any text are left out.

    ``width`` is the terminal's, 0 for no limit: then nothing is cut or wrapped. ``margin`` is the
    spaces before each row. Where the columns that may shrink cannot shrink enough, lines are
    longer than the terminal, and it wraps them.
    """
    whole = [Row([_cell(cell) for cell in row.cells], row.below) for row in rows]
    used = [i for i, column in enumerate(columns) if not column.title or any(_text(row, i) for row in whole)]
    shown, body = _pick(columns, whole, used)
    room = width - margin if width else 0
    widths, gap = _layout(shown, body, room)
    if room and _total(shown, widths, gap) > room:
        low = [i for i, column in enumerate(shown) if column.fit == "below"]
        body = [_lowered(row, low, width) for row in body]
        shown, body = _pick(shown, body, [i for i in range(len(shown)) if i not in low])
        widths, gap = _layout(shown, body, room)
    lines: list[str] = []
    if any(column.title for column in shown):
        lines += _lines(shown, [Cell(column.title, title) for column in shown], widths, gap, margin)
    for row in body:
        lines += [*_lines(shown, [_cell(cell) for cell in row.cells], widths, gap, margin), *row.below]
    return lines


def _cell(cell: str | Cell) -> Cell:
    whole = cell if isinstance(cell, Cell) else Cell(cell)
    return replace(whole, text=" ".join(clean(whole.text).split()))


def _text(row: Row, column: int) -> str:
    cell = row.cells[column]
    return cell.text if isinstance(cell, Cell) else cell


def _pick(columns: Sequence[Column], rows: Sequence[Row], kept: Sequence[int]) -> tuple[list[Column], list[Row]]:
    return [columns[i] for i in kept], [Row([row.cells[i] for i in kept], row.below) for row in rows]


def _lowered(row: Row, columns: Sequence[int], width: int) -> Row:
    texts = [_cell(row.cells[i]) for i in columns if _text(row, i)]
    lines = [cell.paint(line) if cell.paint else line for cell in texts for line in indent(cell.text, BELOW, width)]
    return Row(row.cells, (*lines, *row.below))


def _layout(columns: Sequence[Column], rows: Sequence[Row], room: int) -> tuple[list[int], int]:
    """The width of each column and the gap between them."""
    widths = [
        max([width_of(column.title), *(width_of(_text(row, i)) for row in rows)]) for i, column in enumerate(columns)
    ]
    gap = next((gap for gap in GAPS if not room or _total(columns, widths, gap) <= room), GAPS[-1])
    least = [min(w, max(NARROWEST.get(c.fit, w), width_of(c.title))) for c, w in zip(columns, widths, strict=True)]
    flexible = [i for i, c in enumerate(columns) if c.fit in {"cut", "wrap"} and widths[i] > least[i]]
    excess = _total(columns, widths, gap) - room if room else 0
    while excess > 0 and flexible:
        widest = max(flexible, key=lambda i: widths[i])
        widths[widest] -= 1
        excess -= 1
        if widths[widest] == least[widest]:
            flexible.remove(widest)
    return widths, gap


def _total(columns: Sequence[Column], widths: Sequence[int], gap: int) -> int:
    return sum(widths) + sum(_gap(column, gap) for column in columns[:-1])


def _gap(column: Column, gap: int) -> int:
    """A column without a title holds a sign, which stands close to what it marks."""
    return gap if column.title else 1


def _lines(columns: Sequence[Column], cells: Sequence[Cell], widths: Sequence[int], gap: int, margin: int) -> list[str]:
    """One row; more than one line where a cell is wrapped."""
    pieces = [_fitted(cell.text, column.fit, width) for column, cell, width in zip(columns, cells, widths, strict=True)]
    lines = []
    for number in range(max(len(piece) for piece in pieces)):
        line = " " * margin
        for column, cell, width, piece in zip(columns, cells, widths, pieces, strict=True):
            text = piece[number] if number < len(piece) else ""
            space = " " * max(0, width - width_of(text))
            painted = cell.paint(text) if cell.paint and text else text
            line += (space + painted if column.right else painted + space) + " " * _gap(column, gap)
        lines.append(line.rstrip())
    return lines


def _fitted(text: str, fit: str, width: int) -> list[str]:
    if fit == "wrap":
        return wrap(text, width)
    return [cut(text, width) if fit == "cut" else text]
