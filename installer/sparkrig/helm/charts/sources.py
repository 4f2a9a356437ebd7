"""Where charts come from: a folder, a mirror, a repository, a registry, or stand-ins.

Remote charts are kept in the cache by their content digest, with a note which repository's name and
version it was: a published version does not change, and the lock file tells if it did. Stand-ins are
used only when their folder is given, and only for charts that have one; nothing here ever falls back
to them.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sparkrig import defaults
from sparkrig.cache import prune, used, write_atomically
from sparkrig.errors import NotFound, SparkrigError
from sparkrig.helm.charts.access import Access, AccessFor, open_to_all, split_userinfo
from sparkrig.helm.charts.identity import Identities, Identity, identify
from sparkrig.helm.charts.repository import MIRROR_HINT, Entry, Repository, shown
from sparkrig.helm.client import HelmClient
from sparkrig.helm.errors import ChartError, HelmError
from sparkrig.helm.versions import nearest, same, similar
from sparkrig.models.chart import Chart, ChartOrigin
from sparkrig.models.component import ChartRef

STAND_IN_SUFFIX = "-standin"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


class ChartStore:
    """Fetches charts.

    ``mirror`` folders hold archives or chart folders; where one is given, remote charts come from
    there only. ``stand_ins`` is a folder of test charts. ``helm`` is needed for ``oci://`` only.
    ``access`` says how private sources are entered; it is asked only when something is fetched.
    """

    def __init__(
        self,
        cache_dir: Path,
        mirror: Sequence[Path] = (),
        stand_ins: Path | None = None,
        helm: HelmClient | None = None,
        access: AccessFor = open_to_all,
    ) -> None:
        self._cache = cache_dir
        self._mirror = tuple(mirror)
        self._stand_ins = stand_ins
        self._helm = helm
        self._access = access
        self._identities = Identities(cache_dir / "identities.json")

    def fetch(self, ref: ChartRef, *, digest: str | None = None, refresh: bool = False) -> Chart:
        """Brings a chart to this machine, or says that it is there already.

        ``digest`` is what the lock file says: a copy in the cache is taken only if it is that. What a
        source gives instead is returned as it is, for the caller to refuse. ``refresh`` asks the source
        even if the cache has the version.

        Raises:
            NotFound: no such chart, no such version, or its source cannot be reached.
            ChartError: what was found is not a whole chart, or not the one that was asked for.
        """
        if ref.path is not None:
            return self._local(ref, ref.path)
        _check_words(ref)
        if self._stand_ins is not None:
            wanted = ref.version + STAND_IN_SUFFIX
            if found := self._named(_folder(self._stand_ins, "--stand-ins"), ref.name, wanted):
                return _stand_in(ref, self._stand_ins, found, wanted)
        if self._mirror:
            return self._mirrored(ref)
        if ref.repository is None:
            raise NotFound(f"chart {ref.name} {ref.version}: neither a repository nor a path says where it is")
        return self._remote(ref, ref.repository, digest, refresh=refresh)

    def at_hand(self, ref: ChartRef, *, digest: str | None = None) -> Chart | None:
        """A chart that is on this machine, or None: no source is asked, nothing is fetched."""
        with contextlib.suppress(SparkrigError):
            if ref.path is not None or self._mirror or ref.repository is None:
                return self.fetch(ref, digest=digest)
            if self._stand_ins is not None and self._named(self._stand_ins, ref.name, ref.version + STAND_IN_SUFFIX):
                return self.fetch(ref, digest=digest)
            folder, origin = self._remembered(ref.repository)
            kept = self._kept(ref, digest or _text(folder / f"{ref.name}-{ref.version}.digest"))
            return None if kept is None else _chart(*kept, origin)
        return None

    # ------------------------------------------------------------------ on this machine

    def _local(self, ref: ChartRef, path: Path) -> Chart:
        identity = self._identities.of(path)
        return _chart(_expect(identity, ref.name, ref.version, str(path)), path, ChartOrigin.LOCAL)

    def _mirrored(self, ref: ChartRef) -> Chart:
        folders = [_folder(path, "--chart-mirror") for path in self._mirror]
        found = [pair for folder in folders for pair in self._named(folder, ref.name, ref.version)]
        for path, identity in found:
            if same(identity.version, ref.version):
                return _chart(identity, path, ChartOrigin.MIRROR)
        where = ", ".join(map(str, self._mirror))
        message = f"chart {ref.name} {ref.version} is not in the mirror {where}"
        if found:
            have = ", ".join(nearest(ref.version, (identity.version for _, identity in found)))
            raise NotFound(f"{message}; of {ref.name} it has {have}")
        names = {name for folder in self._mirror for name in _names(folder)}
        meant = similar(ref.name, names)
        raise NotFound(f"{message}; it has no chart {ref.name}" + (f", did you mean {meant}?" if meant else ""))

    def _named(self, folder: Path, name: str, version: str) -> list[tuple[Path, Identity]]:
        """Returns the charts of a folder with exactly this name, by what their Chart.yaml says.

        Archives whose file name does not begin with the chart's are opened only if the others do not
        have the version.
        """
        expected: list[Path] = []
        others: list[Path] = []
        for path in _charts_in(folder):
            (expected if _looks_like(path, name) else others).append(path)
        found: list[tuple[Path, Identity]] = []
        for paths in (expected, [path for path in others if path.suffix == ".tgz"]):
            found += [(path, identity) for path in paths if (identity := self._identities.of(path)).name == name]
            if any(same(identity.version, version) for _, identity in found):
                break
        return found

    # ------------------------------------------------------------------ elsewhere

    def _remote(self, ref: ChartRef, repository: str, digest: str | None, *, refresh: bool) -> Chart:
        folder, origin = self._remembered(repository)
        note = folder / f"{ref.name}-{ref.version}.digest"
        kept = None if refresh else self._kept(ref, digest or _text(note))
        if kept is not None:
            return _chart(*kept, origin)
        folder = self._writable(folder)
        with tempfile.TemporaryDirectory(dir=folder) as private:
            path = Path(private) / f"{ref.name}.tgz"
            if origin is ChartOrigin.OCI:
                plain, own = split_userinfo(repository)
                self._pull(_oci_reference(plain, ref.name), ref.version, path, own)
            else:
                self._download(ref, repository, folder, path)
            identity = _expect(identify(path, shown(repository)), ref.name, ref.version, shown(repository))
            place = folder.parent / self._place(identity.digest).relative_to(self._cache)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
        write_atomically(folder / note.name, identity.digest.encode())
        with contextlib.suppress(OSError):
            prune(place.parent)
        return _chart(identity, place, origin)

    def _writable(self, folder: Path) -> Path:
        """The folder, or one of this run's own where the cache cannot be written: charts are then fetched each time."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            own = Path(self._own_folder) / folder.name
            own.mkdir(parents=True, exist_ok=True)
            return own

    @functools.cached_property
    def _own_folder(self) -> str:
        return tempfile.mkdtemp(prefix="sparkrig-charts-")

    def close(self) -> None:
        """Removes what was fetched for this run only."""
        if "_own_folder" in self.__dict__:
            shutil.rmtree(self._own_folder, ignore_errors=True)

    def _remembered(self, repository: str) -> tuple[Path, ChartOrigin]:
        """Where the notes about a repository's charts are, and what kind of source it is."""
        origin = ChartOrigin.OCI if repository.startswith("oci://") else ChartOrigin.REPOSITORY
        return self._cache / hashlib.sha256(repository.rstrip("/").encode()).hexdigest()[:16], origin

    def _kept(self, ref: ChartRef, digest: str) -> tuple[Identity, Path] | None:
        """A whole copy in the cache that has this digest; one that was damaged there is removed."""
        if not _DIGEST.fullmatch(digest) or not (path := self._place(digest)).is_file():
            return None
        with contextlib.suppress(SparkrigError):
            identity = _expect(self._identities.of(path), ref.name, ref.version, str(path))
            if identity.digest == digest:
                used(path)
                return identity, path
        path.unlink(missing_ok=True)
        return None

    def _place(self, digest: str) -> Path:
        return self._cache / "sha256" / f"{digest.removeprefix('sha256:')}.tgz"

    def _download(self, ref: ChartRef, repository: str, folder: Path, path: Path) -> None:
        if not repository.startswith(("https://", "http://")):
            raise NotFound(
                f"chart {ref.name}: repository {shown(repository)!r} is neither https://, http:// nor oci://"
            )
        source = Repository(repository, folder, self._access)
        entry: Entry = source.find(ref.name, ref.version)
        if entry.url.startswith("oci://"):
            plain, own = split_userinfo(entry.url)
            self._pull(plain.removesuffix(f":{entry.version}"), entry.version, path, own)
        else:
            source.download(entry, path)

    def _pull(self, reference: str, version: str, path: Path, own: Access | None) -> None:
        if self._helm is None:
            raise NotFound(f"{reference} {version}: fetching from a registry needs helm")
        import asyncio  # charts of a registry alone need it

        helm, access = self._helm, own or self._access(reference)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder, ThreadPoolExecutor(1) as thread:
            # A thread of its own: the caller may be inside an event loop. It lives until helm has ended.
            work = helm.pull(reference, version, Path(folder), deadline_s=defaults.HELM_TIMEOUT_S, access=access)
            try:
                thread.submit(asyncio.run, work).result().replace(path)
            except HelmError as error:
                raise NotFound(error.message, hint=MIRROR_HINT, detail=error.detail) from error


