"""What is said about values, with real charts beside them: tests/cases/values, data only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrig.catalog.load import load_catalog
from sparkrig.errors import InvalidInput
from sparkrig.helm.charts.archive import read_chart
from sparkrig.models.chart import Chart, ChartOrigin
from sparkrig.models.cluster import ClusterFacts
from sparkrig.models.component import Component
from sparkrig.models.release import Overrides
from sparkrig.output.problems import render
from sparkrig.stack.file import SourceTexts, load_stack_file
from sparkrig.stack.lint.chart_values import ChartLike
from sparkrig.stack.resolve import resolve

CASES = Path(__file__).parents[2] / "cases" / "values"
HEAD = "apiVersion: sparkrig.dev/v1\nkind: Stack\nmetadata: {name: lab}\n"


def cases() -> Iterator[Any]:
    for path in sorted(CASES.glob("*.yaml")):
        for case in yaml.safe_load(path.read_text(encoding="utf-8")):
            yield pytest.param(case, id=f"{path.stem}: {case['name']}")


def chart(component: Component) -> Chart:
    path = CASES / "charts" / component.chart.name
    return Chart(component.chart.name, component.chart.version, "", "sha256:x", path, ChartOrigin.MIRROR)


def contents(component: Component) -> ChartLike:
    return read_chart(CASES / "charts" / component.chart.name)


def stack_text(case: Mapping[str, Any]) -> str:
    """The stack file of a case: written out, or the values of one component below a head of six lines."""
    if "stack" in case:
        return HEAD + str(case["stack"])
    if "values" not in case:
        return HEAD
    indented = "".join(f"      {line}\n" for line in case["values"].splitlines())
    return f"{HEAD}components:\n  {case.get('component', 'engine')}:\n    values:\n{indented}"


def said(case: Mapping[str, Any], folder: Path) -> str:
    """Everything that is said about a case, as it is shown."""
    for name, text in case.get("files", {}).items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "stack.yaml").write_text(stack_text(case), encoding="utf-8")
    sources = SourceTexts()
    catalog = load_catalog([CASES / "catalog"], sources)
    try:
        resolved = resolve(
            load_stack_file(Path("stack.yaml"), sources),
            catalog,
            ClusterFacts(),
            chart,
            overrides=Overrides(tuple(case.get("value_files", ())), tuple(case.get("sets", ()))),
            sources=sources,
            contents=None if case.get("without_charts") else contents,
        )
        problems = resolved.problems
    except InvalidInput as error:
        problems = error.problems
    return render(problems, sources)


@pytest.mark.parametrize("case", list(cases()))
def test_case(case: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert said(case, tmp_path) == case.get("problems", "")


def test_there_are_enough() -> None:
    named = [param.id for param in cases()]
    assert len(named) >= 80
    assert len(set(named)) == len(named)
