"""What a judgement needs to know beyond the object itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Context:
    """Facts of the cluster around an object."""

    binding_modes: Mapping[str, str] = field(default_factory=dict)
    """StorageClass -> ``Immediate`` or ``WaitForFirstConsumer``."""
    consumed_claims: frozenset[tuple[str, str]] = frozenset()
    """(namespace, name) of each PersistentVolumeClaim that a pod uses."""
    webhooks_served: bool = False
    """True where the API server calls webhooks, so that one without its CA refuses requests."""


NO_CONTEXT: Final = Context()
