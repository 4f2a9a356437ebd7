"""Requests that come in by the ingress controller's address, as a browser's do: any host name, HTTP, TLS, WebSocket."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import socket
import ssl
from dataclasses import dataclass, field
from typing import Any

REQUEST_S = 30
ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True)
class Door:
    """The address of the ingress controller. With ``trusted`` (PEM) TLS must be signed by that authority."""

    address: str
    http: int = 80
    https: int = 443
    trusted: str = ""

    def connect(self, host: str, *, tls: bool) -> socket.socket:
        """A connection to it, which with TLS asks for this host and checks the certificate's name and signer."""
        plain = socket.create_connection((self.address, self.https if tls else self.http), timeout=REQUEST_S)
        if not tls:
            return plain
        secure = ssl.create_default_context(cadata=self.trusted or None)
        try:
            return secure.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise

    def get(self, host: str, path: str = "/", *, tls: bool = False) -> Answer:
        """A GET of this host and path."""
        connection = http.client.HTTPConnection(host)
        connection.sock = self.connect(host, tls=tls)
        try:
            connection.request("GET", path, headers={"Host": host, "Connection": "close"})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def websocket(self, host: str, path: str, texts: list[str], *, tls: bool) -> list[str]:
        """What a WebSocket answers to each short text, one after the other on one connection."""
        key = base64.b64encode(os.urandom(16))
        lines = (
            f"GET {path} HTTP/1.1",
            f"Host: {host}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key.decode()}",
        )
        with self.connect(host, tls=tls) as connected, connected.makefile("rb") as answers:
            connected.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            status = answers.readline().decode()
            assert " 101 " in status, status
            headers = dict(line.decode().strip().lower().split(": ", 1) for line in iter(answers.readline, b"\r\n"))
            expected = base64.b64encode(hashlib.sha1(key + ACCEPT).digest()).decode()
            assert headers["sec-websocket-accept"] == expected.lower()
            said = []
            for text in texts:
                connected.sendall(_frame(1, text.encode()))
                kind, data = _read(answers)
                assert kind == 1
                said.append(data.decode())
            connected.sendall(_frame(8, b"\x03\xe8"))
            assert _read(answers) == (8, b"\x03\xe8")
            return said


@dataclass(frozen=True)
class Answer:
    """Status, headers with lower-case names, body."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def _frame(kind: int, data: bytes) -> bytes:
    mask = os.urandom(4)
    assert len(data) < 126
    return bytes([128 | kind, 128 | len(data)]) + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(data))


def _read(answers: Any) -> tuple[int, bytes]:
    head = answers.read(2)
    return head[0] & 15, answers.read(head[1] & 127)
