"""The stack's lock: one Lease, renewed by a heartbeat.

Holding a lock means: the Lease names this run, and it was renewed less than its duration ago by
this machine's monotonic clock. ``check`` asks exactly that, so that a run which was paused and
lost its Lease starts nothing when it wakes. A holder that was killed on this machine is known dead at
once (``history.process``); otherwise whether somebody else's Lease is stale is judged by its
renew time against this machine's clock: a clock that runs behind only waits longer, one that runs
ahead by more than the duration would take a live Lease over, and its owner then stops.
"""

from __future__ import annotations

import datetime
import getpass
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sparkrig.defaults import (
    LABEL_STACK,
    LEASE_DURATION_S,
    LEASE_PATIENCE,
    LEASE_RENEW_S,
    LEASE_RETRY_S,
    LOCK_SAY_S,
    SYSTEM_NAMESPACE,
)
from sparkrig.errors import AccessDenied, Locked, SparkrigError
from sparkrig.history import process
from sparkrig.kube.client import Conflict, KubeApi, NotFoundApi, OutcomeUnknown
from sparkrig.models.json import JsonDict, JsonObject, dig, mapping_at, number_at, text_at

LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM_NAMESPACE}/leases"


MARK = " run "
"""Before the random part of a holder, which nobody needs to read."""
PROCESS = "sparkrig.dev/process"
"""Annotation of a Lease: the holder's process, as ``history.process`` names it."""


def identity() -> str:
    """Who this run is, for a person: ``user@host pid N``. Not unique: in containers many runs are pid 1 of one host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} pid {os.getpid()}"


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody else has the lock."""

    who: str
    since: str = ""

    def __str__(self) -> str:
        return f"{self.who}, {self.since}" if self.since else self.who


def at_work(api: KubeApi, stack: str) -> str | None:
    """Whose run holds a stack's lock and may be living; empty where there is none but this process's.

    None where the Lease may not be read: then nobody knows.
    """
    try:
        lease = api.get(f"{LEASES}/sparkrig.{stack}", missing_ok=True)
    except AccessDenied:
        return None
    spec = mapping_at(lease, "spec")
    holder = text_at(spec, "holderIdentity")
    if lease is None or not holder or _stale(spec) or _died(lease) or _is_here(lease, holder):
        return ""
    return holder.partition(MARK)[0]


