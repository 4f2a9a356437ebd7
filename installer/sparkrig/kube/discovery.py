"""Which resources the API server serves: group, version and kind to plural name and scope."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sparkrig.kube.errors import KindNotServed, NotFoundApi
from sparkrig.models.json import JsonDict, JsonObject, mappings_at, name_of, text_at

AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,"
    "application/json"
)
"""Kubernetes 1.30 and newer serve v2, 1.26 to 1.29 v2beta1; older ones answer in the old form, which has no kinds."""

Key = tuple[str, str, str]
"""group, version, kind"""
Fetch = Callable[[str, str | None], JsonDict]
"""(path, Accept) -> body"""


@dataclass(frozen=True, slots=True)
class ResourceInfo:
    """Where objects of one kind are found."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool

    @property
    def root(self) -> str:
        """Path of the group and version, without a trailing slash."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def collection(self, namespace: str = "") -> str:
        """Path of all objects: in one namespace, or (empty) in the whole cluster."""
        middle = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        return f"{self.root}{middle}/{self.plural}"


class Discovery:
    """A cache over aggregated discovery; a kind not found is asked for by its group and version. Thread-safe."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._known: dict[Key, ResourceInfo] = {}
        self._loaded = False

    def resource_of(self, group: str, version: str, kind: str) -> ResourceInfo:
        """Return where objects of this kind live.

        Raises:
            KindNotServed: the API server does not serve it (now: a CRD may be applied later).
        """
        key = (group, version, kind)
        with self._lock:
            self._load()
            if key not in self._known:
                self._learn(self._group_version(group, version))
            try:
                return self._known[key]
            except KeyError:
                api_version = f"{group}/{version}" if group else version
                raise KindNotServed(
                    f"the API server does not serve {kind} in {api_version}",
                    status=404,
                    hint="is the CRD that defines it installed, in this version?",
                ) from None

    def served(self) -> frozenset[Key]:
        """Return every (group, version, kind) known so far; complete after the first ``resource_of``."""
        with self._lock:
            return frozenset(self._known)

    def plurals(self) -> frozenset[tuple[str, str]]:
        """Return (group, plural) of every resource, as the aggregated document had it when it was first read."""
        with self._lock:
            self._load()
            return frozenset((info.group, info.plural) for info in self._known.values())

    def fresh(self) -> list[ResourceInfo]:
        """Return every resource that is served now, its preferred version first; two requests."""
        found = [info for path in ("/api", "/apis") for info in _aggregated(self._fetch(path, AGGREGATED))]
        with self._lock:
            self._learn(found)
        return found

    def _load(self) -> None:
        if not self._loaded:
            for path in ("/api", "/apis"):
                self._learn(_aggregated(self._fetch(path, AGGREGATED)))
            self._loaded = True

    def _learn(self, resources: Iterable[ResourceInfo]) -> None:
        self._known.update({(r.group, r.version, r.kind): r for r in resources})

    def _group_version(self, group: str, version: str) -> list[ResourceInfo]:
        # One small request. The aggregated document lags behind a CRD that was established just now.
        try:
            body = self._fetch(f"/apis/{group}/{version}" if group else f"/api/{version}", None)
        except NotFoundApi:
            return []
        return [
            ResourceInfo(group, version, text_at(r, "kind"), text_at(r, "name"), bool(r.get("namespaced")))
            for r in mappings_at(body, "resources")
            if "/" not in text_at(r, "name")
        ]


def _aggregated(body: JsonObject) -> Iterator[ResourceInfo]:
    for item in mappings_at(body, "items"):
        group = name_of(item)
        for version in mappings_at(item, "versions"):
            for resource in mappings_at(version, "resources"):
                kind, plural = text_at(resource, "responseKind", "kind"), text_at(resource, "resource")
                if kind:
                    namespaced = resource.get("scope") == "Namespaced"
                    yield ResourceInfo(group, text_at(version, "version"), kind, plural, namespaced)
