"""A network between sparkrig and an API server that a test can lose: a TCP proxy on loopback."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import yaml

Mode = Literal["open", "black", "cut"]
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing sends a reset."""


class Proxy:
    """Forwards connections to an API server, while it is ``open``.

    ``black``: connections are accepted and stay, nothing goes through in either direction; what was sent meanwhile
    arrives when it is open again, as after a lost route. ``cut``: connections are reset, new ones too.
    """

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        document = yaml.safe_load(kubeconfig.read_text())
        cluster = document["clusters"][0]["cluster"]
        parts = urlsplit(cluster["server"])
        self._target = (str(parts.hostname), int(parts.port or 443))
        self._listener = socket.create_server(("127.0.0.1", 0))
        cluster["server"] = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self.kubeconfig = folder / "proxied-kubeconfig"
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(yaml.safe_dump(document))
        self._mode: Mode = "open"
        self._changed = threading.Condition()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._closed = False
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def become(self, mode: Mode) -> None:
        """Changes the network from now on."""
        with self._changed:
            self._mode = mode
            pairs = list(self._pairs) if mode == "cut" else []
            self._changed.notify_all()
        for pair in pairs:
            _reset(*pair)

    def close(self) -> None:
        """Ends every connection."""
        self._closed = True
        self.become("cut")
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._mode == "cut":
                _reset(client)
                continue
            try:
                server = socket.create_connection(self._target, timeout=5)
            except OSError:
                _reset(client)
                continue
            server.settimeout(None)
            pair = (client, server)
            with self._changed:
                self._pairs.add(pair)
            threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._mode != "black")
                ready, _, _ = select.select([client, server], [], [], 0.2)
                for source in ready:
                    with self._changed:
                        self._changed.wait_for(lambda: self._mode != "black")
                    data = source.recv(65536)
                    if not data:
                        return
                    other[source].sendall(data)
        except (OSError, ValueError):  # the other side is gone, or become() closed both
            return
        finally:
            with self._changed:
                self._pairs.discard((client, server))
            for end in (client, server):
                with contextlib.suppress(OSError):
                    end.close()


def _reset(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it
        with contextlib.suppress(OSError):
            end.close()


@contextlib.contextmanager
def proxied(kubeconfig: Path, folder: Path) -> Iterator[Proxy]:
    """A proxy before the API server of a kubeconfig, for as long as the block runs."""
    proxy = Proxy(kubeconfig, folder)
    try:
        yield proxy
    finally:
        proxy.close()
