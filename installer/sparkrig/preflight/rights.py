"""The rights that a run needs, those that are missing, and the least roles that would do. Pure.

Needed are: what helm does with each rendered object, helm's own release Secrets, what readiness watches, our
revisions and lock, CRDs, namespaces; and, because the API server lets nobody grant what he does not have, the rules of
the Roles that the charts bring.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sparkrig.defaults import SYSTEM_NAMESPACE
from sparkrig.models.json import JsonDict, mappings_at, name_of, text_at, texts_at
from sparkrig.preflight.apis import served
from sparkrig.preflight.data import Case, Object, Rights, Rule, Wanted
from sparkrig.preflight.finding import Finding, fail, listed, ok, warn
from sparkrig.preflight.objects import kind_of, namespace_in

WRITE: Final = ("create", "delete", "get", "list", "patch", "update", "watch")
"""What helm and our waiting do with an object of a release; update is what helm's client-side way uses."""
READ: Final = ("get", "list", "watch")
RBAC: Final = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """One verb on one resource. ``namespace`` is empty for the whole cluster."""

    namespace: str
    group: str
    resource: str
    verb: str
    name: str = ""
    """Object name; empty for any."""


def needed(case: Case, *, looking: bool = False) -> dict[Need, list[str]]:
    """Every right a run of ``up`` uses, with who needs it.

    ``looking``: with those, too, without which preflight only sees less.
    """
    found: dict[Need, list[str]] = {}

    def add(who: str, namespace: str, group: str, resources: Iterable[str], verbs: Iterable[str]) -> None:
        for need in (Need(namespace, group, resource, verb) for resource in resources for verb in verbs):
            _add(found, need, who)

    for namespace, group, resources, verbs in OWN:
        add("sparkrig", namespace, group, resources, verbs)
    for group, resources in LOOKS.items() if looking else ():
        add("sparkrig", "", group, resources, READ)
    kinds = served(case)
    for crd in case.crds:
        info = kinds.get(kind_of(crd))
        if info is not None:
            add("CRDs", "", info.group, (info.plural,), WRITE)
    for wanted in case.wanted:
        add(wanted.name, wanted.desired.namespace, "", ("secrets",), WRITE)
        for item in [*wanted.objects, *wanted.crds]:
            info = kinds.get(kind_of(item))
            if info is not None:
                where = namespace_in(item, wanted) if info.namespaced else ""
                add(wanted.name, where, info.group, (info.plural,), WRITE)
        for item in wanted.objects:
            for need in _granted(item, wanted):
                _add(found, need, wanted.name)
    return found


def _add(found: dict[Need, list[str]], need: Need, who: str) -> None:
    users = found.setdefault(need, [])
    if who not in users:
        users.append(who)


OWN: Final[tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...]] = (
    ("", "", ("secrets", "namespaces"), READ),
    ("", "", ("namespaces",), ("create", "patch")),
    (SYSTEM_NAMESPACE, "", ("secrets",), WRITE),
    (SYSTEM_NAMESPACE, "", ("configmaps",), ("get",)),
    (SYSTEM_NAMESPACE, "coordination.k8s.io", ("leases",), ("create", "delete", "get", "patch", "update")),
)
"""What sparkrig itself reads and writes, whatever the stack: (namespace, group, resources, verbs)."""
LOOKS: Final[Mapping[str, tuple[str, ...]]] = {
    "": (
        "events", "limitranges", "nodes", "persistentvolumeclaims", "persistentvolumes", "pods", "resourcequotas",
        "services",
    ),
    "apps": ("daemonsets", "deployments", "replicasets", "statefulsets"),
    "storage.k8s.io": ("storageclasses",),
    "networking.k8s.io": ("ingressclasses",),
    "discovery.k8s.io": ("endpointslices",),
    "apiregistration.k8s.io": ("apiservices",),
    "apiextensions.k8s.io": ("customresourcedefinitions",),
    "admissionregistration.k8s.io": ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"),
}  # fmt: skip
"""What facts and preflight look at; without it they say less, and the run goes on."""


def _granted(item: Object, wanted: Wanted) -> Iterator[Need]:
    """What a rendered Role or binding hands on, and its maker must have."""
    kind = kind_of(item)[2]
    if kind_of(item)[0] != RBAC:
        return
    if kind in ("Role", "ClusterRole"):
        where = namespace_in(item, wanted) if kind == "Role" else ""
        for rule in mappings_at(item, "rules"):
            groups, resources, verbs = (texts_at(rule, key) for key in ("apiGroups", "resources", "verbs"))
            names = texts_at(rule, "resourceNames") or [""]
            for group, resource, verb, name in itertools.product(groups, resources, verbs, names):
                yield Need(where, group, resource, verb, name)
            for path, verb in itertools.product(texts_at(rule, "nonResourceURLs"), verbs):
                yield Need("", _PATHS, path, verb)
    elif kind in ("RoleBinding", "ClusterRoleBinding"):
        role, name = text_at(item, "roleRef", "kind"), text_at(item, "roleRef", "name")
        if (role, name) not in {(kind_of(o)[2], name_of(o)) for o in wanted.objects}:
            where = namespace_in(item, wanted) if role == "Role" else ""
            yield Need(where, RBAC, f"{role.lower()}s", "bind", name)


