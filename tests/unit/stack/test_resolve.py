"""Stack files and what is said about them: tests/cases/stack, data only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrig.catalog.load import load_catalog
from sparkrig.errors import InvalidInput, NotFound
from sparkrig.models.chart import Chart, ChartOrigin
from sparkrig.models.cluster import ClusterFacts
from sparkrig.models.component import Component
from sparkrig.models.problem import Problem
from sparkrig.models.release import DesiredRelease, Overrides, ResolvedStack
from sparkrig.output.problems import render
from sparkrig.stack.file import SourceTexts, load_stack_file
from sparkrig.stack.resolve import resolve
from sparkrig.yaml.nodes import parse_path

CASES = Path(__file__).parents[2] / "cases" / "stack"
SMALL = CASES.parent / "catalog" / "small"


def cases() -> Iterator[Any]:
    for path in sorted(CASES.glob("*.yaml")):
        for case in yaml.safe_load(path.read_text(encoding="utf-8")):
            yield pytest.param(case, id=f"{path.stem}: {case['name']}")


def charts(absent: list[str]) -> Any:
    def find(component: Component) -> Chart:
        ref = component.chart
        if component.name in absent:
            raise NotFound(f"chart {ref.name} {ref.version} is not in the mirror", hint="it has 1.0.0")
        return Chart(ref.name, ref.version, ref.version, f"sha256:{ref.name}", Path(ref.name), ChartOrigin.MIRROR)

    return find


def run(case: Mapping[str, Any], sources: SourceTexts) -> ResolvedStack:
    catalog = load_catalog([SMALL, *map(Path, case.get("catalogs", ()))], sources)
    return resolve(
        load_stack_file(Path(case.get("stack", "stack.yaml")), sources),
        catalog,
        ClusterFacts(values=case.get("facts", {})),
        charts(case.get("absent_charts", [])),
        overrides=Overrides(tuple(case.get("values", ())), tuple(case.get("sets", ()))),
        installed=frozenset(case.get("installed", ())),
        sources=sources,
    )


def outcome(case: Mapping[str, Any], folder: Path) -> tuple[ResolvedStack | None, str]:
    """What comes out of a case, and what is shown of its problems."""
    for name, text in case["files"].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    sources = SourceTexts()
    resolved: ResolvedStack | None = None
    problems: tuple[Problem, ...]
    try:
        resolved = run(case, sources)
        problems = resolved.problems
    except InvalidInput as error:
        problems = error.problems
        assert problems
    return resolved, render(problems, sources)


@pytest.mark.parametrize("case", list(cases()))
def test_case(case: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    resolved, shown = outcome(case, tmp_path)
    assert shown == case.get("problems", "")
    assert (resolved is not None) == ("releases" in case)
    if resolved is not None:
        assert [release.component for release in resolved.releases] == list(case["releases"])
        if "disabled" in case:
            assert list(resolved.disabled) == case["disabled"]
        for release in resolved.releases:
            check_release(release, case["releases"][release.component])


def check_release(release: DesiredRelease, wanted: Mapping[str, Any]) -> None:
    found = {
        "namespace": release.namespace,
        "version": release.chart.version,
        "needs": list(release.needs),
        "crd_needs": list(release.crd_needs),
    }
    for key, value in wanted.items():
        if key != "values":
            assert found[key] == value, f"{release.component}.{key}"
    if wanted.get("values") == {}:
        assert release.values == {}
    for path, value in wanted.get("values", {}).items():
        assert value_at(release.values, path) == value, f"{release.component}.{path}"


def value_at(values: Any, path: str) -> Any:
    for step in parse_path(path):
        values = values[step]
    return values
