"""Fetches an official file and checks it against the checksum that tool.yaml pins."""

from __future__ import annotations

import hashlib
import tarfile
import time
from pathlib import Path

from sparkrig.defaults import API_CONNECT_TIMEOUT_S, TOOL_DOWNLOAD_TIMEOUT_S, TOOL_STALL_TIMEOUT_S
from sparkrig.errors import Interrupted
from sparkrig.tools.cache import place, workspace
from sparkrig.tools.model import Download, Progress, StopCheck, Tool, ToolSettings, ToolSpec, host_platform
from sparkrig.tools.probe import UnfitError, fitting_version

REPORT_EVERY_S = 2.0


def download(spec: ToolSpec, settings: ToolSettings, on_progress: Progress, stop: StopCheck) -> Tool:
    """Fetch, verify and cache one binary. Call it under the tool's lock.

    Raises:
        UnfitError: there is no pinned file for this platform, the server fails, or the checksum differs.
        Interrupted: ``stop`` said so.
    """
    source = spec.downloads.get(host_platform())
    if source is None:
        raise UnfitError(f"no download with a pinned checksum for {host_platform()}")
    started = time.monotonic()
    with workspace(spec, settings) as folder:
        archive = folder / "download"
        _fetch(source, archive, f"{spec.name} {spec.version}", on_progress, stop)
        binary = _unpack(archive, source, folder / spec.name)
        binary.chmod(0o755)
        version = fitting_version(spec, binary)
        return place(spec, binary, version, "download", time.monotonic() - started, settings)


def _fetch(source: Download, target: Path, what: str, on_progress: Progress, stop: StopCheck) -> None:
    import httpx

    on_progress(f"{what}: downloading {source.url}")
    digest = hashlib.sha256()
    began = reported = time.monotonic()
    timeout = httpx.Timeout(TOOL_STALL_TIMEOUT_S, connect=API_CONNECT_TIMEOUT_S)
    try:
        with (
            httpx.stream("GET", source.url, follow_redirects=True, timeout=timeout) as response,
            target.open("wb") as file,
        ):
            if response.status_code != httpx.codes.OK:
                raise UnfitError(f"{source.url} answered {response.status_code} {response.reason_phrase}")
            for chunk in response.iter_bytes(1 << 16):
                digest.update(chunk)
                file.write(chunk)
                now = time.monotonic()
                if stop():
                    raise Interrupted(f"stopped downloading {what}")
                if now - began > TOOL_DOWNLOAD_TIMEOUT_S:
                    raise UnfitError(f"{source.url} took longer than {TOOL_DOWNLOAD_TIMEOUT_S:.0f} s")
                if now - reported >= REPORT_EVERY_S:
                    on_progress(f"{what}: downloading, {response.num_bytes_downloaded >> 20} MiB, {now - began:.0f} s")
                    reported = now
    except httpx.HTTPError as error:
        raise UnfitError(f"{source.url}: {str(error) or type(error).__name__}") from None
    if digest.hexdigest() != source.sha256:
        raise UnfitError(f"{source.url} has the checksum sha256:{digest.hexdigest()}, expected sha256:{source.sha256}")


def _unpack(archive: Path, source: Download, target: Path) -> Path:
    if source.member is None:
        return archive.replace(target)
    try:
        with tarfile.open(archive) as tar:
            member = tar.extractfile(source.member)
            if member is None:
                raise UnfitError(f"{source.url}: {source.member} is not a file in the archive")
            with member, target.open("wb") as file:
                while chunk := member.read(1 << 20):
                    file.write(chunk)
    except (tarfile.TarError, KeyError) as error:
        raise UnfitError(f"{source.url}: {error}") from None
    return target
