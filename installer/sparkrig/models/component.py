"""What a `component.yaml` says."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sparkrig.models.json import JsonObject, JsonValue
from sparkrig.models.objects import ObjectRef
from sparkrig.models.problem import Position


class CrdOwner(enum.StrEnum):
    """Who applies a component's CRDs; never two."""

    US = "us"
    HELM = "helm"
    HOOK = "hook"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ChartRef:
    """Which chart a component uses.

    ``repository`` is an ``https://`` chart repository, an ``oci://`` registry path, or None when
    ``path`` names a chart folder (relative to the component folder, made absolute on loading).
    """

    name: str
    version: str
    repository: str | None = None
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class FactRule:
    """When a fact of the cluster has a value, set values: the derived layer."""

    fact: str
    """Dotted name of a fact, e.g. ``gpu.driver-installed``."""
    equals: JsonValue
    set: JsonObject
    """Dotted value path -> value."""
    reason: str


@dataclass(frozen=True, slots=True)
class GlobalRule:
    """Maps one key of the stack's ``global`` section into a component's values."""

    key: str
    path: str
    """Dotted value path. ``\\.`` escapes a dot inside a key; ``[]`` is not supported."""
    template: str | None = None
    """Text with ``{value}`` and ``{stack}``; None hands the value on as it is."""
    each: JsonValue = None
    """What each item becomes, e.g. ``{"name": "{item}"}`` or ``"hub.{item}"``; the path then holds a
    list, and a value that is no list counts as a list of one."""


@dataclass(frozen=True, slots=True)
class FollowRule:
    """A value of another component that decides about values of this one, where that component is on."""

    component: str
    value: str
    """Dotted value path in the other component; ``list[].name`` is the list of all its items' names."""
    reason: str
    path: str | None = None
    """Value path of this component that becomes the same."""
    same: bool = False
    """Whether a different value, written by a person, is refused."""
    equals: JsonValue = None
    set: JsonObject = field(default_factory=dict)
    """Without ``path``: value path -> value of this component, set where the other's value is ``equals``."""


@dataclass(frozen=True, slots=True)
class ReadinessRule:
    """How to judge a custom resource (see ``readiness.custom``)."""

    group: str
    kind: str
    ready: JsonObject
    """Either ``{"condition": "Ready"}`` (status "True") or ``{"path": "status.state", "equals": [..]}``."""
    failed: JsonObject | None = None
    optional: bool = False
    """The object may be absent, and may have no state: a state that is not good counts all the same."""
    real_pods: bool = False
    """Its state depends on pods that run; on a simulated cluster a bad one is excused where it is optional."""
    settle_s: float = 30.0
    """Without ``observedGeneration``: how long after a change of its spec a state may be that of the old spec."""


@dataclass(frozen=True, slots=True)
class NodeStateRule:
    """A node label that shows how far a controller is with the node."""

    label: str
    what: str
    """What is done to the node, in a person's words: ``driver upgrade``."""
    done: tuple[str, ...]
    failed: tuple[str, ...] = ()
    """Every value that is in neither is a step on the way."""


@dataclass(frozen=True, slots=True)
class NodeLeftovers:
    """Labels and annotations that a component's programs put on nodes and leave there."""

    labels: tuple[str, ...]
    annotations: tuple[str, ...]
    """Patterns with ``*`` of the keys."""
    managers: tuple[str, ...]
    """Patterns of the field managers that write them; what somebody else wrote stays."""


@dataclass(frozen=True, slots=True)
class RunningRule:
    """Custom resources that a removal of their controller must name while they are at work (``plan.running``)."""

    group: str
    kind: str
    rests: tuple[JsonObject, ...]
    """Tests as in ``ReadinessRule.ready``; where one of them holds, the object is not at work."""
    without: str
    """What becomes of one that is at work without the controller."""


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """One check as ``component.yaml`` declares it; ``kind`` is a protocol name, never a product."""

    name: str
    kind: str
    gate: bool
    timeout_s: float
    needs: tuple[str, ...] = ()
    """What the cluster must be able to do: ``real-pods``, ``gpu``, ``internet``."""
    hint: str = ""
    parameters: JsonObject = field(default_factory=dict)
    when: JsonObject | None = None
    """``{value: PATH, equals: V, default: D}``: the check applies only where the value is that; None: always."""


@dataclass(frozen=True, slots=True)
class SecurityException:
    """One deviation of a component's pods from the ``restricted`` pod-security level."""

    workload: str
    field: str
    reason: str
    source: str


@dataclass(frozen=True, slots=True)
class DisturbingChange:
    """Fields of a component's objects whose change reaches pods of others."""

    group: str
    kind: str
    paths: tuple[str, ...]
    """Dotted field paths, e.g. ``spec.driver``; a change anywhere below one counts."""
    does: str
    """What the change does to those pods, in a sentence."""
    ignore: tuple[str, ...] = ()
    """Paths below them that reach no pod."""


