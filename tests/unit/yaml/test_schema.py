"""One schema mistake, one problem: code, place, sentence, label and hint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparkrig.models.problem import Problem, Severity
from sparkrig.yaml.load import load
from sparkrig.yaml.plain import load_plain
from sparkrig.yaml.schema import check, did_you_mean

REPLICAS = {"type": "integer", "minimum": 1, "maximum": 9, "default": 1, "description": "Number of server pods."}


def problems(text: str, schema: dict[str, Any], subject: str = "triton") -> list[Problem]:
    document = load(text, "f").document
    assert document is not None
    return check(document, schema, subject)


def properties(**schemas: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": schemas}


CASES = [
    pytest.param(case, id=f"{case['code']}: {case['message']}")
    for file in sorted((Path(__file__).parents[2] / "cases" / "documents" / "schema").glob("*.yaml"))
    for case in load_plain(file.read_bytes())
]


@pytest.mark.parametrize("case", CASES)
def test_problem(case: dict[str, Any]) -> None:
    (problem,) = problems(case["text"], case["schema"])
    assert (problem.code, str(problem.position), problem.message) == (
        case["code"],
        f"f:{case['place']}",
        case["message"],
    )


@pytest.mark.parametrize("text", ["replicas: 1", "replicas: 1.0", "replicas: 2e0", "{}", "replicas: 0x5"])
def test_good_values_have_no_problem(text: str) -> None:
    assert problems(text, properties(replicas=REPLICAS)) == []


def test_unknown_key_suggests_and_explains_the_key_that_was_meant() -> None:
    (problem,) = problems("a: 1\n  \nreplicass: 2\n", properties(a={}, replicas=REPLICAS))
    assert problem.message == "triton has no value 'replicass'"
    assert problem.label == "did you mean 'replicas'?"
    assert problem.hint == "triton.replicas: Number of server pods (integer, 1 to 9, default 1)"
    assert (str(problem.position), problem.position.length if problem.position else 0) == ("f:3:1", 9)


def test_unknown_key_without_a_likeness_lists_what_is_known() -> None:
    (problem,) = problems("zzz: 2\n", properties(b={}, a={}))
    assert problem.hint == "triton knows a, b"


def test_a_key_that_helm_reads_otherwise_says_so() -> None:
    (problem,) = problems("y: 2\n", properties(x={}))
    assert problem.label == "Helm reads the key y as 'true': put it in quotes"


def test_wrong_enum_value_suggests() -> None:
    (problem,) = problems("mode: fats", properties(mode={"enum": ["fast", "slow"]}))
    assert problem.label == "did you mean 'fast'?"


def test_all_problems_come_in_the_order_of_the_text() -> None:
    schema = properties(a={"type": "integer"}, b={"required": ["x", "y"]}, c={"type": "string"})
    found = problems("c: 1\nb: {}\nq: 1\na: x\n", schema)
    assert [problem.code for problem in found] == [
        "wrong-type",
        "missing-key",
        "missing-key",
        "unknown-key",
        "wrong-type",
    ]


@pytest.mark.parametrize(
    "schema",
    [{"$ref": "https://example.org/other.json"}, {"$ref": "#/definitions/none"}, {"type": "strin"}, {"pattern": "("}],
)
def test_a_schema_that_cannot_be_used_is_a_warning_and_nothing_is_fetched(schema: dict[str, Any]) -> None:
    (problem,) = problems("a", schema, "upstream")
    assert (problem.severity, problem.code) == (Severity.WARNING, "schema-unusable")
    assert problem.message.startswith("the schema of upstream cannot be used: ")


@pytest.mark.parametrize(
    ("word", "candidates", "meant"),
    [
        ("replicass", ["replicas", "image"], "replicas"),
        ("extra-args", ["extraArgs", "extra"], "extraArgs"),
        ("sparkJobNamespaces", ["jobNamespaces", "image"], "jobNamespaces"),
        ("zzz", ["replicas"], None),
        ("x", [], None),
    ],
)
def test_did_you_mean(word: str, candidates: list[str], meant: str | None) -> None:
    assert did_you_mean(word, candidates) == meant
