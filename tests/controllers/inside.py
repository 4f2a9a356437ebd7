"""The first process of a pod's namespaces: sets up its network, starts the program, relays connections.

Run as ``unshare … python inside.py SPEC``; standard library only, and nothing of the tests is importable here. SPEC is
the JSON that ``process.py`` writes. The namespaces have no network but loopback, and two Unix sockets lead out and in:

* a listener at the API server's Service address passes each connection on to ``api`` (out);
* each connection to ``inlet`` begins with ``PORT\\n`` and is passed on to that port of the pod's address (in). The
  answer is ``+``, or ``-`` where nobody listens.

End of standard input means: terminate the program, kill it after ``grace`` seconds. So it also ends with its starter.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import Any

SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8914, 0x8916, 0x891C
IFF_UP = 1
CHUNK = 65536


def main(spec: dict[str, Any]) -> int:
    """Run the program to its end and return its exit code, 128 + N where signal N ended it."""
    socket.sethostname(spec["hostname"])
    _interface("lo", SIOCSIFFLAGS, struct.pack("h", IFF_UP))
    for number, address in enumerate((spec["address"], spec["service"][0])):
        name = f"lo:{number}"
        _interface(name, SIOCSIFADDR, _inet(address))
        _interface(name, SIOCSIFNETMASK, _inet("255.255.255.255"))
    out = socket.create_server(tuple(spec["service"]))
    inlet = socket.socket(socket.AF_UNIX)
    inlet.bind(spec["inlet"])
    inlet.listen(64)
    child = os.fork()
    if not child:
        _become(spec)
    ended: list[int] = []
    threading.Thread(target=_stop_at_end_of_input, args=(child, spec["grace"], ended), daemon=True).start()
    threading.Thread(target=lambda: asyncio.run(_relay(spec, out, inlet)), daemon=True).start()
    while not ended:
        pid, status = os.wait()  # as process 1 it is also given orphans
        if pid == child:
            ended.append(os.waitstatus_to_exitcode(status))
    return ended[0] if ended[0] >= 0 else 128 - ended[0]


def _become(spec: dict[str, Any]) -> None:
    """Turn this process into the program, in a root folder of its own."""
    try:
        os.chroot(spec["root"])
        os.chdir("/")
        os.execve(spec["command"][0], spec["command"], spec["environment"])
    except OSError as error:
        print(f"{spec['command'][0]} cannot be started: {error}", file=sys.stderr, flush=True)
    os._exit(127)


def _stop_at_end_of_input(child: int, grace: float, ended: list[int]) -> None:
    sys.stdin.buffer.read()
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGTERM)
        threading.Event().wait(grace)
        if not ended:
            os.kill(child, signal.SIGKILL)


async def _relay(spec: dict[str, Any], out: socket.socket, inlet: socket.socket) -> None:
    async def outward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_unix_connection(spec["api"])
        except OSError:
            writer.close()
            return
        await _join((reader, writer), there)

    async def inward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = int(await reader.readline() or 0)
        try:
            there = await asyncio.open_connection(spec["address"], port)
        except OSError:
            writer.write(b"-")
            writer.close()
            return
        writer.write(b"+")
        await _join((reader, writer), there)

    servers = await asyncio.start_server(outward, sock=out), await asyncio.start_unix_server(inward, sock=inlet)
    await asyncio.gather(*(server.serve_forever() for server in servers))


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _join(here: Stream, there: Stream) -> None:
    await asyncio.gather(_copy(here[0], there[1]), _copy(there[0], here[1]))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()


def _interface(name: str, request: int, data: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, request, struct.pack("16s24s", name.encode(), data))


def _inet(address: str) -> bytes:
    return struct.pack("=HH4s", socket.AF_INET, 0, socket.inet_aton(address))


if __name__ == "__main__":
    specification = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    # Daemon threads hold sockets open: nothing is to be waited for.
    os._exit(main(specification))
