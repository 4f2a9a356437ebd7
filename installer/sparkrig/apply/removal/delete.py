"""Deletes what a ``down`` removes beyond the releases, waits until it is gone, and says what holds it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from sparkrig.apply import ending
from sparkrig.apply.removal import helm_history
from sparkrig.apply.removal.contents import contents_of
from sparkrig.apply.removal.stuck import dead_api_services, explain_namespace, explain_object, held_by
from sparkrig.defaults import LABEL_STACK, NAMESPACE_GONE_S, NAMESPACE_SETTLE_S, REMOVAL_POLL_S, SYSTEM_NAMESPACE
from sparkrig.errors import OperationError
from sparkrig.helm.storage.releases import list_releases, list_revisions
from sparkrig.history.lock import Lock
from sparkrig.kube.client import KindNotServed, KubeApi
from sparkrig.kube.errors import NotFoundApi
from sparkrig.models.json import dig, name_of
from sparkrig.models.objects import ObjectRef
from sparkrig.models.operation import VacateNamespace
from sparkrig.plan.diff.changes import GONE
from sparkrig.plan.held import HELD_S, strange
from sparkrig.plan.removal import foreign, foreign_releases
from sparkrig.readiness import is_custom_group

Say = Callable[[str], None]
Owner = Callable[[ObjectRef], str]
"""Component that brought the controller of a custom resource; empty when it is not known."""


def delete_all(
    api: KubeApi,
    refs: Sequence[ObjectRef],
    *,
    timeout_s: float,
    say: Say,
    owner: Owner,
    free: Callable[[Collection[ObjectRef]], None] | None = None,
) -> None:
    """Deletes the objects and returns when none of them exists any more.

    An object of the same name that somebody makes anew meanwhile is another one, told by its UID: it is said and
    left, since deleting it again would be a race against its maker. Where that is a custom resource (a controller
    that still lives makes it for something else), it goes with its CRD.

    ``free`` is given those that are still there, again and again, to take away what holds them.

    Raises:
        OperationError: something is still there after ``timeout_s`` seconds; says which finalizer holds
            it, who should have taken it off, and the command that frees it.
    """
    uids = {ref: found["metadata"]["uid"] for ref, found in _remaining(api, refs)}
    for ref in uids:
        ending.check()
        _delete(api, ref)
    deadline = time.monotonic() + timeout_s
    while left := _not_gone(api, uids, say):
        if time.monotonic() >= deadline:
            raise OperationError(
                f"{len(left)} of {len(refs)} objects are still there {timeout_s:.0f} s after they were deleted",
                detail=[line for ref, found in left[:5] for line in explain_object(api, ref, found, owner(ref))],
            )
        if free is not None:
            free([ref for ref, _ in left])
        ref = left[0][0]
        held = strange(left[0][1]["metadata"].get("finalizers"))
        names = f" (finalizer {', '.join(held)})" if held else ""
        say(f"waiting for {len(left)} of {len(refs)} objects to go: {ref}{names}")
        ending.pause(REMOVAL_POLL_S)


def _not_gone(api: KubeApi, uids: dict[ObjectRef, str], say: Say) -> list[tuple[ObjectRef, dict[str, Any]]]:
    """Those of the objects that exist still; takes what was made anew out of ``uids``, and says so."""
    left = []
    for ref, found in _remaining(api, uids):
        if found["metadata"]["uid"] == uids[ref]:
            left.append((ref, found))
        else:
            say(f"{ref} was made anew after it was deleted: left")
            del uids[ref]
    return left


def is_custom(ref: ObjectRef) -> bool:
    """Whether the kind is one that a CRD defines."""
    return is_custom_group(ref.group)


def with_finalizers(api: KubeApi, refs: Iterable[ObjectRef]) -> list[ObjectRef]:
    """Those of the objects that a controller has to let go of before they are gone."""
    return [ref for ref, found in _remaining(api, list(refs)) if found["metadata"].get("finalizers")]


def vacate(api: KubeApi, stack: str, operation: VacateNamespace, say: Say, owner: Owner) -> str:
    """Removes a namespace that nothing foreign is in, keeping Helm's history; returns why it stays, or nothing.

    With ``operation.whole_namespace`` it goes with all that is in it, but for Helm releases of others.

    Raises:
        OperationError: it does not go; names the objects and finalizers that hold it.
    """
    name = operation.namespace
    path = f"/api/v1/namespaces/{name}"
    found = api.get(path, missing_ok=True)
    if found is None:
        return ""
    if not dig(found, "metadata", "deletionTimestamp"):
        if why := _still_used(api, stack, operation, say):
            return why
        if operation.keep_history:
            helm_history.archive(api, stack, name)
        say("deleting it")
        api.delete(path)
    began = time.monotonic()
    while (found := api.get(path, missing_ok=True)) is not None:
        waited, told = time.monotonic() - began, held_by(found)
        if waited >= NAMESPACE_GONE_S or (waited >= HELD_S and _is_undiscovered(found) and dead_api_services(api)):
            raise OperationError(
                f"namespace {name} is still there {waited:.0f} s after it was deleted",
                detail=explain_namespace(api, found, owner),
            )
        say(f"waiting until it is gone{f': {told}' if told else ''}")
        ending.pause(REMOVAL_POLL_S)
    return ""


def _is_undiscovered(namespace: Mapping[str, Any]) -> bool:
    """Whether the namespace's controller cannot look into it, for an API that does not answer."""
    conditions = (namespace.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "NamespaceDeletionDiscoveryFailure" and c.get("status") == "True" for c in conditions)


