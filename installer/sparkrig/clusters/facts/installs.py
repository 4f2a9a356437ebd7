"""What others installed that a component of ours would bring too. Pure: objects and the components' rules in.

Nothing here names a product: what is looked for stands in the ``detect`` rules of ``component.yaml``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sparkrig.defaults import FIELD_MANAGER
from sparkrig.models.component import DetectRule, Install
from sparkrig.models.json import (
    JsonObject,
    annotations_of,
    dig,
    labels_of,
    mapping_at,
    mappings_at,
    name_of,
    namespace_of,
    owners_of,
    text_at,
)
from sparkrig.models.objects import ObjectRef
from sparkrig.models.release import ObservedRelease

Object = JsonObject

WORKLOAD_KINDS: Final = ("Deployment", "DaemonSet", "StatefulSet")
MANAGERS: Final[Mapping[str, str]] = {
    "addonmanager.kubernetes.io/mode": "the cluster's add-on manager",
    "eks.amazonaws.com/component": "a managed add-on of EKS",
    "kubernetes.azure.com/managedby": "a managed add-on of AKS",
    "k8s-app.cloud.google.com/managed": "a managed add-on of GKE",
    "objectset.rio.cattle.io/hash": "an add-on of K3s or RKE2",
    "objectset.rio.cattle.io/id": "an add-on of K3s or RKE2",
    "argocd.argoproj.io/instance": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "olm.owner": "Operator Lifecycle Manager",
}
"""Labels and annotations that tools put on what they manage, and which tool it is. Each restores what it manages."""
OBJECT_SET: Final = "objectset.rio.cattle.io/"
"""Prefix of the annotations with which K3s, RKE2 and Rancher say whose an object is."""


@dataclass(frozen=True, slots=True)
class Objects:
    """Where traces are looked for."""

    workloads: Sequence[Object] = ()
    crds: Sequence[Object] = ()
    ingress_classes: Sequence[Object] = ()
    api_services: Sequence[Object] = ()
    releases: Mapping[tuple[str, str], ObservedRelease] = field(default_factory=dict)
    helm_charts: Sequence[Object] = ()
    """HelmCharts of K3s and RKE2: their Jobs run helm, and leave no mark on what that makes."""


@dataclass(frozen=True, slots=True)
class _Owner:
    who: str
    release: tuple[str, str] | None = None
    stack: str | None = None
    ours: bool = False
    manager: str = ""
    """The tool that restores what somebody else changes; empty where there is none."""


def find_installs(rules: Iterable[DetectRule], objects: Objects) -> tuple[Install, ...]:
    """Everything the rules find that is not a release of a stack of ours, one entry a rule and owner.

    An Install with ``stack`` set was brought by another run of ours; the caller knows which stack is its own.
    """
    return tuple(install for rule in rules for install in _of_rule(rule, objects))


def _of_rule(rule: DetectRule, objects: Objects) -> Iterator[Install]:
    found: dict[_Owner, list[Object]] = {}
    for item in _matches(rule, objects):
        owner = owner_of(item, objects.releases, objects.helm_charts)
        if not owner.ours:
            found.setdefault(owner, []).append(item)
    crds_by_others = {o: items for o, items in found.items() if all(i["kind"] == _CRD for i in items)}
    real = {owner: items for owner, items in found.items() if owner not in crds_by_others}
    if len(real) == 1:
        # CRDs are often applied apart from the rest, and belong to it all the same.
        apart = list(itertools.chain.from_iterable(crds_by_others.values()))
        real = {owner: [*items, *apart] for owner, items in real.items()}
        crds_by_others = {}
    for owner, items in {**real, **crds_by_others}.items():
        workloads = [item for item in items if item["kind"] in WORKLOAD_KINDS]
        yield Install(
            component=rule.component,
            name=rule.name,
            who=owner.who,
            version=next((v for item in (workloads or items) if (v := _version(item, rule))), ""),
            workloads=tuple(_ref(item) for item in workloads),
            selectors={_ref(item): dig(item, "spec", "selector") for item in workloads},
            crds=tuple(name_of(item) for item in items if item["kind"] == _CRD),
            others=tuple(
                f"{item['kind']} {name_of(item)}" for item in items if item["kind"] not in (*WORKLOAD_KINDS, _CRD)
            ),
            release=owner.release,
            stack=owner.stack,
            manager=owner.manager,
            fact=rule.fact,
            stands_in=rule.stands_in,
        )


_CRD: Final = "CustomResourceDefinition"


def _matches(rule: DetectRule, objects: Objects) -> Iterator[Object]:
    if rule.image is not None:
        pattern = re.compile(rule.image)
        for item in objects.workloads:
            if not _made_by_controller(item) and any(pattern.search(image) for image in images_of(item)):
                yield item
    if rule.ingress_controller is not None:
        pattern = re.compile(rule.ingress_controller)
        for item in objects.ingress_classes:
            if pattern.search(text_at(item, "spec", "controller")):
                yield item
    for item in objects.api_services:
        # One without a Service is the API server's own, for a CRD.
        if name_of(item) == rule.api_service and dig(item, "spec", "service"):
            yield item
    for item in objects.crds:
        if name_of(item) in rule.crds:
            yield {**item, "kind": _CRD}


def images_of(workload: Object) -> list[str]:
    """The images of a workload's containers."""
    spec = mapping_at(workload, "spec", "template", "spec")
    return [text_at(c, "image") for kind in ("containers", "initContainers") for c in mappings_at(spec, kind)]


