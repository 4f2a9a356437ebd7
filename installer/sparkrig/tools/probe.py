"""Asks a binary for its version."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from sparkrig.defaults import TOOL_PROBE_TIMEOUT_S
from sparkrig.tools.model import ToolSpec


class UnfitError(Exception):
    """This binary cannot be used; the text says why."""


def version_of(spec: ToolSpec, path: Path) -> str:
    """Run the binary's version command and return the version, without ``v``.

    Raises:
        UnfitError: it is not there, not executable, does not run, or prints no version.
    """
    if not path.is_file():
        raise UnfitError(f"{path} is {'a folder' if path.is_dir() else 'not there'}")
    if not os.access(path, os.X_OK):
        raise UnfitError(f"{path} is not executable")
    command = " ".join([str(path), *spec.version_command])
    try:
        done = subprocess.run(
            [path, *spec.version_command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TOOL_PROBE_TIMEOUT_S,
            check=False,
        )
    except OSError as error:
        raise UnfitError(f"{path} does not run: {error.strerror or error}") from None
    except subprocess.TimeoutExpired:
        raise UnfitError(
            f"{path} {' '.join(spec.version_command)} gave no answer in {TOOL_PROBE_TIMEOUT_S:.0f} s"
        ) from None
    output = (done.stdout + b"\n" + done.stderr).decode(errors="replace")
    found = spec.version_pattern.search(output)
    if found is None:
        first = next((line for line in output.splitlines() if line.strip()), "nothing")[:120]
        raise UnfitError(f"{command} prints no {spec.name} version, but: {first}")
    return found.group(1)


def fitting_version(spec: ToolSpec, path: Path) -> str:
    """Like ``version_of``, and the version must be of the pinned ``major.minor``.

    Flags, output formats and API versions move with the minor version; a patch release changes none.
    """
    version = version_of(spec, path)
    if ".".join(version.split(".")[:2]) != spec.series:
        raise UnfitError(f"{path} is version {version}, expected {spec.series}.x")
    return version
