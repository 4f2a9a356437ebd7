"""Lets a thread that works for an operation end with it.

Canceling a task does not reach the thread that it waits for: without this, a removal would go on deleting after the
run was stopped hard or lost its lock. ``asyncio.to_thread`` hands the context of the operation on to its threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from sparkrig.errors import Interrupted

_ended: ContextVar[threading.Event | None] = ContextVar("sparkrig-operation-ended", default=None)


@contextmanager
def operation() -> Iterator[None]:
    """Around the work of one operation: when it is left, whatever threads it still has end at their next ``check``."""
    ended = threading.Event()
    token = _ended.set(ended)
    try:
        yield
    finally:
        ended.set()
        _ended.reset(token)


def check() -> None:
    """To be called before each change of the cluster that is one of many.

    Raises:
        Interrupted: the operation has been given up.
    """
    ended = _ended.get()
    if ended is not None and ended.is_set():
        raise Interrupted("the operation was given up")


def pause(seconds: float) -> None:
    """Sleep between two looks.

    Raises:
        Interrupted: the operation has been given up, at once.
    """
    ended = _ended.get()
    if ended is None:
        time.sleep(seconds)
    elif ended.wait(seconds):
        raise Interrupted("the operation was given up")
