"""Which Helm releases a cluster holds, from the labels of their Secrets.

A release Secret is up to a megabyte, so the list asks for metadata alone. The layout of these Secrets (type
``helm.sh/release.v1``, labels ``owner``, ``name``, ``status``, ``version``) is Helm's storage driver's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from sparkrig.defaults import (
    API_CONNECTIONS,
    LABEL_COMPONENT,
    LABEL_FORMER,
    LABEL_HELM_HISTORY,
    LABEL_STACK,
    SYSTEM_NAMESPACE,
)
from sparkrig.helm.storage.secret import decode, secret_path
from sparkrig.kube.client import KubeApi
from sparkrig.models.json import (
    JsonDict,
    JsonObject,
    annotations_of,
    labels_of,
    mapping_at,
    name_of,
    namespace_of,
    text_at,
    text_map_at,
    text_or_none,
)
from sparkrig.models.release import ObservedRelease

SELECTOR = "owner=helm,status!=superseded"
ARCHIVED_FROM = "sparkrig.dev/namespace"
"""Annotation of a copy of a release Secret whose namespace was removed: the namespace."""
ARCHIVED_NAME = "sparkrig.dev/name"
ARCHIVE_LABELS = "sparkrig.dev/labels"
"""Annotation: Helm's labels, as JSON."""
Key = tuple[str, str]
"""(namespace, release name)"""


def list_releases(api: KubeApi, namespaces: Iterable[str] | None = None) -> dict[Key, ObservedRelease]:
    """Return the newest revision of every release, of the whole cluster or of some namespaces.

    ``deployed_revision`` is the newest revision with the status ``deployed``, which is not the newest of all after a
    failed upgrade. Superseded revisions are left out by the API server.
    """
    newest: dict[Key, ObservedRelease] = {}
    deployed: dict[Key, int] = {}
    for secret in _secrets(api, namespaces):
        found = _observed(mapping_at(secret, "metadata"))
        if found is None:
            continue
        key = (found.namespace, found.name)
        if key not in newest or found.revision > newest[key].revision:
            newest[key] = found
        if found.status == "deployed":
            deployed[key] = max(found.revision, deployed.get(key, 0))
    gone: dict[Key, ObservedRelease] = {}
    for metadata in _archived(api, LABEL_HELM_HISTORY) if namespaces is None else ():
        found = _observed(metadata)
        if found is not None and found.revision >= gone.get((found.namespace, found.name), found).revision:
            gone[found.namespace, found.name] = found
    newest = {**gone, **newest}
    return {key: _with_deployed(release, deployed.get(key)) for key, release in newest.items()}


@dataclass(frozen=True, slots=True)
class HelmSecret:
    """One revision of one Helm release, by the labels of its Secret."""

    name: str
    namespace: str
    release: str
    revision: int
    status: str
    kept_in: str = ""
    """Path of the copy, where its own namespace is gone."""

    @property
    def path(self) -> str:
        """Where it is."""
        return self.kept_in or f"/api/v1/namespaces/{self.namespace}/secrets/{self.name}"


def list_revisions(api: KubeApi, stack: str, *, former: bool = False) -> tuple[HelmSecret, ...]:
    """Return every Helm revision of a stack's releases, superseded ones too; one metadata-only LIST.

    ``former`` gives those of the releases instead that the stack gave up and left in place.
    """
    selector = f"owner=helm,{LABEL_FORMER if former else LABEL_STACK}={stack}"
    found: list[HelmSecret] = []
    for item in api.list("/api/v1/secrets", label_selector=selector, metadata_only=True):
        labels = labels_of(item)
        name, version = labels.get("name"), labels.get("version", "")
        if name and version.isdigit():
            status = labels.get("status", "unknown")
            found.append(HelmSecret(name_of(item), namespace_of(item), name, int(version), status))
    for metadata in () if former else _archived(api, f"{LABEL_HELM_HISTORY},{LABEL_STACK}={stack}"):
        labels, path = text_map_at(metadata, "labels"), f"{ARCHIVE}/{metadata['stored']}"
        place = text_at(metadata, "name"), text_at(metadata, "namespace")
        found.append(HelmSecret(*place, labels["name"], int(labels["version"]), labels["status"], path))
    return tuple(found)


ARCHIVE = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/secrets"


def _archived(api: KubeApi, selector: str) -> list[JsonDict]:
    """Metadata of copies of release Secrets, as those had it; ``stored`` is the copy's own name."""
    found: list[JsonDict] = []
    for item in api.list(ARCHIVE, label_selector=selector, metadata_only=True):
        annotations = annotations_of(item)
        found.append(
            {
                **mapping_at(item, "metadata"),
                "name": annotations[ARCHIVED_NAME],
                "namespace": annotations[ARCHIVED_FROM],
                "labels": json.loads(annotations[ARCHIVE_LABELS]),
                "stored": name_of(item),
            }
        )
    return found


def read_release(api: KubeApi, namespace: str, name: str, revision: int) -> JsonDict:
    """Return one revision as Helm stored it: ``chart``, ``config`` (values), ``manifest``, ``info``, ``hooks``.

    Raises:
        NotFoundApi: there is no such revision.
        OperationError: the Secret does not hold a release.
    """
    return decode(api.get(secret_path(namespace, name, revision)) or {})


def _secrets(api: KubeApi, namespaces: Iterable[str] | None) -> list[JsonDict]:
    if namespaces is None:
        return api.list("/api/v1/secrets", label_selector=SELECTOR, metadata_only=True)
    paths = [f"/api/v1/namespaces/{n}/secrets" for n in sorted(set(namespaces))]
    with ThreadPoolExecutor(API_CONNECTIONS, "releases") as pool:
        lists = pool.map(lambda path: api.list(path, label_selector=SELECTOR, metadata_only=True), paths)
        return [secret for secrets in lists for secret in secrets]


def _observed(metadata: JsonObject) -> ObservedRelease | None:
    labels = text_map_at(metadata, "labels")
    name, version = labels.get("name"), labels.get("version", "")
    if not name or not version.isdigit():
        return None  # labelled like a release, made by something else
    return ObservedRelease(
        name=name,
        namespace=text_at(metadata, "namespace"),
        revision=int(version),
        status=labels.get("status", "unknown"),
        stack=labels.get(LABEL_STACK),
        component=labels.get(LABEL_COMPONENT),
        modified=text_or_none(metadata, "creationTimestamp"),
        former=labels.get(LABEL_FORMER),
    )


def _with_deployed(release: ObservedRelease, revision: int | None) -> ObservedRelease:
    return replace(release, deployed_revision=revision)


def archived_path(stack: str, namespace: str, release: str, revision: int) -> str:
    """Where a revision of a release is kept whose namespace went, as a path of the API."""
    return f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/secrets/{archived_name(stack, namespace, release, revision)}"


def archived_name(stack: str, namespace: str, release: str, revision: int | str) -> str:
    """The name of the Secret with such a revision."""
    return f"sparkrig.{stack}.helm.{namespace}.{release}.v{revision}"
