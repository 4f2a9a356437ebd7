"""The stored ratios as a picture: one bar a case, its spread, and the target. Plain SVG, nothing to install."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from bench.results import Ratio
from bench.targets import RATIO_TARGETS

LABELS, BARS, RIGHT = 330, 420, 60
"""Widths in pixels: the text, the length of a bar of ratio 1, what is left for the number."""
ROW, HEAD, FOOT = 20, 30, 44
REACHES = 1.4
"""Ratio at the right edge; a bar that is longer is cut and says its number."""
MET, MISSED, PLAIN = "#2f7d4f", "#b3402f", "#4a6fa5"


@dataclass(frozen=True, slots=True)
class _Row:
    label: str
    ratio: Ratio
    target: float | None


def svg(ratios: Mapping[str, Ratio], titles: Mapping[str, str], caption: str) -> str:
    """The whole picture. ``ratios`` are named ``workload/case``."""
    groups: dict[str, list[_Row]] = {}
    for name, ratio in ratios.items():
        workload, _, case = name.partition("/")
        groups.setdefault(workload, []).append(_Row(titles.get(case, case), ratio, RATIO_TARGETS.get(case)))
    rows = sum(len(group) for group in groups.values())
    height = HEAD * (len(groups) + 1) + ROW * rows + FOOT
    width = LABELS + round(BARS * REACHES) + RIGHT
    body: list[str] = []
    top = HEAD
    for workload, group in groups.items():
        body.append(_text(8, top + 14, workload, weight="bold"))
        top += HEAD
        for row in group:
            body += _bar(row, top)
            top += ROW
    one = LABELS + BARS
    body.append(f'<line x1="{one}" y1="{HEAD}" x2="{one}" y2="{top}" stroke="#888" stroke-dasharray="3 3"/>')
    body.append(_text(one, HEAD - 8, "helmfile sync = 1", anchor="middle"))
    body += _legend(top + 22, caption)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _bar(row: _Row, top: int) -> Sequence[str]:
    ratio, middle = row.ratio, top + ROW / 2
    colour = PLAIN if row.target is None else MET if ratio.median <= row.target else MISSED
    length = _x(ratio.median) - LABELS
    parts = [
        _text(LABELS - 8, top + 14, row.label, anchor="end"),
        f'<rect x="{LABELS}" y="{top + 4}" width="{length:.1f}" height="{ROW - 8}" fill="{colour}"/>',
        f'<line x1="{_x(ratio.low):.1f}" y1="{middle}" x2="{_x(ratio.high):.1f}" y2="{middle}" stroke="black"/>',
        _text(round(_x(max(ratio.high, ratio.median))) + 6, top + 14, f"{ratio.median:.2f}"),
    ]
    if row.target is not None:
        x = _x(row.target)
        line = f'<line x1="{x:.1f}" y1="{top + 1}" x2="{x:.1f}" y2="{top + ROW - 1}" stroke="black" stroke-width="2"/>'
        parts.append(line)
    return parts


def _x(ratio: float) -> float:
    return LABELS + BARS * min(ratio, REACHES)


def _legend(top: int, caption: str) -> Sequence[str]:
    text = (
        "bar: median; thin line: lowest to highest of the pairs; thick mark: target (green met, red missed, blue none)"
    )
    return [_text(8, top, text), _text(8, top + 16, caption)]


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
