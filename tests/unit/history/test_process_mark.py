"""A process is taken for dead only when that is certain."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sparkrig.history import process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


def test_this_process_is_alive() -> None:
    assert process.mark()
    assert not process.is_dead(process.mark())


def test_a_process_that_ended_is_dead_also_as_a_zombie() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    place = process.mark().rsplit("/", 2)[0]
    mark = f"{place}/{child.pid}/{process._start(child.pid)}"
    assert not process.is_dead(mark)
    child.kill()
    while not process.is_dead(mark):
        pass
    child.wait()
    child.communicate()
    assert process.is_dead(mark)


@pytest.mark.parametrize("change", ["boot", "namespace", "empty", "nonsense"])
def test_another_machine_or_container_tells_nothing(change: str) -> None:
    boot, namespace, _, start = process.mark().split("/")
    marks = {
        "boot": f"other-{boot}/{namespace}/999999/{start}",
        "namespace": f"{boot}/1{namespace}/999999/{start}",
        "empty": "",
        "nonsense": "///",
    }
    assert not process.is_dead(marks[change])


def test_a_pid_that_was_given_out_again_is_another_process() -> None:
    place, pid, start = process.mark().rsplit("/", 2)
    assert process.is_dead(f"{place}/{pid}/{int(start) + 1}")