def _stand_in(ref: ChartRef, folder: Path, found: Sequence[tuple[Path, Identity]], wanted: str) -> Chart:
    for path, identity in found:
        if same(identity.version, wanted):
            return _chart(identity, path, ChartOrigin.STAND_IN)
    have = ", ".join(identity.version for _, identity in found)
    raise NotFound(
        f"the stand-in for chart {ref.name} in {folder} is {have}, expected {wanted}",
        hint="stand-ins follow the version in component.yaml; bring the stand-in's Chart.yaml to it",
    )


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _folder(path: Path, flag: str) -> Path:
    if not path.is_dir():
        raise NotFound(f"{flag} {path}: there is no such folder")
    return path


def _check_words(ref: ChartRef) -> None:
    """Name and version become file names and arguments of helm."""
    for what, word in (("name", ref.name), ("version", ref.version)):
        if not _WORD.fullmatch(word):
            raise NotFound(f"{word!r} cannot be a chart's {what}")


def _chart(identity: Identity, path: Path, origin: ChartOrigin) -> Chart:
    return Chart(
        name=identity.name,
        version=identity.version,
        app_version=identity.app_version,
        digest=identity.digest,
        path=path,
        origin=origin,
        kube_version=identity.kube_version or None,
    )


def _expect(identity: Identity, name: str, version: str, where: str) -> Identity:
    if identity.name != name or (version and not same(identity.version, version)):
        raise ChartError(
            f"{where}: expected chart {name} {version}, found {identity.name} {identity.version}",
            hint="the component's chart.name and chart.version must be those of its Chart.yaml",
        )
    return identity


def _oci_reference(repository: str, name: str) -> str:
    base = repository.rstrip("/")
    return base if base.endswith(f"/{name}") else f"{base}/{name}"


def _charts_in(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.suffix == ".tgz" or (path / "Chart.yaml").is_file():
            yield path


def _looks_like(path: Path, name: str) -> bool:
    """Looks at an archive's name and at a folder's Chart.yaml as text, so that other charts are not read whole."""
    if path.suffix == ".tgz":
        return path.name.startswith(f"{name}-")
    return name in (path / "Chart.yaml").read_text(errors="replace")


def _names(folder: Path) -> Iterator[str]:
    for path in _charts_in(folder):
        yield path.stem.rpartition("-")[0] or path.stem if path.suffix == ".tgz" else path.name
