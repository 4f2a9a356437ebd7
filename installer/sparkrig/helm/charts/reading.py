"""Reads the files of a chart, archive or folder, into memory, guarding against hostile archives.

Names are relative to the chart with slashes between; a byte order mark at a file's start is dropped,
as helm does it.
"""

from __future__ import annotations

import codecs
import gzip
import io
import os
import posixpath
import re
import stat
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from sparkrig.helm.charts.ignore import IgnoreRules
from sparkrig.helm.errors import ChartError

MAX_CHART_BYTES = 100 * 1024 * 1024
"""All files of a chart unpacked, archives in it included; helm's own limit."""
MAX_CHART_FILES = 20_000
"""The largest public charts have some hundred files."""
MAX_ARCHIVE_DEPTH = 6
"""Archives within archives."""

_DRIVE = re.compile(r"^[a-zA-Z]:/")


class Budget:
    """What may still be read of one chart; archives nested in it share it."""

    def __init__(self, where: str, size: int = MAX_CHART_BYTES, files: int = MAX_CHART_FILES) -> None:
        self.where = where
        self._size = size
        self._files = files

    def take_bytes(self, count: int) -> None:
        """Counts bytes that were unpacked."""
        self._size -= count
        if self._size < 0:
            raise ChartError(
                f"{self.where}: unpacked it is larger than {MAX_CHART_BYTES // 2**20} MiB, helm's limit for a chart"
            )

    def take_file(self) -> None:
        """Counts a file."""
        self._files -= 1
        if self._files < 0:
            raise ChartError(f"{self.where}: more than {MAX_CHART_FILES} files")


class _Counted(io.RawIOBase):
    """A stream whose bytes, headers and padding too, count against the budget."""

    def __init__(self, inner: IO[bytes] | gzip.GzipFile, budget: Budget) -> None:
        self._inner = inner
        self._budget = budget

    def read(self, size: int = -1) -> bytes:
        data = self._inner.read(size)
        self._budget.take_bytes(len(data))
        return data


def read_archive(data: IO[bytes], budget: Budget) -> dict[str, bytes]:
    """Returns the files of a ``.tgz``, without the name of the folder they are in.

    Raises:
        ChartError: it is damaged, too large, or holds links or paths that lead out of it.
    """
    files: dict[str, bytes] = {}
    try:
        with gzip.GzipFile(fileobj=data) as unpacked:
            stream = _Counted(unpacked, budget)
            with tarfile.open(fileobj=stream, mode="r|", bufsize=64 * 1024) as archive:
                for member in archive:
                    if member.isdir():
                        continue
                    name = _member_name(member, budget.where)
                    if name in files:
                        raise ChartError(f"{budget.where}: holds {name} twice")
                    budget.take_file()
                    content = archive.extractfile(member)
                    files[name] = _without_mark(content.read() if content else b"")
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise ChartError(
            f"{budget.where}: expected a gzipped tar archive, found something else or half of one ({error})",
            hint="fetch the chart again; tar tzf FILE shows whether it is whole",
        ) from error
    if not files:
        raise ChartError(f"{budget.where}: the archive is empty")
    return files


def _member_name(member: tarfile.TarInfo, where: str) -> str:
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        kind = "a link" if member.issym() or member.islnk() else "not a plain file"
        raise ChartError(f"{where}: {member.name} is {kind}; a chart archive holds plain files only")
    full = member.name.replace("\\", "/")
    base, _, rest = full.partition("/")
    if base == "Chart.yaml":
        raise ChartError(f"{where}: Chart.yaml is not in a folder")
    name = posixpath.normpath(rest) if rest else "."
    unsafe = rest.startswith("/") or name == "." or name.split("/")[0] == ".." or base == ".."
    if unsafe or full.startswith("/") or _DRIVE.match(name):
        raise ChartError(f"{where}: {member.name} leads out of the chart")
    return name


def read_folder(folder: Path, budget: Budget) -> dict[str, bytes]:
    """Returns the files of a chart folder that helm would take: ``.helmignore`` is respected.

    Raises:
        ChartError: it is too large, or holds links that lead out of it, or devices.
    """
    top = folder.resolve()
    ignore_file = top / ".helmignore"
    text = ignore_file.read_text(errors="replace") if ignore_file.is_file() else None
    rules = IgnoreRules(text, str(folder / ".helmignore"))
    files: dict[str, bytes] = {}
    for name, path in _walk(top, top, "", rules):
        budget.take_file()
        budget.take_bytes(path.stat().st_size)
        files[name] = _without_mark(path.read_bytes())
    return files


def _walk(top: Path, folder: Path, prefix: str, rules: IgnoreRules) -> Iterator[tuple[str, Path]]:
    with os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        name = prefix + entry.name
        path = Path(entry.path)
        is_folder = entry.is_dir()
        if rules.ignores(name, folder=is_folder):
            continue
        if entry.is_symlink():
            path = _link_target(top, path, is_folder)
        if is_folder:
            yield from _walk(top, path, f"{name}/", rules)
        elif stat.S_ISREG(path.stat().st_mode):
            yield name, path
        else:
            raise ChartError(f"{entry.path}: neither a file nor a folder")


def _link_target(top: Path, link: Path, is_folder: bool) -> Path:
    target = link.resolve()
    if not target.exists():
        raise ChartError(f"{link}: the link leads nowhere")
    if is_folder or not target.is_relative_to(top):
        raise ChartError(
            f"{link}: a link to {target}; in a chart folder links may lead to files of the same chart only",
            hint="copy what it leads to, or leave it out in .helmignore",
        )
    return target


def _without_mark(data: bytes) -> bytes:
    return data.removeprefix(codecs.BOM_UTF8)
