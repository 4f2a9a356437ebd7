"""Files of CRDs as JSON, kept in the user's cache from one run to the next, by the SHA-256 of their text.

A large chart brings three megabytes of them, a third of a second to read as YAML, and mostly the same ones in its next
version. They are public schemas, and a chart's file; nothing of anybody's values is in them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sparkrig.tools import cache_dir
from sparkrig.tools.files import write_atomically

FORM: Final = 1
"""Grows when the reader of YAML gives something else for the same text."""
WORTH_KEEPING: Final = 20_000
"""Characters of a file below which reading it is as quick."""


def parsed_before(text: str, parse: Callable[[], list[Any]]) -> str:
    """The documents of ``text`` as a JSON list: from the cache, else parsed and kept there.

    Raises what ``parse`` does; a cache that is damaged, or cannot be written, costs time only.
    """
    if len(text) < WORTH_KEEPING:
        return json.dumps(parse())
    file = _file(text)
    if (kept := _kept(file)) is not None:
        return kept
    made = json.dumps(parse())
    with contextlib.suppress(OSError):
        write_atomically(file, f"{_digest(made)}\n{made}".encode())
    return made


def _kept(file: Path) -> str | None:
    try:
        digest, _, text = file.read_text("utf-8").partition("\n")
    except (OSError, ValueError):
        return None
    return text if digest == _digest(text) else None


def _file(text: str) -> Path:
    return cache_dir() / "crds" / f"{FORM}-{_digest(text)}.json"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