@dataclass(frozen=True, slots=True)
class DisturbedPods:
    """Which pods of others a component serves, and which of its changes reach them."""

    resources: tuple[str, ...]
    """Names of resources that such a pod requests; ``*`` stands for any characters."""
    drivers: tuple[str, ...] = ()
    """Drivers of the devices that such a pod has through a ResourceClaim."""
    changes: tuple[DisturbingChange, ...] = ()
    """What reaches them; empty: any change does."""
    removal: str | None = None
    """What removing the component does to them, in a sentence."""
    when: JsonObject | None = None
    """``{value: PATH, equals: V, default: D}``: an upgrade reaches pods only where the value is that."""


@dataclass(frozen=True, slots=True)
class BlockedRollback:
    """A pair of chart versions between which a rollback cannot work."""

    newer: str
    """Range of the versions that are left, e.g. ``>=2.0``."""
    older: str
    """Range of the versions that are returned to."""
    reason: str
    instead: str
    """The way around, in a sentence."""
    when: JsonObject | None = None
    """``{value: PATH, equals: V, default: D}`` of the values returned to; None: always."""


@dataclass(frozen=True, slots=True)
class DetectRule:
    """How to find an installation of something that a component brings, made by somebody else.

    Any of the ways is enough; the patterns are searched in the text they are for.
    """

    component: str
    name: str
    """What is found, in a person's words."""
    crds: tuple[str, ...] = ()
    image: str | None = None
    """Pattern of a container image of a Deployment, DaemonSet or StatefulSet."""
    ingress_controller: str | None = None
    """Pattern of ``spec.controller`` of an IngressClass."""
    api_service: str | None = None
    """Name of an APIService that a Service in the cluster answers."""
    fact: str | None = None
    """Fact that is true where it is found; the component's ``facts`` then leave that part out."""
    stands_in: bool = False
    """Something else that does the same: no second copy, but ``existing: reuse`` may name it."""


@dataclass(frozen=True, slots=True)
class Install:
    """Something that was found in the cluster and that no release of ours brought."""

    component: str
    name: str
    who: str
    """Continues "installed by": ``Helm release x/y``, ``plain manifests``."""
    version: str = ""
    workloads: tuple[ObjectRef, ...] = ()
    selectors: Mapping[ObjectRef, JsonValue] = field(default_factory=dict)
    """Workload -> its ``spec.selector``, which nobody can change."""
    crds: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    """IngressClasses and APIServices."""
    release: tuple[str, str] | None = None
    """(namespace, name) of the Helm release."""
    stack: str | None = None
    """The stack of ours that brought it."""
    manager: str = ""
    """A tool that manages it and restores what somebody else changes, such as ``Flux``; empty where none does."""
    fact: str | None = None
    stands_in: bool = False

    @property
    def crds_only(self) -> bool:
        """True when nothing but CRDs is left of it."""
        return not self.workloads and not self.others


@dataclass(frozen=True, slots=True)
class Component:
    """One folder under ``charts/``. See docs/components.md for the file format."""

    name: str
    folder: Path
    description: str
    homepage: str
    licence: str
    chart: ChartRef
    release: str
    namespace: str
    namespace_labels: Mapping[str, str]
    enabled: Literal["true", "false", "auto"]
    """Default state; ``auto`` is decided by ``auto_fact``."""
    auto_fact: str | None
    profiles: Mapping[str, str]
    """Profile name -> enabled state in that profile, where it differs from ``enabled``."""
    needs: tuple[str, ...]
    uses: tuple[str, ...]
    """Names of components, or ``crd:NAME`` for a CRD another component provides."""
    provides: tuple[str, ...]
    requires: JsonObject
    facts: tuple[FactRule, ...]
    globals: tuple[GlobalRule, ...]
    crd_owner: CrdOwner
    crd_off_values: JsonObject
    """Dotted value path -> value that switches the chart's own CRD installation off."""
    crd_labels: Mapping[str, str]
    rollback: Literal["reversible", "forward-only"]
    disturbs: str | None
    keep: tuple[str, ...]
    """Kinds whose objects ``down`` keeps because they hold users' data, e.g. ``Namespace``."""
    readiness: tuple[ReadinessRule, ...]
    checks: tuple[CheckSpec, ...]
    images: tuple[str, ...]
    security_exceptions: tuple[SecurityException, ...]
    urls: tuple[JsonObject, ...]
    timeout_s: float
    renamed_values: tuple[Mapping[str, str], ...]
    position: Position | None = None
    secret_namespaces: tuple[str, ...] = ()
    """Value paths (``items[].name``) of further namespaces whose pods pull images, which the chart makes."""
    detect: tuple[DetectRule, ...] = ()
    disturbs_pods: DisturbedPods | None = None
    """The running pods of others that a change of this component reaches, e.g. those with a GPU."""
    blocked_rollbacks: tuple[BlockedRollback, ...] = ()
    """Versions between which no rollback works, whatever ``rollback`` says."""
    follows: tuple[FollowRule, ...] = ()
    leaves: tuple[JsonObject, ...] = ()
    """Objects that the component's programs make and no release contains: ``apiVersion``, ``kind``, ``namespace``,
    ``name``, each may refer to the release by ``${…}`` (``catalog.references``)."""
    node_states: tuple[NodeStateRule, ...] = ()
    node_leftovers: NodeLeftovers | None = None
    running: tuple[RunningRule, ...] = ()