def _still_used(api: KubeApi, stack: str, operation: VacateNamespace, say: Say) -> str:
    """Why the namespace stays; what is on its way out, such as pods that end, is given time."""
    deadline = time.monotonic() + NAMESPACE_SETTLE_S
    while True:
        contents = contents_of(api, operation.namespace)
        releases = foreign_releases(contents, stack)
        if releases:
            return f"Helm release {', '.join(releases)} of others is in it"
        if operation.whole_namespace:
            return ""
        left = foreign(contents, stack, operation.hooks)
        if not left:
            return ""
        if time.monotonic() >= deadline:
            more = f" and {len(left) - 3} more" if len(left) > 3 else ""
            return f"it holds {', '.join(f'{c.ref.kind} {c.ref.name}' for c in left[:3])}{more}"
        say(f"waiting for {left[0].ref} to go")
        ending.pause(REMOVAL_POLL_S)


def make_namespace(api: KubeApi, stack: str, manifest: Mapping[str, Any], say: Say) -> None:
    """Makes a namespace, after an earlier one of its name is gone, with the Helm history that was kept of it.

    Raises:
        OperationError: the earlier one does not go.
    """
    name = name_of(manifest)
    path = f"/api/v1/namespaces/{name}"
    deadline = time.monotonic() + NAMESPACE_GONE_S
    while (found := api.get(path, missing_ok=True)) is not None and dig(found, "metadata", "deletionTimestamp"):
        if time.monotonic() >= deadline:
            raise OperationError(
                f"namespace {name} is being deleted and does not go",
                detail=explain_namespace(api, found, lambda _ref: ""),
            )
        say("waiting until the namespace's last life has ended")
        ending.pause(REMOVAL_POLL_S)
    api.apply(manifest, force=True)
    helm_history.restore(api, stack, name)


def forget(api: KubeApi, stack: str, *, wait_s: float, note: Say) -> bool:
    """Forgets a stack that is down, under its lock; False, with the reason noted, where another run brought it back.

    Raises:
        Locked: another run holds the lock for longer than ``wait_s``.
    """
    if api.get(f"/api/v1/namespaces/{SYSTEM_NAMESPACE}", missing_ok=True) is None:
        return True
    with Lock(api, stack, on_lost=note) as lock:
        lock.acquire(wait_s=wait_s, on_wait=note)
        there = [r for r in list_releases(api).values() if r.stack == stack and r.status not in GONE]
        if there:
            names = ", ".join(sorted(f"{release.namespace}/{release.name}" for release in there))
            note(f"the history is kept: another run installed {names} meanwhile")
            return False
        lock.check()
        purge_history(api, stack)
    return True


def purge_history(api: KubeApi, stack: str) -> tuple[str, ...]:
    """Forgets a stack: its revisions, Helm's history of its releases, its lock last; returns the namespaces that went.

    Nobody else may be at work on the stack. The namespace ``sparkrig-system`` goes when nothing else is in it.
    """
    for secret in list_revisions(api, stack):
        api.delete(secret.path)
    home = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}"
    for item in api.list(f"{home}/secrets", label_selector=f"{LABEL_STACK}={stack}", metadata_only=True):
        api.delete(f"{home}/secrets/{name_of(item)}")
    api.delete(f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM_NAMESPACE}/leases/sparkrig.{stack}")
    rest = [c for c in contents_of(api, SYSTEM_NAMESPACE) if c.ref.kind in ("Lease", "Secret")]
    if rest or foreign(contents_of(api, SYSTEM_NAMESPACE), stack, ()):
        return ()
    api.delete(home)
    deadline = time.monotonic() + NAMESPACE_GONE_S
    while api.get(home, missing_ok=True) is not None and time.monotonic() < deadline:
        ending.pause(REMOVAL_POLL_S)
    return (SYSTEM_NAMESPACE,)


def _delete(api: KubeApi, ref: ObjectRef) -> None:
    try:
        api.delete(api.path_of(ref))
    except KindNotServed:  # its CRD is gone, and so is it
        return


def _remaining(api: KubeApi, refs: Collection[ObjectRef]) -> list[tuple[ObjectRef, dict[str, Any]]]:
    """Those of the objects that exist, with their metadata; one LIST a kind and namespace."""
    groups: dict[tuple[str, str, str, str], list[ObjectRef]] = {}
    for ref in refs:
        groups.setdefault((ref.group, ref.version, ref.kind, ref.namespace), []).append(ref)
    found: list[tuple[ObjectRef, dict[str, Any]]] = []
    for (group, version, kind, namespace), members in groups.items():
        try:
            collection = api.resource_of(group, version, kind).collection(namespace)
            there = {name_of(item): item for item in api.list(collection, metadata_only=True)}
        except NotFoundApi:
            continue
        found += [(ref, there[ref.name]) for ref in members if ref.name in there]
    return found
