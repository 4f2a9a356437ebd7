"""Where binaries come from: checksums, archives, wheels; and what is said meanwhile."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.offered import GOOD, SUM, Server, failure, half_written, serving, settings_with

from sparkrig import tools
from sparkrig.cli.progress import StepLines
from sparkrig.output.terminal import Terminal
from sparkrig.tools import Update
from sparkrig.tools.finding import announcement
from sparkrig.tools.model import host_platform
from sparkrig.tools.specs import load_specs


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving(monkeypatch) as server:
        yield server


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


@pytest.mark.parametrize(
    ("assets", "message"),
    [
        (
            [
                {"browser_download_url": "{url}", "digest": "sha256:{sum}"},
                {"browser_download_url": "x", "digest": None},
            ],
            "",
        ),
        ([{"browser_download_url": "{url}.exe", "digest": "sha256:{sum}"}], "names no checksums of hello"),
        ([{"browser_download_url": "{url}", "digest": None}], "names no checksums of hello"),
    ],
)
def test_a_sum_that_github_states_of_a_file_counts_as_the_vendors(
    assets: list[dict[str, str | None]], message: str, server: Server, tmp_path: Path
) -> None:
    text = json.dumps({"assets": assets}).replace("{url}", f"{server.url}/hello").replace("{sum}", SUM)
    server.files["/release"] = text.encode()
    settings = settings_with(tmp_path, downloads={"url": f"{server.url}/hello", "checksums": f"{server.url}/release"})
    if message:
        assert message in failure(settings)
    else:
        assert tools.find("hello", settings=settings).verified == "vendor's checksum"


def test_an_archive_that_gives_several_binaries_is_fetched_once(server: Server, tmp_path: Path) -> None:
    second = GOOD.replace(b"hello version", b"second version")
    server.files["/both.zip"] = both = zipped({"bin/hello": GOOD, "bin/second": second})
    file = {"url": f"{server.url}/both.zip", "sha256": hashlib.sha256(both).hexdigest()}
    settings = settings_with(tmp_path, {**file, "member": "bin/second"}, downloads={**file, "member": "bin/hello"})
    said: list[str] = []
    assert tools.find("hello", settings=settings, on_progress=said.append).path.read_bytes() == GOOD
    other = tools.find("second", settings=settings)
    assert (other.cached, other.origin, other.path.read_bytes()) == (True, "download", second)
    assert [path for path, _ in server.asked] == ["/both.zip"]
    assert said[-1] == "hello, second 1.2.3: downloaded in 0 s, pinned checksum"


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
    assert said[1] == "hello 1.2.3: fetching carrier==1.0 with pip"
    assert tools.find("hello", settings=settings).cached


def test_an_environment_without_pip_as_of_pipx_and_uv_gets_one_for_the_step(
    wheel: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sparkrig.tools import wheel as module

    commands: list[list[str]] = []
    real = module.run

    def run(command: list[str], what: str, *rest: Any) -> None:
        commands.append(command)
        if what == "making a virtual environment":  # a real one takes ten seconds
            python = Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
            python.chmod(0o755)
            return
        real(command, what, *rest)

    monkeypatch.setattr(module, "find_spec", lambda _name: None)
    monkeypatch.setattr(module, "run", run)
    assert tools.find("hello", settings=settings_with(tmp_path, wheels=wheel())).origin == "wheel"
    made, download = commands
    assert made[:3] == [sys.executable, "-m", "venv"]
    assert download[:4] == [f"{made[3]}/bin/python", "-m", "pip", "download"]
    assert not Path(made[3]).exists()


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


@pytest.mark.parametrize("flag", ["", "-q", "--quiet"])
def test_a_command_in_a_pipe_says_two_lines_or_nothing(flag: str, server: Server, tmp_path: Path) -> None:
    settings = settings_with(tmp_path, downloads={"url": f"{server.url}/hello", "sha256": SUM, "megabytes": 7})
    environment = {
        "PATH": "/usr/bin:/bin",
        "SPARKRIG_CACHE_DIR": str(settings.cache_dir),
        "SPARKRIG_DATA_DIR": str(settings.tools_dir.parent),
    }
    command = [sys.executable, "-m", "sparkrig", "tools", "install", "hello", *([flag] if flag else [])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "download, pinned checksum" in done.stdout
    lines = [
        (
            "hello 1.2.3 is needed and not on this machine (PATH: no hello): getting it by a download of 7 MB "
            "(1 s at 100 Mbit/s), else a Go build; SPARKRIG_HELLO names one that is there"
        ),
        "hello 1.2.3: downloaded in 0 s, pinned checksum",
    ]
    assert done.stderr.splitlines() == ([] if flag else lines)


def test_the_estimate_of_a_build_is_what_the_last_one_took_here(tmp_path: Path) -> None:
    settings = settings_with(tmp_path)
    (spec,) = load_specs(settings.tools_dir).values()
    spec = replace(spec, build_s=300.0)
    assert "getting it by a Go build of about 5 min;" in announcement(spec, settings, ("build",), ["PATH: no hello"])
    for version, seconds, age in (("1.2.1", 77, 50), ("1.2.2", 42, 10)):
        record = settings.cache_dir / f"tools/hello/{version}-{host_platform()}-0/hello.json"
        record.parent.mkdir(parents=True)
        record.write_text(json.dumps({"origin": "build", "seconds": seconds}))
        os.utime(record, (1e9 - age, 1e9 - age))
    said = announcement(spec, settings, ("build",), ["PATH: no hello"])
    assert "getting it by a Go build of about 42 s as last time;" in said
