"""Chart.yaml as helm understands it, and in a form that does not depend on how it is written. Pure.

``helm package`` writes Chart.yaml anew: comments and fields it does not know go, empty fields go,
scalars become strings (``appVersion: 1.10`` becomes ``"1.1"``), blanks and control characters in
texts are flattened. ``canonical`` does the same to both sides, so that a folder and its package
agree. (Helm 4.3.1, pkg/chart/v2.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sparkrig.helm.errors import ChartError
from sparkrig.models.json import JsonDict, JsonObject, JsonValue, text_at, texts_at

_TEXTS = (
    "name",
    "home",
    "version",
    "description",
    "icon",
    "apiVersion",
    "condition",
    "tags",
    "appVersion",
    "kubeVersion",
    "type",
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_VERSION = re.compile(r"v?[0-9][0-9A-Za-z.+-]*")
_LISTS = ("sources", "keywords")
_MAINTAINER = ("name", "email", "url")
_DEPENDENCY = ("name", "version", "repository", "condition", "alias")


@dataclass(frozen=True, slots=True)
class Dependency:
    """One entry of ``dependencies``."""

    name: str
    version: str
    repository: str
    condition: str
    tags: tuple[str, ...]
    alias: str

    @property
    def key(self) -> str:
        """The name under which its values and conditions are found."""
        return self.alias or self.name


@dataclass(frozen=True, slots=True)
class Metadata:
    """What Chart.yaml says, dependencies from requirements.yaml included."""

    api_version: str
    name: str
    version: str
    app_version: str
    kube_version: str
    type: str
    description: str
    dependencies: tuple[Dependency, ...]
    canonical: bytes
    """The same for a folder and its package."""


def read_metadata(document: JsonValue, requirements: JsonValue, where: str) -> Metadata:
    """Makes the record out of the parsed Chart.yaml (and requirements.yaml of an old chart).

    Raises:
        ChartError: a required field is missing.
    """
    if not isinstance(document, Mapping):
        raise ChartError(f"{where}: Chart.yaml is not a map")
    texts = {name: _text(document.get(name)) for name in _TEXTS}
    texts["apiVersion"] = texts["apiVersion"] or "v1"
    for name, allowed in (("name", _NAME), ("version", _VERSION)):
        if not texts[name]:
            raise ChartError(f"{where}: Chart.yaml has no {name}")
        if not allowed.fullmatch(texts[name]):
            raise ChartError(f"{where}: Chart.yaml: {texts[name]!r} cannot be a chart's {name}")
    fields: JsonDict = {**texts}
    fields |= {name: [_text(item) for item in _items(document.get(name))] for name in _LISTS}
    fields["maintainers"] = [_record(item, _MAINTAINER) for item in _items(document.get("maintainers"))]
    fields["deprecated"] = document.get("deprecated") is True
    annotations = document.get("annotations")
    fields["annotations"] = dict(annotations) if isinstance(annotations, Mapping) else {}
    listed = requirements if isinstance(requirements, Mapping) and "dependencies" in requirements else document
    dependencies = [_dependency(item) for item in _items(listed.get("dependencies")) if isinstance(item, Mapping)]
    # Packages of the old format keep theirs in requirements.yaml, a plain file.
    fields["dependencies"] = dependencies if texts["apiVersion"] != "v1" else []
    return Metadata(
        api_version=texts["apiVersion"],
        name=texts["name"],
        version=texts["version"],
        app_version=texts["appVersion"],
        kube_version=texts["kubeVersion"],
        type=texts["type"],
        description=texts["description"],
        dependencies=tuple(
            Dependency(
                name=text_at(item, "name"),
                version=text_at(item, "version"),
                repository=text_at(item, "repository"),
                condition=text_at(item, "condition"),
                tags=tuple(texts_at(item, "tags")),
                alias=text_at(item, "alias"),
            )
            for item in dependencies
        ),
        canonical=json.dumps(_pruned(fields), sort_keys=True, ensure_ascii=False).encode(),
    )


def _dependency(item: JsonObject) -> JsonDict:
    return {
        **_record(item, _DEPENDENCY),
        "tags": [_text(tag) for tag in _items(item.get("tags"))],
        "import-values": _items(item.get("import-values")),
    }


def _record(item: JsonValue, names: tuple[str, ...]) -> dict[str, str]:
    return {name: _text(item.get(name)) for name in names} if isinstance(item, Mapping) else {}


def _items(value: JsonValue) -> list[JsonValue]:
    return list(value) if isinstance(value, list | tuple) else []


def _pruned(value: JsonValue) -> JsonValue:
    """Leaves out what is empty."""
    if isinstance(value, Mapping):
        return {key: kept for key, item in value.items() if (kept := _pruned(item)) not in ("", None, False, [], {})}
    if isinstance(value, list):
        return [_pruned(item) for item in value]
    return value


def _text(value: JsonValue) -> str:
    """Returns a scalar as the Go string helm reads it into."""
    if value is None or isinstance(value, Mapping | list):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _go_float(value)
    flat = (" " if character.isspace() else character for character in str(value))
    return "".join(character for character in flat if character == " " or character.isprintable())


def _go_float(value: float) -> str:
    """Formats as Go's shortest ``%g`` does: exponents from 1e+06 on."""
    mantissa, _, exponent = f"{Decimal(repr(value)).normalize():e}".partition("e")
    power = int(exponent)
    if -4 <= power < 6:
        return f"{Decimal(repr(value)).normalize():f}"
    return f"{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
