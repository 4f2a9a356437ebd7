"""Charts, and where they come from."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path


class ChartOrigin(enum.StrEnum):
    """Where a chart's files came from."""

    LOCAL = "local"
    REPOSITORY = "repository"
    OCI = "oci"
    MIRROR = "mirror"
    STAND_IN = "stand-in"


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart that is on this machine, ready for Helm."""

    name: str
    version: str
    app_version: str
    digest: str
    """``sha256:…`` over the chart's files (names and contents), not over an archive's bytes."""
    path: Path
    """A ``.tgz`` or a folder; what is given to helm."""
    origin: ChartOrigin
    kube_version: str | None = None

    @property
    def stand_in(self) -> bool:
        """True for a test chart that only imitates the upstream one."""
        return self.origin is ChartOrigin.STAND_IN
