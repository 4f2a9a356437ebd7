"""The live display: one line a component, updated in place. Imports rich, so it is imported lazily."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self, TextIO, cast

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from sparkrig.models.plan import Event, Plan
from sparkrig.output.board import Board, Line, Phase
from sparkrig.output.progress import Clock, LastingStream
from sparkrig.output.terminal import Terminal
from sparkrig.output.text import clean, cut, duration, pad, width_of

FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
REFRESH_HZ: Final = 8
"""Refreshes a second: the spinner turns smoothly, and a refresh costs a millisecond."""
TIME_WIDTH: Final = 6

_SIGNS: Final = {
    Phase.WAITING: ("·", "dim"),
    Phase.DONE: ("✓", "green"),
    Phase.FAILED: ("✗", "bold red"),
    Phase.STOPPED: ("!", "yellow"),
}
_FIRST: Final = (Phase.FAILED, Phase.RUNNING, Phase.STOPPED, Phase.WAITING, Phase.DONE)
"""Which components are shown first where there is not room for all."""


class LiveProgress:
    """Updates one line a component on a terminal; see ``progress.Progress``."""

    def __init__(self, plan: Plan, terminal: Terminal, *, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._board = Board(plan, clock())
        self._lock = threading.Lock()
        self._ended = False
        stream = LastingStream(terminal.stream)
        self._console = Console(
            file=cast(TextIO, stream),
            force_terminal=True,
            color_system="standard" if terminal.color else None,
            no_color=not terminal.color,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._live = Live(
            self,
            console=self._console,
            refresh_per_second=REFRESH_HZ,
            redirect_stdout=_is_tty(sys.stdout),
            redirect_stderr=_is_tty(sys.stderr),
        )

    def __enter__(self) -> Self:
        """Begins to draw, in a thread of its own."""
        self._board.began = self._clock()
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Draws the final state of every component and gives the cursor back."""
        self._ended = True
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Takes the event in; the next refresh shows it."""
        with self._lock:
            self._board.take(event, self._clock())

    def note(self, text: str) -> None:
        """Prints the message above the lines that are updated."""
        self._console.print(Text(clean(text)), soft_wrap=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draws the lines; called by rich at every refresh."""
        now = self._clock()
        with self._lock:
            lines = self._board.lines(now)
            elapsed = now - self._board.began
        # A line as wide as the terminal makes some terminals go to the next one by themselves.
        width = max(1, options.max_width - 1)
        height = 0 if self._ended else max(1, options.size.height - 1)
        shown, hidden = fitting(lines, height)
        column = min(max((width_of(line.component) for line in lines), default=0), max(8, width // 3))
        for line in shown:
            yield draw(line, column, width, FRAMES[int(now * REFRESH_HZ) % len(FRAMES)])
        yield Text(cut(_total(lines, elapsed, hidden), width), style="dim", no_wrap=True, end="\n")


def fitting(lines: Sequence[Line], height: int) -> tuple[list[Line], int]:
    """The lines to show in ``height`` rows (0: no limit) with a total below, and how many are left out.

    What failed or runs goes before what waits or is done; the order stays the plan's.
    """
    room = max(0, height - 1)
    if not height or len(lines) <= room:
        return list(lines), 0
    chosen = sorted(range(len(lines)), key=lambda i: (_FIRST.index(lines[i].phase), i))[:room]
    return [lines[i] for i in sorted(chosen)], len(lines) - len(chosen)


def draw(line: Line, column: int, width: int, frame: str) -> Text:
    """One line of at most ``width`` columns, the component's name in ``column`` of them."""
    sign, style = _SIGNS.get(line.phase, (frame, "cyan"))
    elapsed = "" if line.seconds is None else duration(line.seconds)
    name = pad(cut(line.component, column), column)
    used = 2 + column + 1 + TIME_WIDTH + 2
    text = Text(no_wrap=True, end="\n")
    text.append(f"{sign} ", style)
    text.append(f"{name} ", "bold" if line.phase in {Phase.RUNNING, Phase.FAILED} else "")
    text.append(f"{elapsed:>{TIME_WIDTH}}  ", "dim")
    text.append(cut(line.message, max(0, width - used)), "dim" if line.phase is Phase.WAITING else "")
    text.truncate(width)
    text.rstrip()
    return text


def _total(lines: Sequence[Line], elapsed: float, hidden: int) -> str:
    done = sum(line.phase is Phase.DONE for line in lines)
    more = f" · {hidden} not shown" if hidden else ""
    return f"{done}/{len(lines)} · {duration(elapsed)}{more}"


def _is_tty(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False