_PATHS: Final = "\0nonResourceURLs"
"""Stands for the API group of paths, which have none."""


def missing(case: Case, rights: Rights) -> dict[Need, list[str]]:
    """The needs that no rule of ours covers."""
    if rights.everything:
        return {}
    return {need: users for need, users in needed(case).items() if not _allowed(need, rights)}


def _allowed(need: Need, rights: Rights) -> bool:
    if need.group == _PATHS:
        return True  # rules about paths are not told to us; the API server says so itself where it minds
    rules = [*rights.cluster, *(rights.namespaces.get(need.namespace, ()) if need.namespace else ())]
    return any(_covers(rule, need) for rule in rules)


def _covers(rule: Rule, need: Need) -> bool:
    resource, _, part = need.resource.partition("/")
    resources = {need.resource, "*"} | ({f"*/{part}"} if part else set())
    return (
        bool({need.verb, "*"} & rule.verbs)
        and bool({need.group, "*"} & rule.groups)
        and bool(resources & rule.resources)
        and (not rule.names or need.name in rule.names)
        and bool(resource)
    )


def rights_findings(case: Case, lacking: Mapping[Need, Sequence[str]], *, known: bool) -> Iterator[Finding]:
    """What is missing, one finding a resource and place. ``known`` is False where nobody could be asked."""
    if not known:
        yield warn("rights", "cluster", "what you may do here could not be asked; the run will show it")
        return
    if not lacking:
        if case.wanted:
            yield ok("rights", "cluster", "you may do all that the stack needs")
        return
    grouped: dict[tuple[str, str, str, str], tuple[list[str], list[str]]] = {}
    for need in sorted(lacking):
        verbs, users = grouped.setdefault((need.namespace, need.group, need.resource, need.name), ([], []))
        verbs.append(need.verb)
        users.extend(lacking[need])
    for (namespace, group, resource, name), (verbs, users) in grouped.items():
        what = f"{resource}.{group}" if group else resource
        what += f" {name}" if name else ""
        where = f"in namespace {namespace}" if namespace else "in the whole cluster"
        message = f"you may not {', '.join(verbs)} {what} {where}, which {listed(dict.fromkeys(users), 3)} needs"
        hint = "`sparkrig doctor --rbac` prints the roles an administrator can give you"
        yield fail("rights", "cluster", message, hint)


def least_roles(case: Case, name: str) -> list[JsonDict]:
    """A ClusterRole, and a Role for each namespace, that suffice for ``up`` and for all that preflight looks at.

    What happens in a namespace that a chart makes itself is in the ClusterRole: there is no Role before the namespace.
    """
    late = {name_of(o) for w in case.wanted for o in w.objects if kind_of(o) == ("", "v1", "Namespace")}
    late -= case.survey.namespaces.keys()
    places: dict[str, dict[_Subject, set[str]]] = {"": {}}
    for need in needed(case, looking=True):
        place = "" if need.namespace in late else need.namespace
        subject = (need.group, need.resource, need.name)
        places.setdefault(place, {}).setdefault(subject, set()).add(need.verb)
    everywhere = places.pop("")
    roles = [_role("ClusterRole", name, "", everywhere)]
    for place, rules in sorted(places.items()):
        # What holds in the whole cluster need not be said again.
        left = {subject: verbs - everywhere.get((*subject[:2], ""), set()) for subject, verbs in rules.items()}
        if any(left.values()):
            roles.append(_role("Role", name, place, {subject: verbs for subject, verbs in left.items() if verbs}))
    return roles


_Subject = tuple[str, str, str]
"""group, resource, name of the object (empty: any)"""


def _role(kind: str, name: str, namespace: str, rules: Mapping[_Subject, set[str]]) -> JsonDict:
    """Rules with the same verbs on the same group become one."""
    merged: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (group, resource, only), verbs in sorted(rules.items()):
        merged.setdefault((group, only, tuple(sorted(verbs))), []).append(resource)
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    written: list[JsonDict] = []
    for (group, only, granted), resources in merged.items():
        if group == _PATHS:
            written.append({"nonResourceURLs": resources, "verbs": list(granted)})
            continue
        rule: JsonDict = {"apiGroups": [group], "resources": resources}
        rule |= {"resourceNames": [only]} if only else {}
        written.append({**rule, "verbs": list(granted)})
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": metadata, "rules": written}
