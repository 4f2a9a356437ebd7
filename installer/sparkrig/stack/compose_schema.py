"""One JSON Schema of the whole stack file, with every component's values, for editors. Pure.

A stack file holds only what differs from the defaults, so what a component's schema asks of the whole
values (required keys, conditions between values) is left out here: ``validate`` asks it of the
merged values. Draft 7, which is what yaml-language-server handles best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sparkrig.catalog.catalog import Catalog, ComponentFiles
from sparkrig.models.component import Component
from sparkrig.models.json import JsonDict, JsonObject, JsonValue, dig, mapping_at, sequence_at, texts_at
from sparkrig.stack.file import stack_schema

DRAFT: Final = "http://json-schema.org/draft-07/schema#"
_WHOLE_VALUES: Final = frozenset(
    {"required", "minProperties", "allOf", "if", "then", "else", "dependencies", "$schema"}
)
"""Keywords that speak of values that other layers may give; inside a list, which is replaced as a whole, they stay."""
_MAPS: Final = ("properties", "patternProperties", "definitions", "$defs")
_LISTS: Final = ("anyOf", "oneOf")


def compose(catalog: Catalog) -> JsonDict:
    """The stack file's schema in which ``components`` knows each component of the catalogue."""
    schema: JsonDict = dict(stack_schema())
    definitions = dict(mapping_at(schema, "definitions"))
    base = definitions.pop("component")
    names = {}
    for name, component in catalog.components.items():
        files = catalog.files[name]
        definitions[f"component-{name}"] = _component(mapping_at(base), component, files)
        if isinstance(files.schema, Mapping):
            definitions[f"values-{name}"] = values_schema(files.schema, f"values-{name}")
        names[name] = {"$ref": f"#/definitions/component-{name}"}
    known = mapping_at(schema, "properties")
    components = {**mapping_at(known, "components"), "properties": names, "additionalProperties": False}
    schema.update({"$schema": DRAFT, "properties": {**known, "components": components}, "definitions": definitions})
    return dict(mapping_at(_for_editors(schema)))


def _component(base: JsonObject, component: Component, files: ComponentFiles) -> JsonDict:
    fields = dict(mapping_at(base, "properties"))
    choices: list[JsonValue] = [True, False] if component.auto_fact is None else [True, False, "auto"]
    state: JsonValue = {"true": True, "false": False}.get(component.enabled, component.enabled)
    auto = f"; auto: on where {component.auto_fact} is true" if component.auto_fact else ""
    fields["enabled"] = {
        "description": f"Whether {component.name} is installed{auto}.",
        "enum": choices,
        "default": state,
    }
    if isinstance(files.schema, Mapping):
        fields["values"] = {
            "description": f"Values of the chart {component.chart.name} {component.chart.version}; they win over ours.",
            "$ref": f"#/definitions/values-{component.name}",
        }
    fields["namespace"] = {**mapping_at(fields, "namespace"), "default": component.namespace}
    if component.chart.path is not None:
        fields["version"] = {
            "description": "The chart is part of the catalogue; leave the version out.",
            "const": component.chart.version,
        }
    else:
        fields["version"] = {**mapping_at(fields, "version"), "default": component.chart.version}
    return {**base, "title": component.name, "description": _about(component), "properties": fields}


def _about(component: Component) -> str:
    return f"{component.description}. {component.homepage} ({component.licence})"


def values_schema(schema: JsonObject, name: str) -> JsonDict:
    """A component's schema for what a person writes: any part of the values, null to take a default out.

    ``name`` is the definition under which it will be: its own references are turned to it.
    """
    part = _partial(schema, name)
    part["type"] = ["object", "null"]
    return part


def _partial(schema: JsonObject, name: str) -> JsonDict:
    result: JsonDict = {}
    for keyword, value in schema.items():
        if keyword in _WHOLE_VALUES:
            continue
        if keyword == "$ref" and isinstance(value, str) and value.startswith("#"):
            result[keyword] = f"#/definitions/{name}{value[1:]}"
        elif keyword in ("definitions", "$defs"):
            result[keyword] = {key: _moved(below, name) for key, below in mapping_at(value).items()}
        elif keyword in _MAPS and isinstance(value, Mapping):
            result[keyword] = {key: _nullable(below, name) for key, below in value.items()}
        elif keyword in _LISTS:
            result[keyword] = [
                _partial(below, name) if isinstance(below, Mapping) else below for below in sequence_at(value)
            ]
        elif keyword == "additionalProperties":
            result[keyword] = _nullable(value, name)
        elif keyword == "items":
            result[keyword] = _moved(value, name)
        else:
            result[keyword] = value
    return result


def _nullable(schema: JsonValue, name: str) -> JsonValue:
    """The schema, or null: in a layer null takes the default out."""
    if not isinstance(schema, Mapping):
        return schema
    part = _partial(schema, name)
    if "$ref" in part or "not" in part:
        words: JsonDict = {key: part.pop(key) for key in ("description", "default", "examples") if key in part}
        return {**words, "anyOf": [part, {"type": "null"}]}
    if "type" in part:
        types = [part["type"]] if isinstance(part["type"], str) else sequence_at(part, "type")
        part["type"] = types if "null" in types else [*types, "null"]
    if "const" in part:
        part["enum"] = [part.pop("const"), None]
    elif "enum" in part and None not in sequence_at(part, "enum"):
        part["enum"] = [*sequence_at(part, "enum"), None]
    for keyword in _LISTS:
        if keyword in part and not any("null" in _types(below) for below in sequence_at(part, keyword)):
            part[keyword] = [*sequence_at(part, keyword), {"type": "null"}]
    return part


def _types(schema: JsonValue) -> Sequence[str]:
    named = dig(schema, "type")
    return [named] if isinstance(named, str) else texts_at(named)


def _moved(schema: JsonValue, name: str) -> JsonValue:
    """A schema as it is, with its references turned to where it will be."""
    if isinstance(schema, list):
        return [_moved(item, name) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        key: f"#/definitions/{name}{value[1:]}"
        if key == "$ref" and isinstance(value, str) and value.startswith("#")
        else _moved(value, name)
        for key, value in schema.items()
    }


def _for_editors(node: JsonValue, *, names: bool = False) -> JsonValue:
    """Our own words under the keywords that editors show; ``names``: the keys are names, not keywords."""
    if isinstance(node, list):
        return [_for_editors(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    result: JsonDict = {}
    for key, value in node.items():
        if names:
            result[key] = _for_editors(value)
        elif key == "x-pattern":
            result["patternErrorMessage"] = f"expected {value}"
        elif key == "x-message":
            result["errorMessage"] = value
        elif not key.startswith("x-"):
            plain = key in ("default", "examples", "enum", "const")
            result[key] = value if plain else _for_editors(value, names=key in _MAPS)
    return result
