"""Shared watches: one LIST and one WATCH for each kind, whoever asks; readers look into memory.

Threads here only read from the API server. Objects are kept without ``managedFields``, which are most of their bytes;
of custom resources whose status names no generation the times in them stay (``readiness.freshness``).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from sparkrig.defaults import API_CONNECTIONS, API_READ_TIMEOUT_S
from sparkrig.errors import OperationError, SparkrigError
from sparkrig.kube.client import KindNotServed, KubeApi
from sparkrig.kube.feed import BY_NAMESPACE, METADATA_ONLY, Feed, FeedKey
from sparkrig.models.json import JsonDict, JsonValue, dig, mapping_at, namespace_of
from sparkrig.models.objects import ObjectRef

if TYPE_CHECKING:
    import asyncio

COALESCE_S = 0.05
"""Changes closer together than this wake a reader once: a rollout of a hundred pods is thousands of events."""


class ObjectWatch:
    """Keeps objects of the kinds asked for up to date, until ``close``. Thread-safe.

    A kind is watched in the whole cluster; where that is forbidden, or a cluster has too many of it (Pod, Secret), in
    each namespace that was asked for. Of Secrets and ConfigMaps only the metadata is kept. A kind that
    is not served yet counts as synced and empty, and is picked up within seconds of its CRD.
    """

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._feeds: dict[FeedKey, Feed] = {}
        self._narrow: set[tuple[str, str, str]] = set()
        self._generation = 0
        self._closed = False
        self._subscribers: list[Callable[[], None]] = []
        self._seen: WeakKeyDictionary[asyncio.Task[JsonValue], int] = WeakKeyDictionary()

    def ensure(self, refs: Iterable[ObjectRef], wait_s: float = API_READ_TIMEOUT_S) -> None:
        """Watch the kinds of these objects, and return once each has been listed; anew where a ``look`` has done so.

        Raises:
            SparkrigError: what kept a kind from being listed within ``wait_s`` seconds.
        """
        wanted = list(refs)
        deadline = time.monotonic() + wait_s
        while True:
            feeds = self._feeds_for(wanted, follow=True)
            with self._changed:
                # A kind that turned out to be forbidden cluster-wide gets its feeds by namespace in the next round.
                if self._closed:
                    raise OperationError("the watch is closed")
                pending = [f for f in feeds if not f.synced or f.behind or f.forbidden]
                if not pending:
                    return
                if all(f.forbidden for f in pending):
                    self._narrow_or_raise(pending)
                    continue
                left = deadline - time.monotonic()
                if left <= 0:
                    raise _not_synced(pending, wait_s)
                self._changed.wait(left)

    def follow(self, refs: Iterable[ObjectRef]) -> None:
        """Begin to watch the kinds of these objects, and return before they are listed; see ``ensure``."""
        self._feeds_for(refs, follow=True)

    def look(self, refs: Iterable[ObjectRef]) -> None:
        """List the kinds of these objects now, and watch none of them: most commands look once and change nothing.

        Kinds that are watched already are not listed again.

        Raises:
            SparkrigError: what kept a kind from being listed.
        """
        wanted, listed = list(refs), set[FeedKey]()
        with ThreadPoolExecutor(API_CONNECTIONS, "look") as pool:
            while True:
                feeds = self._feeds_for(wanted, follow=False)
                new = [feed for feed in feeds if not feed.started and feed.key not in listed]
                if not new:
                    break
                list(pool.map(Feed.look, new))
                listed.update(feed.key for feed in new)
                with self._lock:
                    self._narrow_or_raise([feed for feed in new if feed.forbidden])
        followed = {feed.key for feed in feeds if feed.started}
        self.ensure([ref for ref in wanted if self._key(ref) in followed])

    def get(self, ref: ObjectRef) -> JsonDict | None:
        """Return the object as last seen, None when it does not exist or its kind is not watched."""
        with self._lock:
            feed = self._find(ref)
            return feed.objects.get((ref.namespace if feed.namespaced else "", ref.name)) if feed else None

    def since(self, ref: ObjectRef) -> float | None:
        """Return when (``time.monotonic``) the object was first seen as it is now; None when it is not known."""
        with self._lock:
            feed = self._find(ref)
            return feed.since.get((ref.namespace if feed.namespaced else "", ref.name)) if feed else None

    def whole(self, ref: ObjectRef) -> JsonDict | None:
        """Return the object as last seen, but for ``managedFields``; None also where only its metadata is kept."""
        found = None if (ref.group, ref.kind) in METADATA_ONLY else self.get(ref)
        if found is None or dig(found, "metadata", "managedFields") is None:
            return found
        return {**found, "metadata": {k: v for k, v in mapping_at(found, "metadata").items() if k != "managedFields"}}

    def all_of(self, group: str, version: str, kind: str, namespace: str = "") -> list[JsonDict]:
        """Return every object of a watched kind as last seen; with ``namespace`` those in it."""
        with self._lock:
            feeds = [feed for key, feed in self._feeds.items() if key[:3] == (group, version, kind)]
            found = [item for feed in feeds for item in feed.objects.values()]
        return [item for item in found if not namespace or namespace_of(item) == namespace]

    def synced(self, ref: ObjectRef) -> bool:
        """True when the object's kind has been listed, so that ``get`` returning None means that it is gone."""
        with self._lock:
            feed = self._find(ref)
            return feed is not None and feed.synced and not feed.forbidden

    @property
    def connections(self) -> int:
        """How many watches are open: one a kind, not one an object."""
        with self._lock:
            return len([feed for feed in self._feeds.values() if feed.is_alive()])

    @property
    def generation(self) -> int:
        """A number that grows with every change."""
        with self._lock:
            return self._generation

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` after every change, from a watching thread; return what ends that."""
        with self._lock:
            self._subscribers.append(callback)

        def unsubscribe() -> None:
            with self._lock, contextlib.suppress(ValueError):
                self._subscribers.remove(callback)

        return unsubscribe

    async def wait_change(self, timeout_s: float) -> bool:
        """Return True after something changed since this task last returned from here, False after ``timeout_s``.

        A task's first call returns at once, so that no change between its first look and this call is lost.
        """
        import asyncio  # a tenth of a `status`, which never waits

        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in a task
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(woken.set)

        unsubscribe = self.subscribe(wake)
        try:
            changed = self.generation != self._seen.get(task, -1)
            if not changed:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), max(timeout_s, 0.0))
                    changed = True
            if changed:
                await asyncio.sleep(min(COALESCE_S, max(timeout_s, 0.0)))
            self._seen[task] = self.generation
            return changed
        finally:
            unsubscribe()

    def close(self) -> None:
        """End every watch, also those that wait for the server; returns when their threads have ended."""
        with self._changed:
            self._closed = True
            feeds = [feed for feed in self._feeds.values() if feed.started]
            self._changed.notify_all()
        for feed in feeds:
            feed.stop()
        for feed in feeds:
            feed.join(timeout=2.0)

    def __enter__(self) -> ObjectWatch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _feeds_for(self, refs: Iterable[ObjectRef], *, follow: bool) -> list[Feed]:
        with self._lock:
            return [self._feed_for(key, follow=follow) for key in dict.fromkeys(map(self._key, refs))]

    def _feed_for(self, key: FeedKey, *, follow: bool) -> Feed:
        feed = self._feeds.get(key)
        if feed is None or (feed.ended and not feed.forbidden and not self._closed):
            feed = self._feeds[key] = Feed(self._api, key, self._lock, self._notify)
        if follow and not feed.started and not self._closed:
            feed.start()
        return feed

    def _narrow_or_raise(self, forbidden: Iterable[Feed]) -> None:
        for feed in forbidden:
            kind, namespace = feed.key[:3], feed.key[3]
            if (namespace or kind in self._narrow) and feed.error is not None:
                raise feed.error
            self._narrow.add(kind)

    def _find(self, ref: ObjectRef) -> Feed | None:
        return self._feeds.get(self._key(ref))

    def _key(self, ref: ObjectRef) -> FeedKey:
        return ref.group, ref.version, ref.kind, self._scope(ref)

    def _scope(self, ref: ObjectRef) -> str:
        narrow = (ref.group, ref.kind) in BY_NAMESPACE or (ref.group, ref.version, ref.kind) in self._narrow
        return ref.namespace if narrow else ""

    def _notify(self) -> None:
        with self._changed:
            self._generation += 1
            subscribers = list(self._subscribers)
            self._changed.notify_all()
        for callback in subscribers:
            callback()


def _not_synced(pending: Iterable[Feed], wait_s: float) -> SparkrigError:
    feed = next(iter(pending))
    if feed.error is not None and not isinstance(feed.error, KindNotServed):
        return feed.error
    return OperationError(f"objects of kind {feed.key[2]} could not be listed within {wait_s:.0f} s")
