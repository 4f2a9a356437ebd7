"""One JSON Schema of the whole stack file, with every component's values, for editors. Pure.

A stack file holds only what differs from the defaults, so what a component's schema asks of the whole
values (required keys, conditions between values) is left out here: ``validate`` asks it of the
merged values. Draft 7, which is what yaml-language-server handles best.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sparkrig.catalog.catalog import Catalog, ComponentFiles
from sparkrig.models.component import Component
from sparkrig.stack.file import stack_schema

DRAFT: Final = "http://json-schema.org/draft-07/schema#"
_WHOLE_VALUES: Final = frozenset(
    {"required", "minProperties", "allOf", "if", "then", "else", "dependencies", "$schema"}
)
"""Keywords that speak of values that other layers may give; inside a list, which is replaced as a whole, they stay."""
_MAPS: Final = ("properties", "patternProperties", "definitions", "$defs")
_LISTS: Final = ("anyOf", "oneOf")


def compose(catalog: Catalog) -> dict[str, Any]:
    """The stack file's schema in which ``components`` knows each component of the catalogue."""
    schema: dict[str, Any] = dict(stack_schema())
    definitions = dict(schema.get("definitions", {}))
    base = definitions.pop("component")
    names = {}
    for name, component in catalog.components.items():
        files = catalog.files[name]
        definitions[f"component-{name}"] = _component(base, component, files)
        if isinstance(files.schema, Mapping):
            definitions[f"values-{name}"] = values_schema(files.schema, f"values-{name}")
        names[name] = {"$ref": f"#/definitions/component-{name}"}
    components = dict(schema["properties"]["components"])
    components.update(properties=names, additionalProperties=False)
    properties = {**schema["properties"], "components": components}
    schema.update({"$schema": DRAFT, "properties": properties, "definitions": definitions})
    return _for_editors(schema)  # type: ignore[no-any-return]


def _component(base: Mapping[str, Any], component: Component, files: ComponentFiles) -> dict[str, Any]:
    fields = dict(base["properties"])
    choices = [True, False] if component.auto_fact is None else [True, False, "auto"]
    state: Any = {"true": True, "false": False}.get(component.enabled, component.enabled)
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
    fields["namespace"] = {**fields["namespace"], "default": component.namespace}
    if component.chart.path is not None:
        fields["version"] = {
            "description": "The chart is part of the catalogue; leave the version out.",
            "const": component.chart.version,
        }
    else:
        fields["version"] = {**fields["version"], "default": component.chart.version}
    return {**base, "title": component.name, "description": _about(component), "properties": fields}


def _about(component: Component) -> str:
    return f"{component.description}. {component.homepage} ({component.licence})"


def values_schema(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A component's schema for what a person writes: any part of the values, null to take a default out.

    ``name`` is the definition under which it will be: its own references are turned to it.
    """
    part = _partial(schema, name)
    part["type"] = ["object", "null"]
    return part


def _partial(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in _WHOLE_VALUES:
            continue
        if keyword == "$ref" and isinstance(value, str) and value.startswith("#"):
            result[keyword] = f"#/definitions/{name}{value[1:]}"
        elif keyword in ("definitions", "$defs"):
            result[keyword] = {key: _moved(below, name) for key, below in value.items()}
        elif keyword in _MAPS and isinstance(value, Mapping):
            result[keyword] = {key: _nullable(below, name) for key, below in value.items()}
        elif keyword in _LISTS:
            result[keyword] = [_partial(below, name) if isinstance(below, Mapping) else below for below in value]
        elif keyword == "additionalProperties":
            result[keyword] = _nullable(value, name)
        elif keyword == "items":
            result[keyword] = _moved(value, name)
        else:
            result[keyword] = value
    return result


def _nullable(schema: Any, name: str) -> Any:
    """The schema, or null: in a layer null takes the default out."""
    if not isinstance(schema, Mapping):
        return schema
    part = _partial(schema, name)
    if "$ref" in part or "not" in part:
        words = {key: part.pop(key) for key in ("description", "default", "examples") if key in part}
        return {**words, "anyOf": [part, {"type": "null"}]}
    if "type" in part:
        types = [part["type"]] if isinstance(part["type"], str) else list(part["type"])
        part["type"] = types if "null" in types else [*types, "null"]
    if "const" in part:
        part["enum"] = [part.pop("const"), None]
    elif "enum" in part and None not in part["enum"]:
        part["enum"] = [*part["enum"], None]
    for keyword in _LISTS:
        if keyword in part and not any("null" in str(below.get("type")) for below in part[keyword]):
            part[keyword] = [*part[keyword], {"type": "null"}]
    return part


def _moved(schema: Any, name: str) -> Any:
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


def _for_editors(node: Any, *, names: bool = False) -> Any:
    """Our own words under the keywords that editors show; ``names``: the keys are names, not keywords."""
    if isinstance(node, list):
        return [_for_editors(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    result: dict[str, Any] = {}
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
