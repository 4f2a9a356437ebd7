"""Tests with the lowest versions that pyproject.toml allows: ``python scripts/lowest.py [FOLDER]``.

Makes a fresh environment in FOLDER (default: a temporary one), installs every direct dependency in its lower bound and
what those need in the newest version that fits, and runs the tests that touch each of them. A bound that is too low
fails here, not on somebody's machine.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = (
    "tests/unit/kube/test_api_access.py",  # kubernetes, urllib3: kubeconfig users, exec plugins, proxies, TLS
    "tests/unit/kube/test_stream.py",
    "tests/unit/harness/test_lowest.py",  # each direct dependency, once
    "tests/unit/apply/test_executor.py",
    "tests/unit/cli/test_startup.py",  # typer
    "tests/unit/helm/test_charts_sources.py",  # httpx
    "tests/unit/yaml/test_schema.py",  # jsonschema, referencing
    "tests/unit/output/test_live.py",  # rich
)
TOOLS = ("pytest", "pytest-timeout")


def lower_bounds(text: str) -> list[str]:
    """``name==version`` for each direct dependency of a pyproject.toml.

    Raises:
        ValueError: a dependency has no lower bound.
    """
    pins = []
    for requirement in tomllib.loads(text)["project"]["dependencies"]:
        found = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*>=\s*([0-9][^,; ]*)", requirement)
        if found is None:
            raise ValueError(f"{requirement!r} has no lower bound")
        pins.append(f"{found[1]}=={found[2]}")
    return pins


def main() -> int:
    """Installs and tests; returns pytest's exit code."""
    with tempfile.TemporaryDirectory(prefix="lowest-") as temporary:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary) / "env"
        began = time.monotonic()
        pins = lower_bounds((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        print("lowest versions:", ", ".join(pins), flush=True)
        venv.create(folder, with_pip=True, clear=True)
        python = str(folder / "bin" / "python")
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *TOOLS, *pins, "--editable", str(ROOT)], check=True)
        print(f"installed after {time.monotonic() - began:.0f} s", flush=True)
        tests = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
        code = subprocess.run(tests, cwd=ROOT, check=False).returncode
        print(f"lowest versions: done after {time.monotonic() - began:.0f} s", flush=True)
        return code


if __name__ == "__main__":
    sys.exit(main())
