"""Runs one command to its end and takes the kernel's own account of it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Measured:
    """Whole-process figures: of the command and everything it started and waited for."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    """The largest single process."""


class CommandFailed(Exception):
    """A measured command did not end as it should; no figure is made from it."""


def measure(
    argv: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path, expected: Sequence[int] = (0,)
) -> Measured:
    """Run ``argv`` and return its figures; its output goes to ``log``.

    Raises:
        CommandFailed: it ended with another status than an expected one.
    """
    with log.open("ab") as output:
        output.write(f"\n$ {' '.join(argv)}\n".encode())
        output.flush()
        started = time.monotonic()
        process = subprocess.Popen(
            argv, env=dict(environment), cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in expected:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
        raise CommandFailed(f"{argv[0]} ended with {process.returncode}; the end of {log}:\n{tail}")
    return Measured(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
