"""What a node could leave on the machine: firewall, mounts, cgroups, processes, network, kernel settings, folders.

Other nodes, and whatever else this machine does meanwhile, come and go; what a look takes is chosen so that they do
not show: whole where only a node would change it, else only what carries a node's names.
"""

from __future__ import annotations

import contextlib
import subprocess
from dataclasses import dataclass, fields
from pathlib import Path

from tests.node import cgroups, spaces
from tests.node.settings import cgroup_of, folder_of

SYSCTLS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "kernel/hostname",
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "net/ipv4/conf/all/rp_filter",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_tcp_timeout_established",
)
FOLDERS = (
    *spaces.MOUNT_POINTS,
    "/var/lib/containerd",
    "/var/log/pods",
    "/var/log/containers",
    "/run/containerd",
    "/run/netns",
    "/etc/cni",
    "/opt/cni",
)


@dataclass(frozen=True)
class Footprint:
    """One look at the machine; two are compared."""

    firewall: str
    mounts: tuple[str, ...]
    cgroups: tuple[str, ...]
    links: tuple[str, ...]
    routes: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]
    modules: tuple[str, ...]
    folders: tuple[str, ...]
    processes: tuple[str, ...]
    """Those in a network namespace that is not the machine's, and those that name the node."""

    def differences(self, later: Footprint) -> dict[str, tuple[object, object]]:
        """Field -> what it was, what it is."""
        pairs = {f.name: (getattr(self, f.name), getattr(later, f.name)) for f in fields(self)}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def look(name: str) -> Footprint:
    """Look at the machine, for a node of that name; other nodes' links, cgroups and processes are left out."""
    links = {end for link in _of_other_nodes(name) for end in (link, f"{link}:")}
    cgroups_of_others = _others(name)
    # The last node on the machine takes them away.
    shared = spaces.MOUNT_POINTS if cgroups_of_others else ()
    return Footprint(
        firewall=_run("nft", "list", "ruleset"),
        mounts=tuple(sorted(line.split()[4] for line in _lines("/proc/self/mountinfo"))),
        cgroups=tuple(
            sorted(
                str(f)
                for h in cgroups.hierarchies()
                for f in h.path.iterdir()
                if f.is_dir() and f.name not in cgroups_of_others
            )
        ),
        links=tuple(sorted({w for _, w, *_ in map(_link_words, _run("ip", "-o", "link").splitlines())} - links)),
        routes=tuple(
            r for r in sorted(_run("ip", "route", "show", "table", "all").splitlines()) if not links & set(r.split())
        ),
        settings=tuple((s, Path("/proc/sys", s).read_text()) for s in SYSCTLS if Path("/proc/sys", s).exists()),
        modules=tuple(sorted(line.split()[0] for line in _lines("/proc/modules"))),
        folders=tuple(f for f in (*FOLDERS, str(folder_of(name))) if f not in shared and Path(f).exists()),
        processes=_processes(name),
    )


def _processes(name: str) -> tuple[str, ...]:
    ours = Path("/proc/self/ns/net").readlink()
    others = frozenset().union(*(cgroups.processes(other) for other in _others(name)))
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in others:
            continue
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if (entry / "ns" / "net").readlink() != ours or str(folder_of(name)) in command:
                found.append(f"{entry.name} {command}")
    return tuple(sorted(found))


def _others(name: str) -> frozenset[str]:
    """The cgroups of other nodes on this machine, of whatever state folder."""
    return cgroups.of_nodes() - {cgroup_of(name)}


def _of_other_nodes(name: str) -> frozenset[str]:
    """Links of other nodes."""
    return frozenset(link for link, owner in spaces.links().items() if owner != cgroup_of(name))


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _link_words(line: str) -> list[str]:
    return line.replace("@", ": ").split()


def _lines(file: str) -> list[str]:
    """The lines of a file; none where the kernel has no such file, e.g. one without modules."""
    with contextlib.suppress(FileNotFoundError):
        return Path(file).read_text(encoding="utf-8").splitlines()
    return []
