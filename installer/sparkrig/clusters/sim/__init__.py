"""The provider ``sim``: a real control plane on this machine with nodes and pods simulated by KWOK.

kube-apiserver, etcd, controller-manager, scheduler and kwok listen on loopback only, on ports of their own; no root,
no container engine. Volumes, load balancers and pods are played by the Stages in stages.yaml.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from typing import Literal

from sparkrig.clusters.info import ClusterInfo
from sparkrig.clusters.mark import write_mark
from sparkrig.clusters.sim import config, controlplane, processes, state
from sparkrig.clusters.sim.controlplane import Health, NotUp
from sparkrig.clusters.sim.state import Record, SimOptions, known_names
from sparkrig.defaults import SIM_READY_TIMEOUT_S
from sparkrig.errors import ClusterUnreachable, InvalidInput, NotFound, OperationError
from sparkrig.kube.client import KubeApi
from sparkrig.kube.errors import ApiError
from sparkrig.models.cluster import ClusterHandle
from sparkrig.models.json import JsonObject, conditions_of, dig
from sparkrig.models.problem import Problem, Severity
from sparkrig.tools import Progress, ToolSettings, find
from sparkrig.tools.model import StopCheck, never, quiet

TOOLS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kwokctl")
"""Without kubectl: nothing here needs it."""
PORT_TRIES = 3

__all__ = [
    "TOOLS",
    "Health",
    "SimOptions",
    "create",
    "delete",
    "exists",
    "handle",
    "health",
    "kubeconfig_path",
    "list_clusters",
    "require_running",
    "start",
]


def create(
    name: str,
    options: SimOptions | None = None,
    *,
    on_progress: Progress = quiet,
    settings: ToolSettings | None = None,
    stop: StopCheck = never,
) -> ClusterHandle:
    """Return a running cluster of that name, made or started where needed.

    ``options`` of None means: as it is, or the defaults for a new one. Takes four seconds, and minutes when tools
    must be built first.

    Raises:
        InvalidInput: the name is no name, a Stage file is missing, or the cluster exists with other options.
        ToolError: a binary can neither be found nor made.
        OperationError: the control plane does not come up.
    """
    state.check_name(name)
    wanted = _checked(options)
    with state.locked(name, on_progress):
        record = state.read_record(name)
        if record is not None and record.status == "ready":
            _refuse_other_options(record, wanted)
            if not controlplane.look(record).ok:
                on_progress(f"sim:{name}: starting it again")
                _start(record)
            return handle(name)
        _remove(name)
        binaries, version = _binaries(settings, on_progress, stop)
        record = _make(name, wanted or SimOptions(), binaries, version, on_progress)
        _furnish(record)
        state.write_record(state.with_status(record, "ready"))
    return handle(name)


def exists(name: str) -> bool:
    """Tell whether there is a finished cluster of that name, running or not."""
    record = state.read_record(name)
    return record is not None and record.status == "ready"


def handle(name: str) -> ClusterHandle:
    """Return how to reach the cluster, without looking whether it runs.

    Raises:
        NotFound: there is none of that name.
    """
    _known(name)
    return ClusterHandle("sim", name, state.kubeconfig_file(name), f"sim-{name}", simulated=True)


def kubeconfig_path(name: str) -> str:
    """Return the path of the cluster's kubeconfig. Raises NotFound like ``handle``."""
    return str(handle(name).kubeconfig)


def health(name: str) -> Health:
    """Look at the cluster's processes and ask its API server. Raises NotFound like ``handle``."""
    return controlplane.look(_known(name))


def require_running(name: str) -> ClusterHandle:
    """Return the handle of a cluster whose control plane lives.

    Raises:
        NotFound: there is none of that name.
        ClusterUnreachable: it is stopped or partly dead; says how to start it again.
    """
    record = _known(name)
    now = controlplane.look(record)
    if not now.ok:
        raise ClusterUnreachable(
            _complaint(record, now), hint=f"start it again: sparkrig cluster create --on sim:{name}"
        )
    return handle(name)


