"""Releases: as the stack wants them, as Helm has them, and as a revision records them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sparkrig.models.chart import Chart
from sparkrig.models.component import CheckSpec, CrdOwner, ReadinessRule
from sparkrig.models.json import JsonObject
from sparkrig.models.objects import ObjectRef
from sparkrig.models.problem import Problem
from sparkrig.models.secret import DesiredSecret


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says about values; it wins over all files."""

    values: tuple[str, ...] = ()
    """Arguments of ``--values``: ``COMPONENT=FILE``, the file relative to the current directory."""
    sets: tuple[str, ...] = ()
    """Arguments of ``--set``: ``COMPONENT.PATH=VALUE``."""


@dataclass(frozen=True, slots=True)
class DesiredRelease:
    """One release as the stack wants it: everything Helm needs, values merged."""

    component: str
    release: str
    namespace: str
    namespace_labels: Mapping[str, str]
    chart: Chart
    values: JsonObject
    needs: tuple[str, ...]
    """Components that must be ready first (hard needs, and soft ones that are on)."""
    crd_needs: tuple[str, ...]
    """Components whose CRDs must be established first, without waiting for their pods."""
    crd_owner: CrdOwner
    crd_labels: Mapping[str, str]
    rollback: Literal["reversible", "forward-only"]
    keep: tuple[str, ...]
    timeout_s: float
    digest: str
    """``sha256:…`` over all of the above that changes the cluster."""
    secrets: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    """Secret of the stack that its pods read -> fingerprint of what it holds now; empty while unknown."""
    readiness: tuple[ReadinessRule, ...] = ()
    """How to judge the custom resources of the release; from ``component.yaml``."""
    checks: tuple[CheckSpec, ...] = ()
    urls: tuple[JsonObject, ...] = ()
    adopt: bool = False
    """Take over what somebody else installed, on the first install (``existing: adopt``)."""
    conflicts: Literal["fail", "take"] = "fail"
    """What to do with fields that somebody else owns; like ``immutable`` no part of the digest."""
    immutable: Literal["fail", "recreate"] = "fail"
    """What to do with objects whose change the API server refuses."""
    crds: tuple[str, ...] = ()
    """CRDs that the component says it provides."""
    leaves: tuple[ObjectRef, ...] = ()
    """What its programs make and no release contains: removed behind the release."""


@dataclass(frozen=True, slots=True)
class ResolvedStack:
    """A stack file, the catalogue and the facts, brought together."""

    name: str
    profile: str
    file: str
    text: str
    """The stack file as written, for the revision record."""
    releases: tuple[DesiredRelease, ...]
    """In a dependency order (stable: ties in the catalogue's order)."""
    disabled: tuple[str, ...]
    """Components that are known and off."""
    problems: tuple[Problem, ...] = ()
    """Warnings only; errors are raised."""
    secrets: tuple[DesiredSecret, ...] = ()
    reused: tuple[str, ...] = ()
    """Components in whose place an installation of somebody else serves (``existing: reuse``)."""


@dataclass(frozen=True, slots=True)
class ObservedRelease:
    """The newest revision of one Helm release, read from its release Secret's labels."""

    name: str
    namespace: str
    revision: int
    status: str
    """Helm's word: deployed, failed, pending-install, pending-upgrade, pending-rollback, uninstalling, uninstalled."""
    stack: str | None
    """The stack that owns it, from our label; None when somebody else made it."""
    component: str | None = None
    """The component it was made for, from our label."""
    modified: str | None = None
    """RFC 3339 time of the release Secret's creation."""
    deployed_revision: int | None = None
    """The newest revision with the status ``deployed``: older than ``revision`` after a failed upgrade."""
    former: str | None = None
    """The stack that gave it up and left it in place."""


@dataclass(frozen=True, slots=True)
class ReleaseState:
    """One release as a finished revision left it."""

    component: str
    release: str
    namespace: str
    chart: str
    version: str
    chart_digest: str
    stand_in: bool
    digest: str
    """The desired digest that was applied."""
    helm_revision: int
    inventory: tuple[ObjectRef, ...]
    crds: tuple[str, ...] = ()
    values: JsonObject = field(default_factory=dict)
    """Merged values, secret references unresolved."""
    keep: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    timeout_s: float = 600.0
    """How long it may take to become ready, for a return to this state."""
    rollback: Literal["reversible", "forward-only"] = "reversible"
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Secret that its pods read -> fingerprint of what it held when they were last started for it."""
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of its namespace, so that it can be made again."""
    immutable: Literal["fail", "recreate"] = "fail"
    """What the stack file said of objects that cannot be changed, for a return from this state."""
    leaves: tuple[ObjectRef, ...] = ()
    """What its programs make and no release contains: removed behind the release."""
    crd_digests: Mapping[str, str] = field(default_factory=dict)
    """CRD that sparkrig applied -> digest of what was applied (``history.crds`` stores the content). Empty where Helm
    or a hook applies the CRDs, and in records of older versions."""
