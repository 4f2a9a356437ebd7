"""What a chart on this machine is, remembered by where it lies and when it was changed.

Reading a large chart takes a tenth of a second, looking at its times a millisecond. The memory is a
file in the user's cache; losing it costs time only.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from sparkrig.cache import read_memory, write_memory
from sparkrig.helm.charts.archive import ChartFiles, read_chart
from sparkrig.models.json import JsonDict

_FORMAT = 1
_KEY = "charts"


@dataclass(frozen=True, slots=True)
class Identity:
    """Name, versions and content digest of a chart archive or folder."""

    name: str
    version: str
    app_version: str
    kube_version: str
    digest: str


class Identities:
    """Reads identities and remembers them in ``file``; safe to use from several threads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._known: JsonDict | None = None

    def of(self, path: Path) -> Identity:
        """Returns what the chart at ``path`` is; a complete one, ready for helm.

        Raises:
            ChartError: it is no chart, or its dependencies are missing.
        """
        stamp = _stamp(path)
        key = str(path.resolve())
        with self._lock:
            found = self._read().get(key)
        if stamp is not None and isinstance(found, dict) and found.get("stamp") == stamp:
            with contextlib.suppress(TypeError, KeyError):
                return Identity(**found["identity"])
        identity = _identity(read_chart(path))
        if stamp is not None:
            self._remember(key, {"stamp": stamp, "identity": asdict(identity)})
        return identity

    def _read(self) -> JsonDict:
        if self._known is None:
            self._known = read_memory(self._file, _KEY, _FORMAT)
        return self._known

    def _remember(self, key: str, entry: JsonDict) -> None:
        with self._lock:
            # Another run may have written meanwhile: what it learned is kept.
            self._known = {**read_memory(self._file, _KEY, _FORMAT), **self._read(), key: entry}
            with contextlib.suppress(OSError):  # learned again by the next run
                write_memory(self._file, _KEY, _FORMAT, self._known)


def identify(path: Path, where: str) -> Identity:
    """Reads what the archive at ``path`` is, and remembers nothing; ``where`` names it in messages.

    Raises:
        ChartError: it is no chart, or its dependencies are missing.
    """
    return _identity(read_chart(path, where))


def _identity(chart: ChartFiles) -> Identity:
    chart.require_complete()
    metadata = chart.metadata
    return Identity(metadata.name, metadata.version, metadata.app_version, metadata.kube_version, chart.digest)


def _stamp(path: Path) -> str | None:
    """Returns times and sizes in one word; None when the path cannot be looked at."""
    try:
        if not path.is_dir():
            status = path.stat()
            return f"{status.st_mtime_ns}:{status.st_size}"
        total = hashlib.sha256()
        for folder, folders, files in os.walk(path):
            folders.sort()
            for name in sorted(files):
                full = os.path.join(folder, name)  # noqa: PTH118 - thousands of Path objects cost more than the stats
                status = os.stat(full)  # noqa: PTH116
                total.update(f"{full}\0{status.st_mtime_ns}\0{status.st_size}\n".encode(errors="surrogateescape"))
        return total.hexdigest()
    except OSError:
        return None
