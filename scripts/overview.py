"""Draws docs/overview.svg, the picture of the README: what goes in, what sparkrig does, what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

TARGET: Final = Path(__file__).parents[1] / "docs" / "overview.svg"
WIDTH: Final = 880
HEIGHT: Final = 250
INK: Final = "#1f2933"
PALE: Final = "#eef2f6"
ACCENT: Final = "#2563a8"
WARN: Final = "#b3402f"
FAILED: Final = "change failed: the whole stack rolls back to the previous revision"


@dataclass(frozen=True)
class Box:
    """A box with a title and lines below it."""

    x: int
    y: int
    width: int
    height: int
    title: str
    lines: tuple[str, ...] = ()
    fill: str = PALE


STEPS: Final = (
    ("validate", ("every mistake", "with its line")),
    ("plan", ("what changes,", "why, in which order")),
    ("up", ("in parallel,", "by dependency")),
    ("verify", ("does it", "really work?")),
)
CONTENT: Final = (
    "of Helm releases:",
    "Spark, GPU operator",
    "Triton, JupyterHub",
    "Prometheus, Grafana",
    "Traefik, cert-manager",
)
BOXES: Final = (
    Box(10, 70, 120, 90, "stack.yaml", ("profile", "components", "values")),
    *(Box(165 + 128 * i, 70, 112, 90, title, lines, "#ffffff") for i, (title, lines) in enumerate(STEPS)),
    Box(710, 20, 160, 190, "one revision", CONTENT),
)


def picture() -> str:
    """The picture as SVG."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"',
            'font-family="sans-serif" font-size="13" role="img">',
            "<title>A stack file becomes one revision of Helm releases; a failed change rolls back as one unit</title>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"',
            'orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="context-stroke"/></marker></defs>',
            f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="white"/>',
            f'<rect x="150" y="34" width="530" height="142" rx="8" fill="none" stroke="{ACCENT}" stroke-width="1.5"/>',
            f'<text x="162" y="54" fill="{ACCENT}" font-weight="bold">sparkrig</text>',
            *(part for box in BOXES for part in _box(box)),
            _arrow("M130 115H163", ACCENT),
            *(_arrow(f"M{277 + 128 * i} 115H{291 + 128 * i}", ACCENT) for i in range(len(STEPS) - 1)),
            _arrow("M661 115H708", ACCENT),
            _arrow("M477 162C520 226 640 226 708 190", WARN),
            f'<text x="560" y="238" text-anchor="middle" fill="{WARN}">{FAILED}</text>',
            "</svg>",
            "",
        ]
    )


def _box(box: Box) -> Iterator[str]:
    middle = box.x + box.width / 2
    yield (
        f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="6" fill="{box.fill}" '
        f'stroke="{INK}" stroke-width="1"/>'
    )
    yield _text(middle, box.y + 24, box.title, "font-weight='bold'")
    for i, line in enumerate(box.lines):
        y = box.y + 47 + 18 * i if box.height < 100 else box.y + 54 + 22 * i
        yield _text(middle, y, line, "font-size='12'")


def _text(middle: float, y: int, text: str, look: str) -> str:
    return f'<text x="{middle:g}" y="{y}" text-anchor="middle" fill="{INK}" {look}>{escape(text)}</text>'


def _arrow(path: str, color: str) -> str:
    return f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.8" marker-end="url(#tip)"/>'
