"""Commands that only check or explain fetch and build nothing; what they could not look at they name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
STACK = "apiVersion: sparkrig.dev/v1\nkind: Stack\nmetadata: {name: a}\nprofile: minimal\n"
CHARTS = ("--stand-ins", str(ROOT / "tests" / "charts"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stack.yaml").write_text(STACK)
    return tmp_path


def run(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A command on a machine without helm: an empty cache and an empty PATH."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SPARKRIG_")}
    own = {"SPARKRIG_CACHE_DIR": str(folder / "cache"), "PATH": str(folder / "bin"), "HOME": str(folder)}
    command = [sys.executable, "-m", "sparkrig", *arguments]
    return subprocess.run(command, cwd=folder, env=kept | own | more, capture_output=True, text=True, timeout=60)


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


def test_a_setting_that_names_no_helm_is_an_error_and_not_a_partial_check(folder: Path) -> None:
    done = run(folder, "validate", *CHARTS, SPARKRIG_HELM="/nowhere/helm")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "error: SPARKRIG_HELM: /nowhere/helm is not there"


def test_a_helm_on_the_path_that_does_not_fit_is_named(folder: Path) -> None:
    helm = folder / "bin" / "helm"
    helm.parent.mkdir()
    helm.write_text("#!/bin/sh\necho v3.14.0\n")
    helm.chmod(0o755)
    done = run(folder, "validate", *CHARTS)
    assert done.returncode == 0
    said = f"skipped: rendering: helm 4.3.1 is not on this machine (PATH: {helm} is version 3.14.0, expected 4.3.x); "
    assert said in done.stderr


def test_an_editor_and_a_code_host_are_told_that_the_check_was_partial(folder: Path) -> None:
    done = run(folder, "validate", *CHARTS, "--output", "sarif")
    (invocation,) = json.loads(done.stdout)["runs"][0]["invocations"]
    (note,) = invocation["toolExecutionNotifications"]
    assert note["message"]["text"].startswith("skipped: rendering: helm 4.3.1 is not on this machine")


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
    written = run(folder, "lock", *CHARTS, SPARKRIG_HELM="/bin/true")  # charts in folders need no helm
    done = run(folder, "lock", "--check", *CHARTS)
    assert (done.returncode, done.stdout) == (0, "stack.stand-ins.lock.yaml up to date: 4 charts\n"), written.stderr
    assert not made(folder)
