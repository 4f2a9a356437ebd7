"""How often a run that waits for the lock says so; how the API server answers is in tests/cluster/test_lock.py."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from sparkrig.defaults import LOCK_SAY_S
from sparkrig.errors import Locked
from sparkrig.history import lock
from sparkrig.history.lock import Lock
from sparkrig.kube.client import KubeApi


class Held:
    """An API server whose Lease is held by one run after the other."""

    def __init__(self, holders: list[str]) -> None:
        self.holders = holders

    def get(self, path: str, *, missing_ok: bool = False) -> dict[str, Any]:
        assert missing_ok, path
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        holder = self.holders.pop(0) if len(self.holders) > 1 else self.holders[0]
        spec = {"holderIdentity": holder, "leaseDurationSeconds": 40, "acquireTime": now, "renewTime": now}
        return {"metadata": {"name": "x"}, "spec": spec}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A monotonic clock that moves by what is slept."""
    now = [1000.0]
    monkeypatch.setattr(lock.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(lock.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def waiting(holders: list[str], seconds: float) -> list[str]:
    said: list[str] = []
    api: KubeApi = Held(holders)  # type: ignore[assignment]
    with pytest.raises(Locked, match="is locked by"):
        Lock(api, "s").acquire(wait_s=seconds, on_wait=said.append)
    return [line.partition(",")[0] for line in said]


def test_each_holder_is_named_once(clock: list[float]) -> None:
    said = waiting(["ann@a pid 1 run 0", "ann@a pid 1 run 0", "bob@b pid 2 run 1", "bob@b pid 2 run 1"], 20)
    assert said == ["waiting for the lock held by ann@a pid 1", "waiting for the lock held by bob@b pid 2"]
    assert clock[0] == pytest.approx(1020)


def test_a_long_wait_says_so_now_and_then(clock: list[float]) -> None:
    said = waiting(["ann@a pid 1 run 0"], 2.5 * LOCK_SAY_S)
    assert said == [f"{still}waiting for the lock held by ann@a pid 1" for still in ("", "still ", "still ")]
    assert clock[0] == pytest.approx(1000 + 2.5 * LOCK_SAY_S)
