"""Where values come from: tests/cases/explain, data only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from sparkrig.catalog.load import load_catalog
from sparkrig.errors import NotFound
from sparkrig.models.cluster import ClusterFacts
from sparkrig.models.release import Overrides
from sparkrig.output.explain import explanation_text, overrides_text, redundant_text
from sparkrig.stack.explain.chart import ChartDefaults, read_defaults
from sparkrig.stack.explain.layers import Subject, explain, read_steps, subject
from sparkrig.stack.explain.overrides import overrides, redundant
from sparkrig.stack.explain.search import require_known
from sparkrig.stack.file import SourceTexts, load_stack_file
from sparkrig.stack.resolve import Prepared, prepare

CASES: Final = Path(__file__).parents[2] / "cases" / "explain"
SMALL: Final = CASES.parent / "catalog" / "small"


@dataclass(frozen=True)
class Dependency:
    name: str
    key: str


@dataclass(frozen=True)
class Texts:
    """A chart in memory, as a case gives it."""

    name: str
    version: str
    values_text: str
    schema_text: str
    dependencies: tuple[Dependency, ...]
    subcharts: tuple[Texts, ...]


def texts(name: str, data: Mapping[str, Any]) -> Texts:
    below, wanted = [], []
    for title, sub in data.get("subcharts", {}).items():
        real, _, alias = title.partition(" as ")
        wanted.append(Dependency(real, alias or real))
        below.append(texts(real, sub))
    schema = json.dumps(data["schema"]) if "schema" in data else ""
    unique = {chart.name: chart for chart in below}
    return Texts(name, "1.0.0", data.get("values", ""), schema, tuple(wanted), tuple(unique.values()))


def all_cases() -> list[Any]:
    found = []
    for path in sorted(CASES.glob("*.yaml")):
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
        found += [pytest.param(case, id=f"{path.stem}: {case['name']}") for case in read]
    return found


class Asked:
    """One case, prepared as the command does it."""

    def __init__(self, case: Mapping[str, Any]) -> None:
        self.case = case
        self.sources = SourceTexts()
        self.catalog = load_catalog([SMALL], self.sources)
        self.facts = ClusterFacts(values=case.get("facts", {}))
        over = Overrides(tuple(case.get("values", ())), tuple(case.get("sets", ())))
        file = load_stack_file(Path("stack.yaml"), self.sources)
        self.prepared: Prepared = prepare(file, self.catalog, self.facts, overrides=over, sources=self.sources)

    def subject(self, name: str) -> Subject:
        charts = self.case.get("charts", {})
        defaults = ChartDefaults(note=f"chart {name} is not in the mirror")
        if name in charts:
            defaults = read_defaults(texts(name, charts[name]), f"{name}-1.0.0.tgz")
        elif self.catalog.files[name].own_chart:
            defaults = ChartDefaults()
        component = self.prepared.components.get(name, self.catalog.components[name])
        layers = self.prepared.values[name].layers
        return subject(component, layers, self.catalog, defaults, self.sources, self.facts)

    def answer(self) -> str:
        ask = self.case["ask"]
        if ask.startswith("--unset"):
            names = ask.split()[1:] or list(self.prepared.values)
            return redundant_text([one for name in names for one in redundant(self.subject(name))])
        name, _, below = ask.partition(".")
        asked = self.subject(name)
        if not below:
            return overrides_text(asked, overrides(asked), self.prepared.choices[name].why)
        steps = read_steps(below, asked.values)
        require_known(asked, steps)
        return explanation_text(explain(asked, steps))


def write(case: Mapping[str, Any], folder: Path) -> None:
    for name, text in case["files"].items():
        (folder / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize("case", all_cases())
def test_case(case: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(case, tmp_path)
    monkeypatch.chdir(tmp_path)
    if "error" in case:
        with pytest.raises(NotFound) as caught:
            Asked(case).answer()
        assert (caught.value.message, caught.value.hint) == (case["error"], case.get("hint"))
    else:
        assert Asked(case).answer() == case["text"]


def test_there_are_enough_cases() -> None:
    assert len(all_cases()) >= 30
