"""Command lines for children that must not outlive us, without Python code between fork and exec.

Code that runs there (``preexec_fn``) can deadlock where other threads exist. Linux's parent-death signal is
set by a small program that execs the next one instead: the process id stays, and so do its signals. It reaches
that one process only; ``held`` is for programs that start others.
"""

from __future__ import annotations

import errno
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sparkrig.defaults import TOOL_PROBE_TIMEOUT_S

CHECK: Final = '[ "$PPID" = "$0" ] || exit 1; exec "$@"'
"""The parent may have died before the signal was asked for: then none would ever come."""
PYTHON: Final = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""The same for machines whose setpriv is not that of util-linux; it costs 20 ms, setpriv 2 ms."""

HOLD: Final = 'exec 3<&0 </dev/null; { read -r _ <&3; kill -KILL 0; } >/dev/null 2>&1 & exec 3<&-; exec "$@"'
"""Beside the program a shell reads a pipe whose other end we hold: when we end, however, it ends the whole group."""


def tied(argv: Sequence[str]) -> list[str]:
    """Return the command line that runs ``argv``, ended by the kernel when the thread that starts it ends.

    Where the kernel has no such signal, the command line is as it was.

    Raises:
        OSError: ``argv[0]`` cannot be run; the programs in between would only say so in their own words.
    """
    return [*_prefix(), _program(argv[0]), *argv[1:]]


def held(argv: Sequence[str]) -> list[str]:
    """Return the command line that runs ``argv`` until its standard input is closed; then its whole group is killed.

    Start it as the leader of a new session, with a pipe as its input that nobody else inherits and nobody writes
    to. The program itself reads an empty input. Works on every POSIX system.

    Raises:
        OSError: ``argv[0]`` cannot be run.
    """
    return ["/bin/sh", "-c", HOLD, "sh", _program(argv[0]), *argv[1:]]


def _program(name: str) -> str:
    program = shutil.which(name)
    if program is None:
        if Path(name).exists():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    return program


def _prefix() -> list[str]:
    if sys.platform != "linux":
        return []
    parent = str(os.getpid())
    if setpriv := _setpriv():
        return [setpriv, "--pdeathsig", "KILL", "--", "/bin/sh", "-c", CHECK, parent]
    return [sys.executable, "-I", "-S", "-c", PYTHON, parent]


@functools.cache
def _setpriv() -> str | None:
    """util-linux's setpriv; Busybox has one that lacks the option."""
    found = shutil.which("setpriv")
    if found is None or not os.access("/bin/sh", os.X_OK):
        return None
    try:
        done = subprocess.run([found, "--version"], capture_output=True, timeout=TOOL_PROBE_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found if b"util-linux" in done.stdout else None
