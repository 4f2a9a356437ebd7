"""The state of a stack in the cluster, as it was observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sparkrig.models.objects import Judgement, ObjectRef
from sparkrig.models.release import ObservedRelease
from sparkrig.models.revision import Revision


@dataclass(frozen=True, slots=True)
class CrdDrift:
    """A CRD of a recorded release that is not as recorded."""

    name: str
    what: Literal["missing", "changed", "unserved"]
    why: str
    """Continues "CRD NAME …": ``is missing``, ``was changed by kubectl``."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One field of a live object that somebody changed since it was recorded."""

    ref: ObjectRef
    path: str
    """``spec.replicas``."""
    text: str
    """What is there, whose it is and what was recorded; secrets masked."""
    around: bool = False
    """A label that we gave to the release's namespace: no object of the chart."""


@dataclass(frozen=True, slots=True)
class ObservedState:
    """What the cluster holds, as far as the plan needs it."""

    releases: Mapping[tuple[str, str], ObservedRelease]
    """(namespace, release name) -> newest revision."""
    last: Revision | None
    """The newest finished revision, whatever its status: what the next run compares with."""
    pending: Revision | None
    """A revision that was begun and has not finished: its process died, or is the one ``at_work``."""
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Namespace -> its labels."""
    live: Mapping[str, tuple[Judgement, ...]] = field(default_factory=dict)
    """Component -> judgement of each object of its inventory that is missing or not ready."""
    missing: Mapping[str, tuple[ObjectRef, ...]] = field(default_factory=dict)
    """Component -> objects of its inventory that are gone."""
    secrets: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(namespace, name) -> fingerprint of each Secret that the stack made."""
    crd_drift: Mapping[str, tuple[CrdDrift, ...]] = field(default_factory=dict)
    """Component -> its CRDs that are not as recorded."""
    drifted: Mapping[str, tuple[Drift, ...]] = field(default_factory=dict)
    """Component -> fields that somebody changed; empty unless it was looked for."""
    at_work: str | None = None
    """Whose run holds the stack's lock where a revision is pending; empty for nobody, None where that is not known."""
