"""Which names and texts hold a secret: data in tests/cases/secrets, through every place that shows values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.output.problems import render, to_json
from sparkrig.plan.diff.changes import _concealed
from sparkrig.plan.diff.masking import masked_object, masked_values
from sparkrig.plan.saved import without_secrets
from sparkrig.yaml.phrases import phrase
from sparkrig.yaml.secret_names import is_secret_name, with_covered

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "secrets" / "names.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", CASES["secret"])
def test_a_value_of_this_name_is_a_secret(name: str) -> None:
    assert is_secret_name(name)
    assert "hunter2" not in _concealed(name.replace(".", r"\."), "hunter2")
    assert "hunter2" not in json.dumps(masked_values({"a": {name: "hunter2"}}))
    argument = rf"app.{name}".replace(".", r"\.").replace(r"\.", ".", 1)
    assert without_secrets([f"{argument}=hunter2"]) == ((), (argument,))


def test_a_property_whose_dots_make_a_path_is_a_secret() -> None:
    assert without_secrets(["app.conf.spark.hadoop.fs.s3a.secret.key=hunter2"])[0] == ()
    assert without_secrets(["app.password[0]=hunter2", "app.a=1"])[0] == ("app.a=1",)


@pytest.mark.parametrize("name", CASES["shown"])
def test_a_value_of_this_name_is_shown(name: str) -> None:
    assert not is_secret_name(name)
    assert masked_values({"a": {name: "value"}}) == {"a": {name: "value"}}


@pytest.mark.parametrize("case", CASES["texts"], ids=lambda case: case["text"][:30])
def test_a_text(case: dict[str, Any]) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"file": case["text"]}}
    covered = with_covered(case["text"], None)
    shown = [with_covered(case["text"], "<masked>"), covered, masked_object(config)["data"]["file"]]
    assert len(covered) == len(case["text"])  # carets still point at the right character
    for text in shown:
        assert case.get("hides", "\0") not in text
        assert case.get("shows", "") in text


@pytest.mark.parametrize("case", CASES["values"], ids=str)
def test_values(case: dict[str, Any]) -> None:
    for text in (json.dumps(masked_values(case["given"])), _concealed("all", case["given"])):
        assert case.get("hides", "\0") not in text
    assert case.get("shows", "") in json.dumps(masked_values(case["given"]))


@pytest.mark.parametrize(
    ("source", "position"),
    [
        ("a: 1\ngrafana: {adminPassword: hunter2, replicas: 2}\n", Position("stack.yaml", 2, 11, 13)),
        ("grafana:\n  adminPassword: hunter2\n", Position("stack.yaml", 2, 3, 13)),
        ("grafana:\n  adminPassword: |\n    hunter2\n", Position("stack.yaml", 3, 5, 7)),
        ("", Position("--set grafana.adminPassword=hunter2", 1, 1, 21)),
    ],
)
def test_a_problem_shows_its_line_without_the_secret_in_it(source: str, position: Position) -> None:
    problem = Problem(Severity.ERROR, "not-allowed", "grafana.adminPassword is not offered", position)
    text = render([problem], {"stack.yaml": source})
    assert "hunter2" not in text + json.dumps(to_json([problem]))
    assert "*******" in text
    assert "^" in text


def test_a_message_of_a_schema_does_not_quote_a_secret() -> None:
    class Error:
        validator, validator_value, instance, schema = "pattern", "^x$", "hunter2", {}

    assert "hunter2" not in phrase(Error, "grafana.adminPassword")[0]
    assert "hunter2" not in phrase(Error, "credentials[0].value")[0]
    assert "'hunter2'" in phrase(Error, "grafana.adminUser")[0]
