"""``sparkrig lock``: writes down exactly which charts a stack uses.

Locks every component that the stack file does not switch off, those that wait for a fact of the
cluster included: whether a cluster has GPUs must not change which chart they get.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from sparkrig.commands.session import Session
from sparkrig.errors import InvalidInput, NotFound
from sparkrig.helm.charts.archive import ChartFiles, read_chart
from sparkrig.models.chart import Chart
from sparkrig.models.cluster import ClusterFacts
from sparkrig.models.component import Component
from sparkrig.models.problem import Problem, Severity
from sparkrig.stack.lockfile import (
    LockChange,
    LockedChart,
    Subchart,
    changes,
    lock_path,
    lock_text,
    source_of,
    unwanted,
)
from sparkrig.stack.resolve import Prepared, find_charts, prepare


@dataclass(frozen=True, slots=True)
class Locking:
    """What ``lock`` found."""

    file: str
    charts: dict[str, LockedChart]
    changes: tuple[LockChange, ...]
    written: bool


def lock(session: Session, *, upgrade: Collection[str] | None = None, check: bool = False) -> Locking:
    """Brings the lock file to what stack file and catalogue ask for.

    ``upgrade`` names the components whose charts may have another content or source than before, none
    for all of them; those are fetched anew. ``check`` writes nothing.

    Raises:
        InvalidInput: the input is wrong, a chart cannot be found, one changed without having been
            asked for, or (``check``) the lock is not what the input asks for.
        NotFound: ``upgrade`` names a component that the stack does not have.
    """
    session.check()
    prepared = _everything(session)
    unknown = sorted(set(upgrade or ()) - set(prepared.components))
    if unknown:
        raise NotFound(f"not in this stack: {', '.join(unknown)}", hint=f"it has {', '.join(prepared.components)}")

    def upgraded(component: str) -> bool:
        return upgrade is not None and (not upgrade or component in upgrade)

    def fetch(component: Component) -> Chart:
        locked = session.lock.charts.get(component.name) if session.lock else None
        same = locked is not None and locked.version == component.chart.version and not upgraded(component.name)
        digest = locked.digest if locked and same else None
        return session.charts.fetch(component.chart, digest=digest, refresh=upgraded(component.name))

    found, problems = find_charts(session.stack_file, session.catalog, prepared, fetch)
    if problems:
        raise InvalidInput(problems, "charts are missing")
    charts = {name: _locked(prepared.components[name], chart) for name, chart in found.items()}
    made = changes(session.lock, charts)
    path = lock_path(session.request.stack_file, stand_ins=session.request.stand_ins is not None)
    shown = session.sources.shown(path)
    problems = unwanted(session.lock, made, upgraded)
    if check:
        problems = [*problems, *_stale(session, shown, made)]
    if problems:
        raise InvalidInput(problems, "the lock is not what the stack asks for")
    written = bool(made or session.lock is None) and not check
    if written:
        _write(path, lock_text(charts))
    return Locking(shown, charts, made, written)


def _everything(session: Session) -> Prepared:
    """The stack with every ``auto`` on, as if all of it were installed already."""
    return prepare(
        session.stack_file,
        session.catalog,
        ClusterFacts(),
        overrides=session.request.overrides,
        installed=frozenset(session.catalog.components),
        sources=session.sources,
    )


def _locked(component: Component, chart: Chart) -> LockedChart:
    subcharts = tuple(_subcharts(read_chart(chart.path), ""))
    return LockedChart(chart.name, chart.version, chart.digest, source_of(component.chart, chart), subcharts)


def _subcharts(chart: ChartFiles, prefix: str) -> Iterator[Subchart]:
    for part in sorted(chart.subcharts, key=lambda part: (part.name, part.version)):
        yield Subchart(f"{prefix}{part.name}", part.version, part.digest)
        yield from _subcharts(part, f"{prefix}{part.name}/")


def _stale(session: Session, shown: str, made: tuple[LockChange, ...]) -> Iterator[Problem]:
    """What ``lock`` would change, as problems for ``--check``."""
    if session.lock is None:
        message = f"there is no {shown}"
        yield Problem(Severity.ERROR, "not-locked", message, where=shown, hint="sparkrig lock writes it")
        return
    for change in made:
        if change.old is not None and change.new is not None and change.old.version == change.new.version:
            continue  # a change of the content: said already
        was = f"has {change.old}" if change.old else "does not have it"
        wanted = f"asks for {change.new}" if change.new else "does not want it"
        yield Problem(
            Severity.ERROR,
            "lock-stale",
            f"{change.component}: {shown} {was}, the stack {wanted}",
            session.lock.place(change.component),
            hint="sparkrig lock brings it up to date",
        )


def _write(path: Path, text: str) -> None:
    """Whole or not at all; with the rights that a file of the user's gets."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise NotFound(f"{path} cannot be written: {error.strerror}", hint="the lock lies beside the stack file") from (
            error
        )
