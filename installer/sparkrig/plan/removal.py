"""Builds the plan of ``down``: what goes beyond the releases, what is kept, and in which order. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from sparkrig.defaults import LABEL_SECRET, LABEL_STACK, SYSTEM_NAMESPACE
from sparkrig.models.objects import ObjectRef
from sparkrig.models.operation import (
    DeleteObjects,
    KeepRelease,
    Operation,
    UninstallRelease,
    VacateNamespace,
    recorded_state,
)
from sparkrig.models.plan import Change, Plan
from sparkrig.models.release import ReleaseState
from sparkrig.models.state import ObservedState
from sparkrig.plan.build import plan_down
from sparkrig.plan.graph import ordered
from sparkrig.plan.held import dead_changes, impatient, namespace_change, strange
from sparkrig.plan.removal_changes import listed, purged_changes, with_running, without_kept
from sparkrig.plan.survey import CLAIM, CRD, Content, Survey

PURGEABLE: Final = ("crds", "claims", "namespaces", "nodes", "history")
"""What ``down --purge`` can name."""
DELETE_S: Final = 120.0
"""Until what was deleted is gone; a controller that cleans up behind its objects needs a while."""

_IGNORED: Final = frozenset(
    {("", "Event"), ("events.k8s.io", "Event"), ("coordination.k8s.io", "Lease"), ("", "Endpoints"),
     ("discovery.k8s.io", "EndpointSlice")}
)  # fmt: skip
"""Kinds that the cluster itself and idle controllers leave behind; they hold nothing of a person's."""
_OF_EVERY_NAMESPACE: Final = frozenset({("", "ServiceAccount", "default"), ("", "ConfigMap", "kube-root-ca.crt")})


def plan_removal(stack: str, observed: ObservedState, survey: Survey, purge: Collection[str] = ()) -> Plan:
    """The way to nothing of this stack but what is kept.

    Custom resources that are purged go while their controllers live; then the releases, dependents
    first; then webhook configurations that would call into nothing, CRDs, volume claims, and last the
    namespaces. ``purge`` names what of ``PURGEABLE`` goes too.
    """
    base = plan_down(stack, observed)
    states = tuple(state for operation in base.operations if (state := recorded_state(operation)) is not None)
    finalizers = {c.ref: c.metadata.get("finalizers") or () for found in survey.contents.values() for c in found}
    finalizers |= survey.finalizers
    resources, stuck = impatient(_resources(stack, survey, purge), finalizers, survey.crd_owners, observed)
    releases = _releases([o for o in base.operations if isinstance(o, UninstallRelease)], resources, purge)
    others = [o for o in base.operations if not isinstance(o, UninstallRelease)]
    done = tuple(operation.id for operation in (*resources, *releases, *others))
    webhooks = _webhooks(survey, states, done)
    done = (*done, *(operation.id for operation in webhooks))
    data = [*_crds(survey, purge, done), *_claims(survey, purge, done)]
    done = (*done, *(operation.id for operation in data))
    spaces, kept = _namespaces(stack, observed, survey, states, purge, done)
    operations: list[Operation] = [*resources, *releases, *others, *webhooks, *data, *spaces]
    changes = (
        *(with_running(without_kept(change, purge), survey, states, purge) for change in base.changes),
        *purged_changes(survey, data, purge),
        *(Change(o.component, "-", listed(o.objects)) for o in webhooks),
        *(Change(o.component, "-", o.reason) for o in spaces),
        *kept,
        *stuck,
        *_held_spaces(spaces, survey, [*_inventory(states), *_going(operations)]),
    )
    return replace(base, operations=ordered(operations), changes=changes)


def foreign(contents: Iterable[Content], stack: str, going: Collection[ObjectRef]) -> tuple[Content, ...]:
    """What of a namespace's contents neither goes with the stack nor belongs to every namespace.

    ``going`` are objects that go, or that hooks of the stack made. What has an owner goes with it.
    """
    keys = {_key(ref) for ref in going}
    return tuple(
        content
        for content in contents
        if (content.ref.group, content.ref.kind) not in _IGNORED
        and content.ref.group != "metrics.k8s.io"
        and (content.ref.group, content.ref.kind, content.ref.name) not in _OF_EVERY_NAMESPACE
        and _key(content.ref) not in keys
        and not content.metadata.get("ownerReferences")
        and not content.metadata.get("deletionTimestamp")
        and not is_ours(content, stack)
    )


