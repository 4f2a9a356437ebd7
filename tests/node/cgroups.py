"""The node's cgroups: one folder of the same name below the root of every mounted hierarchy, version 1 or 2."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.node.settings import CGROUP_PREFIX, END_TIMEOUT_S, POLL_S


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One mounted tree of cgroups."""

    path: Path
    version: int
    controllers: frozenset[str]


def hierarchies() -> tuple[Hierarchy, ...]:
    """Every tree that is mounted here; Debian's hybrid layout has one a controller and an empty one of version 2."""
    found = {}
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        place, _, kind = line.partition(" - ")
        fields, words = place.split(), kind.split()
        # Only whole trees: a bind mount of a part of one is somebody's container.
        if fields[3] != "/" or words[0] not in ("cgroup", "cgroup2"):
            continue
        path = Path(fields[4])
        if words[0] == "cgroup2":
            controllers = frozenset((path / "cgroup.controllers").read_text(encoding="ascii").split())
            found[path] = Hierarchy(path, 2, controllers)
        else:
            found[path] = Hierarchy(path, 1, frozenset(words[-1].split(",")))
    return tuple(found.values())


def make(name: str) -> None:
    """Make the cgroup in every hierarchy, and in it ``system`` for the node's own programs.

    They are apart because version 2 allows processes in leaves only, and kubelet puts the pods beside them.
    """
    for hierarchy in hierarchies():
        folder = hierarchy.path / name
        if hierarchy.version == 2:
            _pass_on(hierarchy.path, hierarchy.controllers)
        folder.mkdir(exist_ok=True)
        _inherit_cpus(folder)
        if hierarchy.version == 2:
            _pass_on(folder, hierarchy.controllers)
        (folder / "system").mkdir(exist_ok=True)
        _inherit_cpus(folder / "system")


def inside(name: str, command: list[str]) -> list[str]:
    """The command line that runs ``command`` in ``system`` of the node: a shell joins, and becomes the command."""
    files = [str(hierarchy.path / name / "system" / "cgroup.procs") for hierarchy in hierarchies()]
    script = f'for file in {" ".join(files)}; do echo 0 > "$file" || exit; done; exec "$@"'
    return ["/bin/sh", "-c", script, "join", *command]


def remove(name: str) -> tuple[str, ...]:
    """Remove the cgroup and all below it; return what cannot be removed because processes live in it."""
    deadline = time.monotonic() + END_TIMEOUT_S
    while True:
        left = [folder for root in folders(name) for folder in _deepest_first(root) if not _gone(folder)]
        if not left or time.monotonic() > deadline:
            return tuple(map(str, left))
        time.sleep(POLL_S)


def folders(name: str) -> tuple[Path, ...]:
    """The folders of the cgroup that exist, one a hierarchy."""
    return tuple(h.path / name for h in hierarchies() if (h.path / name).is_dir())


def of_nodes() -> frozenset[str]:
    """The cgroups of all nodes on this machine, of whatever state folder."""
    return frozenset(f.name for h in hierarchies() for f in h.path.glob(f"{CGROUP_PREFIX}*"))


def processes(name: str) -> frozenset[int]:
    """Every process in the cgroup and below it."""
    found = set()
    for root in folders(name):
        for folder in _deepest_first(root):
            with contextlib.suppress(OSError):
                found |= {int(pid) for pid in (folder / "cgroup.procs").read_text(encoding="ascii").split()}
    return frozenset(found)


def _pass_on(folder: Path, controllers: frozenset[str]) -> None:
    if controllers:
        words = " ".join(f"+{controller}" for controller in sorted(controllers))
        (folder / "cgroup.subtree_control").write_text(words, encoding="ascii")


def _inherit_cpus(folder: Path) -> None:
    """A cpuset of version 1 starts empty and takes no process until it is told its CPUs and memory nodes."""
    for file in ("cpuset.cpus", "cpuset.mems"):
        if (folder / file).exists() and not (folder / file).read_text(encoding="ascii").strip():
            (folder / file).write_text((folder.parent / file).read_text(encoding="ascii"), encoding="ascii")


def _deepest_first(root: Path) -> Iterator[Path]:
    for folder, _below, _files in os.walk(root, topdown=False):
        yield Path(folder)


def _gone(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
