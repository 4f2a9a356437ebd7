"""The lab stack on real-size charts: those of a folder, or the stand-ins of tests/charts.

For the state ``upgraded`` copies get the next patch version: what an upgrade of everything costs without anybody's
breaking change.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from graphlib import TopologicalSorter
from pathlib import Path

from bench.workload import ROOT, STATES, Release, Stack, State, Workload, data_folder
from sparkrig.models.release import DesiredRelease

LAB = ROOT / "examples" / "lab.yaml"
ALLOW = ("--allow-disruption", "gpu-operator")
CHANGE = "triton.replicas=2"
_VERSION = re.compile(r"^(version:\s*[\"']?v?\d+\.\d+\.)(\d+)", re.MULTILINE)


def lab(mirror: Path | None, folder: Path, target: str) -> Workload:
    """The lab stack in its three states. ``target`` is a cluster of the kind that is measured, for the facts."""
    states: dict[State, Stack] = {}
    name = "lab-real" if mirror else "lab-stand-ins"
    for state in STATES:
        root = data_folder(folder / name / state)
        newer = state == "upgraded"
        shutil.copytree(ROOT / "charts", root / "charts", dirs_exist_ok=True)
        charts = root / "sources"
        if mirror is not None:
            _copy_archives(mirror, charts, newer)
        else:
            shutil.copytree(ROOT / "tests" / "charts", charts)
        if newer:
            _bump_all(root, charts if mirror is None else None)
        source = ("--chart-mirror", str(charts)) if mirror is not None else ("--stand-ins", str(charts))
        arguments = ("--file", str(LAB), *source, *(("--set", CHANGE) if state == "changed" else ()))
        states[state] = Stack(_releases(arguments, root, target), arguments, root, allow=ALLOW)
    return Workload(name, states)


def _bump_all(root: Path, charts: Path | None) -> None:
    for component in (root / "charts").iterdir():
        for file in (component / "Chart.yaml", component / "component.yaml"):
            if file.is_file():
                file.write_text(
                    _in_chart_section(file.read_text()) if file.name == "component.yaml" else _bump(file.read_text())
                )
    for file in charts.glob("*/Chart.yaml") if charts else ():
        file.write_text(_bump(file.read_text()))


def _in_chart_section(text: str) -> str:
    """component.yaml has its chart's version two spaces in."""
    return re.sub(
        r"^(  version:\s*[\"']?v?\d+\.\d+\.)(\d+)",
        lambda m: f"{m[1]}{int(m[2]) + 1}",
        text,
        count=1,
        flags=re.MULTILINE,
    )


def _bump(text: str) -> str:
    return _VERSION.sub(lambda m: f"{m[1]}{int(m[2]) + 1}", text, count=1)


def _copy_archives(mirror: Path, to: Path, newer: bool) -> None:
    to.mkdir()
    for archive in mirror.glob("*.tgz"):
        if not newer:
            shutil.copy(archive, to)
            continue
        text = re.sub(r"(\d+\.\d+\.)(\d+)\.tgz$", lambda m: f"{m[1]}{int(m[2]) + 1}.tgz", archive.name)
        with tarfile.open(archive) as old, tarfile.open(to / text, "w:gz") as new:
            for member in old:
                content = old.extractfile(member)
                data = content.read() if content else b""
                if member.name.count("/") == 1 and member.name.endswith("/Chart.yaml"):
                    data = _bump(data.decode()).encode()
                    member.size = len(data)
                new.addfile(member, io.BytesIO(data))


def _releases(arguments: tuple[str, ...], root: Path, target: str) -> tuple[Release, ...]:
    """What sparkrig makes of it, as the other tools get it: chart, merged values, needs."""
    from sparkrig.cli.options import StackOptions
    from sparkrig.commands import workflows
    from sparkrig.commands.session import Session

    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    mirror, stand_ins = options.get("--chart-mirror"), options.get("--stand-ins")
    asked = StackOptions(
        file=Path(options["--file"]),
        target=target,
        mirror=[Path(mirror)] if mirror else None,
        stand_ins=Path(stand_ins) if stand_ins else None,
        sets=[options["--set"]] if "--set" in options else None,
    ).request()
    with _data(root), Session(asked) as session:
        resolved, _ = workflows.resolve_for_cluster(session)
        by_name = {desired.component: desired for desired in resolved.releases}
        # The others cannot wait for CRDs alone: what needs them waits for the release that brings them.
        needs = {name: [*desired.needs, *desired.crd_needs] for name, desired in by_name.items()}
        order = [name for name in TopologicalSorter(needs).static_order() if name in by_name]
        return tuple(
            _release(by_name[name], [by_name[n].release for n in needs[name] if n in by_name]) for name in order
        )


def _release(desired: DesiredRelease, needs: Iterable[str]) -> Release:
    return Release(desired.release, desired.namespace, desired.chart.path, desired.values, tuple(dict.fromkeys(needs)))


@contextmanager
def _data(root: Path) -> Iterator[None]:
    before = os.environ.get("SPARKRIG_DATA_DIR")
    os.environ["SPARKRIG_DATA_DIR"] = str(root)
    try:
        yield
    finally:
        if before is None:
            del os.environ["SPARKRIG_DATA_DIR"]
        else:
            os.environ["SPARKRIG_DATA_DIR"] = before
