"""The cache of tools: a file appears whole or not at all, and one run at a time makes it.

Layout below the cache folder: ``tools/<folder>/<version>-<platform>-<digest>/<binary>`` with ``<binary>.json``
beside it, ``tools/<folder>/tmp-*`` for work that is not finished, ``logs/``, ``locks/``, ``go/``.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import get_args

from sparkrig.cache import prune_versions, used
from sparkrig.errors import Interrupted, ToolError
from sparkrig.tools.model import Origin, Progress, StopCheck, Tool, ToolSettings, ToolSpec, host_platform

LOCK_POLL_S = 0.5


def folder_of(spec: ToolSpec, settings: ToolSettings) -> Path:
    """Return the folder that holds this binary once it is made. Its name changes with everything that shapes it."""
    key = f"{spec.version}-{host_platform()}-{spec.digest}"
    return settings.cache_dir / "tools" / spec.folder.name / key


def cached(spec: ToolSpec, settings: ToolSettings) -> Tool | None:
    """Return the tool from the cache, or None. Runs nothing: a file lies there only after it was checked."""
    path = folder_of(spec, settings) / spec.name
    try:
        record = json.loads(path.with_name(spec.name + ".json").read_text(encoding="utf-8"))
        intact = path.stat().st_size == record["size"] and os.access(path, os.X_OK)
        origin, seconds, version = record["origin"], float(record["seconds"]), str(record["version"])
        verified, digest = str(record.get("verified", "")), str(record.get("digest", ""))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not intact or origin not in get_args(Origin) or _was_replaced(spec, origin, digest):
        return None
    used(path.with_name(spec.name + ".json"))
    return Tool(spec.name, version, path, origin, seconds, cached=True, verified=verified)


def _was_replaced(spec: ToolSpec, origin: str, digest: str) -> bool:
    """Whether tool.yaml pins another file today than the one that this binary came from."""
    if origin == "download":
        source = spec.downloads.get(host_platform())
        return bool(source and source.digest and source.digest != digest)
    wheel = spec.wheels.get(host_platform()) if origin == "wheel" else None
    return bool(wheel and wheel.sha256 != digest)


def last_build_s(spec: ToolSpec, settings: ToolSettings) -> float:
    """What the latest build of this binary took on this machine, in whatever version; 0 where there was none."""
    records = (settings.cache_dir / "tools" / spec.folder.name).glob(f"*-{host_platform()}-*/{spec.name}.json")
    built: list[tuple[float, float]] = []
    for file in records:
        with suppress(OSError, ValueError, KeyError, TypeError):
            record = json.loads(file.read_text(encoding="utf-8"))
            if record["origin"] == "build":
                built.append((file.stat().st_mtime, float(record["seconds"])))
    return max(built, default=(0.0, 0.0))[1]


def place(
    spec: ToolSpec,
    made: Path,
    version: str,
    origin: Origin,
    seconds: float,
    settings: ToolSettings,
    *,
    verified: str = "",
    digest: str = "",
) -> Tool:
    """Move a finished, checked binary into the cache: synced, then renamed, its record last.

    ``digest`` is the checksum of the file that it was taken from.
    """
    folder = folder_of(spec, settings)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / spec.name
    made.chmod(0o755)
    record = {"version": version, "origin": origin, "seconds": round(seconds, 1), "size": made.stat().st_size}
    if verified:
        record |= {"verified": verified, "digest": digest}
    note = made.with_name(made.name + ".json")
    note.write_text(json.dumps(record) + "\n", encoding="utf-8")
    _sync(made)
    _sync(note)
    made.replace(target)
    note.replace(folder / (spec.name + ".json"))
    _sync(folder)
    prune_versions(folder.parent, "*.json", folder)
    return Tool(spec.name, version, target, origin, seconds, verified=verified)


@contextmanager
def locked(name: str, settings: ToolSettings, on_progress: Progress, stop: StopCheck) -> Iterator[None]:
    """Hold the machine-wide lock of a tool folder; the system frees it when its holder dies.

    Raises:
        Interrupted: ``stop`` said so while another run held the lock.
        ToolError: the cache folder cannot be written.
    """
    from filelock import FileLock, Timeout

    folder = settings.cache_dir / "locks"
    lock = FileLock(folder / f"{name}.lock")
    waiting = False
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=LOCK_POLL_S)
            break
        except Timeout:
            if stop():
                raise Interrupted(f"stopped while another run was making {name}") from None
            if not waiting:
                on_progress(f"{name}: waiting for another run that is making it")
            waiting = True
        except OSError as error:
            raise ToolError(
                f"{name} cannot be kept: the cache folder {settings.cache_dir} cannot be written: {error.strerror}",
                hint="let SPARKRIG_CACHE_DIR name a folder that can be written",
            ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def workspace(spec: ToolSpec, settings: ToolSettings) -> Iterator[Path]:
    """Give an empty folder on the cache's file system, removed at the end. Call it under the lock only.

    Whatever an earlier run left behind when it was killed is removed first: under the lock nobody uses it.
    """
    parent = settings.cache_dir / "tools" / spec.folder.name
    parent.mkdir(parents=True, exist_ok=True)
    for stale in parent.glob("tmp-*"):
        shutil.rmtree(stale, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="tmp-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
