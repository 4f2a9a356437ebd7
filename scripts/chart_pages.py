"""The part of docs/charts/<component>.md that follows from the component's folder: profiles, facts, globals, values.

A page has it between two comments, and words by a person around it. Used by scripts/reference.py (``make docs``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sparkrig.catalog.catalog import PROFILES, Catalog
from sparkrig.models.component import Component
from sparkrig.stack.explain.schema import ABSENT, document, leaves
from sparkrig.yaml.nodes import show_path

BEGIN: Final = "<!-- made by scripts/reference.py: change the component's folder, then `make docs` -->"
END: Final = "<!-- until here -->"
LONGEST: Final = 70
"""Letters of a default that a table still shows; longer ones are in values.yaml."""


def chart_pages(catalog: Catalog, folder: Path) -> dict[str, str]:
    """File name -> text of every page in ``folder`` that has a place for it, filled in."""
    found = {}
    for name, component in catalog.components.items():
        file = folder / f"{name}.md"
        if file.exists() and BEGIN in (text := file.read_text(encoding="utf-8")):
            before, _, rest = text.partition(BEGIN)
            _, _, after = rest.partition(END)
            made = "\n".join(part(catalog, component))
            found[file.name] = f"{before}{BEGIN}\n\n{made}\n{END}{after}"
    return found


def part(catalog: Catalog, component: Component) -> Iterator[str]:
    """The lines of one component."""
    yield from _profiles(component)
    yield from _facts(component)
    yield from _follows(component)
    yield from _globals(component)
    schema = catalog.files[component.name].schema
    if not isinstance(schema, Mapping):
        raise SystemExit(f"{component.name} has no values.schema.json that can be read")
    yield from _values(schema)


def _profiles(component: Component) -> Iterator[str]:
    yield "## Profiles"
    yield ""
    for profile in PROFILES:
        file = component.folder / "profiles" / f"{profile}.yaml"
        if file.exists():
            lines = file.read_text(encoding="utf-8").splitlines()
            comment = [line.removeprefix("# ") for line in lines[: _length(lines)]]
            yield f"- `{profile}`: {' '.join(comment)}"
    yield ""


def _length(lines: list[str]) -> int:
    """How many lines the comment at the top has."""
    return next((index for index, line in enumerate(lines) if not line.startswith("#")), len(lines))


def _facts(component: Component) -> Iterator[str]:
    if component.facts:
        yield "## Set from facts of the cluster"
        yield ""
    for rule in component.facts:
        values = ", ".join(f"`{path}: {json.dumps(value)}`" for path, value in rule.set.items())
        yield f"- `{rule.fact}` is {json.dumps(rule.equals)}: {values} ({rule.reason})"
    if component.facts:
        yield ""


def _follows(component: Component) -> Iterator[str]:
    if not component.follows:
        return
    yield "## Set from other components"
    yield ""
    for rule in component.follows:
        there = f"`{rule.component}.{rule.value}`"
        values = ", ".join(f"`{path}: {json.dumps(value)}`" for path, value in rule.set.items())
        said = f"{there} is {json.dumps(rule.equals)}: {values}" if rule.set else f"{there} → `{rule.path}`"
        yield f"- {said} ({rule.reason})"
    yield ""


def _globals(component: Component) -> Iterator[str]:
    if not component.globals:
        return
    yield "## Set from the stack file's `global`"
    yield ""
    for mapping in component.globals:
        made = mapping.template or (json.dumps(mapping.each) if mapping.each is not None else "")
        yield f"- `{mapping.key}` → `{mapping.path}`" + (f", as `{made}`" if made else "")
    yield ""


def _values(schema: Mapping[str, Any]) -> Iterator[str]:
    yield "## Values"
    yield ""
    yield "What sparkrig sets or describes; every other value of the chart is allowed and handed on."
    yield "Defaults are ours, else the chart's."
    yield ""
    yield "| value | default | what |"
    yield "|---|---|---|"
    for path, leaf in leaves(schema):
        doc = document(leaf, "sparkrig")
        if doc is not None:
            yield f"| `{show_path(path)}` | {_default(doc.default)} | {doc.description} |"
    yield ""


def _default(value: Any) -> str:
    if value is ABSENT or value is None:
        return ""
    text = json.dumps(value, ensure_ascii=False)
    return f"`{text}`" if len(text) <= LONGEST else "see `values.yaml`"
