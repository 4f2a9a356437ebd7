"""Access to one Kubernetes API server as plain JSON: the only module that imports the kubernetes library.

No generated models: an object is a ``dict`` as the API server sent it. Every method may be called from any
thread. Errors are those of errors.py and apierrors.py; credentials never reach a message or a log.
"""

from __future__ import annotations

import builtins
import datetime
import threading
from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote

from sparkrig.defaults import FIELD_MANAGER, LIST_PAGE
from sparkrig.errors import ClusterUnreachable
from sparkrig.kube.auth_provider import LoginProvider
from sparkrig.kube.connection import Endpoint, endpoint_of
from sparkrig.kube.discovery import Discovery, ResourceInfo
from sparkrig.kube.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    ConnectionLost,
    Gone,
    Invalid,
    KindNotServed,
    NotFoundApi,
    OutcomeUnknown,
)
from sparkrig.kube.http import Answer, Request, Transport, Unreachable
from sparkrig.kube.kubeconfig import find_credentials
from sparkrig.kube.stream import WatchStream
from sparkrig.models.cluster import ClusterHandle
from sparkrig.models.json import JsonDict, JsonObject, JsonValue, mappings_at, text_at
from sparkrig.models.objects import ObjectRef

__all__ = [
    "AlreadyExists",
    "ApiError",
    "Conflict",
    "ConnectionLost",
    "Gone",
    "Invalid",
    "KindNotServed",
    "KubeApi",
    "NotFoundApi",
    "OutcomeUnknown",
    "ResourceInfo",
]

METADATA_ITEM = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
PATCH_TYPES: Mapping[str, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}


