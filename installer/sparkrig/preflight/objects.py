"""Reads rendered objects: what kind, where, which pods they make, which volumes they claim. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sparkrig.preflight.data import Case, Kind, Object, Wanted

HOOK: Final = "helm.sh/hook"
LATER_HOOKS: Final = frozenset(
    {"test", "test-success", "test-failure", "pre-delete", "post-delete", "pre-rollback", "post-rollback"}
)
"""Hooks that no install and no upgrade runs."""
MAKES_PODS: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet", "ReplicationController"})


def runs_now(item: Object) -> bool:
    """False for a hook that runs on other occasions than install and upgrade."""
    hooks = {hook.strip() for hook in str(notes_of(item).get(HOOK, "")).split(",") if hook.strip()}
    return not hooks or not hooks <= LATER_HOOKS


def is_hook(item: Object) -> bool:
    """True for an object that helm makes for a moment and does not keep with the release."""
    return HOOK in notes_of(item)


def notes_of(item: Object) -> Mapping[str, Any]:
    """The annotations of an object."""
    return (item.get("metadata") or {}).get("annotations") or {}


def kind_of(item: Object) -> Kind:
    """Group, version and kind."""
    group, _, version = str(item.get("apiVersion", "")).rpartition("/")
    return group, version, str(item.get("kind", ""))


def name_of(item: Object) -> str:
    """The object's name."""
    return str((item.get("metadata") or {}).get("name", ""))


def namespace_of(item: Object, wanted: Wanted) -> str:
    """The namespace the object says, else that of the release. For a cluster-scoped kind it means nothing."""
    return str((item.get("metadata") or {}).get("namespace") or wanted.desired.namespace)


@dataclass(frozen=True, slots=True)
class Workload:
    """Something that makes pods."""

    component: str
    kind: str
    namespace: str
    name: str
    spec: Mapping[str, Any]
    """The pod's."""
    labels: Mapping[str, str]
    """The pod's."""
    replicas: int
    selector: Mapping[str, str]
    hook: bool = False
    fresh: bool = True

    @property
    def title(self) -> str:
        """``Deployment x/y``."""
        return f"{self.kind} {self.namespace}/{self.name}"


def workloads(case: Case) -> Iterator[Workload]:
    """All that makes pods, in the order of installation."""
    for wanted in case.wanted:
        for item in wanted.objects:
            found = _workload(item, wanted)
            if found is not None:
                yield found


def _workload(item: Object, wanted: Wanted) -> Workload | None:
    spec, kind = item.get("spec") or {}, str(item.get("kind"))
    template: Mapping[str, Any]
    if kind == "Pod":
        template = item
    elif kind == "CronJob":
        template = ((spec.get("jobTemplate") or {}).get("spec") or {}).get("template") or {}
    elif kind in MAKES_PODS:
        template = spec.get("template") or {}
    else:
        return None
    replicas = spec.get("parallelism", 1) if kind == "Job" else spec.get("replicas", 1)
    return Workload(
        component=wanted.name,
        kind=kind,
        namespace=namespace_of(item, wanted),
        name=name_of(item),
        spec=template.get("spec") or {},
        labels=(template.get("metadata") or {}).get("labels") or {},
        replicas=0 if kind == "CronJob" else replicas if isinstance(replicas, int) else 1,
        selector=(spec.get("selector") or {}).get("matchLabels") or {} if kind not in ("Pod", "Job") else {},
        hook=is_hook(item),
        fresh=wanted.fresh,
    )


@dataclass(frozen=True, slots=True)
class Claim:
    """A volume that something asks for."""

    component: str
    title: str
    storage_class: str | None
    """None: the default one."""
    modes: tuple[str, ...]
    size: str
    namespace: str
    count: int = 1


def claims(case: Case) -> Iterator[Claim]:
    """PersistentVolumeClaims, templates of them, and those that custom resources ask for in the same form."""
    for wanted in case.wanted:
        for item in wanted.objects:
            if is_hook(item):
                continue
            title = f"{item.get('kind')} {namespace_of(item, wanted)}/{name_of(item)}"
            spec = item.get("spec") or {}
            if item.get("kind") == "PersistentVolumeClaim":
                yield _claim(spec, wanted, title, item)
                continue
            replicas = spec.get("replicas", 1) if isinstance(spec, Mapping) else 1
            for template in _templates(spec):
                yield _claim(template, wanted, title, item, replicas if isinstance(replicas, int) else 1)


def _claim(spec: Mapping[str, Any], wanted: Wanted, title: str, item: Object, count: int = 1) -> Claim:
    modes = tuple(map(str, spec.get("accessModes") or ("ReadWriteOnce",)))
    requests = (spec.get("resources") or {}).get("requests") or {}
    return Claim(
        wanted.name,
        title,
        spec.get("storageClassName"),
        modes,
        str(requests.get("storage", "0")),
        namespace_of(item, wanted),
        count,
    )


def _templates(node: Any) -> Iterator[Mapping[str, Any]]:
    """The specs of all claim templates below a node, as StatefulSets and many operators write them."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "volumeClaimTemplate" and isinstance(value, Mapping) and isinstance(value.get("spec"), Mapping):
                yield value["spec"]
            elif key == "volumeClaimTemplates" and isinstance(value, list):
                yield from (t["spec"] for t in value if isinstance(t, Mapping) and isinstance(t.get("spec"), Mapping))
            else:
                yield from _templates(value)
    elif isinstance(node, list):
        for value in node:
            yield from _templates(value)


def crd_kinds(crd: Object) -> Iterator[tuple[Kind, str, bool]]:
    """(kind, plural, namespaced) for each served version of a CRD."""
    spec = crd.get("spec") or {}
    names = spec.get("names") or {}
    for version in spec.get("versions") or ():
        if version.get("served", True):
            kind = (str(spec.get("group", "")), str(version.get("name", "")), str(names.get("kind", "")))
            yield kind, str(names.get("plural", "")), spec.get("scope") == "Namespaced"
