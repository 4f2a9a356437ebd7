"""A receiver of alerts on the machine, which the node's pods reach: what an on-call service gets."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.node.settings import Node


@dataclass
class Receiver:
    """Messages as they came: the path they were sent to, and Alertmanager's JSON."""

    address: str
    """``http://HOST:PORT``, for a pod."""
    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def alerts(self, path: str, name: str) -> list[dict[str, Any]]:
        """The alerts of that name that came to a path, oldest first."""
        return [
            alert
            for to, message in list(self.messages)
            for alert in message["alerts"]
            if to == path and alert["labels"].get("alertname") == name
        ]


@contextmanager
def receiving(node: Node) -> Iterator[Receiver]:
    """Listen at the machine's end of the node's link, from ``with`` to its end."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            receiver.messages.append((self.path, message))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """The messages are what is looked at."""

    server = http.server.ThreadingHTTPServer((node.host_ip, 0), Handler)
    receiver = Receiver(f"http://{node.host_ip}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
