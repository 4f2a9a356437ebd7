"""Names a process so that another one on the same machine can tell for certain that it is dead.

``boot/pid-namespace/pid/start``: equal boot id and pid namespace mean that both processes see the same
pids; the start time tells a pid that was given out again from the process that had it. Linux only;
elsewhere nothing is known and a lease has to expire.
"""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")


def mark() -> str:
    """The mark of this process; empty where the machine does not tell."""
    try:
        return f"{_place()}/{os.getpid()}/{_start(os.getpid())}"
    except OSError:
        return ""


def is_dead(other: str) -> bool:
    """True only when the marked process certainly is no more: same boot, same pids, not there."""
    place, _, rest = other.rpartition("/")
    place, _, pid = place.rpartition("/")
    if not place or not pid.isdigit() or not rest:
        return False
    try:
        if place != _place():
            return False
        return _start(int(pid)) != rest
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _place() -> str:
    boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{(PROC / 'self/ns/pid').stat().st_ino}"


def _start(pid: int) -> str:
    """Start time of a process, in clock ticks since boot; a zombie counts as not there."""
    # The second field is the program's name in parentheses, which may hold anything.
    fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    if fields[0] in ("Z", "X"):
        raise FileNotFoundError(pid)
    return fields[19]
