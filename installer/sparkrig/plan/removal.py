"""Builds the plan of ``down``: what goes beyond the releases, what is kept, and in which order. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sparkrig.defaults import LABEL_SECRET, LABEL_STACK, SYSTEM_NAMESPACE
from sparkrig.models.objects import ObjectRef
from sparkrig.models.plan import Action, Change, Operation, Plan
from sparkrig.models.release import ReleaseState
from sparkrig.models.state import ObservedState
from sparkrig.plan.build import plan_down
from sparkrig.plan.graph import ordered
from sparkrig.plan.held import dead_changes, impatient, namespace_change, strange
from sparkrig.plan.running import Running, running_lines

PURGEABLE: Final = ("crds", "claims", "namespaces", "nodes", "history")
"""What ``down --purge`` can name."""
CRD: Final = ("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
CLAIM: Final = "PersistentVolumeClaim"
SHOWN: Final = 10
"""Names below one line of the plan before the rest is counted."""
DELETE_S: Final = 120.0
"""Until what was deleted is gone; a controller that cleans up behind its objects needs a while."""

_IGNORED: Final = frozenset(
    {("", "Event"), ("events.k8s.io", "Event"), ("coordination.k8s.io", "Lease"), ("", "Endpoints"),
     ("discovery.k8s.io", "EndpointSlice")}
)  # fmt: skip
"""Kinds that the cluster itself and idle controllers leave behind; they hold nothing of a person's."""
_OF_EVERY_NAMESPACE: Final = frozenset({("", "ServiceAccount", "default"), ("", "ConfigMap", "kube-root-ca.crt")})


@dataclass(frozen=True, slots=True)
class Content:
    """One object in a namespace, by its metadata."""

    ref: ObjectRef
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shared:
    """Others that use a CRD of the stack."""

    who: str
    """``stack other and Helm release x/y``."""
    objects: tuple[ObjectRef, ...] = ()
    """The custom resources that are theirs."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What was read from the cluster for a ``down``, beyond the releases."""

    custom_resources: Mapping[str, tuple[ObjectRef, ...]] = field(default_factory=dict)
    """CRD of the stack that is there -> its custom resources; empty unless they are to be purged."""
    crd_owners: Mapping[str, str] = field(default_factory=dict)
    """CRD -> component that brought it."""
    shared_crds: Mapping[str, Shared] = field(default_factory=dict)
    """CRD -> who else uses it."""
    callbacks: Mapping[ObjectRef, frozenset[tuple[str, str]]] = field(default_factory=dict)
    """Webhook configuration or APIService -> (namespace, name) of the Services behind it."""
    hooks: tuple[ObjectRef, ...] = ()
    """What hooks of the stack's releases made: no uninstall removes it."""
    contents: Mapping[str, tuple[Content, ...]] = field(default_factory=dict)
    """Namespace that may go -> everything in it."""
    claims: tuple[ObjectRef, ...] = ()
    """Volume claims of the stack; empty unless they are to be purged."""
    finished: tuple[ObjectRef, ...] = ()
    """Pods that have ended and hold one of those claims: it would not go before them."""
    users: tuple[str, ...] = ()
    """Namespaces that charts made for users and uninstalling keeps."""
    revisions: int = 0
    """Recorded revisions of the stack."""
    finalizers: Mapping[ObjectRef, tuple[str, ...]] = field(default_factory=dict)
    """Those of the purged custom resources."""
    dead_apis: Mapping[str, str] = field(default_factory=dict)
    """APIService that does not answer -> why."""
    running: Mapping[str, tuple[Running, ...]] = field(default_factory=dict)
    """Component -> the custom resources of its controller that are at work."""


