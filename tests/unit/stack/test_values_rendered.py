"""Rendered objects against schemas, with the real helm: tests/cases/values/rendered, data only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrig.cli.app import run
from sparkrig.stack.manifests.api import load
from sparkrig.stack.manifests.crds import converted_schema
from sparkrig.stack.manifests.removed import removed
from sparkrig.tools import find

CASES = Path(__file__).parents[2] / "cases" / "values" / "rendered"
HEAD = "apiVersion: sparkrig.dev/v1\nkind: Stack\nmetadata: {name: lab}\ncomponents:\n  plant:\n    values:\n"

pytestmark = pytest.mark.tools


def cases() -> list[Any]:
    every = yaml.safe_load((CASES / "cases.yaml").read_text(encoding="utf-8"))
    return [pytest.param(case, id=case["name"]) for case in every]


@pytest.fixture(autouse=True)
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    (data / "charts").symlink_to(CASES / "catalog")
    (data / "tools").symlink_to(Path(__file__).parents[3] / "tools")
    monkeypatch.setenv("SPARKRIG_DATA_DIR", str(data))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def validate(values: str, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any], str]:
    Path("stack.yaml").write_text(HEAD + "".join(f"      {line}\n" for line in values.splitlines()))
    code = run(["validate", "--chart-mirror", str(CASES / "charts"), "--output", "json", *arguments])
    out = capsys.readouterr().out
    return code, json.loads(out), out


@pytest.mark.parametrize("case", cases())
def test_case(case: Mapping[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--kubernetes", case["kubernetes"]) if "kubernetes" in case else ()
    code, document, out = validate(case["values"], capsys, *arguments)
    errors = [problem for problem in document["problems"] if problem["severity"] == "error"]
    wanted = case.get("found")
    if wanted is None:
        assert (code, errors) == (0, [])
        return
    assert code == 3
    (problem,) = errors
    assert wanted["says"] in problem["message"]
    for key in ("code", "line", "column", "label"):
        assert problem[key] == wanted[key], key
    if "never" in case:
        assert case["never"] not in out


def test_what_was_good_is_not_rendered_again(
    world: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARKRIG_HELM", str(find("helm").path))
    monkeypatch.setenv("SPARKRIG_CACHE_DIR", str(world / "cache"))
    assert validate("password: c2VjcmV0", capsys)[0] == 0
    marks = list((world / "cache" / "validated").iterdir())
    assert len(marks) == 1
    assert marks[0].read_bytes() == b""
    renders_nothing = world / "helm"
    renders_nothing.write_text("#!/bin/sh\n[ $1 = version ] && echo v4.3.1\n")
    renders_nothing.chmod(0o755)
    monkeypatch.setenv("SPARKRIG_HELM", str(renders_nothing))
    assert validate("password: c2VjcmV0", capsys)[0] == 0
    assert validate("password: b3RoZXI=", capsys, "--no-render")[0] == 0
    assert b"c2VjcmV0" not in b"".join(path.read_bytes() for path in (world / "cache").rglob("*") if path.is_file())


def test_without_a_chart_it_says_what_it_did_not_see(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("stack.yaml").write_text(HEAD + "      pots: 2\n")
    (world / "empty").mkdir()
    assert run(["validate", "--chart-mirror", str(world / "empty"), "--output", "json"]) == 0
    unseen = json.loads(capsys.readouterr().out)["notLookedAt"]
    assert any(line.startswith("plant: chart not available") for line in unseen)


def test_errors_in_the_values_come_before_rendering(capsys: pytest.CaptureFixture[str]) -> None:
    code, document, _ = validate("pot: 2", capsys)
    assert code == 3
    assert [problem["code"] for problem in document["problems"]] == ["unknown-key"]
    assert "rendered objects: the values have errors" in document["notLookedAt"]


def test_strict_makes_warnings_errors(capsys: pytest.CaptureFixture[str]) -> None:
    values = 'container: {image: "x:1", resources: {}, args: ["1"]}\nsoil: 1.10'
    code, document, _ = validate(values, capsys, "--no-render")
    assert (code, [p["severity"] for p in document["problems"]]) == (0, ["warning"])
    code, document, _ = validate(values, capsys, "--no-render", "--strict")
    assert (code, [p["severity"] for p in document["problems"]], document["ok"]) == (3, ["error"], False)


@pytest.mark.parametrize(
    ("limits", "warned"),
    [
        ("{bytes: 104857600}", (7, 23, "plant.limits.bytes is 104857600, and its chart writes 1.048576e+08 into")),
        ("{bytes: 1000000, lines: 999999}", (7, 23, "plant.limits.bytes is 1000000, and its chart writes 1e+06 into")),
        ("{bytes: '104857600'}", None),
        ("{bytes: 999999, share: 0.5, note: 1e+06 of them}", None),
        ("{bytes: 104857600.5}", None),
    ],
)
def test_a_whole_number_that_a_chart_writes_with_an_exponent(
    limits: str, warned: tuple[int, int, str] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    code, document, _ = validate(f"limits: {limits}", capsys)
    found = [problem for problem in document["problems"] if problem["code"] == "number-form"]
    assert code == 0
    assert [(p["severity"], p["line"], p["column"]) for p in found] == ([("warning", *warned[:2])] if warned else [])
    if warned:
        assert found[0]["message"] == f"{warned[2]} ConfigMap plant: data.conf"
        assert "in quotes" in found[0]["hint"]
        assert validate(f"limits: {limits}", capsys)[1]["problems"] == document["problems"]  # not taken for good


def test_the_counts_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("stack.yaml").write_text(HEAD + "      pot: 2\n      soil: 1.10\n")
    assert run(["validate", "--no-render", "--chart-mirror", str(CASES / "charts")]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "\n2 problems (1 error, 1 warning) in 1 file, " in captured.err


def test_sarif(capsys: pytest.CaptureFixture[str]) -> None:
    Path("stack.yaml").write_text(HEAD + "      pot: 2\n")
    arguments = ["validate", "--no-render", "--chart-mirror", str(CASES / "charts"), "--output", "sarif"]
    assert run([*arguments, "--set", "plant.pods=1"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["version"] == "2.1.0"
    assert document["$schema"].endswith("sarif-2.1.0.json")
    (only,) = document["runs"]
    driver = only["tool"]["driver"]
    assert driver["name"] == "sparkrig"
    rules = [rule["id"] for rule in driver["rules"]]
    for result in only["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("error", "warning")
        assert result["message"]["text"]
        assert len(result["locations"]) == 1
    in_file, in_flag = only["results"]
    physical = in_file["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"] == {"uri": "stack.yaml"}
    assert physical["region"] == {"startLine": 7, "startColumn": 7, "endColumn": 10}
    assert in_flag["locations"] == [{"logicalLocations": [{"fullyQualifiedName": "--set plant.pods=1"}]}]


def test_versions_of_kubernetes() -> None:
    old, new = load("1.30.2"), load(None)
    assert old is not None
    assert new is not None
    assert old.version == "1.30"
    assert old.schema("apps/v1", "Deployment") is not None
    assert old.schema("apps/v2", "Deployment") is None
    assert load("1.5") is None
    assert new.elsewhere("no/v1", "Such") is None
    assert removed("batch/v1beta1", "CronJob", "1.24") is None
    assert removed("batch/v1beta1", "CronJob", "v1.25.1") == "1.25, use batch/v1"
    assert removed("policy/v1beta1", "PodSecurityPolicy", "1.36") == "1.25"


def test_structural_schemas() -> None:
    schema = converted_schema(
        {
            "type": "object",
            "properties": {
                "a": {"type": "string", "nullable": True, "enum": ["x"]},
                "b": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                "c": {"type": "object", "properties": {"d": {}}, "x-kubernetes-preserve-unknown-fields": True},
                "e": {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": {}}},
                "f": {"type": "array", "items": {"type": "object", "properties": {}}},
            },
        }
    )
    properties = schema["properties"]
    assert schema["additionalProperties"] is False
    assert properties["a"] == {"type": ["string", "null"], "enum": ["x", None]}
    assert properties["b"] == {"type": ["integer", "string"]}
    assert "additionalProperties" not in properties["c"]
    assert set(properties["e"]["properties"]) == {"apiVersion", "kind", "metadata", "spec"}
    assert properties["f"]["items"]["additionalProperties"] is False
