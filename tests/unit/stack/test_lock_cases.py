"""Lock files and what is said about them: tests/cases/lock, data only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.mini import CONFIGMAP, World

from sparkrig.commands.session import Request, Session
from sparkrig.commands.validate import validate
from sparkrig.helm.charts.archive import digest
from sparkrig.output.problems import render

CASES = Path(__file__).parents[2] / "cases" / "lock"


def cases() -> Iterator[Any]:
    for case in yaml.safe_load((CASES / "cases.yaml").read_text(encoding="utf-8")):
        yield pytest.param(case, id=case["name"])


@pytest.mark.parametrize("case", list(cases()))
def test_case(case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARKRIG_CACHE_DIR", str(tmp_path / "cache"))
    world = World(tmp_path, "")
    words = {}
    for name, version in (("a", "1.0.0"), ("b", "2.1.0")):
        world.component(name, templates={"c.yaml": CONFIGMAP}, values={"text": name}, version=version)
        words[f"DIGEST-{name.upper()}"] = digest(world.catalog / name)
    world.write_stack(case.get("stack"))
    text = case["lock"]
    for word, value in words.items():
        text = text.replace(word, value)
    (tmp_path / "stack.lock.yaml").write_text(text)
    monkeypatch.setenv("SPARKRIG_DATA_DIR", world.environment["SPARKRIG_DATA_DIR"])
    monkeypatch.chdir(tmp_path)
    with Session(Request()) as session:
        said = render(validate(session, render=False).problems, session.sources)
    for word, value in words.items():
        said = said.replace(value, word)
    assert said == case.get("problems", "")
