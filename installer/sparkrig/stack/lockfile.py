"""``stack.lock.yaml``: exactly which charts a stack uses. Reads and compares; fetches nothing.

The lock belongs to one stack file. Stand-ins have a lock of their own beside it, so that a rehearsal
never changes what production uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from sparkrig.catalog.sources import SourceTexts
from sparkrig.catalog.validate import check_document, schema_file
from sparkrig.errors import InvalidInput
from sparkrig.models.chart import Chart, ChartOrigin
from sparkrig.models.component import ChartRef, Component
from sparkrig.models.json import JsonDict, JsonValue, mappings_at, text_at, text_map_at
from sparkrig.models.objects import API_VERSION
from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.yaml.nodes import MapNode, find, place
from sparkrig.yaml.plain import dump

STAND_IN_SUFFIX: Final = "-standin"
"""What a stand-in's version has behind that of the chart it stands for."""
CATALOGUE: Final = "catalogue"
"""The source of a chart that is part of its component's folder."""
STAND_IN: Final = "stand-in"
_SCHEMA: Final = Path(__file__).with_name("lock.schema.json")
_HEAD: Final = """\
# Written by `sparkrig lock`: exactly these charts are used. Keep it in version control; do not edit it.
"""


@dataclass(frozen=True, slots=True)
class Subchart:
    """A chart within a chart."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class LockedChart:
    """The chart of one component."""

    name: str
    version: str
    digest: str
    source: str
    """Address of the repository or registry, ``catalogue`` or ``stand-in``."""
    subcharts: tuple[Subchart, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class ChartLock:
    """A lock file as read; its form is right."""

    shown: str
    charts: Mapping[str, LockedChart]
    """Component -> its chart."""
    document: MapNode

    def place(self, component: str, *path: str) -> Position:
        """Where the file says something about a component."""
        return place(self.document, ("charts", component, *path))


def lock_path(stack_file: Path, *, stand_ins: bool) -> Path:
    """The lock file of a stack file: ``lab.yaml`` has ``lab.lock.yaml`` and ``lab.stand-ins.lock.yaml``."""
    middle = ".stand-ins.lock" if stand_ins else ".lock"
    return stack_file.with_name(f"{stack_file.stem}{middle}.yaml")


def load_lock(path: Path, sources: SourceTexts) -> ChartLock | None:
    """Read a lock file; None when there is none.

    Raises:
        InvalidInput: it is there and is no lock file.
    """
    loaded = sources.load_document(path)
    if any(problem.code == "no-file" for problem in loaded.problems):
        return None
    document = loaded.document
    problems = list(loaded.problems)
    if isinstance(document, MapNode):
        problems += check_document(document, schema_file(_SCHEMA), "lock")
    if not isinstance(document, MapNode) or problems:
        raise InvalidInput(problems, "the lock file cannot be used")
    charts = find(document, ("charts",))
    entries = charts.entries if isinstance(charts, MapNode) else {}
    return ChartLock(
        sources.shown(path), {name: _locked(entry.node.value) for name, entry in entries.items()}, document
    )


def _locked(data: JsonValue) -> LockedChart:
    subcharts = tuple(Subchart(**text_map_at(item)) for item in mappings_at(data, "subcharts"))
    name, version, digest, source = (text_at(data, key) for key in ("name", "version", "digest", "source"))
    return LockedChart(name, version, digest, source, subcharts)


def source_of(ref: ChartRef, chart: Chart) -> str:
    """Where a chart comes from, without user name and password; a mirror is only a way to get there."""
    if chart.origin is ChartOrigin.STAND_IN:
        return STAND_IN
    if ref.repository is None:
        return CATALOGUE
    parts = urlsplit(ref.repository.rstrip("/"))
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


# ------------------------------------------------------------------ using it


def fetch_locked(
    lock: ChartLock | None, component: Component, fetch: Callable[[ChartRef, str | None], Chart], asked: Position | None
) -> Chart:
    """The chart of a component: what the lock says where there is one, else what ``fetch`` finds.

    ``fetch`` takes the digest to look for; ``asked`` is where the stack file names a version, if it does.

    Raises:
        InvalidInput: the lock has no such component, another version or source, or another content.
    """
    if lock is None:
        return fetch(component.chart, None)
    locked = lock.charts.get(component.name)
    if locked is None:
        raise InvalidInput([_not_locked(lock, component)])
    if not _same_version(locked.version, component.chart.version):
        raise InvalidInput([_other_version(lock, component, locked, asked)])
    chart = fetch(component.chart, locked.digest)
    source = source_of(component.chart, chart)
    if source != locked.source:
        raise InvalidInput([_other_source(lock, component, locked, source)])
    if chart.digest != locked.digest:
        raise InvalidInput([_other_digest(lock, component, locked, chart)])
    return chart


def _same_version(locked: str, asked: str) -> bool:
    return locked.removesuffix(STAND_IN_SUFFIX).removeprefix("v") == asked.removeprefix("v")


def _not_locked(lock: ChartLock, component: Component) -> Problem:
    return Problem(
        Severity.ERROR,
        "not-locked",
        f"{component.name} is not in {lock.shown}",
        lock.place(component.name),
        hint="sparkrig lock adds it",
    )


def _other_version(lock: ChartLock, component: Component, locked: LockedChart, asked: Position | None) -> Problem:
    who = f"{asked}" if asked else "the catalogue"
    before = locked.version.removesuffix(STAND_IN_SUFFIX)
    return Problem(
        Severity.ERROR,
        "lock-version",
        f"{component.name}: {lock.shown} has chart {locked}, {who} asks for {component.chart.version}",
        lock.place(component.name, "version"),
        hint=f"sparkrig lock takes {component.chart.version}; to stay, ask for {before}",
    )


def _other_source(lock: ChartLock, component: Component, locked: LockedChart, source: str) -> Problem:
    now = "it is part of the catalogue" if source == CATALOGUE else f"the catalogue takes it from {source}"
    return Problem(
        Severity.ERROR,
        "lock-source",
        f"{component.name}: {lock.shown} has chart {locked} from {locked.source}, {now}",
        lock.place(component.name, "source"),
        hint=f"if that is meant: sparkrig lock --upgrade {component.name}",
    )


def _other_digest(lock: ChartLock, component: Component, locked: LockedChart, chart: Chart) -> Problem:
    return Problem(
        Severity.ERROR,
        "lock-digest",
        f"{component.name}: chart {chart.name} {chart.version} is not the one that was locked",
        lock.place(component.name, "digest"),
        label=f"found {chart.digest}",
        hint=f"expected {locked.digest}, found {chart.digest}: it was changed under the same version. "
        f"If that is meant: sparkrig lock --upgrade {component.name}",
    )


# ------------------------------------------------------------------ making it


@dataclass(frozen=True, slots=True)
class LockChange:
    """What a new lock says otherwise than the old one. ``old`` or ``new`` is None for what came or went."""

    component: str
    old: LockedChart | None
    new: LockedChart | None


def changes(old: ChartLock | None, new: Mapping[str, LockedChart]) -> tuple[LockChange, ...]:
    """The differences, by component."""
    before = old.charts if old else {}
    return tuple(
        LockChange(name, before.get(name), new.get(name))
        for name in sorted({*before, *new})
        if before.get(name) != new.get(name)
    )


def unwanted(old: ChartLock | None, found: Sequence[LockChange], upgrade: Callable[[str], bool]) -> list[Problem]:
    """Charts that changed under the same version, or moved, without having been asked for."""
    problems = []
    for change in found:
        before, after = change.old, change.new
        if old is None or before is None or after is None or upgrade(change.component):
            continue
        if before.version != after.version:
            continue
        what = "digest" if before.source == after.source else "source"
        problems.append(
            Problem(
                Severity.ERROR,
                f"lock-{what}",
                f"{change.component}: chart {before} is not the one that was locked",
                old.place(change.component, what),
                label=f"found {getattr(after, what)}",
                hint=f"expected {getattr(before, what)}, found {getattr(after, what)}; "
                f"if that is meant: sparkrig lock --upgrade {change.component}",
            )
        )
    return problems


def lock_text(charts: Mapping[str, LockedChart]) -> str:
    """The lock file's text; equal charts, equal text."""
    return _HEAD + dump(lock_document(charts))


def lock_document(charts: Mapping[str, LockedChart]) -> JsonDict:
    """The lock as plain data."""
    return {
        "apiVersion": API_VERSION,
        "kind": "ChartLock",
        "charts": {name: _entry(charts[name]) for name in sorted(charts)},
    }


def _entry(chart: LockedChart) -> JsonDict:
    entry: JsonDict = {
        "name": chart.name,
        "version": chart.version,
        "digest": chart.digest,
        "source": chart.source,
    }
    if chart.subcharts:
        entry["subcharts"] = [{"name": s.name, "version": s.version, "digest": s.digest} for s in chart.subcharts]
    return entry
