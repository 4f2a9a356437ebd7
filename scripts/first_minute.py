"""Times ``make up`` on a machine that has nothing, where tools are downloaded over a line of so many megabits.

The vendors' servers are played on loopback, throttled together: every tool comes as the file that its tool.yaml names,
made from the binary that this machine has (``sparkrig tools install`` first), checked and unpacked as always. Cache,
state and PATH are empty, there is no package index and no Go. Ends with one line for each step.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from sparkrig.cli.commands.tools import NEEDED
from sparkrig.tools import ToolSettings, find
from sparkrig.tools.model import host_platform
from sparkrig.tools.specs import load_specs

ROOT: Final = Path(__file__).parents[1]
CHUNK: Final = 1 << 16


class Line:
    """All that is sent over it together has this rate."""

    def __init__(self, megabits: float) -> None:
        self._seconds = 8 / (megabits * 1e6)
        self._free = time.monotonic()
        self._lock = threading.Lock()
        self.sent = 0

    def wait(self, size: int) -> None:
        """Returns when so many bytes may be sent."""
        with self._lock:
            self._free = max(self._free, time.monotonic()) + size * self._seconds
            self.sent += size
            due = self._free
        time.sleep(max(0.0, due - time.monotonic()))


def main() -> int:
    """Exit code of the first step that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabits", type=float, default=100.0)
    parser.add_argument("--stack", type=Path, default=ROOT / "examples" / "lab.yaml")
    options = parser.parse_args()
    line = Line(options.megabits)
    with tempfile.TemporaryDirectory(prefix="first-minute-") as name:
        folder = Path(name)
        files: dict[str, bytes] = {}
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(files, line))
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            _offer(folder / "data", f"http://127.0.0.1:{server.server_port}", files)
            return _run(folder, options.stack.resolve(), line)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _offer(data: Path, address: str, files: dict[str, bytes]) -> None:
    """A folder as ``SPARKRIG_DATA_DIR`` names it, whose tools come from the address; what it gives is in ``files``."""
    shutil.copytree(ROOT / "tools", data / "tools")
    (data / "charts").symlink_to(ROOT / "charts")
    settings = ToolSettings.from_environment()
    specs = load_specs(settings.tools_dir)
    for name in NEEDED:
        source = specs[name].downloads[host_platform()]
        binary = find(name, settings=settings, install=False).path.read_bytes()
        path = urlsplit(source.url).path
        files[path] = body = _packed(source.member, binary) if source.member else binary
        file = data / "tools" / specs[name].folder.name / "tool.yaml"
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        entry: dict[str, Any] = {"url": address + path, "sha256": hashlib.sha256(body).hexdigest()}
        entry |= {"megabytes": round(len(body) / 1e6)} | ({"member": source.member} if source.member else {})
        document["binaries"][name]["downloads"] = {host_platform(): entry}
        document["binaries"][name].pop("wheels", None)
        file.write_text(yaml.safe_dump(document), encoding="utf-8")


def _packed(member: str, binary: bytes) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz", compresslevel=6) as tar:
        entry = tarfile.TarInfo(member)
        entry.size = len(binary)
        tar.addfile(entry, io.BytesIO(binary))
    return data.getvalue()


def _handler(files: dict[str, bytes], line: Line) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = files.get(self.path)
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for start in range(0, len(body), CHUNK):
                chunk = body[start : start + CHUNK]
                line.wait(len(chunk))
                self.wfile.write(chunk)

        def log_message(self, *_: object) -> None:
            """Nothing: only the steps are of interest."""

    return Handler


def _run(folder: Path, stack: Path, line: Line) -> int:
    bare = folder / "bin"
    bare.mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SPARKRIG_", "PIP_", "GO"))}
    own = {
        "SPARKRIG_CACHE_DIR": str(folder / "cache"),
        "SPARKRIG_STATE_DIR": str(folder / "state"),
        "SPARKRIG_DATA_DIR": str(folder / "data"),
        "PATH": f"{bare}:/usr/bin:/bin",
        "PIP_NO_INDEX": "1",
        "NO_PROXY": "127.0.0.1",
        "CHARTS": "stand-ins",
    }
    steps = (
        ("tools", [sys.executable, "-m", "sparkrig", "tools", "install"]),
        ("up", [sys.executable, "scripts/make_up.py", "--stack", str(stack), "--sim", "first-minute"]),
    )
    took: dict[str, float] = {}
    code = 0
    try:
        for name, command in steps:
            began = time.monotonic()
            code = subprocess.run(command, cwd=ROOT, env=kept | own, check=False).returncode
            took[name] = time.monotonic() - began
            if code:
                break
    finally:
        gone = [sys.executable, "-m", "sparkrig", "cluster", "delete", "--on", "sim:first-minute"]
        subprocess.run(gone, cwd=ROOT, env=kept | own, check=False, capture_output=True)
    for name, seconds in took.items():
        print(f"{name}: {seconds:.1f} s")
    print(f"together: {sum(took.values()):.1f} s, {line.sent / 1e6:.0f} MB downloaded")
    return code


if __name__ == "__main__":
    sys.exit(main())
