"""Records of the tools: what tools/ pins, what was asked for, what was found."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sparkrig.tools.data import data_dir

Origin = Literal["setting", "path", "download", "build"]
Progress = Callable[[str], None]
"""Takes one line for a person; called at most every other second during long work."""


StopCheck = Callable[[], bool]
"""Asked twice a second during long work; True ends it with ``Interrupted``."""


def quiet(_line: str) -> None:
    """A ``Progress`` that shows nothing."""


def never() -> bool:
    """A ``StopCheck`` that lets work go on."""
    return False


@dataclass(frozen=True, slots=True)
class Tool:
    """A binary that is on this machine, its version checked."""

    name: str
    version: str
    """Without a leading ``v``, e.g. ``4.3.1``."""
    path: Path
    origin: Origin
    """How it came here: named by a setting, found on PATH, downloaded, or built from its Go module."""
    seconds: float
    """What the download or the build took; 0 for one that was there already."""
    cached: bool = False
    """True when it was taken from the cache, so that nothing was done now."""


@dataclass(frozen=True, slots=True)
class Download:
    """An official file for one platform. There is none without a checksum."""

    url: str
    sha256: str
    member: str | None = None
    """Path of the binary inside a tar archive; None when the file is the binary."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """One binary as ``tools/<folder>/tool.yaml`` pins it."""

    name: str
    version: str
    folder: Path
    """The folder with go.mod, go.sum and tool.yaml."""
    package: str
    """Go package of the main function."""
    ldflags: str
    version_command: tuple[str, ...]
    """Arguments that make the binary print its version."""
    version_pattern: re.Pattern[str]
    """Finds the version in that output; the first group is the version, without ``v``."""
    group: str
    """Binaries of a folder with the same group are built in one run of go; sharing the work saves minutes."""
    digest: str
    """First 12 hex digits of the sha256 over go.mod, go.sum, tool.yaml and Go files beside them: part of the key."""
    downloads: Mapping[str, Download] = field(default_factory=dict)
    """Platform, e.g. ``linux-amd64`` -> file."""
    tags: str = ""
    """Go build tags, separated by commas."""

    @property
    def variable(self) -> str:
        """The environment variable that names this binary, e.g. ``SPARKRIG_KUBE_APISERVER``."""
        return "SPARKRIG_" + self.name.upper().replace("-", "_")

    @property
    def series(self) -> str:
        """``major.minor``: what a binary that was not made by us must agree with."""
        return ".".join(self.version.split(".")[:2])


@dataclass(frozen=True, slots=True)
class ToolSettings:
    """Where to look for tools and where to keep them."""

    cache_dir: Path
    tools_dir: Path
    explicit: Mapping[str, Path] = field(default_factory=dict)
    """Environment variable -> path, e.g. ``SPARKRIG_HELM``."""
    search_path: str = ""
    """The PATH to search; empty means none."""

    @classmethod
    def from_environment(cls) -> ToolSettings:
        """Read ``SPARKRIG_CACHE_DIR``, ``SPARKRIG_<TOOL>``, ``SPARKRIG_GO``, ``SPARKRIG_DATA_DIR`` and ``PATH``."""
        explicit = {
            key: Path(value).expanduser()
            for key, value in os.environ.items()
            if key.startswith("SPARKRIG_") and not key.endswith("_DIR") and value
        }
        return cls(cache_dir(), data_dir("tools"), explicit, os.environ.get("PATH", ""))


@dataclass(frozen=True, slots=True)
class ToolStatus:
    """One line of ``sparkrig tools list``."""

    name: str
    version: str
    """The pinned version."""
    tool: Tool | None
    """None when it is not on this machine yet."""
    reason: str = ""
    """Why not, where a person must act, e.g. a setting that names no executable."""


def cache_dir() -> Path:
    """Return the folder for what can be made again; ``SPARKRIG_CACHE_DIR`` names another."""
    override = os.environ.get("SPARKRIG_CACHE_DIR")
    if override:
        return Path(override).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("sparkrig", appauthor=False))


def host_platform() -> str:
    """Return Go's words for this machine, e.g. ``linux-amd64``."""
    machine = platform.machine().lower()
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    return f"{platform.system().lower()}-{arch}"
