"""Cluster providers: an existing context, kind, or the embedded ``sim``."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, get_args

from sparkrig.clusters.info import ClusterInfo
from sparkrig.errors import InvalidInput
from sparkrig.models.cluster import ClusterHandle
from sparkrig.models.problem import Problem, Severity
from sparkrig.tools.model import Progress, quiet

Provider = Literal["context", "kind", "sim"]
DEFAULT_NAMES: dict[str, str | None] = {"context": None, "kind": "kind", "sim": "sparkrig"}
"""What ``--on kind`` and ``--on sim`` mean; ``--on context`` is the current context."""

__all__ = ["ClusterInfo", "Provider", "Target", "connect", "ensure", "list_clusters", "parse_target"]


@dataclass(frozen=True, slots=True)
class Target:
    """What ``--on`` names. ``name`` is None for the current context only."""

    provider: Provider
    name: str | None

    def __str__(self) -> str:
        return f"{self.provider}:{self.name}" if self.name else self.provider


def parse_target(text: str | None) -> Target:
    """Read ``context[:NAME] | kind[:NAME] | sim[:NAME]``; None is the current context.

    Raises:
        InvalidInput: another provider, or a colon with no name behind it.
    """
    provider, colon, name = (text or "context").partition(":")
    known = get_args(Provider)
    if provider not in known:
        close = get_close_matches(provider, known, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"a context of the kubeconfig is named so: context:{text}"
        message = f"{text!r} names no cluster, expected context[:NAME], kind[:NAME] or sim[:NAME]"
        raise InvalidInput([Problem(Severity.ERROR, "unknown-provider", message, where="--on", hint=hint)], message)
    if colon and not name:
        message = f"{text!r} has no name behind the colon, expected {provider} or {provider}:NAME"
        raise InvalidInput([Problem(Severity.ERROR, "cluster-name", message, where="--on")], message)
    return Target(provider, name or DEFAULT_NAMES[provider])  # type: ignore[arg-type]  # checked above


def connect(target: Target) -> ClusterHandle:
    """Return how to reach the cluster. A simulated one must run; the others are not contacted here.

    Raises:
        NotFound: no such context or cluster; names those there are.
        ClusterUnreachable: the simulated cluster is stopped or partly dead; says how to start it.
        ToolError: no container engine answers, for kind.
    """
    if target.provider == "context":
        from sparkrig.clusters import context

        return context.connect(target.name)
    if target.provider == "kind":
        from sparkrig.clusters import kind

        return kind.connect(target.name or "kind")
    from sparkrig.clusters import sim

    return sim.require_running(target.name or "sparkrig")


def ensure(target: Target, *, on_progress: Progress = quiet) -> ClusterHandle:
    """Return how to reach the cluster, made or started first where the provider can.

    Raises what ``connect`` raises, and what making one raises.
    """
    if target.provider == "sim":
        from sparkrig.clusters import sim

        return sim.create(target.name or "sparkrig", on_progress=on_progress)
    if target.provider == "kind":
        from sparkrig.clusters import kind

        return kind.create(target.name or "kind", on_progress=on_progress)
    return connect(target)


def list_clusters() -> tuple[ClusterInfo, ...]:
    """Return the clusters that sparkrig, or kind, made on this machine."""
    from sparkrig.clusters import kind, sim

    return sim.list_clusters() + kind.list_clusters()
