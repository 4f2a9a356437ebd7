"""Runs a program that a download or a build needs: it ends with us, when it is stopped, and at its deadline."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence

from sparkrig.defaults import TOOL_TERM_GRACE_S
from sparkrig.errors import Interrupted
from sparkrig.tools.lifeline import tied
from sparkrig.tools.model import StopCheck
from sparkrig.tools.probe import UnfitError

POLL_S = 0.2


def run(command: Sequence[str], what: str, timeout_s: float, stop: StopCheck) -> None:
    """Run it to its end.

    Raises:
        UnfitError: it cannot be started, fails or takes too long; the text ends with its last line.
        Interrupted: ``stop`` said so.
    """
    deadline = time.monotonic() + timeout_s
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                tied(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        except OSError as error:
            raise UnfitError(f"{what} failed: {error}") from None
        try:
            while process.poll() is None:
                if stop():
                    raise Interrupted(f"stopped: {what}")
                if time.monotonic() > deadline:
                    raise UnfitError(f"{what} took longer than {timeout_s:.0f} s")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_S)
        finally:
            end_group(process)
        if process.returncode:
            output.seek(0)
            lines = [line for line in output.read().decode(errors="replace").splitlines() if line.strip()]
            raise UnfitError(f"{what} failed: {lines[-1] if lines else f'exit {process.returncode}'}")


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a child that is a process group of its own, and what it started, unless it ended well by itself."""
    if process.poll() == 0:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(TOOL_TERM_GRACE_S)
