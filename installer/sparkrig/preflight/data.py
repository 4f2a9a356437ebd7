"""What preflight judges: the cluster as it was read, and what the stack would put into it. Records only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sparkrig.kube.discovery import ResourceInfo
from sparkrig.models.cluster import ClusterFacts
from sparkrig.models.component import Component, NodeStateRule
from sparkrig.models.json import JsonObject
from sparkrig.models.objects import ObjectRef
from sparkrig.models.release import DesiredRelease, ObservedRelease

Object = JsonObject
Kind = tuple[str, str, str]
"""group, version, kind"""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of an authorizer; ``namespace`` is empty for one that holds in the whole cluster."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str] = frozenset()
    """Empty: objects of any name."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What we may do. Rules hold where the authorizer told all of them, else ``asked`` decides."""

    everything: bool = False
    """Anything at all, anywhere."""
    cluster: tuple[Rule, ...] = ()
    """Rules that hold in every namespace and for what is in none."""
    namespaces: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    complete: bool = True
    """False where the authorizer cannot list its rules (webhooks): what is missing may be allowed all the same."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The cluster at one moment. A collection that could not be read is empty and named in ``denied``."""

    kubernetes: str = ""
    nodes: Sequence[Object] = ()
    pods: Sequence[Object] = ()
    namespaces: Mapping[str, Object] = field(default_factory=dict)
    storage_classes: Sequence[Object] = ()
    volumes: Sequence[Object] = ()
    quotas: Sequence[Object] = ()
    limit_ranges: Sequence[Object] = ()
    webhooks: Sequence[Object] = ()
    """Validating and mutating webhook configurations."""
    services: Sequence[Object] = ()
    endpoint_slices: Sequence[Object] = ()
    api_services: Sequence[Object] = ()
    crds: frozenset[str] = frozenset()
    kinds: Mapping[Kind, ResourceInfo] = field(default_factory=dict)
    """What the API server serves."""
    skew_s: float | None = None
    """How far our clock is ahead of the API server's."""
    denied: Mapping[str, str] = field(default_factory=dict)
    """Collection -> why it could not be read."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One release that is about to change, with all that it would put into the cluster."""

    desired: DesiredRelease
    component: Component
    objects: Sequence[Object] = ()
    """Rendered, hooks that run on install and upgrade included; empty where the chart could not be rendered."""
    crds: Sequence[Object] = ()
    """CRDs that are applied before it."""
    fresh: bool = True
    """True when nothing of it is in the cluster yet."""

    @property
    def name(self) -> str:
        """The component's name."""
        return self.desired.component


@dataclass(frozen=True, slots=True)
class Case:
    """Everything preflight judges at once."""

    survey: Survey
    facts: ClusterFacts
    stack: str = ""
    wanted: Sequence[Wanted] = ()
    """In the order of installation."""
    reused: Mapping[str, Component] = field(default_factory=dict)
    own: frozenset[ObjectRef] = frozenset()
    """Objects of the releases this stack has in the cluster."""
    releases: frozenset[tuple[str, str]] = frozenset()
    """(namespace, name) of the Helm releases this stack has in the cluster."""
    busy: Mapping[tuple[str, str], ObservedRelease] = field(default_factory=dict)
    """Helm releases that a helm is at work on which is not this stack's."""
    gpu_provided: bool = False
    """True when a component that is on makes the nodes offer their GPUs."""
    crds: Sequence[Object] = ()
    """CRDs that the run applies of components that do not change otherwise."""
    node_states: tuple[NodeStateRule, ...] = ()
    """What components note on nodes while they work on them."""
