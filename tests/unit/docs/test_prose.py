"""scripts/prose.py: each rule finds its example, clean text passes, and code is not read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.mini import ROOT

sys.path.append(str(ROOT / "scripts"))
import prose

STYLE = prose.load()
DATA: dict[str, Any] = yaml.safe_load(prose.RULES.read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = yaml.safe_load((ROOT / "tests/cases/docs/prose.yaml").read_text(encoding="utf-8"))


def found(text: str, file: str = "docs/a.md") -> list[str]:
    return [f"{finding.line} {finding.rule}" for finding in prose.check(text, STYLE, file)]


@pytest.mark.parametrize("entry", DATA["rules"], ids=[entry["id"] for entry in DATA["rules"]])
def test_a_rule_finds_its_example(entry: dict[str, Any]) -> None:
    assert f"1 {entry['id']}" in found(entry["example"], entry.get("only", ["docs/a.md"])[0].replace("*", "a"))


@pytest.mark.parametrize("british", DATA["spelling"])
def test_british_spelling_is_found_and_us_spelling_is_not(british: str) -> None:
    assert found(f"One {british} here.") == ["1 spelling"]
    assert found(f"One {DATA['spelling'][british]} here.") == []


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_cases(case: dict[str, Any]) -> None:
    assert found(case["text"]) == case.get("finds", [])


def test_long_sentences_are_counted_and_very_long_ones_are_errors() -> None:
    def text(words: int) -> str:
        return " ".join(["word"] * words) + "."

    assert [prose.long_sentences(text(words), STYLE) for words in (25, 26)] == [0, 1]
    assert found(text(40)) == []
    assert found(text(41)) == ["1 sentence-length"]


def test_rules_have_names_of_their_own() -> None:
    names = [entry["id"] for entry in DATA["rules"]]
    assert len(set(names)) == len(names)


def test_a_rule_can_apply_to_some_files(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rule = {"id": "x", "pattern": "bad", "instead": "good", "only": ["docs/*.md"]}
    data = {"files": [], "exempt": [], "sentence": DATA["sentence"], "rules": [rule], "spelling": {}}
    rules.write_text(yaml.safe_dump(data), encoding="utf-8")
    style = prose.load(rules)
    assert [finding.message for finding in prose.check("A bad word.", style, "docs/a.md")] == ["'bad': write good"]
    assert prose.check("A bad word.", style, "README.md") == []


def test_exempt_files_are_left_out(tmp_path: Path) -> None:
    for name in ("README.md", "docs/a.md", "docs/adr/b.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("# A\n", encoding="utf-8")
    style = prose.Style((), 40, 25, ("README.md", "docs/**/*.md"), ("docs/adr/*",))
    assert prose.files(style, tmp_path) == [tmp_path / "README.md", tmp_path / "docs/a.md"]
