"""Asks the API server what it would say of an upgrade. Writes nothing.

Every object that the new version of a release renders goes through a server-side apply with
``dryRun=All``, under helm's own field manager and, like helm's, without force.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from sparkrig.defaults import API_CONNECTIONS, DRY_RUN_REQUEST_S, DRY_RUN_SLOW_S
from sparkrig.errors import AccessDenied, SparkrigError
from sparkrig.helm.storage.releases import read_release
from sparkrig.kube.client import ApiError, Conflict, ConnectionLost, Invalid, KindNotServed, KubeApi, NotFoundApi
from sparkrig.models.json import JsonDict, JsonObject, annotations_of, mapping_at
from sparkrig.models.objects import ObjectRef, refs_of
from sparkrig.plan.server.answers import HELM_MANAGER, Contested, Refused, contested, refused, rejected
from sparkrig.plan.server.changes import Blocked, Rehearsal
from sparkrig.readiness import is_custom_group

Object = JsonObject
HOOK: Final = "helm.sh/hook"
EXISTING: Final = "default"
"""A namespace that every cluster has and nobody can delete."""
RELEASE_NAME: Final = "meta.helm.sh/release-name"
DELETE_POLICY: Final = "helm.sh/hook-delete-policy"
RUNS: Final = ("Job", "Pod")
"""Kinds of hooks that do something once: an old one that is still there would be taken for the new one."""
_WEBHOOK: Final = re.compile(r'(?P<dead>failed calling webhook|admission webhook) "(?P<name>[^"]+)"')


@dataclass(frozen=True, slots=True)
class Release:
    """One release that the plan changes, and what it renders."""

    component: str
    release: str
    namespace: str
    objects: Sequence[Object]
    revision: int | None
    """Its newest Helm revision; None where there is no such release yet: nothing but its hooks is looked at then."""
    forced: bool = False
    """Helm is told to take fields back, so that there is no conflict."""
    crds: frozenset[str] = frozenset()
    """CRDs of the component. Those that are not Helm's yet are handed over to it before it is called."""
    whole: bool = False
    """Everything that the API server refuses is told, also what is plainly wrong and a kind that it does not serve:
    a manifest that comes from Helm's history was rendered for the cluster as it was then."""


@dataclass(frozen=True, slots=True)
class _Answer:
    contested: Contested | None = None
    refused: Refused | None = None
    rejected: Refused | None = None
    leftover: ObjectRef | None = None
    blocked: Blocked | None = None
    unseen: str = ""
    slow: ObjectRef | None = None


FORBIDDEN: Final = 403
"""What admission answers; a missing right is an ``AccessDenied``."""


def rehearse(api: KubeApi, releases: Sequence[Release]) -> tuple[Rehearsal, ...]:
    """What the API server says of each release's change; those of which it has nothing to say are left out."""
    tasks = [(release, item) for release in releases for item in release.objects if _worth_asking(release, item)]
    if not tasks:
        return ()
    asker = _Asker(api)
    with ThreadPoolExecutor(API_CONNECTIONS, "dry-run") as pool:
        answers = list(pool.map(lambda task: asker.ask(*task), tasks))
    found = []
    for release in releases:
        mine = [answer for (owner, _), answer in zip(tasks, answers, strict=True) if owner is release]
        one = _together(release, mine)
        if one.contested and not _by_server(api, release):
            one = replace(one, contested=())  # helm patches such a release itself, and takes what it meets
        if one != Rehearsal(release.component):
            found.append(one)
    return tuple(found)


def _worth_asking(release: Release, item: Object) -> bool:
    if HOOK not in _annotations(item):
        return release.revision is not None
    policy = str(_annotations(item).get(DELETE_POLICY, "before-hook-creation"))
    return item.get("kind") in RUNS and "before-hook-creation" not in policy


def _together(release: Release, answers: Sequence[_Answer]) -> Rehearsal:
    return Rehearsal(
        release.component,
        contested=tuple(a.contested for a in answers if a.contested),
        refused=tuple(a.refused for a in answers if a.refused),
        rejected=tuple(a.rejected for a in answers if a.rejected),
        leftovers=tuple(a.leftover for a in answers if a.leftover),
        blocked=tuple(a.blocked for a in answers if a.blocked),
        unseen=tuple(dict.fromkeys(a.unseen for a in answers if a.unseen)),
        slow=tuple(a.slow for a in answers if a.slow),
    )


def _by_server(api: KubeApi, release: Release) -> bool:
    """Whether helm will apply this release on the server's side: it does what it did the last time."""
    try:
        last = read_release(api, release.namespace, release.release, release.revision or 0)
    except SparkrigError:
        return True
    return last.get("apply_method") == "ssa"


