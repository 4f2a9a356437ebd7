"""One kind's LIST, and its WATCH in a thread of its own."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from sparkrig.errors import AccessDenied, SparkrigError
from sparkrig.kube.client import ApiError, Gone, KubeApi, NotFoundApi
from sparkrig.kube.stream import WatchStream
from sparkrig.models.json import (
    JsonDict,
    JsonValue,
    Manifest,
    dig,
    mapping_at,
    mappings_at,
    name_of,
    namespace_of,
    text_at,
)
from sparkrig.readiness.freshness import digest, tells

FeedKey = tuple[str, str, str, str]
"""group, version, kind, namespace; an empty namespace is the whole cluster"""

METADATA_ONLY = frozenset({("", "Secret"), ("", "ConfigMap")})
"""Kinds that are ready when they exist, and whose content is large, or nobody's business."""
BY_NAMESPACE = frozenset({("", "Secret"), ("", "Pod"), ("", "Event"), ("apps", "ReplicaSet")})
"""Kinds of which a cluster has thousands that are none of ours."""
FIELD_SELECTORS = {("", "Secret"): "type!=helm.sh/release.v1"}
"""Release Secrets are a megabyte each, and read by releases.py."""

WATCH_S = 290.0
"""A watch is renewed after this time; load balancers commonly cut connections at five minutes and more."""
RETRY_S = 0.25
RETRY_LONGEST_S = 5.0
UNSERVED_S = 1.0
"""How often a kind whose CRD is missing is asked for again."""


