"""Takes binaries from official files, held against a checksum: ours, or the one that its vendor publishes."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tarfile
import time
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sparkrig.cache import write_atomically
from sparkrig.tools import transfer
from sparkrig.tools.cache import cached, place, workspace
from sparkrig.tools.model import Download, Progress, StopCheck, Tool, ToolSettings, ToolSpec, Update, host_platform
from sparkrig.tools.probe import UnfitError, fitting_version
from sparkrig.tools.specs import load_specs

CHECKSUMS_MAX: Final = 1 << 20
"""Bytes of a vendor's file of checksums."""
PINNED: Final = "pinned checksum"
VENDORS: Final = "vendor's checksum"
_SUM: Final = re.compile(r"\b(?:[0-9a-fA-F]{128}|[0-9a-fA-F]{64})\b")


def download(spec: ToolSpec, settings: ToolSettings, on_progress: Progress, stop: StopCheck) -> Tool:
    """Fetch, verify and cache a binary, and what else of its folder is in the same archive. Call it under the lock.

    Raises:
        UnfitError: there is no file for this platform, the server fails, or the checksum differs.
        Interrupted: ``stop`` said so.
        OSError: it cannot be written.
    """
    source = spec.downloads.get(host_platform())
    if source is None:
        raise UnfitError(f"no official file is known for {host_platform()}")
    began = time.monotonic()
    specs = [spec, *_same_file(spec, source, settings)]
    what = f"{', '.join(each.name for each in specs)} {spec.version}"
    with workspace(spec, settings) as folder:
        wanted = source.digest or _vendors_sum(source, settings, stop)
        size = f" ({source.megabytes} MB)" if source.megabytes else ""
        archive = folder / "download"
        transfer.fetch(
            source.url,
            archive,
            what,
            lambda: on_progress(Update(f"{what}: downloading {source.url}{size}")),
            on_progress,
            stop,
        )
        _verify(archive, source.url, wanted)
        if not source.digest:
            _remember(source, wanted, settings)
        verified = PINNED if source.digest else VENDORS
        tools = []
        for each in specs:
            binary = _unpack(archive, each.downloads[host_platform()], folder / each.name)
            binary.chmod(0o755)
            version = fitting_version(each, binary)
            seconds = time.monotonic() - began
            tools.append(place(each, binary, version, "download", seconds, settings, verified=verified, digest=wanted))
    on_progress(f"{what}: downloaded in {seconds:.0f} s, {verified}")
    return tools[0]


def _same_file(spec: ToolSpec, source: Download, settings: ToolSettings) -> Sequence[ToolSpec]:
    """The other binaries that the same archive gives and that are missing too: it is fetched once."""
    if source.member is None:
        return []
    return [
        other
        for other in load_specs(settings.tools_dir).values()
        if other.name != spec.name
        and other.folder == spec.folder
        and (theirs := other.downloads.get(host_platform())) is not None
        and (theirs.url, theirs.digest) == (source.url, source.digest)
        and other.variable not in settings.explicit
        and cached(other, settings) is None
    ]


def _verify(file: Path, url: str, wanted: str) -> None:
    algorithm = "sha512" if len(wanted) == 128 else "sha256"
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, algorithm).hexdigest()
    if found != wanted:
        file.unlink()
        raise UnfitError(
            f"{url} has the checksum {algorithm}:{found}, expected {algorithm}:{wanted}; the file was deleted"
        )


def _vendors_sum(source: Download, settings: ToolSettings, stop: StopCheck) -> str:
    """The sum that the vendor publishes, and that it published when this file was fetched before."""
    name = urlsplit(source.url).path.rpartition("/")[2]
    text = transfer.read(source.checksums, CHECKSUMS_MAX, stop).decode("utf-8", errors="replace")
    sums = set(_of_release(text, source.url) or _of_lines(text.splitlines(), name))
    if len(sums) != 1:
        raise UnfitError(f"{source.checksums} names {len(sums) or 'no'} checksums of {name}")
    (found,) = sums
    before = _remembered(settings).get(source.url)
    if before is not None and before != found:
        raise UnfitError(
            f"{source.checksums} says {found} of {name}, and said {before} before: "
            f"a published file does not change; delete {_memory(settings)} if this one is right"
        )
    return found


def _of_release(text: str, url: str) -> list[str]:
    """The sum that GitHub states of a file of a release, from the release's description."""
    if not text.lstrip().startswith("{"):
        return []
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        files = json.loads(text)["assets"]
        stated = [str(file["digest"]) for file in files if file["browser_download_url"] == url]
        return [found[0].lower() for digest in stated if (found := _SUM.search(digest))]
    return []


def _of_lines(lines: Sequence[str], name: str) -> list[str]:
    """From a file as ``sha256sum`` writes it, or one that holds a sum and nothing else."""
    sums = [found[0].lower() for line in lines if name in line.split("*")[-1].split() and (found := _SUM.search(line))]
    if not sums and len(lines) == 1 and (alone := _SUM.fullmatch(lines[0].strip())):
        sums = [alone[0].lower()]
    return sums


def _remember(source: Download, digest: str, settings: ToolSettings) -> None:
    known = _remembered(settings)
    if known.get(source.url) != digest:
        write_atomically(_memory(settings), json.dumps({**known, source.url: digest}, indent=1).encode())


def _remembered(settings: ToolSettings) -> dict[str, str]:
    try:
        found = json.loads(_memory(settings).read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _memory(settings: ToolSettings) -> Path:
    return settings.cache_dir / "tools" / "checksums.json"


def _unpack(archive: Path, source: Download, target: Path) -> Path:
    if source.member is None:
        return archive.replace(target)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as files, files.open(source.member) as member, target.open("wb") as file:
                shutil.copyfileobj(member, file, 1 << 20)
            return target
        with tarfile.open(archive) as tar:
            found = tar.extractfile(source.member)
            if found is None:
                raise UnfitError(f"{source.url}: {source.member} is not a file in the archive")
            with found, target.open("wb") as file:
                shutil.copyfileobj(found, file, 1 << 20)
    except (tarfile.TarError, zipfile.BadZipFile, KeyError, EOFError) as error:
        raise UnfitError(f"{source.url}: {error}") from None
    return target
