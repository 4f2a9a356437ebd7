"""Runs one command to its end and takes the kernel's own account of it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
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
    with log.open("ab") as output, tempfile.TemporaryDirectory(prefix="bench-") as place:
        output.write(f"\n$ {' '.join(argv)}\n".encode())
        output.flush()
        report = Path(place) / "account.json"
        taker = [sys.executable, "-I", "-S", str(Path(__file__).with_name("account.py")), str(report)]
        ended = subprocess.run(
            [*taker, *argv],
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if ended.returncode:
            raise CommandFailed(f"{argv[0]} could not be run; see {log}")
        status, wall_s, cpu_s, peak_kib = json.loads(report.read_text())
    if status not in expected:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
        raise CommandFailed(f"{argv[0]} ended with {status}; the end of {log}:\n{tail}")
    return Measured(wall_s, cpu_s, peak_kib / 1024)