def plan_removal(stack: str, observed: ObservedState, survey: Survey, purge: Collection[str] = ()) -> Plan:
    """The way to nothing of this stack but what is kept.

    Custom resources that are purged go while their controllers live; then the releases, dependents
    first; then webhook configurations that would call into nothing, CRDs, volume claims, and last the
    namespaces. ``purge`` names what of ``PURGEABLE`` goes too.
    """
    base = plan_down(stack, observed)
    states = tuple(operation.state for operation in base.operations if operation.state is not None)
    finalizers = {c.ref: c.metadata.get("finalizers") or () for found in survey.contents.values() for c in found}
    finalizers |= survey.finalizers
    resources, stuck = impatient(_resources(stack, survey, purge), finalizers, survey.crd_owners, observed)
    releases = _releases([o for o in base.operations if o.action is Action.UNINSTALL], resources, purge)
    others = [o for o in base.operations if o.action is not Action.UNINSTALL]
    done = tuple(operation.id for operation in (*resources, *releases, *others))
    webhooks = _webhooks(survey, states, done)
    done = (*done, *(operation.id for operation in webhooks))
    data = [*_crds(survey, purge, done), *_claims(survey, purge, done)]
    done = (*done, *(operation.id for operation in data))
    spaces, kept = _namespaces(stack, observed, survey, states, purge, done)
    operations = [*resources, *releases, *others, *webhooks, *data, *spaces]
    changes = (
        *(_with_running(_without_kept(change, purge), survey, states, purge) for change in base.changes),
        *_purged_changes(survey, data, purge),
        *(Change(o.component, "-", _listed(o.objects)) for o in webhooks),
        *(Change(o.component, "-", o.reason) for o in spaces),
        *kept,
        *stuck,
        *_held_spaces(spaces, survey, [*_inventory(states), *(ref for o in operations for ref in o.objects)]),
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


def _resources(stack: str, survey: Survey, purge: Collection[str]) -> list[Operation]:
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


def _held_spaces(spaces: Sequence[Operation], survey: Survey, going: Sequence[ObjectRef]) -> list[Change]:
    """What may keep the namespaces that go: finalizers of objects that are no release's, and APIs that are dead."""
    keys = {_key(ref) for ref in going}
    contents = {o.namespace: survey.contents.get(o.namespace, ()) for o in spaces}
    left = {name: [(c.ref, c.metadata) for c in found if _key(c.ref) not in keys] for name, found in contents.items()}
    changes = [told for name, held in left.items() if (told := namespace_change(name, held))]
    return [*changes, *(dead_changes(survey.dead_apis, going) if spaces else [])]


def _releases(
    uninstalls: Sequence[Operation], resources: Sequence[Operation], purge: Collection[str]
) -> list[Operation]:
    """The uninstalls, after the custom resources that their controllers have to let go of.

    A release whose CRDs another one uses goes after that one, unless that one has to wait for it.
    """
    needs = {o.id: dict.fromkeys((*o.needs, *(other.id for other in resources))) for o in uninstalls}
    for operation in uninstalls:
        groups = {crd.partition(".")[2] for crd in operation.state.crds} if operation.state else set()
        for other in uninstalls:
            used = {ref.group for ref in other.state.inventory} if other.state else set()
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


def _webhooks(survey: Survey, states: Sequence[ReleaseState], needs: tuple[str, ...]) -> list[Operation]:
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


def _crds(survey: Survey, purge: Collection[str], needs: tuple[str, ...]) -> list[Operation]:
    names = [name for name in sorted(survey.custom_resources) if name not in survey.shared_crds]
    if "crds" not in purge or not names:
        return []
    refs = [ObjectRef(*CRD, "", name) for name in names]
    return [_delete("delete/CRDs", "CRDs", refs, needs, "purged")]


def _claims(survey: Survey, purge: Collection[str], needs: tuple[str, ...]) -> list[Operation]:
    if not survey.claims:
        return []
    operation = _delete("delete/claims", "claims", (*survey.claims, *survey.finished), needs, "purged")
    return [replace(operation, purged=("Namespace",) if "namespaces" in purge else ())]


def _namespaces(
    stack: str,
    observed: ObservedState,
    survey: Survey,
    states: Sequence[ReleaseState],
    purge: Collection[str],
    needs: tuple[str, ...],
) -> tuple[list[Operation], list[Change]]:
    """Namespaces that go, and those that stay with the reason."""
    going = {ref for state in states for ref in state.inventory if ref.kind not in state.keep} | set(survey.hooks)
    going |= {*survey.claims, *(ref for state in states for ref in state.leaves)}
    if "crds" in purge:
        going |= {ref for refs in survey.custom_resources.values() for ref in refs}
    operations, kept = [], []
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
            why = f"kept: it holds {_listed([content.ref for content in left], 3)}"
        else:
            text = f"removed with {_listed([c.ref for c in left], 5)} in it" if left else "removed: nothing else in it"
            hooks = tuple(ref for ref in survey.hooks if ref.namespace == name)
            operation = _delete(f"vacate/{name}", f"namespace {name}", hooks, needs, text)
            purged = ("Namespace",) if wanted else ()
            operation = replace(operation, action=Action.VACATE, namespace=name, purged=purged)
            operations.append(replace(operation, keep_history="history" not in purge))
            continue
        kept.append(Change(f"namespace {name}", "=", why, (_FOREIGN_HINT if others else _KEPT_HINT,)))
    return operations, kept


_FOREIGN_HINT: Final = "what others installed is left alone, whatever is purged"
_KEPT_HINT: Final = "`down --purge namespaces` removes it with all that is in it"


def _purged_changes(survey: Survey, data: Sequence[Operation], purge: Collection[str]) -> list[Change]:
    """What a purge takes, counted before it is asked for."""
    changes = []
    for operation in data:
        number = len(operation.objects)
        if operation.component == "CRDs":
            count = sum(len(survey.custom_resources[ref.name]) for ref in operation.objects)
            text = f"{number} CRD{'s' if number != 1 else ''} with {_count(count)}"
            changes.append(Change("CRDs", "-", text, _purged_crds(survey, operation)))
        else:
            changes.append(_purged_claims(operation))
    if "crds" in purge:
        changes += [
            Change(f"CRD {name}", "=", f"kept: {other.who} uses it", _theirs(survey.custom_resources[name], other))
            for name, other in sorted(survey.shared_crds.items())
        ]
    if "history" in purge and survey.revisions:
        number = survey.revisions
        text = f"{number} revision{'s' if number != 1 else ''} and Helm's history: no rollback any more"
        changes.append(Change("history", "-", text))
    return changes


def _purged_crds(survey: Survey, operation: Operation) -> tuple[str, ...]:
    """Every CRD with custom resources, those with the most first; those without any are counted."""
    counts = {ref.name: len(survey.custom_resources[ref.name]) for ref in operation.objects}
    used = sorted((name for name, count in counts.items() if count), key=lambda name: (-counts[name], name))
    lines = [f"{name}: {_count(counts[name])}" for name in used]
    if empty := len(counts) - len(used):
        lines.append(f"{empty} {'more ' if used else ''}without custom resources")
    return tuple(lines)


def _purged_claims(operation: Operation) -> Change:
    claims = [f"{ref.namespace}/{ref.name}" for ref in operation.objects if ref.kind == CLAIM]
    pods = [f"pod {ref.namespace}/{ref.name}" for ref in operation.objects if ref.kind != CLAIM]
    text = f"{len(claims)} volume claim{'s' if len(claims) != 1 else ''}"
    if pods:
        text += f", and {len(pods)} finished pod{'s that hold' if len(pods) != 1 else ' that holds'} them"
    return Change("claims", "-", text, (*_short(claims), *_short(pods)))


def _theirs(everything: Sequence[ObjectRef], other: Shared) -> tuple[str, ...]:
    names = _short([f"{ref.namespace}/{ref.name}" if ref.namespace else ref.name for ref in other.objects])
    counted = f"all of its {_count(len(everything))} stay"
    return (f"{counted}, {len(other.objects)} of them theirs: {', '.join(names)}",) if names else (counted,)


def _with_running(change: Change, survey: Survey, states: Sequence[ReleaseState], purge: Collection[str]) -> Change:
    """A component's line with the custom resources that are at work while their controller is removed."""
    found = survey.running.get(change.component, ())
    going = {ref for state in states for ref in state.inventory if ref.kind not in state.keep}
    purged = [name for name in survey.custom_resources if name not in survey.shared_crds] if "crds" in purge else []
    return replace(change, details=(*change.details, *running_lines(found, going, purged)))


def _without_kept(change: Change, purge: Collection[str]) -> Change:
    """A component's line without what it says of keeping what is purged."""
    gone = {"crds": "CRDs", "claims": CLAIM, "namespaces": "Namespace"}
    words = [word for name, word in gone.items() if name in purge]
    kept = tuple(line for line in change.details if not (line.startswith("keeps ") and _only(line, words)))
    return replace(change, details=kept)


def _only(line: str, words: Sequence[str]) -> bool:
    if " CRDs and their custom resources" in line:
        return "CRDs" in words
    return all(kind in words for kind in line.removeprefix("keeps ").split(", "))


def _delete(
    identity: str, component: str, objects: Sequence[ObjectRef], needs: tuple[str, ...], reason: str
) -> Operation:
    return Operation(
        id=identity,
        action=Action.DELETE,
        component=component,
        needs=needs,
        release="",
        namespace="",
        reason=reason,
        timeout_s=DELETE_S,
        objects=tuple(objects),
    )


def _key(ref: ObjectRef) -> tuple[str, str, str, str]:
    """Without the version: the same object may be named by another one."""
    return (ref.group, ref.kind, ref.namespace, ref.name)


def _count(number: int) -> str:
    return f"{number} custom resource{'s' if number != 1 else ''}"


def _short(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(lines) if len(lines) <= SHOWN else (*lines[:SHOWN], f"and {len(lines) - SHOWN} more")


def _listed(refs: Sequence[ObjectRef], shown: int = SHOWN) -> str:
    more = f" and {len(refs) - shown} more" if len(refs) > shown else ""
    return ", ".join(f"{ref.kind} {ref.name}" for ref in refs[:shown]) + more
