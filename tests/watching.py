"""Looks at what a run leaves where anybody on the machine can see it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def command_lines() -> Iterator[list[bytes]]:
    """Every command line of this machine's processes, looked at all the time; filled when it ends."""
    seen: dict[bytes, None] = {}
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.005):
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    try:
                        seen[(entry / "cmdline").read_bytes()] = None
                    except OSError:
                        continue

    thread = threading.Thread(target=look)
    thread.start()
    found: list[bytes] = []
    try:
        yield found
    finally:
        stop.set()
        thread.join()
        found += seen
