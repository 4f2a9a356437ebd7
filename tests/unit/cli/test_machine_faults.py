"""Closed standard streams, a cache that cannot be written, a full disk: with real processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart_servers import remote_component, site
from tests.inprocess import run_here
from tests.mini import World

from sparkrig.cache import DAY_S, UNUSED_S
from sparkrig.cli.app import _wants_json
from sparkrig.tools import find

STACK = {"apiVersion": "sparkrig.dev/v1", "kind": "Stack", "metadata": {"name": "lab"}}


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_traceback_and_prints_into_no_other_file(tmp_path: Path, closed: str) -> None:
    (tmp_path / "stack.yaml").write_text(yaml.safe_dump(STACK))
    before = (tmp_path / "stack.yaml").read_bytes()
    command = f"{sys.executable} -m sparkrig schema stack {closed}"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "stack.yaml").read_bytes() == before
    if closed == "2>&-":
        assert json.loads(done.stdout)


def test_charts_are_fetched_each_time_where_the_cache_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARKRIG_HELM", str(find("helm").path))
    cache = tmp_path / "cache"
    cache.write_text("a file where a folder should be: nobody, root included, can make anything below it\n")
    monkeypatch.setenv("SPARKRIG_CACHE_DIR", str(cache))
    world = World(tmp_path, "")
    with site(tmp_path) as place:
        place.publish("web", "1.0.0")
        remote_component(world, "web", place.url)
        world.write_stack(yaml.safe_dump(STACK))
        for command in ("validate", "lock", "render"):
            done = run_here(world, command)
            assert done.code == 0, done.err
            assert "partial" not in done.out
    assert cache.is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_says_so(tmp_path: Path) -> None:
    command = f"{sys.executable} -m sparkrig schema stack > /dev/full"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["up", "-m", "use -o json"], False),
        (["up", "--message", "--output json"], False),
        (["up", "-o", "json"], True),
        (["up", "--output=json"], True),
        (["up", "-ojson", "-y"], True),
        (["up", "-o", "text"], False),
    ],
)
def test_json_is_what_an_option_asks_for_not_what_a_message_says(arguments: list[str], wanted: Any) -> None:
    assert _wants_json(arguments) is wanted


def test_charts_that_nobody_uses_leave_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARKRIG_CACHE_DIR", str(tmp_path / "cache"))
    archives = tmp_path / "cache" / "charts" / "sha256"
    world = World(tmp_path, "")

    def age() -> None:
        then = time.time() - UNUSED_S - DAY_S
        for archive in archives.iterdir():
            os.utime(archive, (then, then))

    with site(tmp_path) as place:
        for name in ("web", "app"):
            place.publish(name, "1.0.0")
        remote_component(world, "web", place.url)
        world.write_stack(yaml.safe_dump(STACK))
        assert run_here(world, "lock").code == 0
        (web,) = archives.iterdir()
        age()
        assert run_here(world, "lock", "--check").code == 0  # used, so it stays
        assert time.time() - web.stat().st_mtime < DAY_S
        age()
        remote_component(world, "app", place.url)
        assert run_here(world, "lock").code == 0
        assert len(list(archives.iterdir())) == 2  # both are of this stack
        age()
        place.publish("app", "1.0.1")
        remote_component(world, "app", place.url, "1.0.1")
        shutil.rmtree(world.catalog / "web")
        assert run_here(world, "lock", "--upgrade").code == 0
        assert web not in archives.iterdir()
