"""Commands that only check or explain fetch and build nothing; what they could not look at they name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STACK = "apiVersion: sparkrig.dev/v1\nkind: Stack\nmetadata: {name: a}\nprofile: minimal\n"
CHARTS = ("--stand-ins", str(ROOT / "tests" / "charts"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stack.yaml").write_text(STACK)
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command on a machine without helm: an empty cache and an empty PATH."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SPARKRIG_")}
    own = {"SPARKRIG_CACHE_DIR": str(folder / "cache"), "PATH": str(folder / "bin"), "HOME": str(folder)}
    command = [sys.executable, "-m", "sparkrig", *arguments]
    return subprocess.run(command, cwd=folder, env=kept | own, capture_output=True, text=True, timeout=60)


def made(folder: Path) -> list[Path]:
    return [*(folder / "cache").glob("tools/*"), *(folder / "cache").glob("logs/*")]


def test_validate_says_what_it_skipped_and_how_to_make_it_complete(folder: Path) -> None:
    done = run(folder, "validate", *CHARTS)
    assert done.returncode == 0, done.stderr
    assert "skipped: rendering: helm 4.3.1 is not on this machine; `sparkrig tools install helm`" in done.stderr
    assert done.stdout == "no error found in stack a, but the check is partial: helm is not available\n"
    assert not made(folder)


@pytest.mark.parametrize("flag", ["--require-render", "--strict"])
def test_a_check_that_must_be_complete_fails_without_helm(flag: str, folder: Path) -> None:
    done = run(folder, "validate", *CHARTS, flag, "--output", "json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["partial"]) == (3, True)
    assert [problem["code"] for problem in document["problems"]] == ["not-rendered"]
    assert not made(folder)


def test_rendering_cannot_be_required_and_refused(folder: Path) -> None:
    assert run(folder, "validate", "--require-render", "--no-render").returncode == 64


@pytest.mark.parametrize(
    "line",
    ["explain triton.replicas", "schema stack", "init other.yaml", "validate --no-render", "history --on context:none"],
)
def test_what_needs_no_rendering_makes_nothing(line: str, folder: Path) -> None:
    run(folder, *line.split(), *(CHARTS if line.startswith(("explain", "validate")) else ()))
    assert not made(folder)


def test_a_lock_is_checked_without_helm(folder: Path) -> None:
    done = run(folder, "lock", "--check", *CHARTS)
    assert done.returncode in (0, 3), done.stderr
    assert not made(folder)
