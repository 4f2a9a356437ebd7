"""What can be made or fetched again, kept in the cache until nobody asks for them any more."""

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
        used(file)
    except (OSError, ValueError):
        return None
    return text if digest == _digest(text) else None


def keep(file: Path, text: str) -> None:
    """Writes a file that its owner alone may read; a cache that cannot be written costs time only."""
    with contextlib.suppress(OSError):
        write_atomically(file, f"{_digest(text)}\n{text}".encode())
        prune(file.parent)


def used(file: Path) -> None:
    """Notes that a file of the cache is still of use; where that cannot be written it may be made again one day."""
    with contextlib.suppress(OSError):
        if time.time() - file.stat().st_mtime > DAY_S:
            os.utime(file)


def prune(folder: Path) -> None:
    """Removes the files of a folder of the cache that nobody has used for ``UNUSED_S``. Raises OSError."""
    oldest = time.time() - UNUSED_S
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < oldest:
                Path(entry.path).unlink(missing_ok=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
