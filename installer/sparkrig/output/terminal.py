"""Decides once how to write to a stream: colour, live display, width.

``NO_COLOR`` (https://no-color.org) wins over ``FORCE_COLOR``; ``FORCE_COLOR=0`` is off; ``TERM=dumb``
has neither colour nor live display. What is no terminal has no width: a pipe gets whole lines.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

_ASCII = str.maketrans(
    {"✓": "+", "✗": "x", "·": "-", "…": "~", "→": ">", "—": "-", "●": "*", "⠸": "*", "“": '"', "”": '"', "│": "|"}
)
"""What a stream that cannot encode our signs gets; one column each, so that tables stay aligned."""


@dataclass(frozen=True, slots=True)
class Style:
    """Paints text with the terminal's own 16 colours, or leaves it alone."""

    color: bool = False

    def good(self, text: str) -> str:
        """What went well."""
        return self._paint("32", text)

    def bad(self, text: str) -> str:
        """What failed."""
        return self._paint("1;31", text)

    def warn(self, text: str) -> str:
        """What wants a look."""
        return self._paint("33", text)

    def strong(self, text: str) -> str:
        """What the eye should find first."""
        return self._paint("1", text)

    def dim(self, text: str) -> str:
        """What matters least."""
        return self._paint("2", text)

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and text else text


@dataclass(frozen=True, slots=True)
class Terminal:
    """A stream and how to write to it."""

    stream: TextIO
    color: bool
    live: bool
    """True when lines may be updated in place."""
    width: int
    """Columns; 0 when the stream is no terminal, so that nothing is cut or wrapped."""

    @property
    def style(self) -> Style:
        """The painter for this stream."""
        return Style(self.color)

    def write(self, text: str) -> None:
        """Writes the text; signs that the stream cannot encode become ASCII ones.

        Raises:
            OSError: the reader is gone, e.g. BrokenPipeError.
        """
        self.stream.write(encodable(text, self.stream))
        self.stream.flush()


def detect(stream: TextIO, env: Mapping[str, str]) -> Terminal:
    """How to write to ``stream``, from what it is and from the environment."""
    tty = _is_tty(stream)
    able = tty and env.get("TERM", "") not in {"", "dumb", "unknown"}
    return Terminal(stream=stream, color=_color(able, env), live=able, width=_width(stream, tty, env))


def encodable(text: str, stream: TextIO) -> str:
    """The text with what the stream's encoding lacks replaced."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return text.translate(_ASCII).encode("ascii", "replace").decode("ascii")
    return text


def _color(able: bool, env: Mapping[str, str]) -> bool:
    if env.get("NO_COLOR"):
        return False
    forced = env.get("FORCE_COLOR", "")
    if forced:
        return forced not in {"0", "false"}
    return able


def _is_tty(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def _width(stream: TextIO, tty: bool, env: Mapping[str, str]) -> int:
    if not tty:
        return 0
    wanted = env.get("COLUMNS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80
