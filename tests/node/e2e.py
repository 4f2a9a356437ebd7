"""``make e2e``: says what it needs, builds what it needs in stages with their times, then becomes pytest.

The last line is pytest's own summary. What is left for a reader is in the folder ``artefacts`` (docs/node.md).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.node import lifecycle, loading
from tests.node.images import recipes
from tests.node.needs import lacks
from tests.node.settings import home

from sparkrig.errors import SparkrigError

ROOT = Path(__file__).parents[2]
NODE_VARIABLE = "SPARKRIG_TEST_NODE"
"""The node to run on, which stays; without it the tests make one of their own."""
ARTEFACTS_VARIABLE = "SPARKRIG_ARTEFACTS"

CPUS = 2
MEMORY_GB = 8
"""Free, for each node: the whole stack at once with what tests put beside it (docs/node.md)."""
DISK_GB = 30
"""Archives of images, the builder's layers, their copies in two nodes; without caches."""
NODES = 2
"""Tests wait for pods most of the time: files of them run side by side, each on a node of its worker's own."""
MINUTES = "with caches 10 minutes on two cores, --all 25; the first time half an hour more, for the images' Go programs"


def main() -> int:
    """Build, then run pytest in this process's place; 1 when something cannot be built."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.node.e2e", description=str(__doc__).splitlines()[0], allow_abbrev=False
    )
    parser.add_argument(
        "--name", default="lab", help="the node to run on, where it is up; else one is made; default: lab"
    )
    parser.add_argument("--artefacts", type=Path, default=ROOT / "artefacts", help="the folder for what is left")
    parser.add_argument("--all", action="store_true", help="every test, not only those that are marked core")
    parser.add_argument("--build-only", action="store_true", help="programs and images, no tests; artefacts stay")
    asked, rest = parser.parse_known_args()
    everything = not rest
    if everything and not asked.all:
        rest = ["-m", "core"]
    began = time.monotonic()
    _say(f"=== end-to-end tests need {CPUS} cores, {MEMORY_GB} GB of memory, {DISK_GB} GB of disk; {MINUTES}")
    _say(f"=== this machine: {has()}")
    if not asked.build_only:
        shutil.rmtree(asked.artefacts, ignore_errors=True)
        asked.artefacts.mkdir(parents=True)
    environment = {**os.environ, ARTEFACTS_VARIABLE: str(asked.artefacts.resolve())}
    if reasons := lacks():
        _say(f"=== no node can run here, every test will be reported as not run: {'; '.join(reasons)}")
    else:
        try:
            _build()
        except (SparkrigError, recipes.BadRecipe) as error:
            _complain(error)
            return 1
        if lifecycle.status(asked.name):
            environment[NODE_VARIABLE] = asked.name
        elif free_gb() > NODES * MEMORY_GB:
            rest = ["--numprocesses", str(NODES), "--dist", "loadfile", "--no-loadscope-reorder", *rest]
    if asked.build_only:
        return 0
    _say(f"=== tests, after {time.monotonic() - began:.0f} s")
    return _become_pytest(rest, asked.artefacts / "junit.xml", environment, everything=everything)


def _become_pytest(rest: list[str], report: Path, environment: dict[str, str], *, everything: bool) -> int:
    """Ctrl-C then reaches pytest, which takes its node down. Files in which a test failed run once more, alone, where
    the run was of ``everything``: who chooses looks at one.
    """
    chosen = [a for a in rest if a != "--"]
    what = [] if any(a.startswith("tests/") for a in chosen) else [str(ROOT / "tests" / "node")]
    sys.stdout.flush()
    runner = [str(ROOT / "scripts" / "run_tests.py"), "--whole-files"] if everything else ["-m", "pytest"]
    command = [sys.executable, *runner, *what, f"--junitxml={report}", "--durations=15", *chosen]
    os.execve(sys.executable, command, environment)
    return 1


def free_gb() -> float:
    """Memory that programs could have now, in GB."""
    with Path("/proc/meminfo").open(encoding="ascii") as lines:
        return next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), 0) * 1024 / 1e9


def has() -> str:
    """What this machine has of it now."""
    folder = next(f for f in (home(), *home().parents) if f.exists())
    disk = shutil.disk_usage(folder).free
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores (load {load:.1f}), {free_gb():.0f} GB of memory free, {disk / 1e9:.0f} GB of disk free"
    )


def _build() -> None:
    with _stage("programs and the images of every node"):
        lifecycle.prepare(_say)
    with _stage("images"):  # each says its own time
        loading.ensure(recipes.load(), _say)


@contextmanager
def _stage(name: str) -> Iterator[None]:
    began = time.monotonic()
    _say(f"=== {name}")
    try:
        yield
    finally:
        _say(f"=== {name}: {time.monotonic() - began:.0f} s")


def _say(line: str) -> None:
    print(line, flush=True)


def _complain(error: Exception) -> None:
    _say(f"error: {error}")
    if isinstance(error, SparkrigError):
        for line in error.detail:
            _say(f"  {line}")
        if error.hint:
            _say(f"next: {error.hint}")


if __name__ == "__main__":
    sys.exit(main())