def start(name: str, *, on_progress: Progress = quiet) -> ClusterHandle:
    """Start the components of a cluster that do not run, and wait until it answers.

    Raises:
        NotFound: there is none of that name.
        OperationError: it does not come up.
    """
    _known(name)
    with state.locked(name, on_progress):
        _start(_known(name))
    return handle(name)


def list_clusters() -> tuple[ClusterInfo, ...]:
    """Return all clusters of this machine, in the order of their names."""
    return tuple(_described(name) for name in known_names())


def delete(name: str, *, on_progress: Progress = quiet) -> bool:
    """End every process of the cluster and remove all of its files; False when there was none.

    Raises:
        OperationError: a process cannot be ended.
    """
    state.check_name(name)
    if name not in known_names():
        return False
    with state.locked(name, on_progress):
        _remove(name)
    return True


# --------------------------------------------------------------------------- making


def _make(name: str, options: SimOptions, binaries: dict[str, str], version: str, on_progress: Progress) -> Record:
    on_progress(f"sim:{name}: starting Kubernetes {version}")
    for attempt in range(1, PORT_TRIES + 1):
        record = Record(name, "creating", options, version, state.pick_ports(), binaries)
        state.write_record(record)
        try:
            _run_create(record)
            return record
        except NotUp as error:
            processes.kill_all(state.cluster_dir(name))
            if not error.port_taken or attempt == PORT_TRIES:
                raise
            on_progress(f"sim:{name}: another process took a port, choosing again")
            _remove(name)
        except BaseException:
            processes.kill_all(state.cluster_dir(name))
            raise
    raise AssertionError("the loop above returns or raises")


