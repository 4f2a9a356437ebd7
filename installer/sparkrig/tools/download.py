"""Fetches an official file and holds it against a checksum: ours, or the one that its vendor publishes beside it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tarfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sparkrig.defaults import API_CONNECT_TIMEOUT_S, TOOL_DOWNLOAD_TIMEOUT_S, TOOL_STALL_TIMEOUT_S
from sparkrig.errors import Interrupted
from sparkrig.tools.cache import place, workspace
from sparkrig.tools.files import write_atomically
from sparkrig.tools.model import Download, Progress, StopCheck, Tool, ToolSettings, ToolSpec, Update, host_platform
from sparkrig.tools.probe import UnfitError, fitting_version

if TYPE_CHECKING:
    import httpx

REPORT_EVERY_S: Final = 2.0
ATTEMPTS: Final = 3
"""How often a transfer that broke off is taken up again."""
CHECKSUMS_MAX: Final = 1 << 20
"""Bytes of a vendor's file of checksums."""
PINNED: Final = "pinned checksum"
VENDORS: Final = "vendor's checksum"
_SUM: Final = re.compile(r"\b(?:[0-9a-fA-F]{128}|[0-9a-fA-F]{64})\b")
_unreachable: dict[str, str] = {}
"""Host -> why it could not be reached; the next file of the same host is not tried by this process."""


class _BrokenOff(Exception):
    """A transfer ended before the end of the file."""


def download(spec: ToolSpec, settings: ToolSettings, on_progress: Progress, stop: StopCheck) -> Tool:
    """Fetch, verify and cache one binary. Call it under the tool's lock.

    Raises:
        UnfitError: there is no file for this platform, the server fails, or the checksum differs.
        Interrupted: ``stop`` said so.
        OSError: it cannot be written.
    """
    source = spec.downloads.get(host_platform())
    if source is None:
        raise UnfitError(f"no official file is known for {host_platform()}")
    began = time.monotonic()
    what = f"{spec.name} {spec.version}"
    with workspace(spec, settings) as folder:
        wanted = source.digest or _vendors_sum(source, settings)
        size = f" ({source.megabytes} MB)" if source.megabytes else ""
        on_progress(f"{what}: downloading {source.url}{size}")
        archive = folder / "download"
        _fetch(source.url, archive, what, on_progress, stop)
        _verify(archive, source.url, wanted)
        if not source.digest:
            _remember(source, wanted, settings)
        binary = _unpack(archive, source, folder / spec.name)
        binary.chmod(0o755)
        version = fitting_version(spec, binary)
        seconds = time.monotonic() - began
        verified = PINNED if source.digest else VENDORS
        tool = place(spec, binary, version, "download", seconds, settings, verified=verified)
    on_progress(f"{what}: downloaded in {seconds:.0f} s, {verified}")
    return tool


def _fetch(url: str, target: Path, what: str, on_progress: Progress, stop: StopCheck) -> None:
    """Fetch a file whole; what broke off is taken up where it ended, where the server can do that."""
    deadline = time.monotonic() + TOOL_DOWNLOAD_TIMEOUT_S
    reason = ""
    for _ in range(ATTEMPTS):
        have = target.stat().st_size if target.exists() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        try:
            _transfer(url, headers, target, deadline, what, on_progress, stop)
        except _BrokenOff as error:
            reason = str(error)
            continue
        return
    raise UnfitError(f"{url} broke off {ATTEMPTS} times: {reason}")


