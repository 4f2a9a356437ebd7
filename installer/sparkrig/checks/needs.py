"""Whether a cluster can answer a check at all. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparkrig.models.cluster import ClusterFacts

SIMULATED = "needs real pods, and this cluster is simulated"


@dataclass(frozen=True, slots=True)
class Need:
    """One need, and whether it is met: None where nothing tells."""

    name: str
    met: bool | None
    why: str = ""
    """Why it is not met, or not known."""


def look_at(names: Sequence[str], facts: ClusterFacts) -> list[Need]:
    """Each need with what the facts say about it."""
    return [_one(name, facts) for name in dict.fromkeys(names)]


def _one(name: str, facts: ClusterFacts) -> Need:
    match name:
        case "real-pods":
            return Need(name, not facts.simulated, SIMULATED)
        case "gpu":
            return _gpu(facts)
        case "load-balancer":
            met = facts.values.get("cluster.load-balancer")
            return Need(name, None if met is None else bool(met), "nothing is known to give a LoadBalancer an address")
        case "internet":
            # A pod's way out is not this machine's; it is known only when somebody says so with --require.
            return Need(name, False if facts.simulated else None, "whether pods reach the internet is not known")
        case _:
            return Need(name, False, f"nothing says when the need {name!r} is met")


def _gpu(facts: ClusterFacts) -> Need:
    present = facts.values.get("gpu.nodes-present")
    if facts.gpu_nodes is not None:
        present = bool(facts.gpu_nodes)
    if present is None:
        return Need("gpu", None, "whether the cluster has GPUs is not known: its nodes may not be read")
    return Need("gpu", bool(present), "the cluster has no GPU")
