"""Rewrites custom resources in another storage version, and makes a CRD anew that cannot be changed.

A version in which objects are stored cannot leave a CRD before the API server is told that nothing is
stored in it any more. So the CRD is applied with both versions, every custom resource is written once
as it is, the old version is taken out of ``status.storedVersions``, and then the CRD is applied as wanted.
Every step can be done again after a run that was killed in between.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from sparkrig.apply import ending
from sparkrig.defaults import API_CONNECTIONS, CRD_GONE_S, CRD_SERVED_S, CRD_SETTLE_S
from sparkrig.errors import OperationError
from sparkrig.kube.client import KubeApi, NotFoundApi
from sparkrig.kube.errors import ApiError
from sparkrig.plan.crds.drift import CRDS, DIGEST
from sparkrig.plan.crds.safety import storage_version, stored_versions

STAYS: Final = "mend what is named (or delete the objects) and run up again; both versions stay until then"
Say = Callable[[str], None]


def migrate(api: KubeApi, before: Mapping[str, Any], crd: Mapping[str, Any], say: Say) -> None:
    """Makes it possible to apply ``crd`` over ``before``, some of whose stored versions it lacks.

    Raises:
        OperationError: an object could not be rewritten (a conversion webhook that does not answer, a value that
            the new schema refuses); nothing is lost then, both versions stay.
    """
    name = crd["metadata"]["name"]
    wanted = {version["name"] for version in crd["spec"]["versions"]}
    both = _with_both(before, crd)
    path = f"{CRDS}/{name}"
    after = api.apply(both, force=True)
    storage = storage_version(both["spec"])
    collection = _collection(both, storage)
    _until_served(api, name, collection)
    if _read(api, name, collection, storage):
        ending.pause(CRD_SETTLE_S)
        _rewrite(api, name, collection, storage, say)
    left = [version for version in stored_versions(after) if version in wanted and version != storage]
    api.patch(path, {"status": {"storedVersions": [*left, storage]}}, subresource="status")


def _with_both(before: Mapping[str, Any], crd: Mapping[str, Any]) -> dict[str, Any]:
    """The new CRD with the stored versions it lacks; it carries no digest, so that a killed run is gone on with."""
    both = copy.deepcopy(dict(crd))
    both["metadata"]["annotations"] = {
        key: value for key, value in both["metadata"]["annotations"].items() if key != DIGEST
    }
    known = {version["name"] for version in both["spec"]["versions"]}
    stored = stored_versions(before)
    both["spec"]["versions"] += [
        {**version, "storage": False}
        for version in before["spec"]["versions"]
        if version["name"] in stored and version["name"] not in known
    ]
    return both


def _collection(crd: Mapping[str, Any], storage: str) -> str:
    """Where objects are read: in the storage version, or in one that is served."""
    spec = crd["spec"]
    served = [version["name"] for version in spec["versions"] if version.get("served")]
    version = storage if storage in served else served[0]
    return f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"


def _until_served(api: KubeApi, name: str, collection: str) -> None:
    deadline = time.monotonic() + CRD_SERVED_S
    while True:
        if _is_served(api, collection):
            return
        if time.monotonic() >= deadline:
            raise OperationError(f"CRD {name}: {collection} is not served after {CRD_SERVED_S:.0f} s")
        ending.pause(0.1)


def _is_served(api: KubeApi, collection: str) -> bool:
    """Whether the path answers; an error about what is behind it is an answer, too."""
    try:
        api.request("GET", collection, params={"limit": "1"})
    except NotFoundApi:
        return False
    except ApiError:  # its objects cannot be converted, which is said where they are read
        return True
    return True


def _read(api: KubeApi, name: str, collection: str, storage: str) -> list[dict[str, Any]]:
    """The metadata of all custom resources, in the new storage version.

    Raises:
        OperationError: they cannot be converted.
    """
    try:
        return api.list(collection, metadata_only=True)
    except ApiError as error:
        raise OperationError(
            f"CRD {name}: its custom resources cannot be read as {storage}", detail=[error.message], hint=STAYS
        ) from error


def _rewrite(api: KubeApi, name: str, collection: str, storage: str, say: Say) -> None:
    items = _read(api, name, collection, storage)
    root, plural = collection.rsplit("/", 1)

    def one(item: Mapping[str, Any]) -> str:
        metadata = item["metadata"]
        middle = f"/namespaces/{metadata['namespace']}" if metadata.get("namespace") else ""
        try:
            api.patch(f"{root}{middle}/{plural}/{metadata['name']}", {})
        except NotFoundApi:  # deleted meanwhile
            return ""
        except OperationError as error:
            where = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
            return f"{where}{metadata['name']}: {error.message}"
        return ""

    say(f"rewriting {len(items)} custom resources of {name} as {storage}")
    with ThreadPoolExecutor(API_CONNECTIONS) as pool:
        failed = [line for line in pool.map(one, items) if line]
    if failed:
        raise OperationError(
            f"CRD {name}: {len(failed)} custom resources could not be rewritten as {storage}",
            detail=failed[:10],
            hint=STAYS,
        )


def recreate(api: KubeApi, crd: Mapping[str, Any], say: Say) -> None:
    """Deletes a CRD whose scope or kind changes; only one without custom resources.

    Raises:
        OperationError: it has custom resources, or is still there after ``CRD_GONE_S`` seconds.
    """
    name, spec = crd["metadata"]["name"], crd["spec"]
    there = api.list(_collection(crd, storage_version(spec)), metadata_only=True)
    if there:
        raise OperationError(
            f"CRD {name} changes its scope or kind, for which it has to be deleted, and it has "
            f"{len(there)} custom resource{'s' if len(there) > 1 else ''}",
            hint=f"save and delete them (kubectl get {name} -A -o yaml), then run up again",
        )
    say(f"making CRD {name} anew")
    path = f"{CRDS}/{name}"
    api.delete(path)
    deadline = time.monotonic() + CRD_GONE_S
    while api.get(path, missing_ok=True) is not None:
        if time.monotonic() >= deadline:
            raise OperationError(f"CRD {name} is still there {CRD_GONE_S:.0f} s after it was deleted")
        ending.pause(0.2)
