"""Children that end with the thread that started them, and no Python between fork and exec."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sparkrig.tools import lifeline

PARENT = """
import subprocess, sys, time
from sparkrig.tools import lifeline
if sys.argv[1] == "python":
    lifeline._setpriv = lambda: None
child = subprocess.Popen(lifeline.tied(["sleep", "60"]), start_new_session=True)
print(child.pid, flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until_sleep(pid: int) -> list[str]:
    deadline = time.monotonic() + 20
    while b"60" not in (words := Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")) or len(words) > 3:
        assert time.monotonic() < deadline, words
        time.sleep(0.01)
    return [word.decode() for word in words]


@pytest.mark.parametrize("way", ["setpriv", "python"])
def test_a_child_ends_with_its_parent(way: str) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, way], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert until_sleep(child)[0].endswith("sleep")
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 10
    while alive(child):
        assert time.monotonic() < deadline, "the child outlives its parent"
        time.sleep(0.01)


HOLDER = """
import subprocess, sys, time
from sparkrig.tools import lifeline
script = "sleep 60 & echo $$ $!; wait"
child = subprocess.Popen(lifeline.held(["sh", "-c", script]), stdin=subprocess.PIPE, start_new_session=True)
time.sleep(60)
"""


def test_what_a_held_program_started_ends_with_the_holder() -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    group = [int(word) for word in holder.stdout.readline().split()]
    assert [alive(pid) for pid in group] == [True, True]
    holder.kill()
    holder.communicate()
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in group):
        assert time.monotonic() < deadline, "a grandchild outlives us"
        time.sleep(0.01)


def test_a_held_program_has_an_empty_input_its_arguments_and_its_status() -> None:
    command = lifeline.held(
        [sys.executable, "-c", "import sys; print(sys.argv[1:], sys.stdin.read()); sys.exit(3)", "a b"]
    )
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, text=True
    ) as held:
        assert held.stdout is not None
        assert (held.stdout.readline(), held.wait(20)) == ("['a b'] \n", 3)


@pytest.mark.parametrize("way", ["setpriv", "python"])
def test_arguments_environment_and_status_pass_through(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "python":
        monkeypatch.setattr(lifeline, "_setpriv", lambda: None)
    script = "import os, sys; print(sys.argv[1:], os.environ['A B'.replace(' ', '_')]); sys.exit(3)"
    words = ["two words", "$HOME", "'quoted'", "", "*"]
    environment = {**os.environ, "A_B": "x y"}
    done = subprocess.run(
        lifeline.tied([sys.executable, "-c", script, *words]), capture_output=True, text=True, env=environment
    )
    assert done.returncode == 3
    assert done.stdout == f"{words} x y\n"
    ended = subprocess.Popen(lifeline.tied(["sleep", "60"]))
    until_sleep(ended.pid)
    ended.send_signal(signal.SIGTERM)
    assert ended.wait(10) == -signal.SIGTERM


def test_a_program_that_is_not_there_is_an_error_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        lifeline.tied([str(tmp_path / "none")])
    (tmp_path / "text").write_text("x")
    with pytest.raises(PermissionError):
        lifeline.tied([str(tmp_path / "text")])
