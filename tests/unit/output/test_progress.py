"""Plain progress, and the board behind the live one."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from sparkrig.models.plan import Event, OperationStatus
from sparkrig.output.board import Board, Phase
from sparkrig.output.live import LiveProgress
from sparkrig.output.progress import LastingStream, PlainProgress, make_progress
from sparkrig.output.terminal import Terminal

CASES = Path(__file__).parents[2] / "cases" / "report"
RUNNING, DONE, FAILED, SKIPPED, WAITING, INTERRUPTED = (
    OperationStatus.RUNNING,
    OperationStatus.DONE,
    OperationStatus.FAILED,
    OperationStatus.SKIPPED,
    OperationStatus.WAITING,
    OperationStatus.INTERRUPTED,
)


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"report_{name}", CASES / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


records = _load("records")


class Clock:
    """A clock that stands still until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def event(operation: str, status: OperationStatus, message: str = "", seconds: float = 0.0) -> Event:
    component = next((o.component for o in records.plan().operations if o.id == operation), operation.split("/")[1])
    return Event(component, operation, status, message, seconds)


def plain(stream: Any = None) -> tuple[PlainProgress, io.StringIO, Clock]:
    out, clock = stream or io.StringIO(), Clock()
    return PlainProgress(records.plan(), Terminal(out, False, False, 0), clock=clock), out, clock


def test_plain_progress_prints_each_change_of_a_component_once() -> None:
    progress, out, clock = plain()
    with progress:
        progress(event("namespace/proxy", RUNNING, "because"))
        progress(event("namespace/proxy", DONE, "", 0.1))
        progress(event("install/proxy", WAITING))
        progress(event("install/proxy", RUNNING, "new"))
        clock.now += 1
        progress(event("install/proxy", RUNNING, "helm: proxy 41.3.0"))
        clock.now += 2
        progress(event("install/proxy", DONE, "", 3.0))
        progress(event("wait/proxy", RUNNING, "until it is ready"))
        for number in range(4):
            progress(event("wait/proxy", RUNNING, f"waiting: Deployment proxy {number}/9"))
            clock.now += 2
        progress.note("renewed the lock\nafter 2 tries")
        clock.now += 60
        progress(event("wait/proxy", FAILED, "Deployment proxy: ImagePullBackOff\nand more", 71.0))
        progress(event("upgrade/hub", SKIPPED, "wait/proxy did not succeed"))
        progress(event("wait/hub", SKIPPED, "upgrade/hub did not succeed"))
        progress(event("upgrade/spark-operator", INTERRUPTED, "given up"))
    assert out.getvalue() == (
        "  0.0s  … proxy           installing 41.3.0: new\n"
        "   11s  renewed the lock\n"
        "   11s  after 2 tries\n"
        " 1m11s  ✗ proxy           wait/proxy failed after 1m11s: Deployment proxy: ImagePullBackOff\n"
        " 1m11s  · hub             upgrade/hub not started: wait/proxy did not succeed\n"
        " 1m11s  ! spark-operator  upgrade/spark-operator interrupted: given up\n"
    )


def test_the_end_of_a_component_says_what_was_done_and_how_long_it_took() -> None:
    progress, out, clock = plain()
    progress(event("crds/spark-operator", RUNNING, "because"))
    clock.now += 2
    progress(event("crds/spark-operator", DONE, "", 2.0))
    progress(event("upgrade/spark-operator", RUNNING, "changed"))
    clock.now += 5
    progress(event("upgrade/spark-operator", DONE, "", 5.0))
    progress(event("wait/spark-operator", RUNNING, "until it is ready"))
    clock.now += 3
    progress(event("wait/spark-operator", DONE, "", 3.0))
    assert out.getvalue() == (
        "  2.0s  … spark-operator  upgrading to 2.5.2: changed\n"
        "   10s  ✓ spark-operator  upgraded to 2.5.2, ready after 10s\n"
    )


def test_a_long_wait_is_named_again_each_half_minute_and_not_more_often() -> None:
    progress, out, clock = plain()
    progress(event("install/proxy", RUNNING, "new"))
    progress(event("wait/proxy", RUNNING, "waiting: Deployment proxy 3/9"))
    for _ in range(13):
        clock.now += 5
        progress.heartbeat()
    progress(event("wait/proxy", DONE, "", 65.0))
    progress(event("install/proxy", DONE, "", 65.0))
    clock.now += 100
    progress.heartbeat()
    assert out.getvalue().splitlines()[1:3] == [
        "   30s  … proxy           waiting: Deployment proxy 3/9",
        " 1m00s  … proxy           waiting: Deployment proxy 3/9",
    ]
    assert "1m05s  … " not in out.getvalue()
    assert "2m" not in out.getvalue()


