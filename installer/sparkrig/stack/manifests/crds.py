"""The CRDs that charts bring: which kinds there are, and their schemas for checking custom resources. Pure.

CRDs are large (a chart's may have 3 MB), so their texts are searched for names first, in the form in which tools
write them; only those whose kinds are rendered, and those in another form (JSON, flow style), are parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sparkrig.errors import InvalidInput
from sparkrig.models.json import (
    JsonDict,
    JsonObject,
    dig,
    mapping_at,
    mapping_or_none,
    mappings_at,
    sequence_at,
    text_at,
    texts_at,
)
from sparkrig.stack.lint.chart_values import ChartLike
from sparkrig.yaml.plain import load_plain_all

_SEPARATOR = re.compile(r"^---.*$", re.MULTILINE)
_CRD = "CustomResourceDefinition"
_IS_CRD = re.compile(rf"^kind: *[\"']?{_CRD}\b", re.MULTILINE)
_GROUP = re.compile(r"^ {2}group: *[\"']?([\w.-]+)", re.MULTILINE)
_KIND = re.compile(r"^ {4}kind: *[\"']?(\w+)", re.MULTILINE)
_VERSION = re.compile(r"^(?: {2,4}- | {4,6})name: *[\"']?(v[0-9][a-z0-9]*)[\"']? *$", re.MULTILINE)
_MANIFESTS = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class CrdText:
    """One CRD in a chart's crds/ folder, not parsed."""

    group: str
    kind: str
    versions: tuple[str, ...]
    text: str
    file: str

    @property
    def api_versions(self) -> tuple[str, ...]:
        """What ``helm template --api-versions`` is told of it."""
        return tuple(text for v in self.versions for text in (f"{self.group}/{v}", f"{self.group}/{v}/{self.kind}"))


def crds_of(chart: ChartLike) -> list[CrdText]:
    """The CRDs in the crds/ folders of a chart and its subcharts."""
    found: list[CrdText] = []
    for name, content in sorted(chart.files.items()):
        if name.startswith("crds/") and name.lower().endswith(_MANIFESTS):
            found += _in_file(content.decode("utf-8", "replace"), name)
    for sub in chart.subcharts:
        found += crds_of(sub)
    return found


def api_versions(objects: Iterable[JsonObject]) -> list[str]:
    """What ``helm template --api-versions`` is told of the CRDs among objects."""
    found: dict[str, None] = {}
    for item in objects:
        spec = item.get("spec") if item.get("kind") == _CRD else None
        if not isinstance(spec, Mapping):
            continue
        for version in mappings_at(spec, "versions"):
            if version.get("served", True):
                name = f"{spec.get('group')}/{version.get('name')}"
                found |= {name: None, f"{name}/{dig(spec, 'names', 'kind')}": None}
    return list(found)


def _in_file(text: str, file: str) -> Iterator[CrdText]:
    for document in _SEPARATOR.split(text):
        if _CRD not in document:
            continue
        group, kind = _GROUP.search(document), _KIND.search(document)
        versions = tuple(dict.fromkeys(_VERSION.findall(document)))
        if _IS_CRD.search(document) and group and kind and versions:
            yield CrdText(group[1], kind[1], versions, document, file)
        else:
            yield from _parsed(document, file)


def _parsed(document: str, file: str) -> Iterator[CrdText]:
    """The same of a text whose names cannot be searched for; nothing where it is no readable CRD: helm says so."""
    try:
        items = list(load_plain_all(document, file))
    except InvalidInput:
        return
    for item in items:
        spec = item.get("spec") if isinstance(item, Mapping) and item.get("kind") == _CRD else None
        if not isinstance(spec, Mapping):
            continue
        kind = dig(spec, "names", "kind")
        versions = tuple(text_at(v, "name") for v in mappings_at(spec, "versions") if "name" in v)
        if kind and spec.get("group"):
            yield CrdText(str(spec["group"]), str(kind), versions, document, file)