class Feed(threading.Thread):
    """Lists a kind, watches it, and begins again where the connection, the version or the server is lost.

    A kind that is forbidden stays so: the thread ends. Before it is started, ``look`` lists once.

    ``objects`` maps (namespace, name) to the object; read it, and every other field, under the lock given.
    """

    def __init__(self, api: KubeApi, key: FeedKey, lock: threading.Lock, notify: Callable[[], None]) -> None:
        super().__init__(name=f"watch-{key[2]}-{key[3] or 'all'}", daemon=True)
        self.key = key
        self.objects: dict[tuple[str, str], JsonDict] = {}
        self.since: dict[tuple[str, str], float] = {}
        """When each object was first seen as it is now, by ``time.monotonic``."""
        self.synced = False
        self.behind = False
        """What it has was listed before it was started, and is old until it is listed again."""
        self.forbidden = False
        self.namespaced = True
        self.error: SparkrigError | None = None
        kind = (key[0], key[2])
        self._metadata_only = kind in METADATA_ONLY
        self._selector = FIELD_SELECTORS.get(kind)
        self._api = api
        self._lock = lock
        self._notify = notify
        self._stopping = threading.Event()
        self._stream: WatchStream | None = None

    @property
    def ended(self) -> bool:
        """True when the thread was started and is no more."""
        return self.ident is not None and not self.is_alive()

    @property
    def started(self) -> bool:
        """True once it follows, also when that has ended."""
        return self.ident is not None

    def start(self) -> None:
        """Follow from now on; what a look has listed counts as old until it was listed again."""
        self.behind = self.synced
        super().start()

    def look(self) -> None:
        """List once, in the calling thread. A kind that is not served is empty; ``forbidden`` where it may not be.

        Raises:
            SparkrigError: any other reason why there is no list.
        """
        try:
            self._list()
        except AccessDenied as error:
            self._end_forbidden(error)
        except NotFoundApi as error:
            self._empty(error)

    def stop(self) -> None:
        """End the thread soon, also while it waits for the server."""
        self._stopping.set()
        stream = self._stream
        if stream is not None:
            stream.close()

    def run(self) -> None:
        """List and watch until stopped, or forbidden."""
        version, pause = "", RETRY_S
        while not self._stopping.is_set():
            try:
                version = version or self._list()
                opened = time.monotonic()
                version = self._follow(version)
                pause = RETRY_S
                if time.monotonic() - opened < RETRY_S:  # a proxy that cuts watches off must not make us spin
                    self._stopping.wait(RETRY_S)
            except Gone:
                # A fresh list mends it. Where the watch from that is too old as well, listing on and on does not.
                version = ""
                pause = self._pause(pause)
            except AccessDenied as error:
                self._end_forbidden(error)
                return
            except NotFoundApi as error:
                version = ""
                self._empty(error)
                self._stopping.wait(UNSERVED_S)
            except SparkrigError as error:
                if isinstance(error, ApiError) and error.status:
                    version = ""  # it answers, but not to this: begin with a fresh list
                with self._lock:
                    self.error = error
                self._notify()
                pause = self._pause(pause)

    def _pause(self, seconds: float) -> float:
        """Wait, and return how long the next pause is."""
        self._stopping.wait(seconds * random.uniform(0.5, 1.0))  # noqa: S311 - jitter only
        return min(seconds * 2, RETRY_LONGEST_S)

    def _path(self) -> str:
        group, version, kind, namespace = self.key
        info = self._api.resource_of(group, version, kind)
        self.namespaced = info.namespaced
        return info.collection(namespace)

    def _list(self) -> str:
        items, version = self._api.list_with_version(
            self._path(), field_selector=self._selector, metadata_only=self._metadata_only
        )
        objects = {_name(item): self._trimmed(item) for item in items}
        now = time.monotonic()
        with self._lock:
            known = {name: _version(item) for name, item in self.objects.items()}
            same = {name for name, item in objects.items() if known.get(name) == _version(item)}
            self.since = {name: self.since[name] if name in same else now for name in objects}
            self.objects, self.synced, self.behind, self.error = objects, True, False, None
        self._notify()
        return version

    def _follow(self, version: str) -> str:
        """Watch from ``version`` to the end of the connection, good or bad; return the version reached."""
        stream = self._api.watch(
            self._path(), version, WATCH_S, field_selector=self._selector, metadata_only=self._metadata_only
        )
        self._stream = stream
        if self._stopping.is_set():  # stop() may have come before the line above
            stream.close()
            return version
        try:
            for event in stream:
                item, kind = mapping_at(event, "object"), text_at(event, "type")
                version = text_at(item, "metadata", "resourceVersion") or version
                if kind != "BOOKMARK":
                    self._take(kind, item)
        except ApiError as error:
            if error.status:
                raise
            # Cut off in mid-stream. What was seen stands, so go on from there; opening anew has the pauses.
        finally:
            self._stream = None
        return version

    def _take(self, kind: str, item: Manifest) -> None:
        name = _name(item)
        with self._lock:
            if kind == "DELETED":
                self.objects.pop(name, None)
                self.since.pop(name, None)
            else:
                self.objects[name] = self._trimmed(item)
                self.since[name] = time.monotonic()
        self._notify()

    def _trimmed(self, manifest: Manifest) -> JsonDict:
        item, metadata = dict(manifest), dict(mapping_at(manifest, "metadata"))
        metadata.pop("managedFields", None)
        written = mappings_at(manifest, "metadata", "managedFields")
        if written and "." in self.key[0] and item.get("status") and not tells(item):
            metadata["managedFields"] = digest(written)  # who judges the status needs the times
        item["metadata"] = metadata
        if self._metadata_only:  # the API server calls all of these PartialObjectMetadata
            group, version, kind, _ = self.key
            item |= {"apiVersion": f"{group}/{version}" if group else version, "kind": kind}
        return item

    def _empty(self, error: NotFoundApi) -> None:
        with self._lock:
            changed = bool(self.objects) or not self.synced or self.behind
            self.objects, self.since, self.synced, self.behind, self.error = {}, {}, True, False, error
        if changed:
            self._notify()

    def _end_forbidden(self, error: AccessDenied) -> None:
        with self._lock:
            self.forbidden, self.synced, self.error = True, True, error
        self._notify()


def _version(item: Manifest) -> JsonValue:
    return dig(item, "metadata", "resourceVersion")


def _name(item: Manifest) -> tuple[str, str]:
    return namespace_of(item), name_of(item)
