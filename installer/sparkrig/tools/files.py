"""Files of the cache: whole or not there."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


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
