"""The record of one cluster that sparkrig made, the same for every provider."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """One line of ``sparkrig cluster list``."""

    provider: Literal["sim", "kind"]
    name: str
    state: Literal["running", "stopped", "broken", "unfinished"]
    """``broken``: a part of the control plane is dead. ``unfinished``: its creation was interrupted."""
    kubernetes: str | None = None
    """Version without ``v``; None when it is not known."""
    nodes: int | None = None
    kubeconfig: Path | None = None
    message: str = ""
    """What is wrong and what to do next; empty when it runs."""
