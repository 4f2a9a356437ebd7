"""Does every value that our catalogue sets reach the chart?

For each component with a chart made elsewhere, and each path that its values, profiles, facts, globals and ``follows``
rules set: take the path out, render again, compare. A path that changes nothing is misspelt, removed upstream, or says
what the chart says already. Switches of ``crds.switchOff`` are turned the other way instead, since most of them only
guard a default.

    python -m tests.upstream.check_paths --charts DIR

DIR holds charts, as archives ``NAME-VERSION.tgz`` or as folders ``NAME``. Exit code 1: a path changes nothing.
"""

from __future__ import annotations

import argparse
import enum
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from tests.upstream.documents import Folder, Path_, join_path, merge, put, upstream_folders, without
from tests.upstream.documents import value_paths as paths_in
from tests.upstream.rendering import Leaf, Release, RenderError, changed, flatten

CATALOG: Final = Path(__file__).parents[2] / "charts"
WORKERS: Final = 2
PLANT: Final = "sparkrigPlanted"
"""A key no chart knows: what changes when it is set is a copy of the values."""


class Effect(enum.StrEnum):
    """What taking a path out did."""

    RENDERS = "renders"
    """Some object differs."""
    REQUIRED = "required"
    """The chart does not render without it."""
    COPIED = "copied"
    """Only the chart's copy of all its values differs, which a program reads; the chart's schema knows the path."""
    OPEN = "open"
    """As COPIED, at a place where the chart's schema takes anything: rendering cannot judge it."""
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Finding:
    """One path of one layer, and what it does."""

    component: str
    layer: str
    path: str
    effect: Effect
    detail: str = ""


@dataclass(frozen=True)
class Setting:
    """The layers that are laid over each other in one rendering."""

    profile: str | None
    derived: tuple[str, ...] = ()
    """``facts`` where all facts apply, ``globals`` where all keys of the stack's ``global`` are given, ``follows``
    where the components that this one follows are on."""


