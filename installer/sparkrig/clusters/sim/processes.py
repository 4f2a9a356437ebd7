"""The processes of one simulated cluster, told from others by the path of their program.

kwokctl links the binaries into the cluster's folder. Its pid files alone are not enough: after a reboot the numbers
in them belong to somebody else, and kwokctl would take that process for its own, or kill it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sparkrig.defaults import SIM_KILL_WAIT_S

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok-controller")


@dataclass(frozen=True, slots=True)
class Process:
    """One running component."""

    pid: int
    component: str


def running(folder: Path) -> tuple[Process, ...]:
    """Return the components of the cluster in ``folder`` that run now."""
    programs = {str(folder / "bin" / component): component for component in COMPONENTS}
    return tuple(Process(pid, programs[program]) for pid, program in _programs() if program in programs)


def drop_stale_pid_files(folder: Path, alive: tuple[Process, ...]) -> None:
    """Remove pid files that name no process of this cluster, so that kwokctl starts what is missing."""
    pids = {str(process.pid) for process in alive}
    for file in (folder / "pids").glob("*.pid"):
        if file.read_text(encoding="ascii", errors="replace").strip() not in pids:
            file.unlink(missing_ok=True)


def kill_all(folder: Path) -> tuple[Process, ...]:
    """Kill every process of the cluster; return those that are still there after ``SIM_KILL_WAIT_S``.

    At once and without TERM: the data goes too, so there is nothing to save.
    """
    deadline = time.monotonic() + SIM_KILL_WAIT_S
    ending: set[Process] = set()
    while True:
        ending = {process for process in ending if _exists(process.pid)} | set(running(folder))
        if not ending or time.monotonic() > deadline:
            return tuple(ending)
        for process in ending:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.05)


def _exists(pid: int) -> bool:
    """Tell whether a killed process is still there; it loses its arguments before its memory and ports."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        # Gone, or a system without /proc.
        return sys.platform != "linux" and _answers_signals(pid)
    return state not in ("Z", "X")


def _answers_signals(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _programs() -> Iterator[tuple[int, str]]:
    """Yield the number and the first argument of every process."""
    return _from_proc() if sys.platform == "linux" else _from_ps()


def _from_proc() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            raw = (entry / "cmdline").read_bytes()
        except OSError:  # it ended, or is not ours to read
            continue
        yield int(entry.name), os.fsdecode(raw.partition(b"\0")[0])


def _from_ps() -> Iterator[tuple[int, str]]:
    listing = subprocess.run(
        ["/bin/ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True, timeout=10
    )
    for line in listing.stdout.splitlines():
        pid, _, command = line.strip().partition(" ")
        # A folder with a blank in its name is cut here, and with it what follows " --".
        yield int(pid), command.partition(" --")[0]