class Lock:
    """The lock of one stack. Use as a context manager; the Lease is given back at the end."""

    def __init__(
        self,
        api: KubeApi,
        stack: str,
        *,
        duration_s: int = LEASE_DURATION_S,
        renew_s: float = LEASE_RENEW_S,
        on_lost: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        """``on_lost`` is called once, from the heartbeat's thread, when the Lease is gone for good."""
        self._api = api
        self._stack = stack
        self._path = f"{LEASES}/sparkrig.{stack}"
        self._duration_s = duration_s
        self._renew_s = renew_s
        self._on_lost = on_lost
        self._holder = f"{identity()}{MARK}{secrets.token_hex(8)}"
        self._mark = process.mark()
        self._lease: JsonDict = {}
        self._renewed = float("-inf")
        self._lost: str | None = None
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self, *, wait_s: float = 0.0, on_wait: Callable[[str], None] = lambda _message: None) -> None:
        """Takes the lock, waiting up to ``wait_s`` for its holder.

        Raises:
            Locked: somebody else holds it; the message says who, since when and until when.
        """
        deadline = time.monotonic() + wait_s
        told, said = "", 0.0
        while True:
            held = self._try()
            if held is None:
                break
            now = time.monotonic()
            if now >= deadline:
                raise Locked(
                    f"stack {self._stack} is locked by {held}",
                    hint="wait for that run to end (--wait-lock 5m), or for its lease to expire if it died",
                )
            if held.who != told or now - said >= LOCK_SAY_S:
                on_wait(f"{'still ' if held.who == told else ''}waiting for the lock held by {held}")
                told, said = held.who, now
            time.sleep(min(1.0, max(0.0, deadline - now)))
        self._thread = threading.Thread(target=self._heartbeat, name="lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises Locked unless the Lease is this run's and fresh."""
        if self._lost is None and time.monotonic() - self._renewed > self._duration_s:
            self._lose("the lease was not renewed in time (a paused process or an unreachable API server)")
        if self._lost is not None:
            raise Locked(
                f"this run lost the lock of stack {self._stack}: {self._lost}",
                hint="nothing more was started; run the command again",
            )

    @property
    def lost(self) -> bool:
        """True when the Lease is known not to be this run's any more."""
        return self._lost is not None

    def release(self) -> None:
        """Gives the Lease back, if it is still this run's."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(timeout=self._renew_s + 1.0)
        if self._lost is None and self._lease:
            try:
                self._put(holder="", renewed=self._now(), timeout_s=self._renew_s)
            except SparkrigError:
                # It expires by itself; failing here would hide the outcome of the run.
                self._lost = "could not be given back"

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _try(self) -> Held | None:
        """One attempt; returns the holder when it is somebody else's."""
        try:
            return self._attempt()
        except OutcomeUnknown:  # the new Lease may be there, and then names this run
            return self._attempt()

    def _attempt(self) -> Held | None:
        lease = self._api.get(self._path, missing_ok=True)
        try:
            if lease is None:
                self._lease = self._api.create(LEASES, self._fresh())
                self._renewed = time.monotonic()
                return None
            spec = mapping_at(lease, "spec")
            holder = text_at(spec, "holderIdentity")
            if holder and holder != self._holder and not (_stale(spec) or _died(lease)):
                return Held(holder.partition(MARK)[0], _since(spec))
            self._lease = lease
            self._put(holder=self._holder, renewed=self._now(), acquired=True)
        except Conflict:
            return Held("another run that was quicker")
        return None

    def _fresh(self) -> JsonDict:
        now = self._now()
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": f"sparkrig.{self._stack}",
                "namespace": SYSTEM_NAMESPACE,
                "labels": {LABEL_STACK: self._stack},
                "annotations": {PROCESS: self._mark},
            },
            "spec": {
                "holderIdentity": self._holder,
                "leaseDurationSeconds": self._duration_s,
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 0,
            },
        }

    def _put(self, *, holder: str, renewed: str, acquired: bool = False, timeout_s: float | None = None) -> None:
        """Writes the Lease, refused by the server when somebody else wrote it since."""
        spec = dict(mapping_at(self._lease, "spec"))
        spec |= {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": self._duration_s}
        if acquired:
            spec |= {"acquireTime": renewed, "leaseTransitions": number_at(spec, "leaseTransitions") + 1}
        metadata = dict(mapping_at(self._lease, "metadata"))
        metadata["annotations"] = {**mapping_at(metadata, "annotations"), PROCESS: self._mark if holder else ""}
        sent = time.monotonic()
        body = {**self._lease, "metadata": metadata, "spec": spec}
        self._lease = self._api.replace(self._path, body, timeout_s=timeout_s)
        self._renewed = sent

    def _heartbeat(self) -> None:
        pause = self._renew_s
        while not self._end.wait(pause):
            # A request that hangs must neither outlast the lease nor take the time of the next one.
            left = self._renewed + LEASE_PATIENCE * self._duration_s - time.monotonic()
            try:
                self._put(holder=self._holder, renewed=self._now(), timeout_s=max(0.5, min(self._renew_s, left)))
                pause = self._renew_s
            except SparkrigError as error:
                if isinstance(error, Conflict) and not self._still_ours():
                    self._lose("another run took it over")
                    return
                if time.monotonic() - self._renewed > LEASE_PATIENCE * self._duration_s:
                    self._lose(f"it could not be renewed: {error.message}")
                    return
                pause = min(LEASE_RETRY_S, self._renew_s)

    def _still_ours(self) -> bool:
        """Whether the Lease changed by a renewal of our own whose answer was lost; then that one counts."""
        try:
            lease = self._api.request("GET", self._path, timeout_s=self._renew_s)
        except NotFoundApi:
            return False
        except SparkrigError:
            return True  # nobody knows: the next heartbeat asks again, while there is time
        mark = dig(lease, "metadata", "annotations", PROCESS)
        if dig(lease, "spec", "holderIdentity") != self._holder or mark != self._mark:
            return False
        self._lease = lease
        return True

    def _lose(self, reason: str) -> None:
        self._lost = reason
        self._on_lost(f"the lock was lost: {reason}")

    @staticmethod
    def _now() -> str:
        return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _died(lease: JsonObject) -> bool:
    """True when the holder ran on this machine and is certainly dead, so that nobody waits for its lease."""
    return process.is_dead(text_at(lease, "metadata", "annotations", PROCESS))


def _is_here(lease: JsonObject, holder: str) -> bool:
    """Whether this very process holds it; the mark is empty where a machine gives processes none."""
    mark = process.mark()
    theirs = text_at(lease, "metadata", "annotations", PROCESS)
    return theirs == mark if mark else holder.partition(MARK)[0] == identity()


def _stale(spec: JsonObject) -> bool:
    age = _age_s(text_at(spec, "renewTime"))
    return age is None or age > number_at(spec, "leaseDurationSeconds")


def _since(spec: JsonObject) -> str:
    held, renewed = _age_s(text_at(spec, "acquireTime")), _age_s(text_at(spec, "renewTime"))
    return f"for {held or 0:.0f} s, last heard of {renewed or 0:.0f} s ago"


def _age_s(moment: str) -> float | None:
    """Seconds since an RFC 3339 time; None when there is none or it cannot be read."""
    if not moment:
        return None
    try:
        then = datetime.datetime.fromisoformat(moment)
    except ValueError:
        return None
    return (datetime.datetime.now(datetime.UTC) - then).total_seconds()