def _transfer(
    url: str,
    headers: dict[str, str],
    target: Path,
    deadline: float,
    what: str,
    on_progress: Progress,
    stop: StopCheck,
) -> None:
    import httpx

    began = reported = time.monotonic()
    try:
        with _open(url, headers) as response:
            goes_on = response.status_code == httpx.codes.PARTIAL_CONTENT
            have = target.stat().st_size if goes_on and target.exists() else 0
            length = response.headers.get("content-length", "")
            total = have + int(length) if length.isdecimal() else 0
            with target.open("ab" if goes_on else "wb") as file:
                for chunk in response.iter_bytes():
                    file.write(chunk)
                    have += len(chunk)
                    now = time.monotonic()
                    if stop():
                        raise Interrupted(f"stopped downloading {what}")
                    if now > deadline:
                        raise UnfitError(f"{url} took longer than {TOOL_DOWNLOAD_TIMEOUT_S:.0f} s")
                    if now - reported >= REPORT_EVERY_S:
                        on_progress(Update(f"{what}: downloading, {_far(have, total)}, {now - began:.0f} s"))
                        reported = now
    except (httpx.RemoteProtocolError, httpx.ReadError) as error:
        raise _BrokenOff(str(error) or type(error).__name__) from None
    except httpx.HTTPError as error:
        raise UnfitError(_failed(url, error)) from None


def _open(url: str, headers: dict[str, str]) -> _Response:
    return _Response(url, headers)


class _Response:
    """A response that is a file: anything else is refused with what it is."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._url = url
        self._headers = headers

    def __enter__(self) -> httpx.Response:
        import httpx

        host = urlsplit(self._url).netloc
        if host in _unreachable:
            raise UnfitError(f"{self._url}: {_unreachable[host]}")
        timeout = httpx.Timeout(TOOL_STALL_TIMEOUT_S, connect=API_CONNECT_TIMEOUT_S)
        self._stream = httpx.stream("GET", self._url, headers=self._headers, follow_redirects=True, timeout=timeout)
        response = self._stream.__enter__()
        kind = response.headers.get("content-type", "")
        problem = ""
        if response.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
            problem = f"answered {response.status_code} {response.reason_phrase}"
        elif kind.startswith("text/html"):
            problem = "answered with a web page in place of the file: a proxy or a login stands in between"
        if problem:
            self._stream.__exit__(None, None, None)
            raise UnfitError(f"{self._url} {problem}")
        return response

    def __exit__(self, *error: object) -> None:
        self._stream.__exit__(*error)  # type: ignore[arg-type]


def _failed(url: str, error: httpx.HTTPError) -> str:
    import httpx

    reason = str(error) or type(error).__name__
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)):
        _unreachable[urlsplit(url).netloc] = reason
    return f"{url}: {reason}"


def _far(have: int, total: int) -> str:
    if not total:
        return f"{have >> 20} MiB"
    filled = min(20, 20 * have // total)
    return f"[{'#' * filled}{'.' * (20 - filled)}] {100 * have // total}% of {total >> 20} MiB"


def _verify(file: Path, url: str, wanted: str) -> None:
    algorithm = "sha512" if len(wanted) == 128 else "sha256"
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, algorithm).hexdigest()
    if found != wanted:
        file.unlink()
        raise UnfitError(
            f"{url} has the checksum {algorithm}:{found}, expected {algorithm}:{wanted}; the file was deleted"
        )


def _vendors_sum(source: Download, settings: ToolSettings) -> str:
    """The sum that the vendor publishes, and that it published when this file was fetched before."""
    import httpx

    name = urlsplit(source.url).path.rpartition("/")[2]
    text = b""
    try:
        with _open(source.checksums, {}) as response:
            for chunk in response.iter_bytes():
                text += chunk
                if len(text) > CHECKSUMS_MAX:
                    raise UnfitError(f"{source.checksums} is larger than a file of checksums is")
    except httpx.HTTPError as error:
        raise UnfitError(_failed(source.checksums, error)) from None
    lines = text.decode("utf-8", errors="replace").splitlines()
    sums = [found[0].lower() for line in lines if name in line.split("*")[-1].split() and (found := _SUM.search(line))]
    if not sums and len(lines) == 1 and (alone := _SUM.search(lines[0])):
        sums = [alone[0].lower()]
    if len(set(sums)) != 1:
        raise UnfitError(f"{source.checksums} names {len(set(sums)) or 'no'} checksums of {name}")
    before = _remembered(settings).get(source.url)
    if before is not None and before != sums[0]:
        raise UnfitError(
            f"{source.checksums} says {sums[0]} of {name}, and said {before} before: "
            f"a published file does not change; delete {_memory(settings)} if this one is right"
        )
    return sums[0]


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