def test_lines_from_many_threads_stay_whole() -> None:
    progress, out, _ = plain()

    def work(name: str) -> None:
        for number in range(200):
            progress(event(f"install/{name}", DONE, f"message {number}"))

    threads = [threading.Thread(target=work, args=(f"worker-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = out.getvalue().splitlines()
    assert len(lines) == 800
    assert all(line.startswith("  0.0s  ✓ worker-") and "message" in line for line in lines)


def test_a_reader_that_goes_away_does_not_end_the_work() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1, encoding="utf-8") as stream:
        lasting = LastingStream(stream)
        progress, _, _ = plain(lasting)
        progress(event("install/proxy", DONE))
        progress.note("still here")
        assert lasting.lost
        with pytest.raises(BrokenPipeError):
            stream.flush()
        # What the stream could not write is still in it, and closing it would try again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)


def test_a_closed_stream_does_not_end_the_work() -> None:
    stream = io.StringIO()
    stream.close()
    progress, _, _ = plain(stream)
    progress(event("install/proxy", DONE))


def test_a_stream_that_knows_only_ascii_gets_ascii() -> None:
    raw = io.BytesIO()
    progress, _, _ = plain(io.TextIOWrapper(raw, encoding="ascii"))
    progress(event("install/proxy", FAILED, "naïve …"))
    assert raw.getvalue() == b"  0.0s  x proxy           install/proxy failed after 0.0s: na?ve ~\n"


def test_the_terminal_decides_which_progress_it_is() -> None:
    stream = io.StringIO()
    assert isinstance(make_progress(records.plan(), Terminal(stream, True, True, 80)), LiveProgress)
    assert isinstance(make_progress(records.plan(), Terminal(stream, True, False, 80)), PlainProgress)
    assert isinstance(make_progress(records.empty_plan(), Terminal(stream, True, True, 80)), PlainProgress)


def test_plain_progress_does_not_import_rich() -> None:
    code = (
        "import sys, sparkrig.output.progress, sparkrig.output.status, sparkrig.output.errors, sparkrig.output.plan;"
        "print('rich' in sys.modules)"
    )
    root = Path(importlib.util.find_spec("sparkrig").origin).parents[1]  # type: ignore[union-attr,arg-type]
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(root)}
    )
    assert answer.stdout == "False\n"


def shown(board: Board, now: float) -> dict[str, tuple[Phase, float | None, str]]:
    return {line.component: (line.phase, line.seconds, line.message) for line in board.lines(now)}


def test_the_board_follows_a_component_through_its_operations() -> None:
    board = Board(records.plan(), 0.0)
    assert [line.component for line in board.lines(0)] == ["proxy", "spark-operator", "hub", "metrics-server"]
    assert shown(board, 0)["hub"] == (Phase.WAITING, None, "after proxy")
    assert shown(board, 0)["spark-operator"] == (Phase.WAITING, None, "queued")
    board.take(event("crds/spark-operator", RUNNING, "because"), 1.0)
    assert shown(board, 2.0)["spark-operator"] == (Phase.RUNNING, 1.0, "applying CRDs")
    board.take(event("crds/spark-operator", DONE, "", 2.0), 3.0)
    assert shown(board, 4.0)["spark-operator"] == (Phase.WAITING, 3.0, "queued")
    board.take(event("upgrade/spark-operator", RUNNING, "changed"), 5.0)
    assert shown(board, 5.0)["spark-operator"][2] == "upgrading to 2.5.2"
    board.take(event("upgrade/spark-operator", DONE, "", 2.0), 7.0)
    board.take(event("wait/spark-operator", RUNNING, "waiting: pod x\nmore"), 7.0)
    assert shown(board, 7.0)["spark-operator"][2] == "waiting: pod x"
    assert shown(board, 16.5)["spark-operator"] == (Phase.RUNNING, 15.5, "waiting: pod x (9s)")
    board.take(event("wait/spark-operator", DONE, "", 10.0), 17.0)
    assert shown(board, 99.0)["spark-operator"] == (Phase.DONE, 16.0, "upgraded to 2.5.2, ready")


def test_the_board_keeps_the_first_failure_and_shows_what_was_not_started() -> None:
    board = Board(records.plan(), 0.0)
    board.take(event("install/proxy", RUNNING, "new"), 1.0)
    board.take(event("install/proxy", FAILED, "no\nbecause", 1.0), 2.0)
    board.take(event("wait/proxy", SKIPPED, "install/proxy did not succeed"), 3.0)
    board.take(event("upgrade/hub", SKIPPED), 3.0)
    board.take(event("uninstall/metrics-server", RUNNING, "because"), 3.0)
    board.take(event("uninstall/metrics-server", INTERRUPTED, "given up: interrupted by Ctrl-C", 1.0), 4.0)
    assert shown(board, 9.0)["proxy"][::2] == (Phase.FAILED, "no")
    assert shown(board, 9.0)["hub"] == (Phase.STOPPED, None, "not started")
    assert shown(board, 9.0)["metrics-server"] == (Phase.STOPPED, 1.0, "given up: interrupted by Ctrl-C")


def test_an_event_of_an_unknown_component_gets_a_line() -> None:
    board = Board(records.plan(), 0.0)
    board.take(Event("lock", "lock/lab", RUNNING, "renewing", 0.0), 1.0)
    assert shown(board, 1.0)["lock"] == (Phase.RUNNING, 0.0, "renewing")
    board.take(Event("lock", "lock/lab", DONE, "renewed", 1.0), 2.0)
    assert shown(board, 9.0)["lock"] == (Phase.DONE, 1.0, "renewed")
