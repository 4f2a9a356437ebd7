"""The catalogue as a record, with the files of each component read when they are first asked for."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sparkrig.catalog.sources import SourceTexts
from sparkrig.models.component import Component, CrdOwner
from sparkrig.models.json import JsonObject
from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.yaml.load import Loaded
from sparkrig.yaml.nodes import MapNode, Step, place

PROFILES: Final = ("minimal", "standard", "gpu", "ha")
"""Names of the profiles, smallest first."""
DEFAULT_PROFILE: Final = "standard"

CRD: Final = "crd:"
"""Prefix of a reference to a CRD, instead of to a component."""
CRD_FACT: Final = "crd."
"""Prefix of facts about CRDs: true where the cluster has the one named, or a component that is on brings it."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """All components by name, in the order of their folders."""

    components: Mapping[str, Component]
    documents: Mapping[str, MapNode]
    """Component -> its ``component.yaml`` with positions."""
    sources: SourceTexts
    files: Mapping[str, ComponentFiles] = field(default_factory=dict)

    def place(self, component: str, *path: Step) -> Position:
        """Where ``component.yaml`` says something."""
        return place(self.documents[component], path)

    def providers(self, thing: str) -> tuple[str, ...]:
        """Names of the components that provide ``thing`` (``crd:NAME``, ``ingress-class``)."""
        return tuple(name for name, component in self.components.items() if thing in component.provides)


class ComponentFiles:
    """The files beside a ``component.yaml``; each is read once, when first asked for."""

    def __init__(self, folder: Path, sources: SourceTexts) -> None:
        self.folder = folder
        self._sources = sources

    @functools.cached_property
    def own_chart(self) -> bool:
        """True when the folder itself is a Helm chart, whose defaults are in its ``values.yaml``."""
        return (self.folder / "Chart.yaml").is_file()

    @functools.cached_property
    def values(self) -> Loaded | None:
        """``values.yaml``, or None where there is none."""
        return self._optional(self.folder / "values.yaml")

    @functools.cached_property
    def _profiles(self) -> dict[str, Loaded | None]:
        return {}

    def profile(self, name: str) -> Loaded | None:
        """``profiles/<name>.yaml``, or None where there is none."""
        if name not in self._profiles:
            self._profiles[name] = self._optional(self.folder / "profiles" / f"{name}.yaml")
        return self._profiles[name]

    @functools.cached_property
    def schema(self) -> JsonObject | Problem | None:
        """``values.schema.json``; None where there is none, a problem where it is not a JSON object."""
        path = self.folder / "values.schema.json"
        if not path.is_file():
            return None
        text = self._sources.read(path)
        if isinstance(text, Problem):
            return text
        shown = self._sources.shown(path)
        try:
            schema = json.loads(text)
        except json.JSONDecodeError as error:
            position = Position(shown, error.lineno, error.colno)
            return Problem(Severity.ERROR, "json-syntax", f"this is not JSON: {error.msg}", position)
        if not isinstance(schema, dict):
            return Problem(Severity.ERROR, "not-a-map", "expected a JSON object", Position(shown, 1, 1))
        return schema

    def shown(self, name: str) -> str:
        """The name under which a file of the folder is shown."""
        return self._sources.shown(self.folder / name)

    def _optional(self, path: Path) -> Loaded | None:
        return self._sources.load_values(path) if path.is_file() else None


def waits_for(component: Component, components: Mapping[str, Component]) -> list[tuple[str, str]]:
    """What must be ready before ``component`` starts, if it is on: (component, the reference that says so).

    A CRD that we apply ourselves is there before any release starts, so a reference to it makes nobody wait.
    """
    found = []
    for reference in (*component.needs, *component.uses):
        if not reference.startswith(CRD):
            found.append((reference, reference))
            continue
        for name, other in components.items():
            applied_by_us = other.crd_owner is CrdOwner.US
            if reference in other.provides and not applied_by_us and name != component.name:
                found.append((name, reference))
    return found
