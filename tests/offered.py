"""A tool ``hello`` 1.2.3 that is offered by a server on loopback which can misbehave, for the tests of its sources."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrig import tools
from sparkrig.errors import ToolError
from sparkrig.tools import ToolSettings, transfer
from sparkrig.tools.model import host_platform
from sparkrig.tools.specs import load_specs

CASES = Path(__file__).parent / "cases" / "tools"
GOOD = b"#!/bin/sh\necho 'hello version v1.2.3'\n" + b"# padding\n" * 5000
SUM = hashlib.sha256(GOOD).hexdigest()


class Server:
    """Files on loopback that may break off in the middle, and that knows ranges."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.kind = "application/octet-stream"
        self.status = 200
        self.breaks = 0
        """How many answers end in their middle."""
        self.ranges = True
        self.shift = 0
        """A server that is wrong sends its ranges from so many bytes further on."""
        self.asked: list[tuple[str, str]] = []
        self.go_on = threading.Event()
        """Cleared: an answer stops after half of the file until this is set."""
        self.go_on.set()
        self.half = threading.Event()
        """Half of a file was sent."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range", "")
                outer.asked.append((self.path, wanted))
                body = outer.files.get(self.path)
                if body is None or outer.status != 200:
                    self.send_error(404 if body is None else outer.status)
                    return
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and outer.ranges else 0
                self.send_response(206 if start else 200)
                self.send_header("Content-Type", outer.kind)
                self.send_header("Content-Length", str(len(body) - start))
                if start:
                    begin = start + outer.shift
                    self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
                self.end_headers()
                rest = body[start:]
                middle = len(rest) // 2
                self.wfile.write(rest[:middle])
                outer.half.set()
                outer.go_on.wait(60)
                if outer.breaks and self.path.startswith("/hello"):
                    outer.breaks -= 1
                else:
                    self.wfile.write(rest[middle:])

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
                return

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))
        self.thread.start()

    def close(self) -> None:
        self.go_on.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with the good ``/hello``; no proxy in between, and no host is known yet."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(transfer, "_hosts", {})
    server = Server()
    server.files["/hello"] = GOOD
    try:
        yield server
    finally:
        server.close()


def settings_with(tmp_path: Path, second: dict[str, Any] | None = None, **sources: Any) -> ToolSettings:
    """One tool, ``hello`` 1.2.3, with these downloads or wheels for this platform; there is no Go.

    ``second`` is a download of the other binary of the folder, which is left out otherwise.
    """
    folder = tmp_path / "tools" / "hello"
    folder.mkdir(parents=True)
    for file in (CASES / "hello").iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    document = yaml.safe_load((folder / "tool.yaml").read_text())
    entry = document["binaries"]["hello"] | {name: {host_platform(): value} for name, value in sources.items()}
    other = document["binaries"]["second"] | {"downloads": {host_platform(): second}}
    document["binaries"] = {"hello": entry} | ({"second": other} if second else {})
    (folder / "tool.yaml").write_text(yaml.safe_dump(document))
    load_specs.cache_clear()
    return ToolSettings(tmp_path / "cache", tmp_path / "tools", {"SPARKRIG_GO": tmp_path / "no-go"}, "")


def failure(settings: ToolSettings, source: Any = "download") -> str:
    """What the error says when ``hello`` cannot be had from this source; None: from any."""
    with pytest.raises(ToolError) as failed:
        tools.install(["hello"], source, settings=settings)
    return " ".join([failed.value.message, failed.value.hint or "", *failed.value.detail])


def half_written(settings: ToolSettings) -> list[str]:
    """The files below the cache's tools, except what is remembered of checksums."""
    files = [path for path in (settings.cache_dir / "tools").rglob("*") if path.is_file()]
    return [path.name for path in files if path.name != "checksums.json"]
