"""Reads folders of components into a catalogue. Opens the files of those folders, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sparkrig.catalog.build import component_from
from sparkrig.catalog.catalog import Catalog, ComponentFiles
from sparkrig.catalog.checks import check_catalog, check_component
from sparkrig.catalog.sources import SourceTexts
from sparkrig.catalog.validate import check_document, schema_file
from sparkrig.errors import InvalidInput
from sparkrig.models.component import Component
from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.yaml.nodes import MapNode, place

COMPONENT_FILE: Final = "component.yaml"
SCHEMA: Final = Path(__file__).with_name("component.schema.json")
SHIPPED: Final = "charts"
"""Under this name the files of the first folder are shown."""
_NEAR_MISSES: Final = frozenset({"component.yml", "components.yaml", "components.yml", "component.yaml.txt"})


def load_catalog(folders: Sequence[Path], sources: SourceTexts | None = None) -> Catalog:
    """The components of all folders; one of a later folder replaces one of the same name.

    The first folder is the shipped catalogue: its files are shown as ``charts/…``. Texts that were
    read are kept in ``sources``.

    Raises:
        InvalidInput: with everything that is wrong with any of the components.
    """
    sources = SourceTexts() if sources is None else sources
    if folders:
        sources.name_folder(folders[0], SHIPPED)
    problems: list[Problem] = []
    components: dict[str, Component] = {}
    documents: dict[str, MapNode] = {}
    broken = False
    for folder in folders:
        found: dict[str, Component] = {}
        for path in _component_files(folder, sources, problems):
            before = len(problems)
            loaded = _load_component(path, sources, problems)
            broken |= len(problems) > before
            if loaded is None:
                continue
            component, document = loaded
            if component.name in found:
                problems.append(_twice(component, found[component.name]))
                continue
            found[component.name] = components[component.name] = component
            documents[component.name] = document
    files = {name: ComponentFiles(component.folder, sources) for name, component in components.items()}
    catalog = Catalog(components, documents, sources, files)
    # A component that could not be read would be reported again by everything that refers to it.
    problems += check_catalog(catalog, complete=not broken)
    if problems:
        raise InvalidInput(problems, "the catalogue has problems")
    return catalog


def _component_files(folder: Path, sources: SourceTexts, problems: list[Problem]) -> list[Path]:
    shown = sources.shown(folder)
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        message = f"the catalogue folder {shown} cannot be read: {error.strerror}"
        problems.append(Problem(Severity.ERROR, "no-catalog", message, where=shown))
        return []
    if (folder / COMPONENT_FILE).is_file():
        message = f"{shown} is the folder of one component, expected a folder that holds such folders"
        problems.append(
            Problem(Severity.ERROR, "no-catalog", message, where=shown, hint="name the folder above it with --catalog")
        )
        return []
    found = []
    for entry in entries:
        if (entry / COMPONENT_FILE).is_file():
            found.append(entry / COMPONENT_FILE)
        elif entry.is_dir():
            problems.extend(_near_miss(path, sources) for path in sorted(entry.iterdir()) if _is_near_miss(path))
    return found


def _is_near_miss(path: Path) -> bool:
    return path.name.lower() in _NEAR_MISSES or path.name.lower() == COMPONENT_FILE


def _near_miss(path: Path, sources: SourceTexts) -> Problem:
    message = f"a component is described in {COMPONENT_FILE}, found {path.name}"
    hint = f"rename it to {COMPONENT_FILE}"
    return Problem(Severity.ERROR, "misnamed-file", message, Position(sources.shown(path), 1, 1), hint=hint)


def _load_component(path: Path, sources: SourceTexts, problems: list[Problem]) -> tuple[Component, MapNode] | None:
    loaded = sources.load_document(path)
    problems.extend(loaded.problems)
    document = loaded.document
    if not isinstance(document, MapNode):
        return None
    wrong = check_document(document, schema_file(SCHEMA), "component")
    problems.extend(wrong)
    if wrong:
        return None
    component = component_from(document.value, path.parent.absolute(), place(document, ("metadata", "name")))
    problems.extend(check_component(component, document))
    return component, document


def _twice(component: Component, first: Component) -> Problem:
    return Problem(
        Severity.ERROR,
        "duplicate-component",
        f"two components of one catalogue folder are called '{component.name}'",
        component.position,
        hint=f"the other one is at {first.position}",
    )
