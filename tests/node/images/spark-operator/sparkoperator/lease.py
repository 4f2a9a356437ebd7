"""Who leads, by a Lease, as client-go's leader election does it.

A Lease of somebody else is waited out from the moment it was first seen: what it says of its own age is not
believed. Nobody gives a Lease back at his end, and a removed release leaves it behind.
"""

from __future__ import annotations

import datetime
import logging
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubernetes import client

JITTER = 1.2
MISSING, CONFLICT = 404, 409
logger = logging.getLogger("sparkoperator")


def seconds(text: str) -> float:
    """``15s`` or ``1m30s`` as a number."""
    total, number = 0.0, ""
    for letter in text:
        if letter.isdigit() or letter == ".":
            number += letter
        else:
            total += float(number) * {"h": 3600, "m": 60, "s": 1}[letter]
            number = ""
    return total


@dataclass
class Candidate:
    """One that wants to lead; what it has seen of the others. No client: tests ask it."""

    identity: str
    duration: float
    seen: Mapping[str, Any] | None = None
    since: float = 0.0

    def may_take(self, spec: Mapping[str, Any] | None, now: float) -> bool:
        """Whether the Lease with this spec (None: there is none) may be written now; ``now`` never goes back."""
        if spec is None:
            return True
        if spec != self.seen:
            self.seen, self.since = dict(spec), now
        holder = spec.get("holderIdentity") or ""
        return holder in ("", self.identity) or self.since + float(spec.get("leaseDurationSeconds") or 0) < now


@dataclass
class Election:
    """The Lease of one part of the operator."""

    name: str
    namespace: str
    duration: float = 15.0
    renew: float = 10.0
    retry: float = 2.0
    candidate: Candidate = field(init=False)

    def __post_init__(self) -> None:
        self.candidate = Candidate(f"{socket.gethostname()}_{uuid.uuid4()}", self.duration)

    def lead(self) -> None:
        """Return once this process leads; from then on a thread renews, and ends the process if it cannot."""
        logger.info("attempting to acquire leader lease %s/%s", self.namespace, self.name)
        while not self._try():
            time.sleep(self.retry * (1 + random.random() * JITTER))
        logger.info("successfully acquired lease %s/%s", self.namespace, self.name)
        threading.Thread(target=self._renew, daemon=True).start()

    def _renew(self) -> None:
        last = time.monotonic()
        while time.monotonic() - last < self.renew:
            time.sleep(self.retry)
            if self._try():
                last = time.monotonic()
        logger.error("leader election lost")
        os._exit(1)

    def _try(self) -> bool:
        try:
            return self._written()
        except (client.ApiException, OSError) as error:
            logger.warning("lease %s/%s: %s", self.namespace, self.name, error)
            return False

    def _written(self) -> bool:
        api = client.CoordinationV1Api()
        try:
            found = api.read_namespaced_lease(self.name, self.namespace)
        except client.ApiException as error:
            if error.status != MISSING:
                raise
            found = None
        spec = client.ApiClient().sanitize_for_serialization(found.spec) if found else None
        if not self.candidate.may_take(spec, time.monotonic()):
            return False
        now = datetime.datetime.now(datetime.UTC)
        mine = bool(spec) and spec.get("holderIdentity") == self.candidate.identity
        changes = int((spec or {}).get("leaseTransitions") or 0)
        wanted = client.V1LeaseSpec(
            holder_identity=self.candidate.identity,
            lease_duration_seconds=int(self.duration),
            acquire_time=found.spec.acquire_time if mine else now,
            renew_time=now,
            lease_transitions=changes if mine or not found else changes + 1,
        )
        if found is None:
            metadata = client.V1ObjectMeta(name=self.name, namespace=self.namespace)
            api.create_namespaced_lease(self.namespace, client.V1Lease(metadata=metadata, spec=wanted))
        else:
            found.spec = wanted
            api.replace_namespaced_lease(self.name, self.namespace, found)
        return True
