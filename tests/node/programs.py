"""The programs of a node: started inside its namespaces, told from others by the path of their binary."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.node import cgroups, spaces
from tests.node.settings import POLL_S, START_TIMEOUT_S, Node

from sparkrig.errors import OperationError

LOG_LINES = 8


def start(node: Node, name: str, *arguments: str) -> None:
    """Start a program of ``bin/`` inside the node, its output going to ``logs/<name>.log``; nothing when it runs."""
    if name in running(node):
        return
    environment = {
        # runc, the shim, nft and iptables are looked for here; the node's own first.
        "PATH": f"{node.folder / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
    }
    with (node.logs / f"{name}.log").open("ab") as log:
        # setsid's fork ends at once, and the program belongs to process 1 of the node.
        done = subprocess.run(
            spaces.command(node, "setsid", "--fork", str(node.folder / "bin" / name), *arguments),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
        )
    if done.returncode:
        raise failure(node, name, "cannot be started")


def link_binaries(node: Node, binaries: dict[str, Path]) -> None:
    """Link the binaries into the node's own ``bin/``: that path is what its processes are known by."""
    folder = node.folder / "bin"
    folder.mkdir(exist_ok=True)
    for name, binary in binaries.items():
        (folder / f"{name}.new").unlink(missing_ok=True)
        (folder / f"{name}.new").symlink_to(binary)
        (folder / f"{name}.new").replace(folder / name)


def running(node: Node) -> frozenset[str]:
    """The names of the node's programs that run, the control plane's among them."""
    return frozenset(pids(node))


def pids(node: Node) -> dict[str, int]:
    """Program -> its number in the machine's own count."""
    folders = {str(node.folder / "bin"), str(node.kwok / "bin")}
    found: dict[str, tuple[int, int]] = {}
    for pid in cgroups.processes(node.cgroup):
        try:
            program = os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0])
            began = int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
        except OSError:
            continue
        folder, _, name = program.rpartition("/")
        if folder in folders and name != "containerd-shim-runc-v2":
            # The first that began: a child bears its parent's arguments until it becomes another program.
            found[name] = min(found.get(name, (began, pid)), (began, pid))
    return {name: pid for name, (_, pid) in found.items()}


def wait_for(node: Node, what: str, ready: Callable[[], bool], seconds: float = START_TIMEOUT_S) -> None:
    """Wait until ``ready`` says so, or the program ``what`` has ended.

    Raises:
        OperationError: the time is over, or the program ended; carries the last lines of its log.
    """
    deadline = time.monotonic() + seconds
    seen = False
    while not ready():
        now = what in running(node)
        if seen and not now:
            raise failure(node, what, "ended")
        seen = seen or now
        if time.monotonic() > deadline:
            raise failure(node, what, f"is not ready after {seconds:.0f} s")
        time.sleep(POLL_S)


def failure(node: Node, name: str, what: str) -> OperationError:
    """The error for a program of the node, with the end of its log."""
    logs = [node.logs / f"{name}.log", node.kwok / "logs" / f"{name}.log"]
    log = next((file for file in logs if file.exists()), logs[0])
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
    except OSError:
        lines = []
    return OperationError(f"node {node.name}: {name} {what} (log: {log})", detail=lines)
