"""Objects of Kubernetes as sparkrig names and judges them."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sparkrig.models.json import JsonObject, name_of, namespace_of, text_at

API_VERSION: Final = "sparkrig.dev/v1"


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """Names one Kubernetes object. ``namespace`` is empty for cluster-scoped objects."""

    group: str
    version: str
    kind: str
    namespace: str
    name: str

    @property
    def api_version(self) -> str:
        """``group/version``, or ``version`` alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace + '/' if self.namespace else ''}{self.name}"


class Readiness(enum.StrEnum):
    """What one look at an object says."""

    READY = "ready"
    PROGRESSING = "progressing"
    FAILED = "failed"
    """Failed for good: waiting longer cannot help."""
    NOT_JUDGED = "not-judged"
    """A custom resource without a rule: shown, counted, never ready, never in the way."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The readiness of one object and the reason in a person's words."""

    readiness: Readiness
    message: str = ""
    unset: bool = False
    """Nothing is reported yet: the object has no state, rather than one that is not good."""


def refs_of(objects: Sequence[JsonObject], default_namespace: str) -> tuple[ObjectRef, ...]:
    """Names the given manifests' objects, in order, without duplicates.

    ``default_namespace`` is used where a manifest names none; whether a kind is cluster-scoped is
    not known here, so callers that need exact namespaces must ask the cluster.
    """
    seen: dict[ObjectRef, None] = {}
    for item in objects:
        group, _, version = str(item.get("apiVersion", "")).rpartition("/")
        namespace = namespace_of(item) or default_namespace
        seen[ObjectRef(group, version, text_at(item, "kind"), namespace, name_of(item))] = None
    return tuple(seen)
