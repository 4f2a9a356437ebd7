"""Lines about long steps: in place on a terminal; in a pipe a beginning, an end, and a sign of life each 30 s."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sparkrig.output.terminal import Terminal, detect

if TYPE_CHECKING:
    from sparkrig.tools import Progress

HEARTBEAT_S: Final = 30.0
CLEAR: Final = "\r\x1b[K"


class StepLines:
    """Implements ``tools.Progress`` on a stream."""

    def __init__(self, terminal: Terminal, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._terminal = terminal
        self._clock = clock
        self._said = clock()
        self._open = False

    def __call__(self, line: str) -> None:
        """Shows a line; an ``Update`` replaces the one before it, or is left out where one was shown just now."""
        from sparkrig.tools import Update

        update = isinstance(line, Update)
        now = self._clock()
        if update and not self._terminal.live and now - self._said < HEARTBEAT_S:
            return
        before = CLEAR if self._open else ""
        if update and self._terminal.live:
            width = self._terminal.width
            text = line[: width - 1] if width else line
            self._terminal.write(f"{before}{text}")
        else:
            self._terminal.write(f"{before}{line}\n")
        self._open = update and self._terminal.live
        self._said = now


def step_lines(*, quiet: bool = False) -> Progress:
    """Return what reports the progress of long steps: on stderr, or nowhere."""
    if quiet:
        return lambda _line: None
    return StepLines(detect(sys.stderr, os.environ))