def is_ours(content: Content, stack: str) -> bool:
    """Helm's history of the stack's releases, and Secrets that the stack file describes."""
    labels = content.metadata.get("labels") or {}
    return (
        content.ref.kind == "Secret"
        and labels.get(LABEL_STACK) == stack
        and (labels.get("owner") == "helm" or LABEL_SECRET in labels)
    )


def foreign_releases(contents: Iterable[Content], stack: str) -> tuple[str, ...]:
    """Names of Helm releases in a namespace that are not the stack's."""
    found = set()
    for content in contents:
        labels = content.metadata.get("labels") or {}
        if content.ref.kind == "Secret" and labels.get("owner") == "helm" and labels.get(LABEL_STACK) != stack:
            found.add(str(labels.get("name")))
    return tuple(sorted(found))


def made_by(stack: str, labels: Mapping[str, str]) -> bool:
    """Whether a namespace was made for the stack."""
    return labels.get(LABEL_STACK) == stack and labels.get("app.kubernetes.io/managed-by") == "sparkrig"


def _inventory(states: Sequence[ReleaseState]) -> list[ObjectRef]:
    return [ref for state in states for ref in state.inventory]


def _going(operations: Iterable[Operation]) -> Iterator[ObjectRef]:
    """What goes beside the objects of the releases, and what is given up."""
    for operation in operations:
        match operation:
            case UninstallRelease() | DeleteObjects() | KeepRelease():
                yield from operation.objects
            case VacateNamespace():
                yield from operation.hooks
            case _:
                continue


def _resources(stack: str, survey: Survey, purge: Collection[str]) -> list[DeleteObjects]:
    """Custom resources go first, one operation a component: purged ones, and what would hold a purged namespace."""
    going: dict[str, list[ObjectRef]] = {}
    if "crds" in purge:
        for crd, objects in sorted(survey.custom_resources.items()):
            if objects and crd not in survey.shared_crds:
                going.setdefault(survey.crd_owners[crd], []).extend(objects)
    elif "namespaces" in purge:
        owners = {crd.partition(".")[2]: component for crd, component in survey.crd_owners.items()}
        for name, contents in sorted(survey.contents.items()):
            if name == SYSTEM_NAMESPACE or foreign_releases(contents, stack):
                continue
            for content in contents:
                if content.ref.group in owners and strange(content.metadata.get("finalizers")):
                    going.setdefault(owners[content.ref.group], []).append(content.ref)
    return [
        _delete(f"delete/{component}", component, objects, (), "custom resources, while their controller lives")
        for component, objects in going.items()
    ]


def _held_spaces(spaces: Sequence[VacateNamespace], survey: Survey, going: Sequence[ObjectRef]) -> list[Change]:
    """What may keep the namespaces that go: finalizers of objects that are no release's, and APIs that are dead."""
    keys = {_key(ref) for ref in going}
    contents = {o.namespace: survey.contents.get(o.namespace, ()) for o in spaces}
    left = {name: [(c.ref, c.metadata) for c in found if _key(c.ref) not in keys] for name, found in contents.items()}
    changes = [told for name, held in left.items() if (told := namespace_change(name, held))]
    return [*changes, *(dead_changes(survey.dead_apis, going) if spaces else [])]


def _releases(
    uninstalls: Sequence[UninstallRelease], resources: Sequence[DeleteObjects], purge: Collection[str]
) -> list[UninstallRelease]:
    """The uninstalls, after the custom resources that their controllers have to let go of.

    A release whose CRDs another one uses goes after that one, unless that one has to wait for it.
    """
    needs = {o.id: dict.fromkeys((*o.needs, *(other.id for other in resources))) for o in uninstalls}
    for operation in uninstalls:
        groups = {crd.partition(".")[2] for crd in operation.state.crds}
        for other in uninstalls:
            used = {ref.group for ref in other.state.inventory}
            if other is not operation and groups & used and not _waits(other.id, operation.id, needs):
                needs[operation.id][other.id] = None
    kinds = (("claims", CLAIM), ("namespaces", "Namespace"), ("crds", CRD[2]))
    purged = tuple(kind for name, kind in kinds if name in purge)
    keep = "history" not in purge
    return [replace(o, needs=tuple(needs[o.id]), keep_history=keep, purged=purged) for o in uninstalls]


