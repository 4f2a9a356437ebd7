"""The cache: files that can be recreated or fetched again. Each is whole or missing, and removed when unused."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

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


def prune_versions(folder: Path, mark: str, current: Path) -> None:
    """Removes the subfolders of a tool's folder that no command has used for ``UNUSED_S``.

    ``mark`` is a pattern of the files whose newest time says when a subfolder was used last; ``current`` stays.
    """
    oldest = time.time() - UNUSED_S
    with contextlib.suppress(OSError):
        for version in folder.iterdir():
            times = [file.stat().st_mtime for file in version.glob(mark)]
            if version != current and times and max(times) < oldest:
                shutil.rmtree(version, ignore_errors=True)


def read_memory(file: Path, key: str, form: int) -> dict[str, Any]:
    """What ``write_memory`` wrote under ``key``; nothing where the file is missing, damaged or of another form."""
    try:
        document = json.loads(file.read_bytes())
        return dict(document[key]) if document["format"] == form else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write_memory(file: Path, key: str, form: int, known: Mapping[str, Any]) -> None:
    """Writes what can be learned again as JSON, with the number of its form. Raises OSError."""
    write_atomically(file, json.dumps({"format": form, key: known}).encode())


def write_atomically(file: Path, data: bytes) -> None:
    """Writes a file so that a reader sees the old or the new one; an interrupted write leaves the old."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
