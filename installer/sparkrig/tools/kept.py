"""Texts that can be made again, kept in the cache until nobody asks for them any more."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path
from typing import Final

from sparkrig.tools.files import write_atomically

DAY_S: Final = 86_400
UNUSED_S: Final = 30 * DAY_S
"""Files that nobody has asked for so long are removed when another one is written."""


def recall(file: Path) -> str | None:
    """What ``keep`` wrote; None where it is missing or damaged."""
    try:
        digest, _, text = file.read_text("utf-8").partition("\n")
        if time.time() - file.stat().st_mtime > DAY_S:
            os.utime(file)
    except (OSError, ValueError):
        return None
    return text if digest == _digest(text) else None


def keep(file: Path, text: str) -> None:
    """Writes a file that its owner alone may read; a cache that cannot be written costs time only."""
    with contextlib.suppress(OSError):
        write_atomically(file, f"{_digest(text)}\n{text}".encode())
        _tidy(file.parent)


def _tidy(folder: Path) -> None:
    oldest = time.time() - UNUSED_S
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < oldest:
                Path(entry.path).unlink(missing_ok=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