class Subject:
    """One component folder and the chart it is checked against."""

    def __init__(self, folder: Folder, chart: Path) -> None:
        self.folder = folder
        release = folder.component.get("release") or {}
        self.release = Release(chart, release.get("name", folder.name), release.get("namespace", folder.name))

    def values(self, setting: Setting, layers: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
        """The merged values of a setting; ``layers`` replaces layers by name."""
        folder = self.folder
        given = {"values": folder.values, "facts": folder.facts, "globals": folder.globals, "follows": folder.follows}
        given |= {f"profile {name}": document for name, document in self.folder.profiles.items()}
        given |= layers or {}
        merged = merge(given["values"], given[f"profile {setting.profile}"] if setting.profile else {})
        for layer in setting.derived:
            merged = merge(merged, given[layer])
        for path, value in self.folder.off.items():
            merged = merge(merged, nested(path, value))
        return merged

    @cached_property
    def baselines(self) -> dict[Setting, Baseline]:
        """Renderings with everything in place, made when first asked for."""
        return {}

    def baseline(self, setting: Setting) -> Baseline:
        """The rendering of a setting, and which of its places cannot be compared."""
        if setting not in self.baselines:
            self.baselines[setting] = Baseline.of(self.release, self.values(setting))
        return self.baselines[setting]

    def settings(self, layer: str) -> list[Setting]:
        """Where a path of this layer may take effect, the likeliest first."""
        profiles = [layer.removeprefix("profile ")] if layer.startswith("profile ") else [None, *self.folder.profiles]
        every = ("facts", "globals", "follows")  # a value may only speak where another one is set
        derived = [(layer,), every] if layer in every else [(), ("facts",), ("globals",), every]
        return [Setting(profile, each) for each in derived for profile in profiles]

    def layers(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Every layer that sets something, by name."""
        yield "values", self.folder.values
        for name, document in self.folder.profiles.items():
            yield f"profile {name}", document
        yield "facts", self.folder.facts
        yield "globals", self.folder.globals
        yield "follows", self.folder.follows


@dataclass(frozen=True)
class Baseline:
    """A rendering, and the places of it that change by themselves or only copy values."""

    leaves: Mapping[Leaf, Any]
    volatile: frozenset[Leaf]
    copies: frozenset[Leaf] = field(default_factory=frozenset)

    @classmethod
    def of(cls, release: Release, values: Mapping[str, Any]) -> Baseline:
        """Renders twice, and once with a key that no chart knows."""
        leaves = flatten(release.render(values))
        volatile = changed(leaves, flatten(release.render(values)))
        planted = flatten(release.render({**values, PLANT: "x"}, schema=False))
        return cls(leaves, volatile, changed(leaves, planted) - volatile)


def nested(path: Path_, value: Any) -> dict[str, Any]:
    """A document that sets one path."""
    document: dict[str, Any] = {}
    put(document, path, value)
    return document


def judge(subject: Subject, layer: str, document: Mapping[str, Any], path: Path_) -> Finding:
    """Takes one path out of one layer and says what that did, in the first setting where it did anything."""
    best = Finding(subject.folder.name, layer, join_path(path), Effect.NOTHING, "takes nothing out of the rendering")
    for setting in subject.settings(layer):
        finding = judge_in(subject, setting, layer, document, path)
        if finding.effect in (Effect.RENDERS, Effect.REQUIRED):
            return finding
        if best.effect is Effect.NOTHING:
            best = finding
    return best


def judge_in(subject: Subject, setting: Setting, layer: str, document: Mapping[str, Any], path: Path_) -> Finding:
    """The same in one setting."""

    def found(effect: Effect, detail: str) -> Finding:
        return Finding(subject.folder.name, layer, join_path(path), effect, detail)

    baseline = subject.baseline(setting)
    values = subject.values(setting, {layer: without(document, path)})
    try:
        leaves = flatten(subject.release.render(values))
    except RenderError as error:
        return found(Effect.REQUIRED, next(line for line in str(error).splitlines() if line))
    return compare(subject, setting, path, changed(baseline.leaves, leaves) - baseline.volatile, found)


def compare(subject: Subject, setting: Setting, path: Path_, differing: frozenset[Leaf], found: Any) -> Finding:
    """Turns the places that differ into a finding."""
    baseline = subject.baseline(setting)
    real = sorted(differing - baseline.copies)
    if real:
        finding: Finding = found(Effect.RENDERS, f"{len(real)} places, e.g. {real[0][0]} {real[0][1]}")
    elif differing:
        known = is_known(subject, setting, path)
        finding = found(Effect.COPIED if known else Effect.OPEN, f"only in {sorted(differing)[0][0]}")
    else:
        finding = found(Effect.NOTHING, "the rendering is the same without it")
    return finding


def is_known(subject: Subject, setting: Setting, path: Path_) -> bool:
    """Whether the chart's schema would refuse a misspelling of this path."""
    misspelt = (*path[:-1], f"{path[-1]}{PLANT}")
    try:
        subject.release.render(merge(subject.values(setting), nested(misspelt, "x")))
    except RenderError:
        return True
    return False


def judge_switch(subject: Subject, path: Path_, value: Any) -> Finding:
    """Turns one switch of ``crds.switchOff`` the other way."""
    name, text = subject.folder.name, join_path(path)
    if not isinstance(value, bool):
        return Finding(name, "crds.switchOff", text, Effect.NOTHING, f"{value!r} is no switch")
    setting = Setting(None)
    baseline = subject.baseline(setting)
    values = merge(subject.values(setting), nested(path, not value))
    differing = changed(baseline.leaves, flatten(subject.release.render(values))) - baseline.volatile - baseline.copies
    if not differing:
        return Finding(name, "crds.switchOff", text, Effect.NOTHING, "turning it changes nothing")
    return Finding(
        name, "crds.switchOff", text, Effect.RENDERS, f"turned: {len(differing)} places, e.g. {min(differing)[0]}"
    )


def chart_of(folder: Folder, charts: Path) -> Path | None:
    """The chart of a component in a folder of archives and chart folders."""
    chart = folder.component["chart"]
    name, version = chart["name"], chart["version"]
    for candidate in (charts / f"{name}-{version}.tgz", charts / name):
        if candidate.exists():
            return candidate
    return None


def check_folder(folder: Folder, chart: Path) -> list[Finding]:
    """Findings for every path of one component."""
    subject = Subject(folder, chart)
    for layer, _ in subject.layers():
        for setting in subject.settings(layer)[:1]:
            subject.baseline(setting)
    with ThreadPoolExecutor(WORKERS) as pool:
        jobs = [
            pool.submit(judge, subject, layer, document, path)
            for layer, document in subject.layers()
            for path in paths_in(document)
        ]
        jobs += [pool.submit(judge_switch, subject, path, value) for path, value in folder.off.items()]
        return [job.result() for job in jobs]


def main(argv: list[str] | None = None) -> int:
    """The command line; prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--charts", type=Path, required=True, help="folder of charts: NAME-VERSION.tgz or NAME/")
    parser.add_argument("--catalog", type=Path, default=CATALOG, help="folder of component folders")
    parser.add_argument("--component", action="append", help="only this one (repeatable)")
    arguments = parser.parse_args(argv)
    bad = 0
    for folder in upstream_folders(arguments.catalog):
        if arguments.component and folder.name not in arguments.component:
            continue
        chart = chart_of(folder, arguments.charts)
        if chart is None:
            sys.stdout.write(f"{folder.name}: no chart in {arguments.charts}\n")
            bad += 1
            continue
        for finding in check_folder(folder, chart):
            bad += finding.effect is Effect.NOTHING
            line = f"{finding.component:22} {finding.layer:16} {finding.path:82} {finding.effect:9} {finding.detail}"
            sys.stdout.write(line.rstrip() + "\n")
    sys.stdout.write(f"{bad} paths change nothing\n" if bad else "every path has an effect\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
