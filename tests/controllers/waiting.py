"""Waiting for what a controller does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def until(look: Callable[[], T], what: str, timeout_s: float = 30.0) -> T:
    """Return what ``look`` returns, once it is true."""
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(0.1)
    return found


def condition(item: Mapping[str, Any] | None, kind: str) -> Mapping[str, Any]:
    """Return a condition of an object; empty where it has none."""
    conditions = ((item or {}).get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == kind), {})
