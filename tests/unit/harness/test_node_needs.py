"""A machine that cannot run a node says why, and its tests are then skipped with that reason: never passed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.node import needs

ROOT = Path(__file__).parents[3]


def bare(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A run on a machine that has none of the programs a node needs."""
    environment = {**os.environ, "PATH": str(Path(sys.executable).parent), "COLUMNS": "1000"}
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )


def test_what_is_not_installed_is_named_all_at_once() -> None:
    done = bare("tests.node", "check")
    assert done.returncode == 4
    packages = "buildah iproute2 iptables mmdebstrap mount nftables runc util-linux"
    assert f"not installed: apt-get install {packages}" in done.stdout


def test_up_is_refused_and_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARKRIG_STATE_DIR", str(tmp_path / "state"))
    done = bare("tests.node", "up", "--name", "refused")
    assert done.returncode == 4
    assert "error: this machine cannot run a node: not installed" in done.stderr
    assert not (tmp_path / "state").exists()


def test_tests_are_reported_as_not_run() -> None:
    done = bare("pytest", "-q", "-p", "no:cacheprovider", "tests/node/test_gpus.py")
    assert done.returncode == 0
    assert "5 skipped" in done.stdout.splitlines()[-1]
    assert "passed" not in done.stdout
    assert "not run: this machine cannot run a node: not installed: apt-get install" in done.stdout


def test_who_is_not_root_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs.os, "geteuid", lambda: 1000)
    assert any(reason.startswith("not root") for reason in needs.lacks())


def test_another_system_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs.sys, "platform", "darwin")
    assert needs.lacks() == ("it is darwin: a node needs Linux",)
