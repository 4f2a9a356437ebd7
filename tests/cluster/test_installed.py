"""The built wheel in a clean environment, with no checkout around: what `pip install sparkrig` gives."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from sparkrig.tools import cache_dir

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a fresh environment with the wheel in it."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT], check=True)
    (wheel,) = folder.glob("sparkrig-*.whl")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", "--quiet", wheel], check=True)
    return python.parent


def run(programs: Path, folder: Path, *arguments: str, code: int = 0) -> str:
    """The output of one command of the installed program, in a folder of its own and with a home of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SPARKRIG_", "PYTHON"))}
    own = {"HOME": str(folder), "SPARKRIG_STATE_DIR": str(folder / "state"), "SPARKRIG_CACHE_DIR": str(cache_dir())}
    done = subprocess.run(
        [programs / "sparkrig", *arguments],
        cwd=folder,
        env={**kept, **own},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == code, f"{arguments}: {done.stdout}\n{done.stderr}"
    return done.stdout


def test_from_an_empty_folder_to_a_running_platform(installed: Path, tmp_path: Path) -> None:
    run(installed, tmp_path, "init", "--profile", "minimal", "--name", "mine")
    assert "stack mine is valid" in run(installed, tmp_path, "validate", "--stand-ins", str(ROOT / "tests" / "charts"))
    cluster = ("--on", "sim:installed")
    try:
        # The cluster is made, and marked as one for tests, by the first `up`.
        run(installed, tmp_path, "up", *cluster, "--stand-ins", str(ROOT / "tests" / "charts"), "--yes")
        assert "mine · revision 1" in run(installed, tmp_path, "status", *cluster)
        run(installed, tmp_path, "down", *cluster, "--yes")
    finally:
        run(installed, tmp_path, "cluster", "delete", *cluster)


def test_charts_schemas_tools_and_pages_are_inside(installed: Path, tmp_path: Path) -> None:
    assert "triton" in run(installed, tmp_path, "help")
    assert run(installed, tmp_path, "help", "checks").startswith("# Checks")
    assert "kube-apiserver" in run(installed, tmp_path, "tools", "list")
    assert '"triton"' in run(installed, tmp_path, "schema", "stack")
