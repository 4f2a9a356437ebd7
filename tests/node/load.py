"""A steady load of requests: what a user of a service sees while the platform below it changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

PAUSE_S = 0.02
"""Between two requests of one caller: a load, not a contest for the machine's two cores."""


@dataclass
class Load:
    """Callers who ask one after the other from ``with`` to its end; every answer is looked at.

    ``ask`` makes one request and raises where the answer is not what it must be. Read ``answered`` and ``failures``
    at any time.
    """

    ask: Callable[[], None]
    callers: int = 4
    answered: int = 0
    failures: list[str] = field(default_factory=list)
    """Seconds since the begin, and what was wrong."""
    slowest_s: float = 0.0
    _began: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(self.callers)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def __str__(self) -> str:
        seconds = time.monotonic() - self._began
        return (
            f"{self.answered} answers, {len(self.failures)} failures in {seconds:.0f} s, slowest {self.slowest_s:.2f} s"
        )

    def _call(self) -> None:
        while not self._ended.wait(PAUSE_S):
            began = time.monotonic()
            try:
                self.ask()
            except Exception as error:
                with self._lock:
                    self.failures.append(f"{began - self._began:.1f} s: {type(error).__name__}: {error}")
            else:
                with self._lock:
                    self.answered += 1
                    self.slowest_s = max(self.slowest_s, time.monotonic() - began)