class _Asker:
    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._slow = threading.Event()

    def ask(self, release: Release, item: Object) -> _Answer:
        """One object; never raises what the API server says about it."""
        (ref,) = refs_of([item], release.namespace)
        try:
            if not self._api.resource_of(ref.group, ref.version, ref.kind).namespaced:
                ref = replace(ref, namespace="")
            if HOOK in _annotations(item):
                return self._hook(ref)
            if self._slow.is_set():
                return _Answer(unseen="not everything was looked at: the API server answers slowly")
            return self._timed(release, ref, item)
        except KindNotServed:
            return _Answer(rejected=Refused(ref, unserved(ref))) if release.whole else _Answer()  # may come with it
        except NotFoundApi:  # a namespace that comes with the change
            return self._elsewhere(release, ref, item) if release.whole and _is_custom(ref) else _Answer()
        except AccessDenied as error:
            return _Answer(unseen=f"{ref} could not be looked at: {error.message}")
        except ApiError as error:
            return self._otherwise(release, ref, error)
        except SparkrigError as error:
            return _Answer(unseen=f"{ref} could not be looked at: {error.message}")

    def _elsewhere(self, release: Release, ref: ObjectRef, item: Object) -> _Answer:
        """A custom resource whose namespace is not there: its schema is the same in one that is."""
        there = replace(ref, namespace=EXISTING)
        try:
            if self._api.get(self._api.path_of(there), missing_ok=True) is None:
                self._apply(_as_helm_applies(release, there, item), force=True)
        except Invalid as error:
            return self._otherwise(release, ref, error)
        except SparkrigError as error:
            return _Answer(unseen=f"{ref} could not be looked at: {error.message}")
        return _Answer()

    def _hook(self, ref: ObjectRef) -> _Answer:
        live = self._api.get(self._api.path_of(ref), missing_ok=True)
        return _Answer(leftover=ref) if live is not None and HOOK in _annotations(live) else _Answer()

    def _timed(self, release: Release, ref: ObjectRef, item: Object) -> _Answer:
        started = time.monotonic()
        try:
            answer = self._dry_run(release, ref, item)
        except ConnectionLost:
            self._slow.set()
            return _Answer(unseen=f"{ref}: the API server does not answer in time", slow=ref)
        if time.monotonic() - started >= DRY_RUN_SLOW_S:
            self._slow.set()
            return replace(answer, slow=ref)
        return answer

    def _dry_run(self, release: Release, ref: ObjectRef, item: Object) -> _Answer:
        manifest = _as_helm_applies(release, ref, item)
        try:
            self._apply(manifest, force=release.forced)
        except Invalid as error:
            return self._refused(release, ref, manifest, error)
        except Conflict as error:
            live = self._api.get(self._api.path_of(ref), missing_ok=True) or {}
            handed = ref.name in release.crds and _annotations(live).get(RELEASE_NAME) != release.release
            answer = _Answer() if handed else _Answer(contested=contested(ref, manifest, live, error.body))
            try:
                self._apply(manifest, force=True)  # what else is wrong is only said without the conflict
            except Invalid as more:
                said = self._refused(release, ref, manifest, more)
                return replace(answer, refused=said.refused, rejected=said.rejected)
            return answer
        return _Answer()

    def _apply(self, manifest: Object, *, force: bool) -> None:
        self._api.apply(manifest, force=force, field_manager=HELM_MANAGER, dry_run=True, timeout_s=DRY_RUN_REQUEST_S)

    def _refused(self, release: Release, ref: ObjectRef, manifest: Object, error: Invalid) -> _Answer:
        live = self._api.get(self._api.path_of(ref), missing_ok=True)
        if live is None and not release.whole:
            return _Answer()
        found = refused(ref, manifest, live, error.body) if live is not None else None
        return _Answer(refused=found) if found else self._otherwise(release, ref, error)

    def _otherwise(self, release: Release, ref: ObjectRef, error: ApiError) -> _Answer:
        """What is not about a field that cannot change: a webhook, or an object that is plainly wrong."""
        blocked, unseen = _blocked(ref, error), _undecided(ref, error)
        refused = isinstance(error, Invalid) and (release.whole or error.status == FORBIDDEN)
        wrong = refused and blocked is None and not unseen
        return _Answer(blocked=blocked, unseen=unseen, rejected=rejected(ref, error.body) if wrong else None)


def _as_helm_applies(release: Release, ref: ObjectRef, item: Object) -> JsonDict:
    """The manifest with what helm adds to each."""
    metadata = dict(mapping_at(item, "metadata"))
    metadata["labels"] = {**mapping_at(metadata, "labels"), "app.kubernetes.io/managed-by": "Helm"}
    metadata["annotations"] = {
        **mapping_at(metadata, "annotations"),
        RELEASE_NAME: release.release,
        "meta.helm.sh/release-namespace": release.namespace,
    }
    if ref.namespace:
        metadata["namespace"] = ref.namespace
    return {**item, "metadata": metadata}


def _blocked(ref: ObjectRef, error: ApiError) -> Blocked | None:
    found = _WEBHOOK.search(error.message)
    if found is None or "does not support dry run" in error.message:
        return None
    said = str(error.body.get("message") or error.message)
    return Blocked(ref, found["name"], " ".join(said.split()), denied=found["dead"] == "admission webhook")


def _undecided(ref: ObjectRef, error: ApiError) -> str:
    """A webhook that allows no dry run says nothing about the change; what is plainly wrong is helm's to say."""
    return f"{ref}: a webhook does not take part in dry runs" if "does not support dry run" in error.message else ""


def _is_custom(ref: ObjectRef) -> bool:
    return bool(ref.namespace) and is_custom_group(ref.group)


def unserved(ref: ObjectRef) -> tuple[tuple[str, str], ...]:
    """What is said of an object whose kind the cluster does not serve, as fields of a ``Refused``."""
    return (("apiVersion", f"{ref.api_version} {ref.kind} is not served by this cluster"),)


def _annotations(item: Object) -> JsonObject:
    return annotations_of(item)
