"""The control plane of a node: kwokctl starts etcd, the API server, the controller manager and the scheduler."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from tests.node import config, programs, spaces
from tests.node.settings import POLL_S, START_TIMEOUT_S, Node

from sparkrig.errors import SparkrigError
from sparkrig.kube.client import KubeApi
from sparkrig.models.cluster import ClusterHandle

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
RESTARTS = 3
"""The controller manager gives up when the API server is not there within ten seconds, on a machine that is busy."""


def bring_up(node: Node, binaries: dict[str, Path], version: str) -> None:
    """Make the control plane, or start what of it does not run, and wait until the API server is ready.

    Raises:
        OperationError: a component keeps ending, or the time is over; carries the last lines of its log.
    """
    if not (node.folder / "control-plane-made").exists():
        _make(node, binaries, version)
    config.write_kubeconfig(node)
    deadline = time.monotonic() + START_TIMEOUT_S * 2
    for _ in range(RESTARTS + 1):
        if missing(node):
            _drop_stale_pid_files(node)
            _kwokctl(node, "start", "cluster")
        if _settled(node, deadline):
            return
        if time.monotonic() > deadline:
            break
    raise programs.failure(node, next(iter(missing(node)), "kube-apiserver"), "does not come up")


def missing(node: Node) -> tuple[str, ...]:
    """The components that do not run."""
    running = programs.running(node)
    return tuple(component for component in COMPONENTS if component not in running)


def api_of(node: Node) -> KubeApi:
    """A client of the node's API server; close it."""
    return KubeApi(ClusterHandle("context", node.context, node.kubeconfig, node.context, simulated=False))


def answers(node: Node) -> bool:
    """Tell whether the API server says that it is ready."""
    try:
        api = api_of(node)
    except SparkrigError:
        return False
    try:
        return api.request("GET", "/readyz", timeout_s=3)["message"] == "ok"
    except SparkrigError:
        return False
    finally:
        api.close()


def _make(node: Node, binaries: dict[str, Path], version: str) -> None:
    import shutil

    # What a killed run left half made is not trusted: its keys may be missing.
    if missing(node) == COMPONENTS:
        shutil.rmtree(node.kwok, ignore_errors=True)
    file = node.folder / "config" / "kwokctl.json"
    paths = {name: str(path) for name, path in binaries.items()}
    file.write_text(json.dumps(config.control_plane(node, paths, version), indent=2), encoding="utf-8")
    if not (node.kwok / "pki" / "admin.crt").exists():
        _kwokctl(node, "--config", str(file), "create", "cluster", "--kubeconfig", "", "--wait", "0")
    (node.folder / "control-plane-made").touch()


def _kwokctl(node: Node, *arguments: str) -> None:
    words = [str(node.folder / "bin" / "kwokctl"), "--name", node.name, *arguments]
    # The PATH is empty so that kwokctl finds no kubectl of this machine.
    environment = {"KWOK_WORKDIR": str(node.folder / "kwok"), "PATH": "", "HOME": "/root"}
    with (node.logs / "kwokctl.log").open("ab") as log:
        done = subprocess.run(
            spaces.command(node, *words),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            timeout=START_TIMEOUT_S * 2,
        )
    if done.returncode:
        raise programs.failure(node, "kwokctl", f"{' '.join(arguments)} failed (exit {done.returncode})")


def _settled(node: Node, deadline: float) -> bool:
    """Wait until all run and the API server is ready (True), one has ended, or the time is over."""
    while not missing(node) and time.monotonic() < deadline:
        if answers(node):
            return True
        time.sleep(POLL_S)
    return False


def _drop_stale_pid_files(node: Node) -> None:
    """kwokctl takes a file with a number for a program that runs; the numbers are those inside the node."""
    alive = programs.running(node)
    for file in (node.kwok / "pids").glob("*.pid"):
        if file.stem not in alive:
            file.unlink(missing_ok=True)
