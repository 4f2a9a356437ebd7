"""Runs a program that a download or a build needs: it and all it starts end with us, and at the end of the step."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from sparkrig.defaults import TOOL_TERM_GRACE_S
from sparkrig.errors import Interrupted
from sparkrig.tools.lifeline import held
from sparkrig.tools.model import REPORT_EVERY_S, Progress, StopCheck, Update
from sparkrig.tools.probe import UnfitError

POLL_S = 0.2
PIP_OPTIONS: Final = (
    "--quiet",
    "--disable-pip-version-check",
    "--no-deps",
    "--only-binary=:all:",
    "--require-hashes",
    "--retries=1",  # without a network pip would repeat itself for minutes
)
"""For pip where it fetches one package that is pinned by its hash."""


def run(command: Sequence[str], what: str, timeout_s: float, on_progress: Progress, stop: StopCheck) -> None:
    """Run it to its end, and say every other second that it still runs.

    Raises:
        UnfitError: it cannot be started, fails or takes too long; the text ends with its last line.
        Interrupted: ``stop`` said so.
    """
    began = reported = time.monotonic()
    with tempfile.TemporaryFile() as output:
        try:
            with started(command, stdout=output, stderr=output) as process:
                while process.poll() is None:
                    now = time.monotonic()
                    if stop():
                        raise Interrupted(f"stopped: {what}")
                    if now - began > timeout_s:
                        raise UnfitError(f"{what} took longer than {timeout_s:.0f} s")
                    if now - reported >= REPORT_EVERY_S:
                        on_progress(Update(f"{what}: {now - began:.0f} s"))
                        reported = now
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(POLL_S)
        except OSError as error:
            raise UnfitError(f"{what} failed: {error}") from None
        if process.returncode:
            output.seek(0)
            lines = [line for line in output.read().decode(errors="replace").splitlines() if line.strip()]
            raise UnfitError(f"{what} failed: {lines[-1] if lines else f'exit {process.returncode}'}")


@contextlib.contextmanager
def started(
    command: Sequence[str],
    *,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program as a process group of its own that ends with the block, and with us even after ``kill -9``.

    Raises:
        OSError: it cannot be started.
    """
    process = subprocess.Popen(
        held(command),
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        cwd=cwd,
        env=env,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the group: gently where the program has not ended well by itself, and then whatever is left of it."""
    if process.poll() != 0:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(TOOL_TERM_GRACE_S)
    for pipe in (process.stdin, process.stderr):
        if pipe is not None:
            pipe.close()