def _run_create(record: Record) -> None:
    file = state.home() / "records" / f"{record.name}.kwok.yaml"
    policy = file.with_suffix(".audit.yaml")
    if record.options.audit:
        policy.write_text(config.AUDIT_POLICY, encoding="utf-8")
    audit = str(policy) if record.options.audit else ""
    if record.options.egress:
        config.egress_file(record).write_text(config.egress_config(record.options.egress), encoding="utf-8")
    file.write_text(config.kwokctl_config(record, controlplane.idle_program(), audit), encoding="utf-8")
    controlplane.kwokctl(record, "--config", str(file), "create", "cluster", "--kubeconfig", "")
    controlplane.bring_up(record)
    server = f"https://127.0.0.1:{record.ports['apiserver']}"
    target = state.kubeconfig_file(record.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch(mode=0o600)
    target.write_text(config.kubeconfig(record.name, server, state.cluster_dir(record.name) / "pki"), encoding="utf-8")


def _furnish(record: Record) -> None:
    """Apply the first objects, and wait until the nodes are ready and service accounts are made."""
    api = KubeApi(handle(record.name))
    try:
        for manifest in config.first_objects(record):
            api.apply(manifest)
        write_mark(api, test_cluster=True)
        deadline = time.monotonic() + SIM_READY_TIMEOUT_S
        while not _furnished(api):
            if time.monotonic() > deadline:
                logs = state.cluster_dir(record.name) / "logs"
                raise OperationError(f"the nodes of sim:{record.name} do not become ready (logs: {logs})")
            time.sleep(controlplane.POLL_S)
    finally:
        api.close()


def _furnished(api: KubeApi) -> bool:
    try:
        account = api.get("/api/v1/namespaces/default/serviceaccounts/default", missing_ok=True)
        nodes = api.list("/api/v1/nodes")
    except ApiError:
        return False
    return account is not None and all(_schedulable(node) for node in nodes)


def _schedulable(node: JsonObject) -> bool:
    """Ready, and the node controller has taken the taint of a new node away."""
    conditions = {c["type"]: c["status"] for c in conditions_of(node)}
    return conditions.get("Ready") == "True" and not dig(node, "spec", "taints")


def _binaries(settings: ToolSettings | None, on_progress: Progress, stop: StopCheck) -> tuple[dict[str, str], str]:
    settings = settings or ToolSettings.from_environment()
    found = {name: find(name, settings=settings, on_progress=on_progress, stop=stop) for name in TOOLS}
    return {name: str(tool.path.absolute()) for name, tool in found.items()}, found["kube-apiserver"].version


def _start(record: Record) -> None:
    gone = [path for path in record.binaries.values() if not os.access(path, os.X_OK)]
    if gone:
        raise OperationError(
            f"sim:{record.name} cannot start: its binary {gone[0]} is gone",
            hint=f"sparkrig cluster delete --on sim:{record.name}, then create it again",
        )
    controlplane.bring_up(record)


def _remove(name: str) -> None:
    folder = state.cluster_dir(name)
    left = processes.kill_all(folder)
    if left:
        names = ", ".join(f"{p.component} ({p.pid})" for p in left)
        raise OperationError(f"sim:{name}: these processes do not end: {names}")
    if folder.exists():
        shutil.rmtree(folder)
    for extra in (state.home() / "records").glob(f"{name}.*"):
        if extra.name in {f"{name}.{ending}" for ending in config.RECORD_FILES}:
            extra.unlink(missing_ok=True)
    state.forget(name)


# --------------------------------------------------------------------------- looking


def _known(name: str) -> Record:
    record = state.read_record(name)
    if record is not None:
        return record
    names = known_names()
    hint = f"clusters there: {', '.join(f'sim:{n}' for n in names)}; " if names else ""
    raise NotFound(
        f"there is no simulated cluster {name!r} on this machine",
        hint=f"{hint}make it: sparkrig cluster create --on sim:{name}",
    )


def _described(name: str) -> ClusterInfo:
    try:
        record = _known(name)
    except (OperationError, NotFound):
        fix = f"what is left of sim:{name} cannot be used: sparkrig cluster delete --on sim:{name}"
        return ClusterInfo("sim", name, "broken", message=fix)
    now = controlplane.look(record)
    nodes = record.options.cpu_nodes + record.options.gpu_nodes
    running = ClusterInfo("sim", name, "running", record.kubernetes, nodes, state.kubeconfig_file(name))
    if now.ok and record.status == "ready":
        return running
    word: Literal["unfinished", "broken", "stopped"]
    word = "unfinished" if record.status == "creating" else "broken" if now.running else "stopped"
    fix = f"start it again: sparkrig cluster create --on sim:{name}"
    return dataclasses.replace(running, state=word, message=f"{_complaint(record, now)}; {fix}")


def _complaint(record: Record, now: Health) -> str:
    if record.status == "creating":
        return f"sim:{record.name} was never finished"
    if not now.running:
        return f"sim:{record.name} is stopped"
    if now.dead:
        return f"the control plane of sim:{record.name} is incomplete: {' and '.join(now.dead)} ended"
    return f"the API server of sim:{record.name} runs, but does not say that it is ready"


def _checked(options: SimOptions | None) -> SimOptions | None:
    if options is None:
        return None
    problems = [
        Problem(Severity.ERROR, "out-of-range", f"{what} is {value}, expected 0 or more", where="cluster create")
        for what, value in (("cpu_nodes", options.cpu_nodes), ("gpu_nodes", options.gpu_nodes))
        if value < 0
    ]
    problems += [
        Problem(Severity.ERROR, "missing-file", f"there is no Stage file {file}", where="cluster create")
        for file in options.stages
        if not file.is_file()
    ]
    if problems:
        raise InvalidInput(problems)
    return options


def _refuse_other_options(record: Record, wanted: SimOptions | None) -> None:
    if wanted is None or wanted == record.options:
        return
    fields = ("cpu_nodes", "gpu_nodes", "gpus_per_node", "webhooks", "audit", "stages", "egress")
    problems = [
        Problem(
            Severity.ERROR,
            "cluster-differs",
            f"sim:{record.name} exists with {field}={has}, asked for {asked}",
            where="cluster create",
            hint=f"delete it first (sparkrig cluster delete --on sim:{record.name}), or choose another name",
        )
        for field in fields
        if (has := getattr(record.options, field)) != (asked := getattr(wanted, field))
    ]
    raise InvalidInput(problems, f"sim:{record.name} exists with other options")
