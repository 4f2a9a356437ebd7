"""What a machine lacks to run a node: every reason at once, or none. Changes nothing that outlives the question."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAMS = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "ip": "iproute2",
    "nft": "nftables",
    "iptables": "iptables",
    "runc": "runc",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
}
"""Program -> the Debian package that carries it."""

CNI_FOLDER = Path("/usr/lib/cni")
CNI_PLUGINS = ("ptp", "host-local", "portmap", "loopback")


def lacks() -> tuple[str, ...]:
    """Every reason why no node can run here; empty when one can.

    Takes half a second: what the kernel can do is tried, in namespaces that end with the try.
    """
    if not sys.platform.startswith("linux"):
        return (f"it is {sys.platform}: a node needs Linux",)
    missing = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})
    missing += [] if all((CNI_FOLDER / p).exists() for p in CNI_PLUGINS) else ["containernetworking-plugins"]
    reasons = [f"not installed: apt-get install {' '.join(missing)}"] if missing else []
    if os.geteuid() != 0:
        return (*reasons, "not root: a node needs network namespaces, mounts and cgroups")
    if not missing:
        reasons += [reason for reason in (_namespaces(), _veth(), _overlay(), _nftables(), _cgroups()) if reason]
    return tuple(reasons)


def _namespaces() -> str:
    return _try(["true"], "namespaces for mounts, processes and the network cannot be made")


def _veth() -> str:
    return _try(
        ["ip", "link", "add", "name", "one", "type", "veth", "peer", "name", "two"], "the kernel has no veth pairs"
    )


def _overlay() -> str:
    script = (
        "mount -t tmpfs none /mnt && mkdir /mnt/l /mnt/u /mnt/w /mnt/m && "
        "mount -t overlay overlay -o lowerdir=/mnt/l,upperdir=/mnt/u,workdir=/mnt/w /mnt/m"
    )
    return _try(["sh", "-c", script], "the kernel cannot mount overlays")


def _nftables() -> str:
    rule = (
        "add table ip t; add chain ip t c { type nat hook output priority 0; }; add rule ip t c numgen random mod 2 1"
    )
    return _try(["nft", rule], "the kernel's nftables lack what kube-proxy needs")


def _cgroups() -> str:
    from tests.node import cgroups

    hierarchies = cgroups.hierarchies()
    controllers = {c for h in hierarchies for c in h.controllers}
    missing = sorted({"cpu", "memory", "pids"} - controllers)
    if missing:
        return f"the cgroup controllers {', '.join(missing)} are not mounted"
    closed = [str(h.path) for h in hierarchies if not os.access(h.path, os.W_OK)]
    return f"cgroups cannot be written: {', '.join(closed)}" if closed else ""


def _try(command: list[str], complaint: str) -> str:
    namespaces = ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--mount-proc"]
    done = subprocess.run([*namespaces, *command], capture_output=True, text=True, timeout=30)
    words = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
    return f"{complaint}: {words}" if done.returncode else ""
