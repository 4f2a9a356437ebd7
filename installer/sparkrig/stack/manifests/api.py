"""The API's own schemas, offline, from the package kubernetes-validate. Pure: data of an installed package.

The package is large (a wheel of 22 MB) and so an extra; without it ``load`` gives None, and the caller
says what was not looked at. See docs/adr/0008-offline-manifest-validation.md.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from sparkrig.models.json import JsonDict, JsonObject, mapping_at, mappings_at, text_at
from sparkrig.stack.manifests.removed import minor

_DEFINITIONS = "_definitions.json"
_REF = "/api/_definitions.json#"
_NULLABLE = re.compile(r'\[\s*("\w+"),\s*"null"\s*\]')
_NUMBER = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)"
_PORT: Final[JsonObject] = {"type": "integer", "minimum": 1, "maximum": 65535}
_LABELS: Final[JsonObject] = {
    "type": ["object"],
    "additionalProperties": {
        "type": ["string"],
        "maxLength": 63,
        "pattern": "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$",
        "x-pattern": "a label value: letters, digits, '-', '_' and '.'",
    },
}
_QUANTITY: Final = {
    "type": ["string", "number"],
    "pattern": rf"^{_NUMBER}([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$",
    "x-pattern": "a quantity such as 500m, 2 or 10Gi",
}
_PATCHES: Final[Mapping[str, Mapping[str, JsonObject]]] = {
    # What the API server checks beyond its schemas, and people get wrong.
    "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": {"labels": _LABELS},
    "io.k8s.api.core.v1.ContainerPort": {"containerPort": _PORT},
    "io.k8s.api.core.v1.ServicePort": {"port": _PORT},
    "io.k8s.api.apps.v1.DeploymentSpec": {"replicas": {"type": ["integer"], "minimum": 0}},
    "io.k8s.api.apps.v1.StatefulSetSpec": {"replicas": {"type": ["integer"], "minimum": 0}},
    "io.k8s.api.core.v1.Container": {
        "imagePullPolicy": {"enum": ["Always", "IfNotPresent", "Never", ""]},
    },
    "io.k8s.api.core.v1.ServiceSpec": {"type": {"enum": ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]}},
    "io.k8s.api.core.v1.PodSpec": {"restartPolicy": {"enum": ["Always", "OnFailure", "Never", ""]}},
}


@dataclass(frozen=True, slots=True)
class Unknown:
    """An API version and kind that this Kubernetes does not have though another one does."""

    elsewhere: str
    """The version of Kubernetes that has it: a newer one has it first, an older one has it last."""
    newer: bool


class ApiSchemas:
    """The schemas of one version of Kubernetes."""

    def __init__(self, version: str, versions: list[str], package: str) -> None:
        self.version = version
        """``1.36``."""
        self.package = package
        """Name and version of where the schemas come from."""
        self._versions = versions
        self._definitions: JsonObject | None = None
        self._found: dict[tuple[str, str], JsonObject | None] = {}

    def schema(self, api_version: str, kind: str) -> JsonObject | None:
        """A JSON Schema with its definitions in it; None where this Kubernetes has no such kind of its own."""
        key = (api_version, kind)
        if key not in self._found:
            self._found[key] = self._load(api_version, kind)
        return self._found[key]

    def elsewhere(self, api_version: str, kind: str) -> Unknown | None:
        """Where another version of Kubernetes has this kind: it was removed, or is not there yet."""
        here = minor(self.version) or (0, 0)
        having = [v for v in self._versions if _file(v, api_version, kind) is not None]
        if not having:
            return None
        newer = [v for v in having if (minor(v) or here) > here]
        return Unknown(newer[0], True) if newer else Unknown(having[-1], False)

    def _load(self, api_version: str, kind: str) -> JsonObject | None:
        piece = _file(self.version, api_version, kind)
        if piece is None:
            return None
        if self._definitions is None:
            self._definitions = _definitions(self.version)
        return {**piece, "$defs": self._definitions}


@functools.cache
def load(kubernetes: str | None) -> ApiSchemas | None:
    """The schemas of that Kubernetes (None: the newest there is); None where they are not installed.

    A version that the package does not carry yet is judged by the newest that it does.
    """
    home = _home()
    if home is None:
        return None
    names = [folder.name.removeprefix("v") for folder in home.glob("v*-local-strict")]
    versions = sorted({v for v in map(_short, names) if v}, key=lambda v: minor(v) or (0, 0))
    wanted = minor(kubernetes) if kubernetes else None
    fitting = [v for v in versions if wanted is None or (minor(v) or (0, 0)) <= wanted]
    if not fitting:
        return None
    from importlib.metadata import version

    return ApiSchemas(fitting[-1], versions, f"kubernetes-validate {version('kubernetes-validate')}")


@functools.cache
def _home() -> Path | None:
    """The package's folder of schemas, found without importing it: that takes a third of a ``validate``."""
    spec = find_spec("kubernetes_validate")
    places = list((spec.submodule_search_locations if spec else None) or ())
    return Path(places[0]) / "kubernetes-json-schema" if places else None


def _short(version: str) -> str:
    found = minor(version)
    return f"{found[0]}.{found[1]}" if found else ""


@functools.cache
def _file(version: str, api_version: str, kind: str) -> JsonObject | None:
    if not re.fullmatch(r"[A-Za-z0-9]+", kind) or not re.fullmatch(r"[A-Za-z0-9./-]+", api_version):
        return None
    group, _, number = api_version.rpartition("/")
    name = f"{kind.lower()}-{group.partition('.')[0] + '-' if group else ''}{number}.json"
    try:
        piece = _contents(version, name)
    except (FileNotFoundError, LookupError):
        return None
    # Groups are told apart by their first word in the file's name only: another group's kind is none of ours.
    known = mappings_at(piece, "x-kubernetes-group-version-kind")
    if not any((text_at(g, "group"), g.get("version")) == (group, number) for g in known):
        return None
    return {key: value for key, value in piece.items() if key not in ("$id", "$schema")}


def _definitions(version: str) -> JsonObject:
    definitions: JsonDict = dict(mapping_at(_contents(version, _DEFINITIONS), "$defs"))
    definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = _QUANTITY
    definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] = {"type": ["string", "integer"]}
    for name, properties in _PATCHES.items():
        if known := mapping_at(definitions, name):
            definitions[name] = {**known, "properties": {**mapping_at(known, "properties"), **properties}}
    return definitions


def _contents(version: str, name: str) -> JsonDict:
    home = _home()
    if home is None:
        raise FileNotFoundError(name)
    path = home / f"v{version}.0-local-strict" / name
    # Nulls are taken out of the objects before, so that no message needs to speak of them.
    text = _NULLABLE.sub(r"\1", path.read_text(encoding="utf-8").replace(_REF, "#"))
    contents: JsonDict = json.loads(text)
    return contents
