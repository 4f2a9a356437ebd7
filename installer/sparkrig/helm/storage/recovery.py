"""Makes a release usable again that a dead helm left in the middle of an operation.

helm refuses to upgrade a release whose newest revision is pending. What is done about it is a change
of one word: the status in that revision's Secret (label and payload). No object of the release is
touched, no hook runs, nothing is deleted. docs/adr/0003-pending-releases.md has the experiments.

Only for a helm that is known dead or whose deadline has passed (``presumed_dead``): helm keeps no lock
of its own, and the compare-and-swap here notices a live one only when it writes at the same moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sparkrig.helm.storage.secret import decode, encode, secret_path
from sparkrig.models.json import (
    JsonDict,
    JsonObject,
    labels_of,
    mapping_at,
    mappings_at,
    name_of,
    number_at,
    text_at,
    texts_at,
)

PENDING = frozenset({"pending-install", "pending-upgrade", "pending-rollback"})
_UPGRADE_EVENT = {"pre-install": "pre-upgrade", "post-install": "post-upgrade"}
_NOTE = "sparkrig: the helm process died"


class SecretApi(Protocol):
    """What is needed of the API server; ``sparkrig.kube.client.KubeApi`` has it. Paths as in REST."""

    def get(self, path: str, *, missing_ok: bool = False, metadata_only: bool = False) -> JsonDict | None:
        """Return one object, or its metadata."""

    def list(self, path: str, *, label_selector: str | None = None, metadata_only: bool = False) -> list[JsonDict]:
        """Return all objects of a collection."""

    def replace(self, path: str, body: JsonObject) -> JsonDict:
        """Replace an object; the resource version in ``body`` makes it a compare-and-swap."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What a release's newest revision says about the operation that made it."""

    status: str
    install: bool
    """It was a first install (or one over an uninstalled release), not an upgrade or a rollback."""
    install_only_hooks: tuple[str, ...]
    """Hooks that run on install and not on upgrade, as ``Kind name``."""
    marked_by_us: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The status to write, None for "leave it", and why."""

    status: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """What ``recover`` found and did."""

    revision: int
    before: str
    after: str
    reason: str

    @property
    def changed(self) -> bool:
        """True when a status was written."""
        return self.before != self.after


def decide(found: Unfinished, *, wanted: bool) -> Decision:
    """Says what to do before the next helm call.

    ``wanted`` True: ``helm upgrade --install`` comes next and must succeed. False: ``helm uninstall``.
    """
    if not wanted:
        return _before_uninstall(found)
    return _before_upgrade(found)


def _before_uninstall(found: Unfinished) -> Decision:
    if found.status == "uninstalled" and found.marked_by_us:
        return Decision("failed", "its objects are still there; helm uninstall skips what is marked uninstalled")
    return Decision(None, f"helm uninstall works on a release that is {found.status}")


def _before_upgrade(found: Unfinished) -> Decision:
    if found.status in PENDING | {"failed"} and found.install and found.install_only_hooks:
        hooks = ", ".join(found.install_only_hooks)
        return Decision("uninstalled", f"the install is done again, because an upgrade would leave out {hooks}")
    if found.status in PENDING | {"uninstalling"}:
        return Decision("failed", f"helm upgrades over a failed revision, not over one that is {found.status}")
    return Decision(None, f"helm upgrades over a revision that is {found.status}")


def presumed_dead(modified: str, deadline_s: float, now: datetime, slack_s: float = 60.0) -> bool:
    """True when the helm that wrote at ``modified`` (RFC 3339) must have been ended by its own deadline.

    ``slack_s`` covers the grace after TERM and clocks that differ.
    """
    return now - datetime.fromisoformat(modified) > timedelta(seconds=deadline_s + slack_s)


async def recover(api: SecretApi, name: str, namespace: str, *, wanted: bool) -> Recovered | None:
    """Looks at a release's newest revision and writes the status ``decide`` asks for; None without a release.

    Does nothing to a healthy release. Whatever ``api`` raises comes through; a conflict means that
    somebody wrote the revision meanwhile, so its helm is not dead.
    """
    import asyncio  # `status` reads releases too, and recovers none

    return await asyncio.to_thread(_recover, api, name, namespace, wanted)


def _recover(api: SecretApi, name: str, namespace: str, wanted: bool) -> Recovered | None:
    collection = f"/api/v1/namespaces/{namespace}/secrets"
    found = api.list(collection, label_selector=f"owner=helm,name={name}", metadata_only=True)
    if not found:
        return None
    newest = max(found, key=_revision)
    path = f"{collection}/{name_of(newest)}"
    secret = api.get(path)
    if secret is None:
        return None
    release = decode(secret)
    information = mapping_at(release, "info")
    before = text_at(information, "status", default="unknown")
    decision = decide(examine(release), wanted=wanted)
    if decision.status is not None:
        note = f"{_NOTE} while the release was {before}; {decision.reason}"
        release["info"] = {**information, "status": decision.status, "description": note}
        api.replace(path, _with_release(secret, release, decision.status))
    return Recovered(
        revision=_revision(newest),
        before=before,
        after=decision.status or before,
        reason=decision.reason,
    )


def newest_revision(api: SecretApi, name: str, namespace: str, *, after: int = 0) -> int:
    """Returns the number of a release's newest revision, without a helm process; 0 where there is no release.

    ``after`` is one that was the newest before: Helm counts on from it. Behind a write a LIST may wait a tenth of a
    second until the API server's cache has caught up; single objects do not.
    """

    def exists(revision: int) -> bool:
        path = secret_path(namespace, name, revision)
        return api.get(path, missing_ok=True, metadata_only=True) is not None

    found_at = after
    while after and exists(found_at + 1):
        found_at += 1
    if found_at > after:
        return found_at
    collection = f"/api/v1/namespaces/{namespace}/secrets"
    found = api.list(collection, label_selector=f"owner=helm,name={name}", metadata_only=True)
    return max(map(_revision, found), default=0)


def stored_manifest(api: SecretApi, name: str, namespace: str, revision: int) -> str:
    """Returns the manifest a Helm revision holds, without a helm process; empty when there is no such revision."""
    secret = api.get(secret_path(namespace, name, revision), missing_ok=True)
    return "" if secret is None else str(decode(secret).get("manifest", ""))


def examine(release: JsonObject) -> Unfinished:
    """Reads from a decoded release what ``decide`` needs."""
    information = mapping_at(release, "info")
    status = text_at(information, "status", default="unknown")
    first, last = information.get("first_deployed"), information.get("last_deployed")
    hooks = [
        f"{hook.get('kind', 'hook')} {hook.get('name', '')}".strip()
        for hook in mappings_at(release, "hooks")
        if _install_only(frozenset(texts_at(hook, "events")))
    ]
    return Unfinished(
        status=status,
        install=status == "pending-install" or (status == "failed" and first is not None and first == last),
        install_only_hooks=tuple(hooks),
        marked_by_us=text_at(information, "description").startswith(_NOTE),
    )


def _install_only(events: frozenset[str]) -> bool:
    return any(event in events and other not in events for event, other in _UPGRADE_EVENT.items())


def _with_release(secret: JsonObject, release: JsonObject, status: str) -> JsonDict:
    metadata = {key: found for key, found in mapping_at(secret, "metadata").items() if key != "managedFields"}
    metadata["labels"] = {**labels_of(secret), "status": status}
    return {**secret, "metadata": metadata, "data": {**mapping_at(secret, "data"), "release": encode(release)}}


def _revision(secret: JsonObject) -> int:
    return number_at(secret, "metadata", "labels", "version")
