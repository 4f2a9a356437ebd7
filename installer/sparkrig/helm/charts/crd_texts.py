"""Files of CRDs as JSON, kept in the user's cache from one run to the next, by the SHA-256 of their text.

A large chart brings three megabytes of them, a third of a second to read as YAML, and mostly the same ones in its next
version. They are public schemas, and a chart's file; nothing of anybody's values is in them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Final

from sparkrig.cache import keep, recall
from sparkrig.models.json import JsonValue
from sparkrig.tools import cache_dir

FORM: Final = 1
"""Grows when the reader of YAML gives something else for the same text."""
WORTH_KEEPING: Final = 20_000
"""Characters of a file below which reading it is as quick."""


def parsed_before(text: str, parse: Callable[[], list[JsonValue]]) -> str:
    """The documents of ``text`` as a JSON list: from the cache, else parsed and kept there.

    Raises what ``parse`` does; a cache that is damaged, or cannot be written, costs time only.
    """
    if len(text) < WORTH_KEEPING:
        return json.dumps(parse())
    file = cache_dir() / "crds" / f"{FORM}-{hashlib.sha256(text.encode()).hexdigest()}.json"
    if (kept := recall(file)) is not None:
        return kept
    made = json.dumps(parse())
    keep(file, made)
    return made
