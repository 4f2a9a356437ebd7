"""Turns what a program wrote to a terminal into an animated SVG: CSS only, no script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

import pyte
from pyte.screens import Char

CELL: Final = 8.0
"""Width of a character in pixels. ``textLength`` makes any monospaced font fit."""
LINE: Final = 18
FONT: Final = 13
MARGIN: Final = 14
BAR: Final = 30
FRAMES_A_SECOND: Final = 4
"""The program draws eight times a second; half of that is smooth enough and half the size."""
LAST_FRAME_S: Final = 6.0
"""How long the end stays before the animation starts again."""
COLORS: Final = {
    "default": "#d7dae0",
    "black": "#5c6370",
    "red": "#e06c75",
    "green": "#98c379",
    "brown": "#e5c07b",
    "blue": "#61afef",
    "magenta": "#c678dd",
    "cyan": "#56b6c2",
    "white": "#ffffff",
}


@dataclass(frozen=True)
class Output:
    """A piece of output and when it was written, in seconds from the start."""

    at: float
    text: str


@dataclass(frozen=True)
class Frame:
    """What the terminal shows from this moment on: one fragment of SVG a line."""

    at: float
    lines: tuple[str, ...]


def svg(outputs: Sequence[Output], *, columns: int, rows: int, title: str) -> str:
    """The picture. A reader that shows no animation, or is asked for none, shows the last frame."""
    frames = list(frames_of(outputs, columns, rows))
    shown = max(len(frame.lines) for frame in frames)
    texts = {line: f"l{i}" for i, line in enumerate(dict.fromkeys(line for f in frames for line in f.lines if line))}
    width, height = columns * CELL + 2 * MARGIN, shown * LINE + 2 * MARGIN + BAR
    total = frames[-1].at + LAST_FRAME_S
    stops = "".join(
        f"{frame.at / total * 100:.3f}%{{transform:translateX(-{i * width:g}px)}}" for i, frame in enumerate(frames)
    )
    last = f"transform:translateX(-{(len(frames) - 1) * width:g}px)"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}"',
            f'height="{height:g}" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"',
            f'font-size="{FONT}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>text{{white-space:pre;fill:{COLORS['default']}}}.b{{font-weight:bold}}"
            + "".join(f".{name}{{fill:{color}}}" for name, color in COLORS.items())
            + f"@keyframes play{{{stops}}}#film{{{last};animation:play {total:.2f}s step-end infinite}}"
            "@media (prefers-reduced-motion:reduce){#film{animation:none}}</style>",
            "<defs>",
            *(f'<g id="{name}">{line}</g>' for line, name in texts.items()),
            f'<clipPath id="screen"><rect width="{width:g}" height="{height:g}"/></clipPath>',
            "</defs>",
            f'<rect width="{width:g}" height="{height:g}" rx="8" fill="#1e2127"/>',
            *(f'<circle cx="{18 + 18 * i}" cy="16" r="5.5" fill="#5c6370"/>' for i in range(3)),
            '<g clip-path="url(#screen)"><g id="film">',
            *(_frame(frame, i * width, texts) for i, frame in enumerate(frames)),
            "</g></g>",
            "</svg>",
            "",
        ]
    )


def frames_of(outputs: Sequence[Output], columns: int, rows: int) -> Iterator[Frame]:
    """The screen at every moment when it changed, at most ``FRAMES_A_SECOND``, and at the end."""
    screen = pyte.Screen(columns, rows)
    stream = pyte.Stream(screen)
    tick = -1
    before: tuple[str, ...] | None = None
    for i, output in enumerate(outputs):
        stream.feed(output.text)
        now = int(output.at * FRAMES_A_SECOND)
        last = i + 1 == len(outputs)
        if not last and int(outputs[i + 1].at * FRAMES_A_SECOND) == now:
            continue  # more of the same moment is coming
        lines = _lines(screen)
        if lines != before or last:
            tick = max(tick + 1, now)
            yield Frame(tick / FRAMES_A_SECOND, lines)
            before = lines


def _lines(screen: pyte.Screen) -> tuple[str, ...]:
    found = [_line([screen.buffer[row][column] for column in range(screen.columns)]) for row in range(screen.lines)]
    while found and not found[-1]:
        found.pop()
    return tuple(found)


def _line(cells: Sequence[Char]) -> str:
    """The texts of one line: one element for each run of the same look, without the spaces around it."""
    parts: list[str] = []
    start = 0
    while start < len(cells):
        end = start
        while end < len(cells) and _look(cells[end]) == _look(cells[start]):
            end += 1
        text = "".join(cell.data for cell in cells[start:end])
        body = text.strip()
        if body:
            at = start + len(text) - len(text.lstrip())
            look = _look(cells[start])
            kind = f' class="{look}"' if look else ""
            parts.append(f'<text x="{at * CELL:g}" textLength="{len(body) * CELL:g}"{kind}>{escape(body)}</text>')
        start = end
    return "".join(parts)


def _look(cell: Char) -> str:
    color = cell.fg.removeprefix("bright") if cell.fg != "default" else ""
    return " ".join(word for word in (color if color in COLORS else "", "b" if cell.bold else "") if word)


def _frame(frame: Frame, left: float, texts: dict[str, str]) -> str:
    uses = "".join(
        f'<use href="#{texts[line]}" y="{BAR + MARGIN + (row + 0.7) * LINE:g}"/>'
        for row, line in enumerate(frame.lines)
        if line
    )
    return f'<g transform="translate({left + MARGIN:g} 0)">{uses}</g>'
