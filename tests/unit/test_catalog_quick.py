"""The quick validator never takes for valid what jsonschema refuses, and knows the schemas that we ship."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

import sparkrig
from sparkrig.catalog.quick import surely_valid
from sparkrig.documents.nodes import node_from
from sparkrig.model import Position

AT = Position("x", 1, 1)
NAMES = st.sampled_from(["a", "b", "c"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.sampled_from([0.5, 1.0]), st.sampled_from(["", "a", "ab", "x1"])
)
VALUES = st.recursive(
    SCALARS,
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(NAMES, below, max_size=3)),
    max_leaves=6,
)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])


def grown(below: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(below, min_size=1, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.one_of(TYPES, st.lists(TYPES, min_size=1, max_size=2, unique=True)),
            "const": VALUES,
            "enum": st.lists(VALUES, min_size=1, max_size=3),
            "required": st.lists(NAMES, max_size=2, unique=True),
            "properties": st.dictionaries(NAMES, below, max_size=2),
            "additionalProperties": below,
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b|c"]), below, max_size=1),
            "propertyNames": below,
            "items": st.one_of(below, st.lists(below, min_size=1, max_size=2)),
            "contains": below,
            "uniqueItems": st.booleans(),
            "minItems": st.integers(0, 2),
            "maxItems": st.integers(0, 2),
            "minProperties": st.integers(0, 2),
            "maxProperties": st.integers(0, 2),
            "minLength": st.integers(0, 2),
            "maxLength": st.integers(0, 2),
            "pattern": st.sampled_from(["^a", "1$"]),
            "minimum": st.integers(-1, 2),
            "maximum": st.integers(-1, 2),
            "exclusiveMinimum": st.integers(-1, 2),
            "exclusiveMaximum": st.integers(-1, 2),
            "multipleOf": st.integers(1, 2),
            "allOf": some,
            "anyOf": some,
            "oneOf": some,
            "not": below,
            "if": below,
            "then": below,
            "else": below,
            "$ref": st.just("#/definitions/a"),
            "dependencies": st.dictionaries(NAMES, below, max_size=1),
        },
    )


SCHEMAS = st.recursive(st.booleans(), grown, max_leaves=6)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(schema=grown(SCHEMAS), target=st.sampled_from([True, {"type": "object"}, {"minimum": 1}]), value=VALUES)
def test_never_valid_where_jsonschema_says_no(schema: dict[str, Any], target: Any, value: Any) -> None:
    schema["definitions"] = {"a": target}
    if surely_valid(node_from(value, AT), schema):
        Draft7Validator(schema).validate(value)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"oneOf": [{"type": "null"}, {"type": "string"}]}, "a", 1),
        ({"oneOf": [{"minimum": 0}, {"minimum": 1}]}, 0, 1),
        ({"not": {"required": ["a"]}}, {"b": 1}, {"a": 1}),
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"c": 1}, {"a": 1}),
        ({"if": {"required": ["a"]}, "else": {"required": ["b"]}}, {"a": 1}, {"c": 1}),
        ({"contains": {"const": 1}}, [0, 1], [0]),
        ({"uniqueItems": True}, [1, 2], [1, 1]),
        ({"enum": ["a", 1, None]}, None, True),
        ({"$ref": "#/definitions/n", "definitions": {"n": {"minimum": 2}}}, 2, 1),
        ({"propertyNames": {"pattern": "^a"}}, {"a": 1}, {"b": 1}),
        (
            {"properties": {"a": {}}, "patternProperties": {"^x": {}}, "additionalProperties": False},
            {"xa": 1},
            {"b": 1},
        ),
    ],
)
def test_common_keywords_are_known(schema: dict[str, Any], good: Any, bad: Any) -> None:
    assert surely_valid(node_from(good, AT), schema)
    assert not surely_valid(node_from(bad, AT), schema)


def test_a_schema_that_only_refers_to_itself_is_not_known() -> None:
    assert not surely_valid(
        node_from(1, AT), {"$ref": "#/definitions/a", "definitions": {"a": {"$ref": "#/definitions/a"}}}
    )


def test_our_own_schemas_are_schemas() -> None:
    package = Path(sparkrig.__file__).parent
    for path in (package / "catalog" / "component.schema.json", package / "stack" / "stack.schema.json"):
        Draft7Validator.check_schema(json.loads(path.read_text(encoding="utf-8")))
