"""One container as a process: in namespaces and a root folder of its own, reached through a Unix socket."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.controllers.files import API_HOST
from tests.controllers.recipes import Program

UNSHARE = ("unshare", "--user", "--map-root-user", "--net", "--uts", "--pid", "--fork", "--kill-child")
"""Needs no root: the user namespace gives the rights over the other ones."""
INSIDE = Path(__file__).with_name("inside.py")
GRACE_S = 5.0
"""Between SIGTERM and SIGKILL: controllers give back their lease and end within one."""
SOCKET_S = 5.0


def why_no_namespaces() -> str:
    """Return why processes cannot have namespaces of their own on this machine; empty where they can."""
    if shutil.which(UNSHARE[0]) is None:
        return "there is no unshare on this machine (Linux, package util-linux)"
    done = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True)
    return f"this user cannot have user namespaces: {done.stderr.strip()}" if done.returncode else ""


@dataclass(frozen=True)
class Network:
    """What a pod has of a network."""

    address: str
    """The pod's own."""
    service: tuple[str, int]
    """Where the pod reaches the API server."""
    api: Path
    """Socket outside that leads to the API server."""


@dataclass(frozen=True)
class Started:
    """A process that was started; ``root`` is its root folder."""

    process: subprocess.Popen[bytes]
    inlet: Path

    @property
    def code(self) -> int | None:
        """The exit code, or None while it runs."""
        return self.process.poll()

    def program(self) -> int:
        """Return the program's process id here: it is the child of the namespaces' process 1, unshare's child.

        Raises:
            ProcessLookupError: it has ended, or has not been started yet.
        """
        pid = self.process.pid
        for _ in range(2):
            children = Path(f"/proc/{pid}/task/{pid}/children")
            found = children.read_text(encoding="ascii").split() if children.exists() else []
            if not found:
                raise ProcessLookupError(f"process {self.process.pid} runs no program")
            pid = int(found[0])
        return pid

    def stop(self) -> int:
        """Terminate the program, kill it where that takes too long; returns its exit code."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            return self.process.wait(GRACE_S + 2)
        except subprocess.TimeoutExpired:
            self.process.kill()  # takes process 1 of the namespace along, and with it everything
            return self.process.wait()

    def connect(self, port: int) -> socket.socket:
        """Return a connection to a port of the pod.

        Raises:
            OSError: nobody listens there, or the process has ended.
        """
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(SOCKET_S)
            connection.connect(str(self.inlet))
            connection.sendall(b"%d\n" % port)
            if connection.recv(1) != b"+":
                raise ConnectionRefusedError(f"nobody listens at port {port}")
            connection.settimeout(None)
        except BaseException:
            connection.close()
            raise
        return connection


def start(
    folder: Path, program: Program, arguments: Sequence[str], environment: dict[str, str], hostname: str, net: Network
) -> Started:
    """Start a program with ``folder/root`` as its root folder; its output is appended to ``folder/log``."""
    root = folder / "root"
    inside = Path("/usr/bin") / program.binary.name
    _put(program.binary, root / str(inside).lstrip("/"))
    for target, source in program.files.items():
        _put(source, root / target.lstrip("/"))
    (root / "tmp").mkdir(parents=True, exist_ok=True)
    (root / "etc").mkdir(exist_ok=True)
    hosts = f"127.0.0.1 localhost\n{net.address} {hostname}\n{net.service[0]} {API_HOST}\n"
    (root / "etc" / "hosts").write_text(hosts, encoding="utf-8")
    inlet = folder / "in"
    inlet.unlink(missing_ok=True)
    spec: dict[str, Any] = {
        "hostname": hostname,
        "address": net.address,
        "service": net.service,
        "api": str(net.api),
        "inlet": str(inlet),
        "root": str(root),
        "command": [str(inside), *arguments],
        "environment": environment,
        "grace": GRACE_S,
    }
    file = folder / "spec.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(spec), encoding="utf-8")
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [*UNSHARE, sys.executable, "-I", "-S", str(INSIDE), str(file)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the tests, which then end it
        )
    return Started(process, inlet)


def _put(source: Path, target: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
        return
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
