"""What fails gets one more run, is named with its record, and more than six failures get none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "scripts" / "run_tests.py"
SHAKY = """
from pathlib import Path
def test_shaky():
    seen = Path("seen")
    first = not seen.exists()
    seen.touch()
    assert not first
"""
BROKEN = "def test_broken_{0}():\n    assert not {0}\n"


def run(folder: Path, text: str) -> tuple[int, str]:
    """Runs the script over one file of tests, with a cache of its own; returns its exit code and output."""
    (folder / "test_it.py").write_text(text)
    done = subprocess.run(
        [sys.executable, SCRIPT, "-p", "no:xdist", "-p", "no:randomly", "test_it.py"],
        cwd=folder,
        env={**os.environ, "SPARKRIG_CACHE_DIR": str(folder / "cache"), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_test_that_passes_alone_passes_and_is_named_with_its_record(tmp_path: Path) -> None:
    code, printed = run(tmp_path, SHAKY)
    assert (code, "test_it.py::test_shaky (no failure on record)" in printed) == (0, True), printed
    (tmp_path / "seen").unlink()
    code, printed = run(tmp_path, SHAKY)
    (days,) = json.loads((tmp_path / "cache/failed-tests.json").read_text()).values()
    assert len(days) == 2
    assert f"test_it.py::test_shaky (failed before: {days[0]})" in printed


def test_a_test_that_fails_again_fails_the_run(tmp_path: Path) -> None:
    code, printed = run(tmp_path, BROKEN.format(1))
    assert (code, printed.count("1 failed in")) == (1, 2), printed


def test_more_than_six_failures_get_no_other_run(tmp_path: Path) -> None:
    code, printed = run(tmp_path, "\n".join(BROKEN.format(number) for number in range(1, 8)))
    assert code == 1
    assert "7 failed, more than the 6 that get another run" in printed
    assert printed.count("7 failed in") == 1