class KubeApi:
    """One API server. Nothing is read or contacted before the first request.

    The first request of all is preceded by GET /version, which has ``API_FIRST_CONTACT_S`` to be answered.
    """

    def __init__(self, handle: ClusterHandle) -> None:
        self.handle = handle
        self.discovery = Discovery(lambda path, accept: self.request("GET", path, accept=accept))
        self._lock = threading.Lock()
        self._transport: Transport | None = None
        self._version = ""

    # ------------------------------------------------------------------ requests

    def request(
        self,
        method: str,
        path: str,
        *,
        body: JsonValue = None,
        params: Mapping[str, str] | None = None,
        content_type: str | None = None,
        accept: str | None = None,
        timeout_s: float | None = None,
    ) -> JsonDict:
        """Send one request and return the parsed answer.

        429 is retried for every method; 5xx and lost connections for all but POST. ``timeout_s`` bounds the whole,
        retries included; without it each try has ``API_READ_TIMEOUT_S``.

        Raises:
            ClusterUnreachable: no answer at first contact.
            AccessDenied: 401 or 403.
            ApiError: any other error; see apierrors.py for its kinds.
        """
        return self.transport().send(Request(method, path, body, params, content_type, accept), timeout_s)

    def get(self, path: str, *, missing_ok: bool = False, metadata_only: bool = False) -> JsonDict | None:
        """Return one object, or its metadata; with ``missing_ok`` None for one that is not there, else NotFoundApi."""
        try:
            return self.request("GET", path, accept=METADATA_ITEM if metadata_only else None)
        except NotFoundApi:
            if missing_ok:
                return None
            raise

    def list(
        self,
        path: str,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        metadata_only: bool = False,
        timeout_s: float | None = None,
    ) -> builtins.list[JsonDict]:
        """Return all objects of a collection, ``LIST_PAGE`` a request.

        ``metadata_only`` leaves ``metadata`` alone of each: labels and names of large objects cost little.
        ``timeout_s`` bounds each page, retries included.
        """
        items, _ = self.list_with_version(
            path,
            label_selector=label_selector,
            field_selector=field_selector,
            metadata_only=metadata_only,
            timeout_s=timeout_s,
        )
        return items

    def list_with_version(
        self,
        path: str,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        metadata_only: bool = False,
        timeout_s: float | None = None,
    ) -> tuple[builtins.list[JsonDict], str]:
        """Return the objects and the resource version from which a watch goes on."""
        params = {"limit": str(LIST_PAGE)}
        params |= {"labelSelector": label_selector} if label_selector else {}
        params |= {"fieldSelector": field_selector} if field_selector else {}
        try:
            return self._pages(path, params, metadata_only, timeout_s)
        except Gone:  # the continue token aged out between two pages: begin again, all in one page
            return self._pages(path, {k: v for k, v in params.items() if k != "limit"}, metadata_only, timeout_s)

    def _pages(
        self, path: str, params: dict[str, str], metadata_only: bool, timeout_s: float | None
    ) -> tuple[builtins.list[JsonDict], str]:
        items: builtins.list[JsonDict] = []
        token = ""
        while True:
            page = self.request(
                "GET",
                path,
                params={**params, "continue": token} if token else params,
                accept=METADATA_LIST if metadata_only else None,
                timeout_s=timeout_s,
            )
            if "items" not in page:  # empty lists have it too: what answers is no API server
                raise ApiError(
                    f"GET {path}: the answer is not a list (kind {page.get('kind') or 'unknown'})", body=page
                )
            # A LIST leaves apiVersion and kind out of its items; who handles them needs both.
            kind, api_version = str(page.get("kind", "")).removesuffix("List"), page.get("apiVersion")
            items += [{"apiVersion": api_version, "kind": kind, **item} for item in mappings_at(page, "items")]
            token = text_at(page, "metadata", "continue")
            if not token:
                return items, text_at(page, "metadata", "resourceVersion")

    def create(self, path: str, body: JsonObject) -> JsonDict:
        """Create an object in a collection. Never sent twice after an unknown outcome.

        Raises:
            AlreadyExists: the name is taken.
            OutcomeUnknown: the answer was lost.
        """
        return self.request("POST", path, body=body, params={"fieldManager": FIELD_MANAGER})

    def replace(self, path: str, body: JsonObject, *, timeout_s: float | None = None) -> JsonDict:
        """Replace an object; ``metadata.resourceVersion`` in ``body`` makes it a compare-and-swap (Conflict)."""
        return self.request("PUT", path, body=body, params={"fieldManager": FIELD_MANAGER}, timeout_s=timeout_s)

    def apply(
        self,
        manifest: JsonObject,
        *,
        force: bool = True,
        field_manager: str = FIELD_MANAGER,
        dry_run: bool = False,
        timeout_s: float | None = None,
    ) -> JsonDict:
        """Server-side apply: create the object or bring the fields in ``manifest`` to what it says.

        Raises:
            Conflict: another manager owns a field and ``force`` is off.
            KindNotServed: its CRD is not installed.
        """
        path = self.path_of(_ref_of(manifest))
        params = {"fieldManager": field_manager, "force": "true" if force else "false"}
        params |= {"dryRun": "All"} if dry_run else {}
        kind = PATCH_TYPES["apply"]
        return self.request("PATCH", path, body=manifest, params=params, content_type=kind, timeout_s=timeout_s)

    def server_dry_run(self, manifest: JsonObject) -> JsonDict:
        """Let the API server, its admission and its webhooks judge an object without storing it."""
        return self.apply(manifest, dry_run=True)

    def patch(
        self,
        path: str,
        body: JsonValue,
        kind: Literal["merge", "strategic", "json"] = "merge",
        *,
        subresource: str = "",
    ) -> JsonDict:
        """Patch an object, or its ``subresource`` (``status``, ``scale``)."""
        target = f"{path}/{subresource}" if subresource else path
        params = {"fieldManager": FIELD_MANAGER}
        return self.request("PATCH", target, body=body, params=params, content_type=PATCH_TYPES[kind])

    def delete(
        self,
        path: str,
        *,
        propagation: Literal["Background", "Foreground", "Orphan"] = "Background",
        missing_ok: bool = True,
    ) -> JsonDict:
        """Delete an object; what is left of it (finalizers) goes later. Empty answer when it was not there."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        try:
            return self.request("DELETE", path, body=body)
        except NotFoundApi:
            if missing_ok:
                return {}
            raise

    def watch(
        self,
        path: str,
        resource_version: str,
        timeout_s: float,
        *,
        field_selector: str | None = None,
        metadata_only: bool = False,
    ) -> WatchStream:
        """Follow a collection from ``resource_version`` for at most ``timeout_s``, bookmarks included.

        Iterating yields ``{"type": ADDED|MODIFIED|DELETED|BOOKMARK, "object": {…}}`` and ends with the connection;
        ``close()`` on it, from any thread, ends it at once.

        Raises:
            Gone: the version is too old (also while iterating).
            ConnectionLost: the API server does not answer.
        """
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(max(1, int(timeout_s))),
        }
        params |= {"fieldSelector": field_selector} if field_selector else {}
        transport = self.transport()
        request = Request("GET", path, params=params, accept=METADATA_ITEM if metadata_only else None)
        return WatchStream(
            transport.open_stream(request, timeout_s + 10), lambda answer: transport.error(request, answer)
        )

    # ------------------------------------------------------------------ what is served

    def served(self) -> frozenset[str]:
        """Return every ``version``, ``group/version`` and ``group/version/Kind`` that is served, as Helm names them."""
        self.resource_of("", "v1", "Namespace")  # discovery is complete after the first question
        kinds = [(f"{group}/{version}" if group else version, kind) for group, version, kind in self.discovery.served()]
        return frozenset(name for version, kind in kinds for name in (version, f"{version}/{kind}"))

    def version(self) -> str:
        """Return the API server's version without the leading v, e.g. ``1.36.3`` or ``1.33.1+k3s1``."""
        self.transport()
        return self._version

    def now(self) -> datetime.datetime:
        """Return the API server's time to the second: what its own stamps are to be held against."""
        return self.transport().now()

    @property
    def server(self) -> str:
        """URL of the API server."""
        return self.transport().endpoint.server

    def resource_of(self, group: str, version: str, kind: str) -> ResourceInfo:
        """Return plural name and scope of a kind; KindNotServed when there is none such (yet)."""
        return self.discovery.resource_of(group, version, kind)

    def path_of(self, ref: ObjectRef) -> str:
        """Return the path of an object; a namespace given to a cluster-scoped kind is left out, as kubectl does.

        Raises:
            KindNotServed: the API server does not serve the kind.
            Invalid: a namespaced kind without a namespace.
        """
        info = self.resource_of(ref.group, ref.version, ref.kind)
        if info.namespaced and not ref.namespace:
            raise Invalid(f"{ref.kind} {ref.name} lives in a namespace, and none is given")
        return f"{info.collection(ref.namespace)}/{quote(ref.name, safe='')}"

    # ------------------------------------------------------------------ connection

    def transport(self) -> Transport:
        """Return the transport, connecting on first use."""
        with self._lock:
            if self._transport is None:
                self._transport = self._connect()
            return self._transport

    def close(self) -> None:
        """Close idle connections. The object may be used again."""
        with self._lock:
            if self._transport is not None:
                self._transport.endpoint.pool.clear()
                self._transport.endpoint.watch_pool.clear()

    def _connect(self) -> Transport:
        credentials = find_credentials(self.handle.kubeconfig, self.handle.context)
        login = LoginProvider(self.handle.kubeconfig, credentials.context) if credentials.needs_library else None
        endpoint = endpoint_of(credentials, login)
        endpoint.authorization()  # a person may have to log in: that is not the API server's time
        # Compression pays on a network and costs CPU time on loopback.
        transport = Transport(endpoint, compress=self.handle.provider == "context")
        try:
            answer = transport.first_contact()
        except Unreachable as error:
            raise self._unreachable(endpoint, error.reason, error.hint) from error
        self._version = self._check_contact(transport, answer)
        return transport

    def _check_contact(self, transport: Transport, answer: Answer) -> str:
        endpoint = transport.endpoint
        if answer.status >= 500:
            said = str(answer.body.get("message") or f"HTTP {answer.status}")
            raise self._unreachable(endpoint, f"answers, but does not work: {said}")
        if answer.status == 401 or not answer.by_kubernetes:
            raise transport.error(Request("GET", "/version"), answer)
        if answer.good and "gitVersion" not in answer.body:
            raise self._unreachable(endpoint, "answers, but not as a Kubernetes API server does")
        return str(answer.body.get("gitVersion") or "").removeprefix("v")

    def _unreachable(self, endpoint: Endpoint, reason: str, hint: str = "") -> ClusterUnreachable:
        if hint:
            pass
        elif self.handle.provider == "sim":
            hint = f"start it again: sparkrig cluster create --on sim:{self.handle.name}"
        elif self.handle.provider == "kind":
            hint = f"is the container engine running? then: sparkrig cluster create --on kind:{self.handle.name}"
        else:
            hint = "check VPN and address, or choose another context with --on context:NAME"
        return ClusterUnreachable(
            f"the API server at {endpoint.server} (context {endpoint.context}) {reason}",
            hint=hint,
        )


def _ref_of(manifest: JsonObject) -> ObjectRef:
    group, _, version = str(manifest.get("apiVersion", "")).rpartition("/")
    metadata = manifest.get("metadata") or {}
    kind, name = text_at(manifest, "kind"), text_at(metadata, "name")
    if not (version and kind and name):
        raise Invalid("an object to apply needs apiVersion, kind and metadata.name")
    return ObjectRef(group, version, kind, text_at(metadata, "namespace"), name)
