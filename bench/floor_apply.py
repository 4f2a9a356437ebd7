"""The floor: objects that were rendered beforehand, by server-side apply over 8 connections. No order but CRDs first.

Usage: python floor_apply.py KUBECONFIG OBJECTS.json
"""

from __future__ import annotations

import http.client
import json
import ssl
import sys
import tempfile
import threading
import time
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CONNECTIONS = 8
LOCAL = threading.local()


class Server:
    """The API server that a kubeconfig of a simulated cluster names."""

    def __init__(self, kubeconfig: Path) -> None:
        document = json.loads(kubeconfig.read_text())
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        self.address = urlsplit(cluster["server"])
        self.tls = ssl.create_default_context(cadata=b64decode(cluster["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(b64decode(user["client-certificate-data"]) + b64decode(user["client-key-data"]))
            pair.flush()
            self.tls.load_cert_chain(pair.name)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        if not hasattr(LOCAL, "connection"):
            LOCAL.connection = http.client.HTTPSConnection(
                str(self.address.hostname), self.address.port, context=self.tls, timeout=60
            )
        headers = {"Content-Type": "application/apply-patch+yaml"} if body is not None else {}
        LOCAL.connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = LOCAL.connection.getresponse()
        said = answer.read()
        # A group that is not served yet is answered in plain text.
        return answer.status, json.loads(said) if said.startswith(b"{") else {"message": said.decode()}


def apply_all(server: Server, entries: list[dict[str, Any]]) -> None:
    def one(entry: dict[str, Any]) -> None:
        for attempt in range(40):
            status, document = server.ask("PATCH", f"{entry['path']}?fieldManager=floor&force=true", entry["object"])
            if status < 300:
                return
            if status != 404 or attempt == 39:  # 404: the CRD is not served yet
                raise SystemExit(f"{entry['path']}: {status} {document.get('message')}")
            time.sleep(0.1)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(one, entries))


def main() -> None:
    server = Server(Path(sys.argv[1]))
    for wave in json.loads(Path(sys.argv[2]).read_text()):
        apply_all(server, wave)


if __name__ == "__main__":
    main()
