"""External requests to end a run: signals, and a terminal or pipe that has closed. A leaf module.

Until a change has begun, a signal ends the program at once: Python raises, and everything on the way out cleans up.
While a change runs, nothing is raised. The first request stops it in order, the second one ends what still runs, and
the outcome is recorded either way.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol, TextIO, cast

NAMES: Final = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "SIGHUP (the terminal was closed)",
}
LOST: Final = "its output was closed"
"""The reason where the reader of stdout or stderr is gone, as after ``2>&1 | head -1``."""
LOOK_S: Final = 0.5
"""How often it is looked whether somebody still reads what a change prints."""
_begun = False
_ended_by = ""


class Signaled(KeyboardInterrupt):
    """A signal that ends the program; its text is the signal's name."""


class Stoppable(Protocol):
    """What ``in_order`` asks to end: ``apply.executor.Stop``."""

    interrupted: bool

    def request(self, reason: str, then: Callable[[bool], None]) -> None:
        """Ask from any thread or signal handler; ``then`` is told whether it was the first time."""


def begun() -> bool:
    """True once this program has begun to change a cluster, so that nobody says that nothing was changed."""
    return _begun


def begin(value: bool = True) -> None:
    """Note that changes begin; ``False`` starts over, for the next command in the same process."""
    global _begun, _ended_by  # noqa: PLW0603 - one a process, as signals are
    _begun = value
    _ended_by = _ended_by if value else ""


def ended_by() -> str:
    """The name of the signal that was raised as an exception; empty where there was none.

    typer makes an exit code of it and says nothing.
    """
    return _ended_by


def install() -> None:
    """Let SIGTERM and SIGHUP end the program as Ctrl-C does, children included; ``nohup`` is respected."""
    for number in NAMES:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _raise)


def _raise(number: int, _frame: object) -> None:
    global _ended_by  # noqa: PLW0603 - one a process, as signals are
    _ended_by = NAMES[signal.Signals(number)]
    raise Signaled(_ended_by)


@contextmanager
def in_order(stop: Stoppable, note: Callable[[str], None]) -> Iterator[None]:
    """While a change runs: signals and lost output ask ``stop``, and raise nothing. For the main thread."""

    def ask(name: str, *, outside_loop: Callable[[Callable[[], None]], None] = _aside) -> None:
        def then(first: bool) -> None:
            what = "starting nothing more, letting running changes end (once more ends them)"
            message = f"{name}: {what}" if first else f"{name} again: ending what runs"
            outside_loop(lambda: note(message))

        stop.request(f"interrupted by {name}" if name != LOST else f"interrupted: {LOST}", then)

    def on_signal(number: int, _frame: object) -> None:
        ask(NAMES[signal.Signals(number)])

    with contextlib.ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for number in NAMES:
                if (old := signal.getsignal(number)) is not signal.SIG_IGN:
                    signal.signal(number, on_signal)
                    stack.callback(signal.signal, number, old)
        guarded = []
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is not None:
                guarded.append(Guarded(stream, lambda: ask(LOST)))
                setattr(sys, name, cast(TextIO, guarded[-1]))
                stack.callback(setattr, sys, name, stream)
        over = threading.Event()
        stack.callback(over.set)
        threading.Thread(target=_watch, args=(guarded, over), name="readers", daemon=True).start()
        yield


def _watch(streams: Sequence[Guarded], over: threading.Event) -> None:
    while not over.wait(LOOK_S):
        for stream in streams:
            stream.lost_reader()


def _aside(say: Callable[[], None]) -> None:
    """Say it from a thread: a signal may have come in the middle of a write, whose lock the main thread holds."""
    threading.Thread(target=say, name="signal", daemon=True).start()


class Guarded:
    """A stream whose reader may go away: that is told once, and what is written from then on goes nowhere."""

    def __init__(self, stream: TextIO, on_lost: Callable[[], None]) -> None:
        self._stream = stream
        self._on_lost = on_lost
        self._lost = False

    def write(self, text: str) -> int:
        """Write, and return the text's length in any case."""
        try:
            self._stream.write(text)
        except OSError:
            self._lose()
        return len(text)

    def flush(self) -> None:
        """Flush; most lost readers are noticed here."""
        try:
            self._stream.flush()
        except OSError:
            self._lose()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def lost_reader(self) -> None:
        """Notice that nobody reads any more, without writing: between two lines a run may change a lot."""
        if self._lost:
            return
        try:
            watched = select.poll()
            watched.register(self._stream.fileno(), 0)  # an end of the pipe that is gone is always told
            found = watched.poll(0)
        except (OSError, ValueError, AttributeError):  # no file, or a system without poll
            return
        if any(event & select.POLLERR for _, event in found):
            self._lose()

    def _lose(self) -> None:
        if self._lost:
            return
        self._lost = True
        # What the stream still holds would fail again at every write, and at the program's end.
        with contextlib.suppress(OSError, ValueError):
            _to_nowhere(self._stream.fileno())
        self._on_lost()


def _to_nowhere(lost: int) -> None:
    """Sends a file, and the other output where it is the same one (``2>&1``), to /dev/null."""
    gone = os.fstat(lost)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in {lost, 1, 2}:
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(number), gone):
                os.dup2(nowhere, number)
    os.close(nowhere)
