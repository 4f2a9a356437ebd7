"""Pods that admission refuses: Pod Security, a quota, a policy. No pod exists then, so no pod's status says why.

Only events say it. A refusal may pass, as when a quota has room again, so it counts as a failure only once it has
lasted as long as an image pull may fail.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from sparkrig.defaults import REFUSAL_POLL_S
from sparkrig.errors import AccessDenied
from sparkrig.kube.client import KubeApi
from sparkrig.kube.watch import ObjectWatch
from sparkrig.models.json import text_at
from sparkrig.models.objects import Judgement, ObjectRef
from sparkrig.readiness.containers import GRACE_S
from sparkrig.readiness.fields import failed
from sparkrig.readiness.pods import newest_replica_set

KINDS: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"})
REFUSED, CREATED = "FailedCreate", "SuccessfulCreate"
FORBIDDEN: Final = ("forbidden", "denied the request")
"""What the API server says of an object that admission refused; a name that is taken or a time-out passes by itself."""


class Refusals:
    """The refused pods of one wait; remembers since when each workload's pods are refused."""

    def __init__(self, api: KubeApi, watch: ObjectWatch, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._watch = watch
        self._clock = clock
        self._asked_at = clock()
        self._since: dict[ObjectRef, float] = {}

    def lasting(self, waiting: Mapping[ObjectRef, Judgement]) -> dict[ObjectRef, Judgement]:
        """Of the workloads that are waited for those whose pods have been refused for ``GRACE_S``, as failed.

        Reads events, at most every ``REFUSAL_POLL_S``; without the right to read them nothing is found.
        """
        now = self._clock()
        workloads = [ref for ref in waiting if ref.kind in KINDS]
        if not workloads or now - self._asked_at < REFUSAL_POLL_S:
            return {}
        self._asked_at = now
        found = self._refused(workloads)
        self._since = {ref: self._since.get(ref, now) for ref in found}
        return {
            ref: failed(f"{waiting[ref].message}, pods are refused: {found[ref]}")
            for ref, since in self._since.items()
            if now - since >= GRACE_S
        }

    def _refused(self, workloads: Iterable[ObjectRef]) -> dict[ObjectRef, str]:
        makers = {uid: ref for ref in workloads if (uid := self._maker(ref))}
        newest: dict[str, Mapping[str, Any]] = {}
        for namespace in sorted({ref.namespace for ref in makers.values()}):
            try:
                events = self._api.list(f"/api/v1/namespaces/{namespace}/events")
            except AccessDenied:
                continue
            for event in events:
                uid = text_at(event, "involvedObject", "uid")
                known = newest.get(uid)
                if event.get("reason") in (REFUSED, CREATED) and (known is None or _at(known) <= _at(event)):
                    newest[uid] = event
        return {
            makers[uid]: " ".join(str(event.get("message") or "").split())
            for uid, event in newest.items()
            if uid in makers
            and event["reason"] == REFUSED
            and any(word in str(event.get("message")) for word in FORBIDDEN)
        }

    def _maker(self, ref: ObjectRef) -> str | None:
        """UID of what creates the pods: of a Deployment its newest ReplicaSet."""
        found: Mapping[str, Any] | None = self._watch.get(ref)
        if found is not None and ref.kind == "Deployment":
            found = newest_replica_set(found, self._watch.all_of("apps", "v1", "ReplicaSet", ref.namespace))
        return str(found["metadata"].get("uid")) if found is not None else None


def _at(event: Mapping[str, Any]) -> str:
    """When it was last seen, as text that sorts by time."""
    series = event.get("series") or {}
    return str(event.get("lastTimestamp") or series.get("lastObservedTime") or event.get("eventTime") or "")
