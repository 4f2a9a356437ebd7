"""Says what checks wait for, so that a log shows for ten minutes that something goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sparkrig.defaults import CHECK_QUIET_S, CHECK_REPEAT_S, CHECK_SAY_S


@dataclass(slots=True)
class _Wait:
    began: float
    timeout_s: float
    message: str = ""
    shown: str = ""
    shown_at: float = 0.0


class Waits:
    """Collects from many threads what checks wait for; ``show`` hands on what is new, from one."""

    def __init__(self, on_wait: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._on_wait = on_wait
        self._clock = clock
        self._lock = threading.Lock()
        self._waits: dict[str, _Wait] = {}

    def of(self, name: str, timeout_s: float) -> Callable[[str], None]:
        """What the check ``name`` is to call with what it waits for."""
        wait = _Wait(self._clock(), timeout_s)
        with self._lock:
            self._waits[name] = wait

        def say(message: str) -> None:
            wait.message = message

        return say

    def end(self, name: str) -> None:
        """The check has its answer."""
        with self._lock:
            self._waits.pop(name, None)

    def show(self) -> None:
        """Hand on each message that is new, or that was shown a while ago."""
        with self._lock:
            waits = list(self._waits.items())
        for name, wait in waits:
            now, message = self._clock(), wait.message
            since = now - (wait.shown_at or wait.began)
            news = message != wait.shown
            if message and since >= (CHECK_REPEAT_S if not news else CHECK_SAY_S if wait.shown else CHECK_QUIET_S):
                wait.shown, wait.shown_at = message, now
                self._on_wait(f"waiting: check {name}: {message} ({now - wait.began:.0f} of {wait.timeout_s:.0f} s)")
