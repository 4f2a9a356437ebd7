"""Two revisions of a stack, or a revision and the live cluster, compared. Reads; writes nothing.

What the cluster is asked: revisions, Helm's release Secrets, and the live objects. Where a live object
seems to differ, the API server is asked by a dry run what it would make of the manifest, because it
knows best what it normalises; without the right to that, our own reading stands.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sparkrig.apply.crds.drift import crd_changes, crd_drift, read_crds
from sparkrig.commands.session import Session
from sparkrig.commands.unchanged import Proven
from sparkrig.defaults import API_CONNECTIONS
from sparkrig.errors import AccessDenied, NotFound, SparkrigError
from sparkrig.helm.storage.releases import list_releases, read_release
from sparkrig.kube.client import KindNotServed, KubeApi, NotFoundApi
from sparkrig.models.chart import Chart
from sparkrig.models.component import CrdOwner
from sparkrig.models.json import mapping_at
from sparkrig.models.objects import ObjectRef, refs_of
from sparkrig.models.release import DesiredRelease, ObservedRelease, ReleaseState
from sparkrig.models.revision import Revision, RevisionStatus
from sparkrig.models.state import CrdDrift, ObservedState
from sparkrig.plan.diff.changes import GONE
from sparkrig.plan.diff.fields import comparable, drifted_fields, value_at
from sparkrig.plan.diff.revisions import (
    ComponentChange,
    Manifests,
    ObjectChange,
    Parts,
    StackChange,
    Unstable,
    compare_live,
    compare_states,
    describe_drift,
    differing,
    unstable_fields,
)
from sparkrig.yaml.plain import objects


def compare_revisions(session: Session, stack: str, first: int, second: int | None, parts: Parts) -> StackChange:
    """How revision ``second`` (None: the newest finished one) differs from ``first``.

    Raises:
        NotFound: there is no such revision, or it was never finished.
    """
    before, after = _revisions(session, stack, first, second)
    old = {state.component: state for state in before.after}
    new = {state.component: state for state in after.after}
    changes = [_between(session, old.get(name), new.get(name), parts) for name in dict.fromkeys((*new, *old))]
    return StackChange(stack, before.number, after.number, tuple(changes))


Seen = Callable[[ObjectRef], Mapping[str, Any] | None]
"""An object as somebody read it just now, whole but for its managedFields; None where nobody did."""


def compare_with_cluster(
    session: Session,
    stack: str,
    parts: Parts,
    seen: Seen = lambda _ref: None,
    observed: ObservedState | None = None,
    proven: Proven | None = None,
) -> StackChange:
    """How the live cluster differs from the newest finished revision.

    What ``seen`` and ``observed`` know from just now is not asked for again, nor what is ``proven``, which learns.

    Raises:
        NotFound: the stack has no finished revision.
    """
    if observed is None:
        last, pending, _ = session.history(stack).newest()
    else:
        last, pending = observed.last, observed.pending
    if last is None:
        raise NotFound(f"stack {stack} has no finished revision", hint="sparkrig up makes the first one")
    releases = list_releases(session.api) if observed is None else observed.releases
    with ThreadPoolExecutor(API_CONNECTIONS, "diff") as pool:
        same = {s.component for s in last.after if proven and proven.holds(s, releases.get((s.namespace, s.release)))}
        asked = _asked(session.api, last.after, parts, pool, same, observed)
        namespaces = observed.namespaces if observed else {}
        live = _Live(session, parts, pool, seen, *asked, stack, proven, namespaces)
        changes = [_drift(live, state, releases.get((state.namespace, state.release))) for state in last.after]
    unfinished = f"revision {pending.number} was begun and never finished; the next run picks it up" if pending else ""
    return StackChange(stack, last.number, None, tuple(changes), (unfinished,) if unfinished else ())


# ------------------------------------------------------------------ two revisions


def _revisions(session: Session, stack: str, first: int, second: int | None) -> tuple[Revision, Revision]:
    history = session.history(stack)
    infos = {info.number: info for info in history.infos() if info.status is not RevisionStatus.PENDING}
    wanted = [first, max(infos, default=0) if second is None else second]
    for number in wanted:
        if number not in infos:
            listed = ", ".join(map(str, sorted(infos))) or "none"
            raise NotFound(f"stack {stack} has no finished revision {number}", hint=f"it has {listed}")
    before, after = (history.read(infos[number]) for number in wanted)
    return before, after


def _between(
    session: Session, before: ReleaseState | None, after: ReleaseState | None, parts: Parts
) -> ComponentChange:
    state = after or before
    schema = session.values_schema(state.component) if state else None
    same = before is not None and after is not None and _helm_key(before) == _helm_key(after)
    if same or not parts.manifests:
        return compare_states(before, after, parts, schema=schema)
    notes: list[str] = []
    manifests = (_stored(session.api, before, notes), _stored(session.api, after, notes))
    old, new = manifests
    if (before is not None and old is None) or (after is not None and new is None):
        change = compare_states(before, after, replace(parts, manifests=False), schema=schema)
        return replace(change, notes=(*change.notes, *notes))
    unstable: Unstable | None = {}
    if before and after and old is not None and new is not None and differing(old, new):
        unstable = _unstable(session, ((before, old), (after, new)))
    return compare_states(before, after, parts, manifests=manifests, unstable=unstable, schema=schema)


def _helm_key(state: ReleaseState) -> tuple[str, str, int]:
    return state.namespace, state.release, state.helm_revision


def _read(api: KubeApi, state: ReleaseState) -> Mapping[str, Any]:
    return read_release(api, state.namespace, state.release, state.helm_revision)


def _stored(
    api: KubeApi, state: ReleaseState | None, notes: list[str], answer: Future[Mapping[str, Any]] | None = None
) -> Manifests | None:
    """The objects of the Helm revision that was recorded; None where Helm has it no more.

    ``answer`` is where it was asked for already.
    """
    if state is None:
        return None
    where = f"Helm revision {state.helm_revision} of {state.namespace}/{state.release}"
    try:
        release = answer.result() if answer else _read(api, state)
    except NotFoundApi:
        notes.append(f"manifests not compared: {where} is gone")
        return None
    except AccessDenied as error:
        notes.append(f"manifests not compared: {where} may not be read ({error.message})")
        return None
    return _by_ref(api, objects(str(release.get("manifest", ""))), state.namespace)


def _by_ref(api: KubeApi, manifests: Iterable[Mapping[str, Any]], namespace: str) -> Manifests:
    flat = [item for one in manifests for item in (one["items"] if _is_list(one) else [one])]
    return {_ref(api, item, namespace): item for item in flat}


def _is_list(item: Mapping[str, Any]) -> bool:
    return str(item.get("kind", "")).endswith("List") and isinstance(item.get("items"), list)


def _ref(api: KubeApi, item: Mapping[str, Any], namespace: str) -> ObjectRef:
    (ref,) = refs_of([item], namespace)
    try:
        namespaced = api.resource_of(ref.group, ref.version, ref.kind).namespaced
    except KindNotServed:
        namespaced = bool((item.get("metadata") or {}).get("namespace"))
    return ref if namespaced else replace(ref, namespace="")


# ------------------------------------------------------------------ what charts make up


def _unstable(session: Session, sides: Iterable[tuple[ReleaseState, Manifests]]) -> Unstable | None:
    """What two renderings of the same prove to be made anew each time, by every chart that is at hand."""
    proven: list[Unstable] = []
    seen: set[tuple[str, str]] = set()
    for state, manifests in sides:
        if (state.chart_digest, state.digest) in seen:
            continue
        seen.add((state.chart_digest, state.digest))
        found = _rendered_twice(session, state, manifests)
        if found is not None:
            proven.append(found)
    if not proven:
        return None
    first, *others = proven
    return {key: frozenset(paths.intersection(*(o.get(key, ()) for o in others))) for key, paths in first.items()}


def _rendered_twice(session: Session, state: ReleaseState, manifests: Manifests) -> Unstable | None:
    import asyncio  # `status` compares too, and renders nothing

    chart = _chart_at_hand(session, state)
    if chart is None:
        return None
    desired = _rendering(state, chart)
    # What the chart asks of the cluster was there when its objects were made.
    served = {f"{ref.api_version}{kind}" for ref in manifests for kind in ("", f"/{ref.kind}")}
    helm = session.offline_helm

    async def both() -> list[str]:
        one = {"kube_version": session.facts.kubernetes, "api_versions": sorted(served), "is_upgrade": True}
        return await asyncio.gather(*(helm.template(desired, **one) for _ in range(2)))  # type: ignore[arg-type]

    try:
        first, second = asyncio.run(both())
    except SparkrigError:
        return None  # without a rendering nothing is proven, and the report says so
    api = session.api
    return unstable_fields(
        _by_ref(api, objects(first), state.namespace), _by_ref(api, objects(second), state.namespace)
    )


def _chart_at_hand(session: Session, state: ReleaseState) -> Chart | None:
    from sparkrig.stack.lockfile import STAND_IN_SUFFIX

    component = session.catalog.components.get(state.component)
    if component is None or component.chart.name != state.chart:
        return None
    version = state.version.removesuffix(STAND_IN_SUFFIX) if state.stand_in else state.version
    chart = session.charts.at_hand(replace(component.chart, version=version), digest=state.chart_digest)
    return chart if chart is not None and chart.digest == state.chart_digest else None


def _rendering(state: ReleaseState, chart: Chart) -> DesiredRelease:
    return DesiredRelease(
        component=state.component,
        release=state.release,
        namespace=state.namespace,
        namespace_labels={},
        chart=chart,
        values=state.values,
        needs=(),
        crd_needs=(),
        crd_owner=CrdOwner.NONE,
        crd_labels={},
        rollback=state.rollback,
        keep=(),
        timeout_s=state.timeout_s,
        digest=state.digest,
    )


# ------------------------------------------------------------------ the live cluster


@dataclass(frozen=True, slots=True)
class _Live:
    """One look at the live cluster: what is compared, and what was asked before anything was looked at."""

    session: Session
    parts: Parts
    pool: ThreadPoolExecutor
    seen: Seen
    releases: Mapping[str, Future[Mapping[str, Any]]]
    """Component -> its release as Helm stored it; none where nothing differs."""
    crds: Future[Mapping[str, tuple[CrdDrift, ...]]] | None
    """Component -> its CRDs that are not as recorded; None where no component brought any."""
    stack: str
    proven: Proven | None
    namespaces: Mapping[str, Mapping[str, str]]
    """Namespace -> its labels, as far as they were read just now."""


def _asked(
    api: KubeApi,
    states: Sequence[ReleaseState],
    parts: Parts,
    pool: ThreadPoolExecutor,
    same: Collection[str],
    observed: ObservedState | None,
) -> tuple[Mapping[str, Future[Mapping[str, Any]]], Future[Mapping[str, tuple[CrdDrift, ...]]] | None]:
    """All that is certain to be needed, asked at once: while answers come, those that have come are read.

    Of the components in ``same`` no release is.
    """
    if not parts.manifests:
        return {}, None
    releases = {state.component: pool.submit(_read, api, state) for state in states if state.component not in same}
    if not any(state.crds for state in states):
        return releases, None
    known = observed.crd_drift if observed is not None else None
    return releases, pool.submit(lambda: crd_drift(api, states, read_crds(api)) if known is None else known)


def _drift(live: _Live, state: ReleaseState, found: ObservedRelease | None) -> ComponentChange:
    session, parts = live.session, live.parts
    notes = _helm_notes(state, found)
    moved_on = bool(notes)
    moved = _moved(session.api, state, found) if parts.values or parts.charts else None
    changes: list[ObjectChange] = []
    if parts.manifests:
        if (answer := live.releases.get(state.component)) is not None:
            changes += _differing(live, state, found, _stored(session.api, state, notes, answer))
        drift = (live.crds.result() if live.crds else {}).get(state.component, ())
        changes += crd_changes(session.api, state, drift, live.stack, partial(_look, session.api))
        changes += _namespace(live, state)
    schema = session.values_schema(state.component)
    change = compare_live(state, changes, moved=moved, parts=parts, notes=notes, schema=schema)
    if _is_gone(found):
        return replace(change, change="removed")
    # The next run upgrades such a release, whatever its content is by now.
    return replace(change, change="changed") if moved_on and change.change == "unchanged" else change


def _differing(
    live: _Live, state: ReleaseState, found: ObservedRelease | None, manifests: Manifests | None
) -> list[ObjectChange]:
    if manifests is None:
        return []
    suspects = [one for one in manifests.items() if not _as_recorded(one[1], live.seen(one[0]))]
    changes = [c for c in live.pool.map(lambda one: _look(live.session.api, *one), suspects) if c is not None]
    if live.proven is not None and not changes:
        live.proven.learn(state, found, manifests)
    return changes


def _namespace(live: _Live, state: ReleaseState) -> list[ObjectChange]:
    """The labels that its namespace got: no manifest of the release has them."""
    if state.namespace_labels.items() <= live.namespaces.get(state.namespace, {}).items():
        return []
    metadata = {"name": state.namespace, "labels": dict(state.namespace_labels)}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    changed = _look(live.session.api, ObjectRef("", "v1", "Namespace", "", state.namespace), manifest)
    return [changed] if changed is not None else []


def _helm_notes(state: ReleaseState, found: ObservedRelease | None) -> list[str]:
    if found is None or _is_gone(found):
        return ["the release is gone from the cluster"]
    notes = []
    if found.revision != state.helm_revision:
        notes.append(f"somebody else used Helm on it: Helm revision {state.helm_revision} -> {found.revision}")
    if found.status != "deployed":
        notes.append(f"Helm says {found.status}")
    return notes


def _is_gone(found: ObservedRelease | None) -> bool:
    return found is None or found.status in GONE


def _moved(api: KubeApi, state: ReleaseState, found: ObservedRelease | None) -> ReleaseState | None:
    """What Helm holds now, where that is not what was recorded."""
    if found is None or _is_gone(found) or found.revision == state.helm_revision:
        return None
    try:
        release = read_release(api, state.namespace, state.release, found.revision)
    except (NotFoundApi, AccessDenied):
        return None
    metadata = mapping_at(release, "chart", "metadata")
    return replace(
        state,
        chart=str(metadata.get("name") or state.chart),
        version=str(metadata.get("version") or state.version),
        values=mapping_at(release, "config"),
        helm_revision=found.revision,
    )


def _as_recorded(manifest: Mapping[str, Any], known: Mapping[str, Any] | None) -> bool:
    return known is not None and not drifted_fields(manifest, known)


def _look(api: KubeApi, ref: ObjectRef, manifest: Mapping[str, Any]) -> ObjectChange | None:
    try:
        live = api.get(api.path_of(ref), missing_ok=True)
    except KindNotServed:
        return ObjectChange(ref, "missing", note="its kind is not served")
    except AccessDenied as error:
        return ObjectChange(ref, "unknown", note=error.message)
    if live is None:
        return ObjectChange(ref, "missing")
    differences = drifted_fields(manifest, live)
    if differences:
        wanted = _as_the_server_has_it(api, ref, manifest)
        if wanted is not None:
            there = comparable(live)
            differences = tuple(d for d in differences if value_at(wanted, d.path) != value_at(there, d.path))
    return describe_drift(ref, manifest, live, differences)


def _as_the_server_has_it(api: KubeApi, ref: ObjectRef, manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    metadata = dict(manifest.get("metadata") or {})
    if ref.namespace:
        metadata["namespace"] = ref.namespace
    try:
        return comparable(api.apply({**manifest, "metadata": metadata}, force=True, dry_run=True))
    except SparkrigError:
        return None  # no right to change it, an immutable field, a webhook that knows no dry run
