"""Fresh simulated clusters, and what they were asked."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sparkrig.clusters import sim
from sparkrig.clusters.sim.state import cluster_dir
from sparkrig.models.cluster import ClusterHandle

OURS = ("system:", "kwok", "kube-")
"""User agents and users of the control plane itself, whose requests are nobody's cost."""


@contextmanager
def fresh(*, audit: bool = False) -> Iterator[ClusterHandle]:
    """A cluster with nothing on it; with ``audit`` its API server writes down every request."""
    name = f"bench-{uuid.uuid4().hex[:6]}"
    try:
        yield sim.create(name, sim.SimOptions(cpu_nodes=8, audit=audit))
    finally:
        sim.delete(name)


class Requests:
    """Counts the requests of an audited cluster between two moments, by verb, those of the control plane left out."""

    def __init__(self, handle: ClusterHandle) -> None:
        self._file = cluster_dir(handle.name) / "logs" / "audit.log"
        self._offset = 0
        self._seen: set[str] = set()

    def since_last(self) -> Counter[str]:
        """Requests by verb since the last call."""
        found: Counter[str] = Counter()
        with self._file.open("rb") as lines:
            lines.seek(self._offset)
            for line in lines:
                event = json.loads(line)
                if event["auditID"] not in self._seen and not _own(event):
                    self._seen.add(event["auditID"])  # a watch is written down when it begins and when it ends
                    found[event["verb"]] += 1
            self._offset = lines.tell()
        return found


def _own(event: dict[str, object]) -> bool:
    agent = str(event.get("userAgent") or "")
    return agent.startswith(OURS) or "kwok" in agent