def owner_of(
    item: Object, releases: Mapping[tuple[str, str], ObservedRelease], helm_charts: Sequence[Object] = ()
) -> _Owner:
    """Who made an object, as far as its labels, annotations and field managers tell."""
    labels, annotations = labels_of(item), annotations_of(item)
    name, namespace = (annotations.get(f"meta.helm.sh/release-{part}") for part in ("name", "namespace"))
    tool = next((who for key, who in MANAGERS.items() if key in labels or key in annotations), "")
    if tool and (made_for := annotations.get(f"{OBJECT_SET}owner-name")):
        kind = annotations.get(f"{OBJECT_SET}owner-gvk", "").rpartition("Kind=")[2]
        space = annotations.get(f"{OBJECT_SET}owner-namespace")
        tool = f"{kind or 'object set'} {f'{space}/' if space else ''}{made_for}"
    if name and namespace and labels.get("app.kubernetes.io/managed-by") == "Helm":
        release = releases.get((namespace, name))
        if release is not None and release.stack is not None:
            # Of which stack: the caller compares; what one stack has, another must not bring again.
            return _Owner(f"stack {release.stack}", (namespace, name), release.stack)
        tool = _helm_chart(namespace, name, helm_charts) or tool
        by = f", managed by {tool}" if tool else ""
        return _Owner(f"Helm release {namespace}/{name}{by}", (namespace, name), manager=tool)
    if labels.get("app.kubernetes.io/managed-by") == FIELD_MANAGER:
        return _Owner("sparkrig", ours=True)
    owned = [o for o in owners_of(item) if o.get("controller")]
    if owned:
        return _Owner(f"{owned[0]['kind']} {owned[0]['name']}")
    if tool:
        return _Owner(tool, manager=tool)
    maker = labels.get("app.kubernetes.io/managed-by")
    return _Owner(maker if maker and maker != "Helm" else "plain manifests")


def _helm_chart(namespace: str, release: str, helm_charts: Sequence[Object]) -> str:
    """``HelmChart kube-system/web`` where one has this release installed; empty where none does."""
    for item in helm_charts:
        place = text_at(item, "spec", "targetNamespace") or namespace_of(item)
        if (place, name_of(item)) == (namespace, release):
            return f"HelmChart {namespace_of(item)}/{name_of(item)}"
    return ""


def _made_by_controller(item: Object) -> bool:
    """True for what an operator made of a custom resource: it goes and comes with that, and is no installation.

    An operator that a package manager installed is owned too, by an object of the package manager's group.
    """
    owners = [o for o in owners_of(item) if o.get("controller")]
    return any("operators.coreos.com" not in text_at(o, "apiVersion") for o in owners)


def _version(item: Object, rule: DetectRule) -> str:
    labels = labels_of(item)
    if version := labels.get("app.kubernetes.io/version"):
        return version
    for image in images_of(item):
        tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
        if tag and (rule.image is None or re.search(rule.image, image)):
            return tag
    return ""


def _ref(item: Object) -> ObjectRef:
    group, _, version = text_at(item, "apiVersion").rpartition("/")
    return ObjectRef(group, version, text_at(item, "kind"), namespace_of(item), name_of(item))
