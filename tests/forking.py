"""``python -m sparkrig`` as a process of its own, forked from one that has imported everything.

A command of a test spends half of its time on imports. Here one server for each test worker imports once, and each
command is a fork of it: with its own environment, folder and output, and ended as an interpreter ends. Tests of
signals, of the start itself and of closed streams start a fresh interpreter instead (``World.start``).
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

INSTALLER = Path(__file__).parents[1] / "installer"
REQUEST_BYTES = 1 << 20


def run(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], timeout_s: float
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``sparkrig ARGUMENTS``; a code below 0 is a signal.

    Raises:
        TimeoutError: it did not end in time; it was killed.
    """
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel,
    ):
        channel.connect(_server())
        request = {"arguments": list(arguments), "folder": str(folder), "environment": dict(environment)}
        socket.send_fds(channel, [json.dumps(request).encode()], [out.fileno(), err.fileno()])
        pid = int(channel.recv(64))
        channel.settimeout(timeout_s)
        try:
            code = os.waitstatus_to_exitcode(int(channel.recv(64)))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
        return code, texts[0], texts[1]


@functools.cache
def _server() -> str:
    """The address of this worker's server, started when it is first needed."""
    folder = tempfile.mkdtemp(prefix="forking-")
    address = f"{folder}/socket"
    environment = {**os.environ, "PYTHONPATH": str(INSTALLER), "PYTHONWARNINGS": "error"}
    process = subprocess.Popen(
        [sys.executable, __file__, address], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n", "the server of forks did not start"
    atexit.register(process.kill)
    return address


def _import_all() -> None:
    import sparkrig

    for module in pkgutil.walk_packages(sparkrig.__path__, "sparkrig."):
        if not module.name.endswith("__main__"):
            import_module(module.name)


def serve(address: str) -> None:
    """Forks a command for each connection, until the worker that started the server is gone."""
    _import_all()
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who waits for a command is a fork of its own
        os.write(1, b"ready\n")
        # The worker holds the other end of standard input; it closes when the worker ends, however it ends.
        while listener in select.select([0, listener], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _wait_for_command(connection)
            connection.close()


def _wait_for_command(connection: socket.socket) -> None:
    """In a fork: starts the command, reports its process id and then how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    data, descriptors, _, _ = socket.recv_fds(connection, REQUEST_BYTES, 2)
    pid = os.fork()
    if pid == 0:
        connection.close()
        _become(json.loads(data), *descriptors)
    connection.send(str(pid).encode())
    _, status = os.waitpid(pid, 0)
    connection.send(str(status).encode())
    os._exit(0)


def _become(request: Mapping[str, Any], out: int, err: int) -> None:
    """In a fork of the fork: is the command from here on; never returns."""
    from sparkrig.cli.app import main

    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.closerange(3, 64)
    sys.stdin, sys.stdout, sys.stderr = (open(n, "w" if n else "r", closefd=False) for n in range(3))  # noqa: SIM115
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["sparkrig", *request["arguments"]]
    main()


if __name__ == "__main__":
    serve(sys.argv[1])
