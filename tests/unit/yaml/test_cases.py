"""tests/cases/documents: a text, its problems with their places, its value, and where its nodes stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparkrig.models.problem import Position
from sparkrig.yaml.load import Loaded, load_values
from sparkrig.yaml.nodes import find, parse_path, place, to_python
from sparkrig.yaml.plain import load_plain

FOLDER = Path(__file__).parents[2] / "cases" / "documents"
CASES = [
    pytest.param(case, id=f"{file.stem}: {case['name']}")
    for file in sorted(FOLDER.glob("*.yaml"))
    for case in load_plain(file.read_bytes())
]


def shown(position: Position) -> str:
    return f"{position.line}:{position.column}+{position.length}"


def read(case: dict[str, Any]) -> Loaded:
    return load_values(case["text"].encode(), "case.yaml")


@pytest.mark.parametrize("case", CASES)
def test_problems(case: dict[str, Any]) -> None:
    problems = read(case).problems
    assert [f"{p.code} {shown(p.position)}" for p in problems if p.position] == case.get("problems", [])
    if "message" in case:
        assert problems[0].message == case["message"]
    if "label" in case:
        assert problems[0].label == case["label"]


@pytest.mark.parametrize("case", [case for case in CASES if "value" in case.values[0]])
def test_value(case: dict[str, Any]) -> None:
    document = read(case).document
    assert document is not None
    assert to_python(document) == case["value"]


@pytest.mark.parametrize("case", [case for case in CASES if {"places", "keys"} & set(case.values[0])])
def test_places(case: dict[str, Any]) -> None:
    document = read(case).document
    assert document is not None
    values = {path: find(document, parse_path(path)) for path in case.get("places", {})}
    assert {path: node and shown(node.position) for path, node in values.items()} == case.get("places", {})
    keys = {path: shown(place(document, parse_path(path))) for path in case.get("keys", {})}
    assert keys == case.get("keys", {})


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 45
