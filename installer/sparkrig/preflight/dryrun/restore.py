"""The same question for a way back: what of a release's earlier version cannot be brought back by a change.

A conflict is no obstacle there: helm is told to take fields back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sparkrig.helm.storage.recovery import stored_manifest
from sparkrig.helm.storage.releases import archived_path
from sparkrig.helm.storage.secret import decode
from sparkrig.kube.client import KubeApi
from sparkrig.models.component import Component
from sparkrig.models.json import JsonObject, Manifest, mapping_at, mappings_at, text_at
from sparkrig.models.operation import ApplyCrds, Operation, RestoreCrds, RollbackRelease
from sparkrig.models.plan import Plan
from sparkrig.plan.server.answers import Refused
from sparkrig.plan.server.changes import Rehearsal, advice, refused_text, with_rehearsals
from sparkrig.preflight.dryrun.one_way import blocked_pair
from sparkrig.preflight.dryrun.rehearse import Release, rehearse, unserved
from sparkrig.yaml.plain import objects


@dataclass(frozen=True, slots=True)
class Leaving:
    """What a way back starts from."""

    components: Mapping[str, Component] = field(default_factory=dict)
    """The catalog, which knows of versions between which no rollback works."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Component -> the chart version that is left."""
    recreating: Collection[str] = ()
    """Components that may be made anew, besides those whose record says so: what a change made anew is made
    anew on the way back."""


def restorable(api: KubeApi, plan: Plan, leaving: Leaving) -> tuple[Plan, tuple[str, ...]]:
    """The plan with what is to be made anew on the way back, and what stands in its way, a sentence each."""
    allowing = replace(plan, operations=tuple(_allowing(o, leaving.recreating) for o in plan.operations))
    back = [operation for operation in allowing.operations if isinstance(operation, RollbackRelease)]
    releases = [_release(api, plan.stack, operation) for operation in back]
    coming = _coming(plan, releases)
    found = tuple(_without(one, coming) for one in rehearse(api, releases))
    obstacles = (*_blocked(back, leaving), *_obstacles(back, found))
    return (with_rehearsals(allowing, found) if found else plan), obstacles


def _allowing(operation: Operation, allowed: Collection[str]) -> Operation:
    if not isinstance(operation, RollbackRelease) or operation.component not in allowed:
        return operation
    return replace(operation, state=replace(operation.state, immutable="recreate"))


def _release(api: KubeApi, stack: str, operation: RollbackRelease) -> Release:
    number = operation.state.helm_revision
    text = stored_manifest(api, operation.release, operation.namespace, number)
    if not text:  # its namespace went, and Helm's history comes back with it
        kept = api.get(archived_path(stack, operation.namespace, operation.release, number), missing_ok=True)
        text = "" if kept is None else str(decode(kept).get("manifest", ""))
    return Release(
        operation.component,
        operation.release,
        operation.namespace,
        _flat(objects(text)),
        number,
        forced=True,
        whole=True,
    )


def _flat(manifests: Sequence[Manifest]) -> list[Manifest]:
    """The items of lists in place of the lists, as helm applies them."""
    found: list[Manifest] = []
    for one in manifests:
        is_list = text_at(one, "kind").endswith("List") and isinstance(one.get("items"), list)
        found += mappings_at(one, "items") if is_list else [one]
    return found


# ------------------------------------------------------------------ kinds that come with the way back


@dataclass(frozen=True, slots=True)
class _Coming:
    kinds: frozenset[tuple[str, str]]
    """(group, kind) of the CRDs among the manifests."""
    groups: frozenset[str]
    """Groups that an APIService among them serves."""
    anything: bool
    """CRDs are applied before the releases return."""


def _coming(plan: Plan, releases: Sequence[Release]) -> _Coming:
    specs: dict[str, list[JsonObject]] = {"CustomResourceDefinition": [], "APIService": []}
    for release in releases:
        for item in release.objects:
            specs.get(text_at(item, "kind"), []).append(mapping_at(item, "spec"))
    kinds = {(text_at(spec, "group"), text_at(spec, "names", "kind")) for spec in specs["CustomResourceDefinition"]}
    groups = {str(spec.get("group")) for spec in specs["APIService"]}
    applies_crds = any(isinstance(operation, ApplyCrds | RestoreCrds) for operation in plan.operations)
    return _Coming(frozenset(kinds), frozenset(groups), applies_crds)


def _without(one: Rehearsal, coming: _Coming) -> Rehearsal:
    return replace(one, rejected=tuple(each for each in one.rejected if not _comes(each, coming)))


def _comes(rejected: Refused, coming: _Coming) -> bool:
    """Whether the object will be judged by something that is not in the cluster yet."""
    ref = rejected.ref
    if (ref.group, ref.kind) in coming.kinds:
        return True
    return rejected.fields == unserved(ref) and (coming.anything or ref.group in coming.groups)


# ------------------------------------------------------------------ what stands in the way


def _blocked(back: list[RollbackRelease], leaving: Leaving) -> Iterator[str]:
    for operation in back:
        state, newer = operation.state, leaving.versions.get(operation.component)
        if newer is None:
            continue
        pair = blocked_pair(leaving.components.get(operation.component), newer, state.version, state.values)
        if pair is not None:
            told = f"{operation.component}: no rollback leads from {newer} to {state.version}: {pair.reason}"
            yield f"{told}\n    next: {pair.instead}"


def _obstacles(back: list[RollbackRelease], found: tuple[Rehearsal, ...]) -> Iterator[str]:
    policy = {operation.component: operation.state.immutable for operation in back}
    for one in found:
        for refused in one.refused:
            if not (refused.recreatable and policy.get(one.component) == "recreate"):
                next_ = advice(refused, one.component, {"immutable": policy.get(one.component, "fail")})
                yield _told(one, refused, "cannot be changed", next_)
        for rejected in one.rejected:
            lacking = rejected.fields == unserved(rejected.ref)
            yield _told(one, rejected, "cannot be brought back", _NO_KIND if lacking else _NOT_TAKEN)


_NOT_TAKEN = (
    "the cluster no longer accepts this object as it was, such as after a CRD changed; check out the stack file of "
    "that time and run up, which brings its CRDs back, or set a value there that the API server accepts"
)
_NO_KIND = "check out the stack file of that time and run up, which brings the CRDs too"


def _told(one: Rehearsal, refused: Refused, what: str, next_: str) -> str:
    return f"{one.component}: {refused.ref} {what}: {refused_text(refused)}\n    next: {next_}"
