"""Where binaries come from in bad weather: checksums, broken transfers, proxies, full disks, wheels, progress."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrig import tools
from sparkrig.cli.progress import StepLines
from sparkrig.errors import ToolError
from sparkrig.report.terminal import Terminal
from sparkrig.tools import ToolSettings, Update
from sparkrig.tools import download as downloads
from sparkrig.tools.model import host_platform
from sparkrig.tools.specs import load_specs

CASES = Path(__file__).parents[1] / "cases" / "tools"
GOOD = b"#!/bin/sh\necho 'hello version v1.2.3'\n" + b"# padding\n" * 5000
SUM = hashlib.sha256(GOOD).hexdigest()


class Server:
    """Files on loopback that may break off in the middle, and that knows ranges."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.kind = "application/octet-stream"
        self.breaks = 0
        self.ranges = True
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range", "")
                outer.asked.append((self.path, wanted))
                body = outer.files.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and outer.ranges else 0
                self.send_response(206 if start else 200)
                self.send_header("Content-Type", outer.kind)
                self.send_header("Content-Length", str(len(body) - start))
                self.end_headers()
                rest = body[start:]
                if outer.breaks and self.path == "/hello":
                    outer.breaks -= 1
                    rest = rest[: len(rest) // 2]
                self.wfile.write(rest)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
                return

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))
        self.thread.start()

    def close(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(downloads, "_unreachable", {})
    server = Server()
    server.files["/hello"] = GOOD
    yield server
    server.close()


def settings_with(tmp_path: Path, **sources: Any) -> ToolSettings:
    """One tool, ``hello`` 1.2.3, with these downloads or wheels for this platform; there is no Go."""
    folder = tmp_path / "tools" / "hello"
    folder.mkdir(parents=True)
    for file in (CASES / "hello").iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    document = yaml.safe_load((folder / "tool.yaml").read_text())
    entry = document["binaries"]["hello"] | {name: {host_platform(): value} for name, value in sources.items()}
    document["binaries"] = {"hello": entry}
    (folder / "tool.yaml").write_text(yaml.safe_dump(document))
    load_specs.cache_clear()
    return ToolSettings(tmp_path / "cache", tmp_path / "tools", {"SPARKRIG_GO": tmp_path / "no-go"}, "")


def failure(settings: ToolSettings, source: Any = "download") -> str:
    with pytest.raises(ToolError) as failed:
        tools.install(["hello"], source, settings=settings)
    return " ".join([failed.value.message, failed.value.hint or "", *failed.value.detail])


def half_written(settings: ToolSettings) -> list[str]:
    files = [path for path in (settings.cache_dir / "tools").rglob("*") if path.is_file()]
    return [path.name for path in files if path.name != "checksums.json"]


# --------------------------------------------------------------------------- checksums


def test_a_pinned_sha512_is_checked(server: Server, tmp_path: Path) -> None:
    digest = hashlib.sha512(GOOD).hexdigest()
    settings = settings_with(tmp_path, downloads={"url": f"{server.url}/hello", "sha512": digest})
    assert tools.find("hello", settings=settings).verified == "pinned checksum"


@pytest.mark.parametrize("text", ["{sum}", "{sum}  hello\n", "{other}  hello.exe\n{sum} *hello\n"])
def test_a_vendors_checksum_is_recorded_and_shown(text: str, server: Server, tmp_path: Path) -> None:
    server.files["/sums"] = text.format(sum=SUM, other="0" * 64).encode()
    settings = settings_with(tmp_path, downloads={"url": f"{server.url}/hello", "checksums": f"{server.url}/sums"})
    tools.find("hello", settings=settings)
    (status,) = tools.list_tools(settings=settings)
    assert status.tool is not None
    assert (status.tool.origin, status.tool.verified) == ("download", "vendor's checksum")
    assert json.loads((settings.cache_dir / "tools/checksums.json").read_text()) == {f"{server.url}/hello": SUM}


def test_a_vendors_checksum_that_changes_is_refused(server: Server, tmp_path: Path) -> None:
    server.files["/sums"] = SUM.encode()
    settings = settings_with(tmp_path, downloads={"url": f"{server.url}/hello", "checksums": f"{server.url}/sums"})
    tools.find("hello", settings=settings).path.unlink()
    server.files["/hello"] = other = GOOD.replace(b"padding", b"evil")
    server.files["/sums"] = hashlib.sha256(other).hexdigest().encode()
    assert f"says {hashlib.sha256(other).hexdigest()} of hello, and said {SUM} before" in failure(settings)
    assert half_written(settings) == ["hello.json"]


@pytest.mark.parametrize("text", ["", "no sums here", "{sum}  other\n{sum}  another\n"])
def test_a_vendors_file_without_the_sum_is_refused(text: str, server: Server, tmp_path: Path) -> None:
    server.files["/sums"] = text.format(sum=SUM).encode()
    settings = settings_with(tmp_path, downloads={"url": f"{server.url}/hello", "checksums": f"{server.url}/sums"})
    assert "names no checksums of hello" in failure(settings)
    assert not half_written(settings)


# --------------------------------------------------------------------------- transfers


@pytest.mark.parametrize("ranges", [True, False])
def test_a_transfer_that_breaks_off_is_taken_up(ranges: bool, server: Server, tmp_path: Path) -> None:
    server.breaks, server.ranges = 2, ranges
    settings = settings_with(tmp_path, downloads={"url": f"{server.url}/hello", "sha256": SUM})
    assert tools.find("hello", settings=settings).path.read_bytes() == GOOD
    assert [bool(wanted) for _, wanted in server.asked] == [False, True, True]


def test_a_web_page_in_place_of_the_file_is_refused_as_one(server: Server, tmp_path: Path) -> None:
    server.kind = "text/html; charset=utf-8"
    settings = settings_with(tmp_path, downloads={"url": f"{server.url}/hello", "sha256": SUM})
    assert "answered with a web page in place of the file: a proxy or a login" in failure(settings)
    assert not half_written(settings)


def test_a_host_that_cannot_be_reached_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(downloads, "_unreachable", {})
    settings = settings_with(tmp_path, downloads={"url": "http://127.0.0.1:9/hello", "sha256": SUM})
    first = failure(settings)
    assert "http://127.0.0.1:9/hello: " in first

    def asked_again(*_: object, **__: object) -> None:
        raise AssertionError("asked again")

    monkeypatch.setattr("httpx.stream", asked_again)
    assert failure(settings) == first


def test_another_machine_gets_its_own_file(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_with(tmp_path, downloads={"url": f"{server.url}/hello", "sha256": SUM})
    for module in ("download", "wheel", "cache"):
        monkeypatch.setattr(f"sparkrig.tools.{module}.host_platform", lambda: "linux-riscv64")
    assert "no official file is known for linux-riscv64" in failure(settings)
    assert "no package of PyPI is known to have it for linux-riscv64" in failure(settings, "wheel")


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "free some space, or let SPARKRIG_CACHE_DIR name another folder"),
        (errno.EROFS, "let SPARKRIG_CACHE_DIR name a folder that can be written, or set SPARKRIG_HELLO"),
    ],
)
def test_a_cache_that_cannot_be_written_is_named_at_once(
    number: int, hint: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_with(tmp_path, downloads={"url": f"{server.url}/hello", "sha256": SUM})

    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(downloads, "_verify", full)
    assert failure(settings) == f"hello 1.2.3 cannot be kept in {settings.cache_dir}: {os.strerror(number)} {hint}"
    assert not half_written(settings)


def test_two_runs_at_once_fetch_once(server: Server, tmp_path: Path) -> None:
    settings = settings_with(tmp_path, downloads={"url": f"{server.url}/hello", "sha256": SUM})
    found: list[Path] = []
    runs = [
        threading.Thread(target=lambda: found.append(tools.find("hello", settings=settings).path)) for _ in range(3)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert (len(found), len(set(found)), len(server.asked)) == (3, 1, 1)


# --------------------------------------------------------------------------- wheels


def zipped(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def in_tar(name: str, content: bytes) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return data.getvalue()


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Offers a package with the binary in a zip in a tar; pip looks into one folder and nowhere else."""

    def make(**changed: Any) -> dict[str, Any]:
        data = zipped(
            {
                "carrier/layer.tgz": in_tar("package/layer.zip", zipped({"bin/hello": GOOD})),
                "carrier-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n",
                "carrier-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
                "carrier-1.0.dist-info/RECORD": b"",
            }
        )
        index = tmp_path / "index"
        index.mkdir()
        (index / "carrier-1.0-py3-none-any.whl").write_bytes(data)
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(index))
        return {
            "requirement": "carrier==1.0",
            "sha256": hashlib.sha256(data).hexdigest(),
            "members": ["carrier/layer.tgz", "package/layer.zip", "bin/hello"],
        } | changed

    return make


def test_a_binary_comes_out_of_a_wheel(wheel: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    settings = settings_with(tmp_path, wheels=wheel())
    said: list[str] = []
    tool = tools.find("hello", settings=settings, on_progress=said.append)
    assert (tool.origin, tool.verified, tool.path.read_bytes()) == ("wheel", "pinned checksum", GOOD)
    assert said[0] == "hello 1.2.3: fetching carrier==1.0 with pip"
    assert tools.find("hello", settings=settings).cached


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sha256": "0" * 64}, "tried wheel: pip download carrier==1.0 failed"),
        ({"requirement": "nobody-has-this==1.0"}, "tried wheel: pip download nobody-has-this==1.0 failed"),
        ({"members": ["carrier/layer.tgz", "package/none"]}, "carrier==1.0: package/none cannot be read"),
    ],
)
def test_a_wheel_that_is_not_as_pinned_is_refused(
    changed: dict[str, Any], message: str, wheel: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    settings = settings_with(tmp_path, wheels=wheel(**changed))
    assert message in failure(settings, "wheel")
    assert not half_written(settings)


def test_a_wheel_follows_a_download_that_failed(
    server: Server, wheel: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    settings = settings_with(tmp_path, downloads={"url": f"{server.url}/none", "sha256": SUM}, wheels=wheel())
    assert tools.find("hello", settings=settings).origin == "wheel"


FETCH = """
from sparkrig.tools import child
child.run(["sh", "-c", "echo $$ > started; exec sleep 61"], "a long fetch", 60, lambda: False)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP, signal.SIGINT])
def test_what_fetches_ends_with_us(number: int, tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", FETCH], cwd=tmp_path, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    started = tmp_path / "started"
    while not started.exists() or not started.read_text().strip():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child = Path(f"/proc/{started.read_text().strip()}/stat")
    process.send_signal(number)
    process.wait(30)
    while child.exists() and child.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline, "the child outlives its parent"
        time.sleep(0.02)


# --------------------------------------------------------------------------- progress


def test_in_a_pipe_a_long_step_is_shown_every_half_minute() -> None:
    out, now = io.StringIO(), [0.0]
    say = StepLines(Terminal(out, False, False, 0), clock=lambda: now[0])
    say("helm 4.3.1: building")
    for _ in range(50):
        now[0] += 2
        say(Update(f"helm 4.3.1: building, {now[0]:.0f} s"))
    say("helm 4.3.1: built in 100 s")
    assert out.getvalue().splitlines() == [
        "helm 4.3.1: building",
        "helm 4.3.1: building, 30 s",
        "helm 4.3.1: building, 60 s",
        "helm 4.3.1: building, 90 s",
        "helm 4.3.1: built in 100 s",
    ]


def test_on_a_terminal_a_long_step_is_one_line() -> None:
    out = io.StringIO()
    say = StepLines(Terminal(out, False, True, 30))
    say("start")
    say(Update("one"))
    say(Update("x" * 100))
    say("end")
    assert out.getvalue() == f"start\none\r\x1b[K{'x' * 29}\r\x1b[Kend\n"
