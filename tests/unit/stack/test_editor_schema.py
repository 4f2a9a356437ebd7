"""The schema that editors get: it knows every component's values and complains of nothing that validate accepts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sparkrig.catalog.catalog import Catalog
from sparkrig.catalog.load import load_catalog
from sparkrig.stack.compose_schema import compose, values_schema

ROOT = Path(__file__).parents[3]
STACK = {"apiVersion": "sparkrig.dev/v1", "kind": "Stack", "metadata": {"name": "lab"}}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog([ROOT / "charts"])


@pytest.fixture(scope="module")
def editor(catalog: Catalog) -> Any:
    schema = compose(catalog)
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(json.loads(json.dumps(schema)))


def complaints(editor: Any, components: Mapping[str, Any] | None = None, **fields: Any) -> list[str]:
    document = {**STACK, **fields, **({"components": components} if components is not None else {})}
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in editor.iter_errors(document)]


def cases(bad: bool) -> Iterator[Any]:
    for file in sorted((ROOT / "charts").glob("*/cases/*.yaml")):
        name = yaml.safe_load((file.parents[1] / "component.yaml").read_text(encoding="utf-8"))["metadata"]["name"]
        for case in yaml.safe_load(file.read_text(encoding="utf-8")):
            if bool(case.get("problems")) is bad:
                yield pytest.param(name, case, id=f"{name}: {case['name']}")


@pytest.mark.parametrize(("name", "case"), list(cases(bad=False)))
def test_good_values_are_good_while_typing(editor: Any, name: str, case: Mapping[str, Any]) -> None:
    assert complaints(editor, {name: {"values": case["values"]}}) == []


def test_most_bad_values_are_bad_while_typing(editor: Any) -> None:
    """Not those that depend on values of other layers: these are for validate."""
    found = {param.id: bool(complaints(editor, {param.values[0]: {"values": param.values[1]["values"]}}))
             for param in cases(bad=True)}  # fmt: skip
    missed = sorted(name for name, complained in found.items() if not complained)
    assert len(found) > 60
    assert len(missed) < len(found) / 4, missed


def test_values_files_and_profiles_are_good_while_typing(editor: Any, catalog: Catalog) -> None:
    for name, component in catalog.components.items():
        for file in (component.folder / "values.yaml", *sorted((component.folder / "profiles").glob("*.yaml"))):
            values = yaml.safe_load(file.read_text(encoding="utf-8"))
            assert complaints(editor, {name: {"values": values}}) == [], file


def test_every_component_can_be_left_as_it_is_or_switched(editor: Any, catalog: Catalog) -> None:
    for name, component in catalog.components.items():
        assert complaints(editor, {name: None}) == []
        assert complaints(editor, {name: {"enabled": False, "namespace": "elsewhere", "values": {}}}) == []
        assert bool(complaints(editor, {name: {"enabled": "auto"}})) is (component.auto_fact is None)
        version = "9.9.9"
        assert bool(complaints(editor, {name: {"version": version}})) is (component.chart.path is not None)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"components": {"tritn": {}}}, "'tritn' was unexpected"),
        ({"components": {"triton": {"values": {"replicass": 1}}}}, "'replicass' was unexpected"),
        ({"components": {"triton": {"values": {"replicas": "2"}}}}, "'2' is not of type 'integer', 'null'"),
        ({"components": {"triton": {"value": {}}}}, "'value' was unexpected"),
        ({"profile": "large"}, "'large' is not one of"),
        ({"global": {"domian": "x"}}, "'domian' was unexpected"),
        ({"secrets": {"a": {"data": {"b": {"fromEnv": "9"}}}}}, "does not match"),
    ],
)
def test_mistakes_are_seen_while_typing(editor: Any, document: dict[str, Any], says: str) -> None:
    found = complaints(editor, **document)
    assert len(found) == 1
    assert says in found[0]


def test_null_takes_a_default_out_anywhere_in_a_map_but_not_in_a_list(editor: Any) -> None:
    assert complaints(editor, {"triton": {"values": {"resources": None, "gpu": {"count": None}}}}) == []
    assert complaints(editor, {"triton": {"values": None}}) == []
    assert complaints(editor, {"triton": {"values": {"imagePullSecrets": [None]}}}) != []


def test_references_inside_a_component_s_schema_follow_it() -> None:
    schema = {
        "definitions": {"size": {"type": "string", "pattern": "Gi$"}},
        "properties": {
            "a": {"$ref": "#/definitions/size"},
            "b": {"type": "array", "items": {"$ref": "#/definitions/size"}},
            "c": {"oneOf": [{"const": "x"}, {"$ref": "#/definitions/size"}]},
            "definitions": {"type": "object", "required": ["z"], "properties": {"z": {"type": "integer"}}},
        },
        "additionalProperties": False,
        "required": ["a"],
        "allOf": [{"required": ["b"]}],
    }
    whole = {"definitions": {"values-x": values_schema(schema, "values-x")}, "$ref": "#/definitions/values-x"}
    check = jsonschema.Draft7Validator(whole)
    for good in ({}, {"a": "1Gi"}, {"a": None}, {"b": ["1Gi"]}, {"c": None}, {"c": "x"}, {"definitions": {}}, None):
        assert check.is_valid(good), good
    for bad in ({"a": "1"}, {"b": ["1"]}, {"b": [None]}, {"c": 1}, {"d": 1}, {"definitions": {"z": "1"}}):
        assert not check.is_valid(bad), bad


def test_every_value_is_described_for_completion(catalog: Catalog) -> None:
    """Hover and completion need a description at each step, and every reference must lead somewhere."""
    schema = compose(catalog)
    bare: list[str] = []

    def walk(node: Any, path: str) -> None:
        for key, below in node.get("properties", {}).items():
            target = schema["definitions"].get(str(below.get("$ref", "")).removeprefix("#/definitions/"), below)
            assert "$ref" not in below or target is not below, below
            if not (below.get("description") or target.get("description")):
                bare.append(f"{path}.{key}")
            if not path.endswith(".values") or path.count(".") < 12:
                walk(target, f"{path}.{key}")

    walk(schema, "")
    assert bare == []


def test_nothing_of_ours_is_left_in_it(catalog: Catalog) -> None:
    text = json.dumps(compose(catalog))
    assert '"x-' not in text
    assert "errorMessage" in text
    assert "patternErrorMessage" in text