def _waits(first: str, second: str, needs: Mapping[str, Collection[str]]) -> bool:
    """Whether ``first`` waits for ``second``, however far away."""
    todo, seen = [first], {first}
    while todo:
        for name in needs.get(todo.pop(), ()):
            if name == second:
                return True
            if name not in seen:
                seen.add(name)
                todo.append(name)
    return False


def _webhooks(survey: Survey, states: Sequence[ReleaseState], needs: tuple[str, ...]) -> list[DeleteObjects]:
    """Configurations that no release contains and that call Services of removed releases only."""
    services = {(r.namespace, r.name) for s in states for r in s.inventory if (r.group, r.kind) == ("", "Service")}
    known = {_key(ref) for state in states for ref in state.inventory}
    left = [
        ref
        for ref, behind in sorted(survey.callbacks.items())
        if behind and behind <= services and _key(ref) not in known
    ]
    reason = "they would call what is gone, and block what they are called for"
    return [_delete("delete/webhooks", "webhooks", left, needs, reason)] if left else []


def _crds(survey: Survey, purge: Collection[str], needs: tuple[str, ...]) -> list[DeleteObjects]:
    names = [name for name in sorted(survey.custom_resources) if name not in survey.shared_crds]
    if "crds" not in purge or not names:
        return []
    refs = [ObjectRef(*CRD, "", name) for name in names]
    return [_delete("delete/CRDs", "CRDs", refs, needs, "purged")]


def _claims(survey: Survey, purge: Collection[str], needs: tuple[str, ...]) -> list[DeleteObjects]:
    if not survey.claims:
        return []
    operation = _delete("delete/claims", "claims", (*survey.claims, *survey.finished), needs, "purged")
    return [replace(operation, whole_namespaces="namespaces" in purge)]


def _namespaces(
    stack: str,
    observed: ObservedState,
    survey: Survey,
    states: Sequence[ReleaseState],
    purge: Collection[str],
    needs: tuple[str, ...],
) -> tuple[list[VacateNamespace], list[Change]]:
    """Namespaces that go, and those that stay with the reason."""
    going = {ref for state in states for ref in state.inventory if ref.kind not in state.keep} | set(survey.hooks)
    going |= {*survey.claims, *(ref for state in states for ref in state.leaves)}
    if "crds" in purge:
        going |= {ref for refs in survey.custom_resources.values() for ref in refs}
    operations: list[VacateNamespace] = []
    kept: list[Change] = []
    for name, contents in sorted(survey.contents.items()):
        if name == SYSTEM_NAMESPACE:
            continue
        others = foreign_releases(contents, stack)
        left = foreign(contents, stack, going)
        wanted = "namespaces" in purge
        users = name in survey.users and not made_by(stack, observed.namespaces.get(name, {}))
        if others:
            why = f"kept: Helm release{'s' if len(others) > 1 else ''} {', '.join(others)} of others in it"
        elif users and not wanted:
            continue  # said with the component that keeps it
        elif left and not wanted:
            why = f"kept: it holds {listed([content.ref for content in left], 3)}"
        else:
            text = f"removed with {listed([c.ref for c in left], 5)} in it" if left else "removed: nothing else in it"
            operations.append(
                VacateNamespace(
                    id=f"vacate/{name}",
                    component=f"namespace {name}",
                    needs=needs,
                    reason=text,
                    timeout_s=DELETE_S,
                    namespace=name,
                    hooks=tuple(ref for ref in survey.hooks if ref.namespace == name),
                    whole_namespace=wanted,
                    keep_history="history" not in purge,
                )
            )
            continue
        kept.append(Change(f"namespace {name}", "=", why, (_FOREIGN_HINT if others else _KEPT_HINT,)))
    return operations, kept


_FOREIGN_HINT: Final = "what others installed is left alone, whatever is purged"
_KEPT_HINT: Final = "`down --purge namespaces` removes it with all that is in it"


def _delete(
    identity: str, component: str, objects: Sequence[ObjectRef], needs: tuple[str, ...], reason: str
) -> DeleteObjects:
    return DeleteObjects(
        id=identity,
        component=component,
        needs=needs,
        reason=reason,
        timeout_s=DELETE_S,
        objects=tuple(objects),
    )


def _key(ref: ObjectRef) -> tuple[str, str, str, str]:
    """Without the version: the same object may be named by another one."""
    return (ref.group, ref.kind, ref.namespace, ref.name)
