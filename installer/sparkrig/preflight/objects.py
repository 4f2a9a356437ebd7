"""Reads rendered objects: what kind, where, which pods they make, which volumes they claim. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sparkrig.models.json import (
    JsonObject,
    JsonValue,
    annotations_of,
    labels_of,
    mapping_at,
    mapping_or_none,
    mappings_at,
    name_of,
    namespace_of,
    number_at,
    text_at,
    text_map_at,
    text_or_none,
    texts_at,
)
from sparkrig.preflight.data import Case, Kind, Object, Wanted

HOOK: Final = "helm.sh/hook"
LATER_HOOKS: Final = frozenset(
    {"test", "test-success", "test-failure", "pre-delete", "post-delete", "pre-rollback", "post-rollback"}
)
"""Hooks that no install and no upgrade runs."""
MAKES_PODS: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet", "ReplicationController"})


def runs_now(item: Object) -> bool:
    """False for a hook that runs on other occasions than install and upgrade."""
    hooks = {hook.strip() for hook in str(annotations_of(item).get(HOOK, "")).split(",") if hook.strip()}
    return not hooks or not hooks <= LATER_HOOKS


def is_hook(item: Object) -> bool:
    """True for an object that helm makes for a moment and does not keep with the release."""
    return HOOK in annotations_of(item)


def kind_of(item: Object) -> Kind:
    """Group, version and kind."""
    group, _, version = str(item.get("apiVersion", "")).rpartition("/")
    return group, version, str(item.get("kind", ""))


def namespace_in(item: Object, wanted: Wanted) -> str:
    """The namespace the object says, else that of the release. For a cluster-scoped kind it means nothing."""
    return namespace_of(item) or wanted.desired.namespace


@dataclass(frozen=True, slots=True)
class Workload:
    """Something that makes pods."""

    component: str
    kind: str
    namespace: str
    name: str
    spec: JsonObject
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
    spec, kind = mapping_at(item, "spec"), str(item.get("kind"))
    template: JsonObject
    if kind == "Pod":
        template = item
    elif kind == "CronJob":
        template = mapping_at(spec, "jobTemplate", "spec", "template")
    elif kind in MAKES_PODS:
        template = mapping_at(spec, "template")
    else:
        return None
    replicas = spec.get("parallelism", 1) if kind == "Job" else spec.get("replicas", 1)
    return Workload(
        component=wanted.name,
        kind=kind,
        namespace=namespace_in(item, wanted),
        name=name_of(item),
        spec=mapping_at(template, "spec"),
        labels=labels_of(template),
        replicas=0 if kind == "CronJob" else replicas if isinstance(replicas, int) else 1,
        selector=text_map_at(spec, "selector", "matchLabels") if kind not in ("Pod", "Job") else {},
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
            title = f"{item.get('kind')} {namespace_in(item, wanted)}/{name_of(item)}"
            spec = mapping_at(item, "spec")
            if item.get("kind") == "PersistentVolumeClaim":
                yield _claim(spec, wanted, title, item)
                continue
            replicas = number_at(spec, "replicas", default=1)
            for template in _templates(spec):
                yield _claim(template, wanted, title, item, replicas)


def _claim(spec: JsonObject, wanted: Wanted, title: str, item: Object, count: int = 1) -> Claim:
    modes = tuple(texts_at(spec, "accessModes")) or ("ReadWriteOnce",)
    requests = mapping_at(spec, "resources", "requests")
    return Claim(
        wanted.name,
        title,
        text_or_none(spec, "storageClassName"),
        modes,
        str(requests.get("storage", "0")),
        namespace_in(item, wanted),
        count,
    )


def _templates(node: JsonValue) -> Iterator[JsonObject]:
    """The specs of all claim templates below a node, as StatefulSets and many operators write them."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            template = mapping_or_none(value, "spec")
            if key == "volumeClaimTemplate" and template is not None:
                yield template
            elif key == "volumeClaimTemplates" and isinstance(value, list):
                yield from filter(None, (mapping_or_none(each, "spec") for each in value))
            else:
                yield from _templates(value)
    elif isinstance(node, list):
        for value in node:
            yield from _templates(value)


def crd_kinds(crd: Object) -> Iterator[tuple[Kind, str, bool]]:
    """(kind, plural, namespaced) for each served version of a CRD."""
    spec = mapping_at(crd, "spec")
    names = mapping_at(spec, "names")
    for version in mappings_at(spec, "versions"):
        if version.get("served", True):
            kind = (text_at(spec, "group"), text_at(version, "name"), text_at(names, "kind"))
            yield kind, text_at(names, "plural"), spec.get("scope") == "Namespaced"
