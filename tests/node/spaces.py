"""The node's namespaces (mounts, processes, network, host name) and its link to the machine.

Process 1 of the node holds them; it is found by its arguments, so that no file needs to be trusted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.node import cgroups
from tests.node.settings import (
    END_TIMEOUT_S,
    HERE,
    HOST_NAME,
    NODES,
    POLL_S,
    START_TIMEOUT_S,
    Node,
    cgroup_of,
    home,
    read,
)

from sparkrig.errors import OperationError

INIT = str(HERE / "init.py")
MOUNT_POINTS = ("/var/lib/kubelet", "/var/lib/cni")
"""Places that code fixes: kubelet's for sockets of device plugins, and where network plugins remember their results."""
MADE_BY_US = ".made-by-a-sparkrig-node"


def claim(name: str, gpus: int) -> Node:
    """Choose addresses that no node and no route of this machine has. Call it under ``machine_locked``."""
    taken = {node.index for other in home().glob("*") if (node := read(other.name)) is not None}
    routes = ip("route", "show", "table", "all")
    links = ip("-o", "link", "show")
    for index in range(NODES):
        node = Node(name, index, gpus)
        third = node.ip.rsplit(".", 1)[0] + "."
        if index not in taken and third not in routes and f" {node.link}@" not in links:
            return node
    raise OperationError(f"all {NODES} parts of 198.19.0.0/16 are taken on this machine")


def open_spaces(node: Node) -> None:
    """Start process 1 of the node in namespaces of its own, and link it to the machine; nothing when it lives."""
    if process_one(node.folder) is None:
        _make_mount_points()
        cgroups.make(node.cgroup)
        _start_process_one(node)
    _link(node)


def process_one(folder: Path) -> int | None:
    """Return the number, in the machine's own count, of process 1 of the node in ``folder``."""
    return next((pid for pid in _holders(folder) if _inner_number(pid) == 1), None)


def command(node: Node, *words: str) -> list[str]:
    """Return the command line that runs ``words`` inside the node.

    Raises:
        OperationError: the node does not run.
    """
    pid = process_one(node.folder)
    if pid is None:
        raise OperationError(f"node {node.name} does not run", hint=f"make node-up NODE={node.name}")
    # By its path: kwokctl is started with an empty PATH.
    nsenter = shutil.which("nsenter") or "nsenter"
    spaces = ["--target", str(pid), "--mount", "--pid", "--net", "--uts", "--ipc"]
    return cgroups.inside(node.cgroup, [nsenter, *spaces, "--", *words])


def run(node: Node, *words: str, timeout: float = START_TIMEOUT_S) -> str:
    """Run a command inside the node and return what it printed.

    Raises:
        OperationError: it fails; carries its last lines.
    """
    done = subprocess.run(
        command(node, *words),
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()[-8:]
        raise OperationError(
            f"{Path(words[0]).name} failed inside node {node.name} (exit {done.returncode})", detail=lines
        )
    return done.stdout


def close_spaces(name: str, folder: Path) -> tuple[str, ...]:
    """End everything inside and wait until it is gone; return what is still there after ``END_TIMEOUT_S``."""
    deadline = time.monotonic() + END_TIMEOUT_S
    while True:
        holders = tuple(_holders(folder))
        # Those in the cgroup only: programs that were just being started from outside.
        inside = cgroups.processes(cgroup_of(name))
        for pid in {*holders, *inside}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not holders and not inside:
            return ()
        if time.monotonic() > deadline:
            return tuple(f"process {pid}" for pid in sorted({*holders, *inside}))
        time.sleep(POLL_S)


def links() -> dict[str, str]:
    """The outer ends of all links on this machine -> the cgroup of the node that each belongs to."""
    found = {}
    for line in ip("-o", "link", "show").splitlines():
        words = line.split()
        if "alias" in words:
            found[words[1].partition("@")[0]] = words[words.index("alias") + 1]
    return found


def unlink(name: str) -> None:
    """Remove the node's link, where the kernel has not done so yet: it does so some time after the last process."""
    for link, owner in links().items():
        if owner == cgroup_of(name):
            subprocess.run(["ip", "link", "delete", link], capture_output=True)


def remove_mount_points() -> None:
    """Remove the mount points that were made for nodes, once no node is left on the machine.

    Removing one that another node has mounted something on would take that mount away from it.
    """
    if cgroups.of_nodes():
        return
    for place in map(Path, MOUNT_POINTS):
        if (place / MADE_BY_US).exists():
            (place / MADE_BY_US).unlink()
            place.rmdir()


@contextmanager
def machine_locked() -> Iterator[None]:
    """Hold what all nodes of the machine share, of whatever state folder: addresses and mount points."""
    folder = os.open("/var/lib", os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def ip(*arguments: str) -> str:
    """Run ``ip`` on the machine and return what it printed. Raises OperationError when it fails."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise OperationError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def _start_process_one(node: Node) -> None:
    words = ["unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"]
    command = cgroups.inside(node.cgroup, [*words, sys.executable, "-I", INIT, str(node.folder), HOST_NAME])
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as answer, (node.logs / "init.log").open("ab") as log:
        # Nobody's child: it outlives this run, and whatever ends this run.
        daemon = ["setsid", "--fork", *command]
        subprocess.run(daemon, stdin=subprocess.DEVNULL, stdout=writing, stderr=log, check=True)
        os.close(writing)
        # The pipe ends when process 1 does, so this waits for nothing else.
        if answer.readline() != b"ready\n":
            raise OperationError(f"node {node.name}: its namespaces cannot be made (log: {node.logs / 'init.log'})")


def _link(node: Node) -> None:
    pid = process_one(node.folder)
    if f" {node.link}@" not in ip("-o", "link", "show"):
        ip("link", "add", node.link, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
    # So that whose link it is can be told without the node's record.
    ip("link", "set", node.link, "alias", node.cgroup)
    ip("addr", "replace", f"{node.host_ip}/24", "dev", node.link)
    ip("link", "set", node.link, "up")
    ip("route", "replace", node.network, "via", node.ip, "dev", node.link)
    run(node, "ip", "addr", "replace", f"{node.ip}/24", "dev", "eth0")
    run(node, "ip", "link", "set", "lo", "up")
    run(node, "ip", "link", "set", "eth0", "up")
    # The node's own programs call Services too, e.g. the API server a webhook: without a route to the address the
    # packet is refused before kube-proxy's rules see it. Anything else has no route: nothing outside can be reached.
    for network in (node.services, f"{node.lb_prefix}.0/24"):
        run(node, "ip", "route", "replace", network, "via", node.host_ip, "dev", "eth0")


def _make_mount_points() -> None:
    for place in map(Path, MOUNT_POINTS):
        if not place.exists():
            # Appears with the note that it is ours, or not at all.
            draft = Path(tempfile.mkdtemp(prefix=".sparkrig-", dir=place.parent))
            (draft / MADE_BY_US).touch()
            draft.rename(place)


def _holders(folder: Path) -> Iterator[int]:
    """Yield process 1 and the ``unshare`` that waits for it; both carry the node's folder in their arguments."""
    wanted = [INIT.encode(), str(folder).encode()]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if (entry / "cmdline").read_bytes().split(b"\0")[-4:-2] == wanted:
                    yield int(entry.name)


def _inner_number(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("NSpid:"):
                numbers = line.split()[1:]
                return int(numbers[-1]) if len(numbers) > 1 else 0
    return 0
