"""Starts the control plane through kwokctl and tells whether it lives."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparkrig.clusters.sim.config import kwokctl_environment
from sparkrig.clusters.sim.processes import COMPONENTS, drop_stale_pid_files, running
from sparkrig.clusters.sim.state import Record, cluster_dir, home
from sparkrig.defaults import API_CONNECT_TIMEOUT_S, SIM_KILL_WAIT_S, SIM_READY_TIMEOUT_S
from sparkrig.errors import OperationError

RESTARTS = 3
"""The controller manager gives up when the API server is not there within ten seconds, on a machine that is busy."""
SERVERS = ("etcd", "kube-apiserver")
POLL_S = 0.1
LOG_LINES = 8


class NotUp(OperationError):
    """The control plane does not come up; ``port_taken`` when another process has one of its ports."""

    port_taken: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """One look at a control plane."""

    running: tuple[str, ...]
    dead: tuple[str, ...]
    """Components without a process."""
    answers: bool
    """The API server says that it is ready."""

    @property
    def ok(self) -> bool:
        """True when every component runs and the API server is ready."""
        return self.answers and not self.dead


def idle_program() -> str:
    """Return a program that does nothing and succeeds."""
    return shutil.which("true") or "/usr/bin/true"


def look(record: Record) -> Health:
    """Look at the processes and ask the API server; takes milliseconds, three seconds at most."""
    alive = {process.component for process in running(cluster_dir(record.name))}
    dead = tuple(c for c in COMPONENTS if c not in alive)
    return Health(tuple(c for c in COMPONENTS if c in alive), dead, "kube-apiserver" in alive and _ready(record))


def kwokctl(record: Record, *arguments: str) -> None:
    """Run kwokctl for this cluster, in a process group of its own, ended when we are interrupted.

    Raises:
        OperationError: it fails; carries its last lines.
    """
    what = f"kwokctl {' '.join(arguments)}"
    command = [record.binaries["kwokctl"], "--name", record.name, *arguments]
    log = home() / "records" / f"{record.name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            env=kwokctl_environment(home()),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(SIM_READY_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise OperationError(
                f"kwokctl {' '.join(arguments)} took longer than {SIM_READY_TIMEOUT_S:.0f} s"
            ) from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if code:
        raise OperationError(f"{what} failed (exit {code})", detail=_tail(log))


def bring_up(record: Record) -> None:
    """Start what does not run and wait until all of it runs and the API server is ready.

    Raises:
        NotUp: a component keeps dying, or the time is over; carries the last lines of its log.
    """
    folder = cluster_dir(record.name)
    deadline = time.monotonic() + SIM_READY_TIMEOUT_S
    if set(SERVERS) & set(look(record).dead):
        _end_controllers(folder)
    for attempt in range(RESTARTS + 1):
        drop_stale_pid_files(folder, running(folder))
        if attempt or look(record).dead:
            kwokctl(record, "start", "cluster")
        health = wait_until_up(record, deadline)
        if health.ok:
            return
        if not health.dead or time.monotonic() > deadline or _port_taken(folder, health.dead):
            break
    raise _not_up(record, health)


def _end_controllers(folder: Path) -> None:
    """End what lost its API server, so that it is started with it.

    Left running, each of their watches asks again at intervals that grow to a minute (client-go's reflector: 30 s
    and as much jitter): after 20 s without an API server it took 31 to 61 s more until a Job got its pod, 34 to 69 s
    until it was done. Anew they work at once, and they keep nothing that could be lost.
    """
    for process in running(folder):
        if process.component not in SERVERS:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + SIM_KILL_WAIT_S
    while any(p.component not in SERVERS for p in running(folder)) and time.monotonic() < deadline:
        time.sleep(POLL_S)


def wait_until_up(record: Record, deadline: float) -> Health:
    """Wait until the control plane is up, a component is dead, or the time is over, whichever comes first."""
    while True:
        health = look(record)
        if health.ok or health.dead or time.monotonic() > deadline:
            return health
        time.sleep(POLL_S)


def _ready(record: Record) -> bool:
    pki = cluster_dir(record.name) / "pki"
    try:
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        connection = http.client.HTTPSConnection(
            "127.0.0.1", record.ports["apiserver"], timeout=API_CONNECT_TIMEOUT_S, context=context
        )
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):
        # Also somebody else's server on our port: its certificate is not of our authority.
        return False


def _not_up(record: Record, health: Health) -> NotUp:
    folder = cluster_dir(record.name)
    suspects = health.dead or ("kube-apiserver",)
    what = f"{' and '.join(health.dead)} ended" if health.dead else "the API server is not ready"
    detail = [f"{name}: {line}" for name in suspects for line in _tail(folder / "logs" / f"{name}.log")]
    error = NotUp(
        f"the control plane of sim:{record.name} does not come up: {what} (logs: {folder / 'logs'})",
        hint=f"sparkrig cluster delete --on sim:{record.name}, then create it again",
        detail=detail,
    )
    error.port_taken = _port_taken(folder, suspects)
    return error


def _port_taken(folder: Path, components: Sequence[str]) -> bool:
    lines = [line for name in components for line in _tail(folder / "logs" / f"{name}.log")]
    return any("address already in use" in line for line in lines)


def _tail(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
    except OSError:
        return []
