"""A node from nothing to ready and back: a page each, reads like the order in which things start.

Every step looks first and does only what is missing, so that ``up`` on a node that is up changes nothing, and on one
of which a part has died starts that part.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.node import cgroups, config, controlplane, gpus, loading, objects, programs, spaces
from tests.node.needs import lacks
from tests.node.settings import HERE, HOST_NAME, Node, cgroup_of, folder_of, home, read, write

from sparkrig import tools
from sparkrig.errors import InvalidInput, OperationError
from sparkrig.models.problem import Problem, Severity
from sparkrig.tools import Progress, ToolSettings, cache_dir

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwokctl")
ON_THE_NODE = ("kwok", "kubelet", "kube-proxy", "containerd", "containerd-shim-runc-v2", "ctr")
PROGRAMS = ("containerd", "kubelet", "kube-proxy", "kwok", "pretend-gpu")
"""Those that ``up`` starts and that must run; the control plane's are kwokctl's."""
IMAGES = ("pause", "coredns", "local-path-provisioner", "toolbox")
"""What every node has from the start."""


DEFAULT_GPUS = 2


class CannotRun(OperationError):
    """This machine cannot run a node; the message names every reason."""


@dataclass(frozen=True, slots=True)
class Status:
    """One look at a node."""

    node: Node
    running: tuple[str, ...]
    dead: tuple[str, ...]
    answers: bool
    """The API server says that it is ready."""

    @property
    def ok(self) -> bool:
        return self.answers and not self.dead


def prepare(on_progress: Progress) -> tuple[dict[str, Path], str]:
    """Make every binary and image ready that a node needs; minutes the first time, nothing later.

    Returns the binaries by name, and the version of Kubernetes.
    """
    found = {n: tools.find(n, on_progress=on_progress) for n in (*CONTROL_PLANE, *ON_THE_NODE)}
    ours = ToolSettings(
        cache_dir(), HERE, ToolSettings.from_environment().explicit, ToolSettings.from_environment().search_path
    )
    found["pretend-gpu"] = tools.find("pretend-gpu", settings=ours, on_progress=on_progress)
    loading.ensure(IMAGES, on_progress)
    return {name: tool.path.absolute() for name, tool in found.items()}, found["kube-apiserver"].version


def up(name: str, on_progress: Progress, count: int | None = None) -> Node:
    """Return the node of that name, running and ready; made, or its dead parts started, where needed.

    ``count`` is the number of pretend GPUs of a new node (default 2); another one for a node that exists is refused.

    Raises:
        CannotRun: this machine cannot; nothing was done.
        InvalidInput: the node exists with another number of GPUs, or the name is no name.
        OperationError: a program does not come up.
    """
    from sparkrig.clusters.sim.state import check_name

    check_name(name)
    reasons = lacks()
    if reasons:
        raise CannotRun(f"this machine cannot run a node: {'; '.join(reasons)}", hint="docs/node.md says what it needs")
    binaries, version = prepare(on_progress)
    with _locked(name, on_progress):
        node = _claimed(name, count)
        began = time.monotonic()

        def step(what: str) -> None:
            on_progress(f"node {name}: {what} ({time.monotonic() - began:.1f} s)")

        _start(node, binaries, version, step)
        step("ready")
    return node


def down(name: str, on_progress: Progress) -> bool:
    """End everything of the node and remove all of it; False when there was nothing.

    Needs no record: what a run left that was killed at any point is found by name.

    Raises:
        OperationError: something cannot be ended or removed; names it.
    """
    folder = folder_of(name)
    with _locked(name, on_progress):
        there = folder.exists() or bool(cgroups.folders(cgroup_of(name)))
        left = spaces.close_spaces(name, folder)
        left += cgroups.remove(cgroup_of(name))
        if left:
            raise OperationError(f"node {name}: not everything ended: {', '.join(left)}")
        with spaces.machine_locked():
            spaces.unlink(name)
            spaces.remove_mount_points()
        if folder.exists():
            shutil.rmtree(folder)
    return there


def status(name: str) -> Status | None:
    """Look at the node; None when there is none of that name."""
    node = read(name)
    if node is None:
        return None
    running = programs.running(node)
    wanted = (*controlplane.COMPONENTS, *PROGRAMS)
    dead = tuple(p for p in wanted if p not in running)
    return Status(
        node, tuple(p for p in wanted if p in running), dead, node.kubeconfig.exists() and controlplane.answers(node)
    )


def _claimed(name: str, count: int | None) -> Node:
    """The node as it was made, or a new one with its own addresses and folders; its namespaces are open."""
    node = read(name)
    if node is not None and count not in (None, node.gpus):
        text = f"node {name} exists with {node.gpus} GPUs, asked for {count}"
        hint = f"make node-down NODE={name} first, or choose another name"
        raise InvalidInput([Problem(Severity.ERROR, "cluster-differs", text, where="node-up", hint=hint)], text)
    with spaces.machine_locked():
        if node is None:
            node = spaces.claim(name, DEFAULT_GPUS if count is None else count)
            for folder in ("logs", "kubelet", "cni", "var-log", "sysctls", "config", "volumes"):
                (node.folder / folder).mkdir(parents=True, exist_ok=True)
            write(node)
        spaces.open_spaces(node)
    return node


def _start(node: Node, binaries: dict[str, Path], version: str, step: Callable[[str], None]) -> None:
    config.write(node)
    programs.link_binaries(node, binaries)
    if "containerd" not in programs.running(node):
        # Its socket is of the life before; nobody listens there.
        spaces.run(node, "rm", "-f", "/run/containerd/containerd.sock")
    programs.start(node, "containerd", "--config", f"{node.folder}/config/containerd.toml")
    step("starting the control plane")
    controlplane.bring_up(node, binaries, version)
    step("starting the node's programs")
    programs.start(node, "kube-proxy", "--config", f"{node.folder}/config/kube-proxy.json")
    _start_kwok(node)
    programs.wait_for(node, "containerd", lambda: loading.answers(node))
    loading.load(node, IMAGES)
    _start_kubelet(node)
    gpus.start(node)
    objects.furnish(node)
    step("waiting until its pods are ready")
    objects.wait_until_ready(node)


def _start_kwok(node: Node) -> None:
    nobody = "--manage-nodes-with-annotation-selector=sparkrig.dev/played=true"
    stages, server = f"{node.folder}/config/stages.yaml", "127.0.0.1:10247"
    programs.start(
        node, "kwok", f"--kubeconfig={node.kubeconfig}", f"--config={stages}", "--manage-all-nodes=false", nobody,
        f"--server-address={server}",
    )  # fmt: skip


def _start_kubelet(node: Node) -> None:
    arguments = {
        "config": f"{node.folder}/config/kubelet.json",
        "kubeconfig": str(node.kubeconfig),
        "node-ip": node.ip,
        "hostname-override": HOST_NAME,
    }
    programs.start(node, "kubelet", *(f"--{key}={value}" for key, value in arguments.items()))


@contextmanager
def _locked(name: str, on_progress: Progress) -> Iterator[None]:
    """Hold the lock of one node; the system frees it when its holder dies."""
    from filelock import FileLock, Timeout

    home().mkdir(parents=True, exist_ok=True)
    lock = FileLock(home() / f".{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_progress(f"node {name}: waiting for another run that works on it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def describe(found: Status) -> str:
    """A status as JSON, for ``node-status``."""
    node = found.node
    return json.dumps(
        {
            "name": node.name,
            "ready": found.ok,
            "running": found.running,
            "dead": found.dead,
            "kubeconfig": str(node.kubeconfig),
            "server": node.server,
            "address": node.ip,
            "services": node.services,
            "gpus": gpus.read(node),
            "logs": str(node.logs),
        },
        indent=2,
    )