class CrdSchemas:
    """Schemas of custom resources by API version and kind, made when first asked for."""

    def __init__(self, texts: Iterable[CrdText], rendered: Iterable[JsonObject] = ()) -> None:
        self._texts = {(crd.group, crd.kind): crd for crd in texts}
        self._found: dict[tuple[str, str], JsonObject | None] = {}
        for item in rendered:
            self._take(item)

    def schema(self, api_version: str, kind: str) -> JsonObject | None:
        """A JSON Schema, or None where no chart of the stack brings that kind."""
        key = (api_version, kind)
        if key not in self._found:
            self._found[key] = None
            crd = self._texts.get((api_version.rpartition("/")[0], kind))
            for item in load_plain_all(crd.text, crd.file) if crd is not None else ():
                if isinstance(item, Mapping):
                    self._take(item)
        return self._found[key]

    def brings(self, api_version: str, kind: str) -> bool:
        """Whether a chart brings a CRD of that group and kind, of whatever version."""
        return (api_version.rpartition("/")[0], kind) in self._texts

    def _take(self, item: JsonObject) -> None:
        if item.get("kind") != "CustomResourceDefinition":
            return
        spec = mapping_at(item, "spec")
        for version in mappings_at(spec, "versions"):
            schema = dig(version, "schema", "openAPIV3Schema")
            if isinstance(schema, Mapping) and version.get("served", True):
                kind = dig(spec, "names", "kind")
                key = (f"{spec.get('group')}/{version.get('name')}", str(kind))
                self._found[key] = _root(schema)


def _root(schema: JsonObject) -> JsonObject:
    converted = dict(converted_schema(schema))
    own = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
    if "properties" in converted:
        converted["properties"] = {**mapping_at(converted, "properties"), **own}
    return converted


def converted_schema(schema: JsonObject) -> JsonObject:
    """A structural schema as JSON Schema: fields that it does not name are errors, as the API server has it.

    OpenAPI's ``nullable`` and Kubernetes' int-or-string become types; CEL rules say nothing here. The API server fills
    in defaults before it looks for required fields, so one with a default may be left out.
    """
    kept: JsonDict = {key: schema[key] for key in _KEPT & schema.keys()}
    _exclude_limits(kept)
    if "pattern" in kept and (pattern := _in_python(str(kept.pop("pattern")))) is not None:
        kept["pattern"] = pattern
    if "required" in kept:
        fields = mapping_at(schema, "properties")
        kept["required"] = [key for key in texts_at(kept, "required") if "default" not in mapping_at(fields, key)]
    if schema.get("x-kubernetes-int-or-string"):
        kept["type"] = ["integer", "string"]
        kept.pop("anyOf", None)
    if schema.get("nullable") and isinstance(kept.get("type"), str):
        kept["type"] = [kept["type"], "null"]
        if "enum" in kept:
            kept["enum"] = [*sequence_at(kept, "enum"), None]
    if (named := mapping_or_none(schema, "properties")) is not None:
        properties = {key: converted_schema(mapping_at(below)) for key, below in named.items()}
        if schema.get("x-kubernetes-embedded-resource"):
            properties = {"apiVersion": {}, "kind": {}, "metadata": {}, **properties}
        kept["properties"] = properties
    extra = schema.get("additionalProperties")
    if isinstance(extra, Mapping):
        kept["additionalProperties"] = converted_schema(extra)
    elif "properties" in kept and extra is None and not schema.get("x-kubernetes-preserve-unknown-fields"):
        kept["additionalProperties"] = False
    if (items := mapping_or_none(schema, "items")) is not None:
        kept["items"] = converted_schema(items)
    return kept


def _exclude_limits(schema: JsonDict) -> None:
    """OpenAPI 3.0 says with a truth value that a limit is excluded; JSON Schema has the limit itself there."""
    for limit, excluded in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if schema.pop(excluded, False) is True and limit in schema:
            schema[excluded] = schema.pop(limit)


def _in_python(pattern: str) -> str | None:
    """A pattern of the API server's, which is written for Go; None for one that only Go understands."""
    try:
        text = pattern.replace("\\z", "\\Z")
        re.compile(text)
    except re.error:
        return None
    return text


_KEPT = frozenset(
    {"type", "enum", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength",
     "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "multipleOf", "required"}
)  # fmt: skip
