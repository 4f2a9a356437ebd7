"""What a ``down`` reads from the cluster beyond the releases. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sparkrig.models.objects import ObjectRef
from sparkrig.plan.running import Running

CRD: Final = ("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
CLAIM: Final = "PersistentVolumeClaim"


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
