"""The live display on a real pseudo-terminal, read back through a small terminal of our own."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sparkrig.output.board import Line, Phase
from sparkrig.output.live import draw, fitting

CASES = Path(__file__).parents[2] / "cases" / "report"
TOKEN = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b.|([\r\n])|([^\x1b\r\n])", re.DOTALL)


@dataclass
class Screen:
    """What a terminal shows after a stream of output; knows the few sequences that rich sends."""

    width: int
    rows: list[list[str]] = field(default_factory=lambda: [[]])
    row: int = 0
    column: int = 0
    cursor: bool = True

    def feed(self, text: str) -> None:
        for match in TOKEN.finditer(text):
            number, command, control, character = match.groups()
            if command:
                self._control(number, command)
            elif control == "\r":
                self.column = 0
            elif control == "\n":
                self._down()
            elif character:
                self._put(character)

    def text(self) -> list[str]:
        return ["".join(row).rstrip() for row in self.rows]

    def _control(self, number: str, command: str) -> None:
        if command == "A":
            self.row = max(0, self.row - int(number or 1))
        elif command == "K":
            self.rows[self.row] = [] if number == "2" else self.rows[self.row][: self.column]
        elif (number, command) == ("?25", "l"):
            self.cursor = False
        elif (number, command) == ("?25", "h"):
            self.cursor = True
        elif command != "m":
            raise AssertionError(f"unknown control sequence {number}{command}")

    def _put(self, character: str) -> None:
        size = 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
        if self.column + size > self.width:
            self.column = 0
            self._down()
        row = self.rows[self.row]
        row += [" "] * (self.column + size - len(row))
        row[self.column : self.column + size] = [character, *[""] * (size - 1)]
        self.column += size

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append([])


@dataclass(frozen=True)
class Ended:
    code: int
    raw: str
    screen: Screen
    piped: str = ""


def _resize(terminal: int, width: int, height: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


def run(
    ending: str,
    width: int,
    *,
    height: int = 24,
    env: Mapping[str, str] | None = None,
    to: int = 0,
    stdout: int | None = None,
) -> Ended:
    """Runs the scenario on a terminal of this size, resized to ``to`` columns where the scenario asks."""
    ours, theirs = pty.openpty()
    _resize(ours, width, height)
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8", **(env or {})}
    environment["PYTHONPATH"] = str(Path(importlib.util.find_spec("sparkrig").origin).parents[1])  # type: ignore[union-attr,arg-type]
    child = subprocess.Popen(
        [sys.executable, "-W", "error", str(CASES / "live_scenario.py"), ending],
        stdin=theirs,
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
        env=environment,
    )
    os.close(theirs)
    raw = b""
    deadline = time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            raw += piece
            if to and b"RESIZE" in raw:
                _resize(ours, to, height)
                os.write(ours, b"\n")
                to = 0
        piped = child.communicate(timeout=10)[0] or b""
    finally:
        child.kill()
        child.wait()
        os.close(ours)
    text = raw.decode()
    screen = Screen(width)
    screen.feed(text)
    return Ended(child.returncode, text, screen, piped.decode())


@cache
def done(width: int) -> Ended:
    """The scenario that ends well, run once for each width."""
    return run("done", width)


def final(ended: Ended) -> list[str]:
    """The last lines of the screen: the components and the total, their times made equal."""
    lines = [re.sub(r"\d+\.\d+s|\b\d+s", "_s", line) for line in ended.screen.text() if line]
    return [re.sub(r" +", " ", line) for line in lines[-5:]]


FINAL = {
    80: [
        "✓ proxy _s installed 41.3.0, ready",
        "✓ spark-operator _s upgraded to 2.5.2, ready",
        "✓ hub _s upgraded to 4.4.0, ready",
        "✓ metrics-server _s removed",
        "4/4 · _s",
    ],
    40: [
        "✓ proxy _s installed 41.3…",
        "✓ spark-operat… _s upgraded to 2.…",
        "✓ hub _s upgraded to 4.…",
        "✓ metrics-serv… _s removed",
        "4/4 · _s",
    ],
}


@pytest.mark.parametrize("width", [80, 40])
def test_the_final_screen_shows_every_component_done(width: int) -> None:
    ended = done(width)
    assert ended.code == 0, ended.raw
    assert "Traceback" not in ended.raw
    assert final(ended) == FINAL[width]
    assert ended.screen.cursor


@pytest.mark.parametrize("width", [80, 40])
def test_what_others_print_stands_above_and_nothing_is_left_behind(width: int) -> None:
    ended = done(width)
    lines = [line for line in ended.screen.text() if line]
    note = "a note that is rather long, so that it does not fit a narrow terminal at all"
    above = lines[:-5]
    assert "".join(line.ljust(width) for line in above[:-1]).strip() == note
    assert above[-1] == "printed by somebody else"


def test_what_goes_to_a_pipe_stays_out_of_the_display() -> None:
    ended = run("done", 80, stdout=subprocess.PIPE)
    assert ended.piped == "printed by somebody else\n"
    assert "printed" not in ended.raw
    assert final(ended) == FINAL[80]


def test_it_says_on_the_way_what_waits_for_what() -> None:
    raw = done(80).raw
    assert "after proxy" in raw
    assert "waiting: Deployment 漢字 0/1" in raw
    assert "after hub" in raw
    assert "\x1b[2J" not in raw


def test_a_failure_shows_its_first_line_and_what_was_not_started() -> None:
    ended = run("failed", 80)
    assert ended.code == 0
    assert final(ended) == [
        "✓ proxy _s installed 41.3.0, ready",
        "✗ spark-operator _s Deployment spark-operator-webhook: ImagePullBackOff",
        "! hub wait/spark-operator did not succeed",
        "! metrics-server wait/spark-operator did not succeed",
        "1/4 · _s",
    ]


@pytest.mark.parametrize(("ending", "code"), [("crash", 1), ("interrupt", -2)])
def test_the_cursor_comes_back_when_the_run_ends_early(ending: str, code: int) -> None:
    ended = run(ending, 80)
    assert ended.code == code, ended.raw
    assert "\x1b[?25l" in ended.raw
    assert ended.screen.cursor


@pytest.mark.parametrize(("width", "to"), [(80, 40), (40, 100)])
def test_a_resize_on_the_way_does_no_harm(width: int, to: int) -> None:
    ended = run("resize", width, to=to)
    assert ended.code == 0, ended.raw
    assert "Traceback" not in ended.raw
    screen = Screen(to)
    screen.feed(ended.raw.rpartition("RESIZE\r\n")[2])
    assert final(Ended(0, "", screen)) == FINAL[40 if to == 40 else 80]
    assert screen.cursor


@pytest.mark.parametrize(
    ("env", "colour", "moves"),
    [
        ({}, True, True),
        ({"NO_COLOR": "1"}, False, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, True),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, False),
    ],
)
def test_the_environment_decides_over_colour_and_movement(env: dict[str, str], colour: bool, moves: bool) -> None:
    raw = run("done", 80, env=env).raw
    assert bool(re.search(r"\x1b\[[0-9;]*m", raw)) == colour
    assert ("\x1b[1A" in raw) == moves


def test_a_low_terminal_shows_what_runs_first_and_says_what_it_hides() -> None:
    ended = run("done", 80, height=4)
    assert ended.code == 0
    assert "2 not shown" in ended.raw
    assert final(ended)[-1] == "4/4 · _s"


def _lines(*phases: Phase) -> list[Line]:
    return [Line(f"c{number}", phase, 1.0, "") for number, phase in enumerate(phases)]


def test_where_there_is_no_room_failed_and_running_stay() -> None:
    lines = _lines(Phase.DONE, Phase.WAITING, Phase.RUNNING, Phase.DONE, Phase.FAILED)
    shown, hidden = fitting(lines, 4)
    assert ([line.component for line in shown], hidden) == (["c1", "c2", "c4"], 2)
    assert fitting(lines, 6) == (lines, 0)
    assert fitting(lines, 0) == (lines, 0)
    assert fitting(lines, 1) == ([], 5)


@pytest.mark.parametrize("width", [*range(1, 30), 80])
def test_a_line_is_never_wider_than_its_room(width: int) -> None:
    line: Any = draw(Line("spark-operator", Phase.RUNNING, 7300.0, "waiting 漢字漢字 " * 9), 14, width, "⠋")
    assert line.cell_len <= width
