"""What a schema cannot say about components: references, cycles, clashes, files. Opens nothing but folders."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sparkrig.catalog.catalog import CRD, CRD_FACT, PROFILES, Catalog, waits_for
from sparkrig.catalog.graph import cycles
from sparkrig.catalog.references import NAMES, REFERENCE, VALUES, references
from sparkrig.models.cluster import FACTS
from sparkrig.models.component import Component
from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.yaml.nodes import MapNode, Step, find, place
from sparkrig.yaml.schema import did_you_mean

PATTERNS = frozenset({"denied", "matches", "prints"})
"""Parameters of checks that hold a regular expression, as do ``expect.body`` and ``expect.headers``."""


def check_component(component: Component, document: MapNode) -> list[Problem]:
    """What is wrong with one component by itself."""
    return [*_chart(component, document), *_auto(component, document), *_facts(component, document),
            *_detect(component, document), *_check_names(component, document),
            *_check_parameters(component, document), *_leaves(component, document)]  # fmt: skip


def check_catalog(catalog: Catalog, *, complete: bool) -> list[Problem]:
    """What is wrong between components. ``complete`` is False when some of them could not be read."""
    problems = [*_same_release(catalog), *_cycles(catalog), *_following(catalog), *_profile_files(catalog)]
    if complete:
        problems += _references(catalog)
    return problems


def _error(
    code: str, message: str, position: Position, *, close: str | None = None, hint: str | None = None
) -> Problem:
    label = f"did you mean '{close}'?" if close else None
    return Problem(Severity.ERROR, code, message, position, label=label, hint=hint)


def _chart(component: Component, document: MapNode) -> Iterator[Problem]:
    chart = component.chart
    position = place(document, ("chart",))
    if (chart.repository is None) == (chart.path is None):
        found = "neither" if chart.path is None else "both"
        message = f"the chart of {component.name} comes from a 'repository' or a 'path', found {found}"
        yield _error("chart-source", message, position)
    elif chart.path is not None and not (chart.path / "Chart.yaml").is_file():
        node = find(document, ("chart", "path"))
        message = f"there is no Chart.yaml in the folder that {component.name} names as its chart"
        yield _error("chart-source", message, node.position if node else position, hint="the path is relative to here")


def _auto(component: Component, document: MapNode) -> Iterator[Problem]:
    places: list[tuple[Step, ...]] = [("enabled",)] if component.enabled == "auto" else []
    places += [("profiles", name) for name, state in component.profiles.items() if state == "auto"]
    if component.auto_fact is None:
        for path in places:
            message = f"{component.name} is 'auto', but no fact decides it"
            hint = "name one in autoFact, e.g. gpu.nodes-present"
            yield _error("no-auto-fact", message, place(document, path), hint=hint)
    elif component.auto_fact.startswith(CRD_FACT):
        message = f"autoFact of {component.name} asks for a CRD, which the stack itself may bring"
        yield _error("unknown-fact", message, place(document, ("autoFact",)), hint="name a fact of the cluster")


def _facts(component: Component, document: MapNode) -> Iterator[Problem]:
    named: list[tuple[str, tuple[Step, ...]]] = [
        (rule.fact, ("facts", index, "fact")) for index, rule in enumerate(component.facts)
    ]
    if component.auto_fact is not None:
        named.append((component.auto_fact, ("autoFact",)))
    for fact, path in named:
        if fact not in FACTS and not fact.startswith(CRD_FACT):
            close = did_you_mean(fact, FACTS)
            hint = f"{close}: {FACTS[close]}" if close else f"known facts: {', '.join(FACTS)}"
            message = f"{component.name} asks for a fact that nobody reads: '{fact}'"
            yield _error("unknown-fact", message, place(document, path), close=close, hint=hint)


def _detect(component: Component, document: MapNode) -> Iterator[Problem]:
    for index, rule in enumerate(component.detect):
        for key, pattern in (("image", rule.image), ("ingressController", rule.ingress_controller)):
            try:
                re.compile(pattern or "")
            except re.error as error:
                message = f"{key} of what {component.name} detects is no regular expression: {error}"
                yield _error("bad-pattern", message, place(document, ("detect", index, key)))
        if rule.fact is not None and rule.fact not in FACTS:
            close = did_you_mean(rule.fact, FACTS)
            message = f"{component.name} detects a fact that nobody knows: '{rule.fact}'"
            hint = None if close else f"known facts: {', '.join(FACTS)}"
            yield _error("unknown-fact", message, place(document, ("detect", index, "fact")), close=close, hint=hint)


def _check_names(component: Component, document: MapNode) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, check in enumerate(component.checks):
        if check.name in seen:
            message = f"{component.name} has two checks called '{check.name}'"
            yield _error("duplicate-check", message, place(document, ("checks", index, "name")))
        seen.add(check.name)


def _check_parameters(component: Component, document: MapNode) -> Iterator[Problem]:
    """Patterns that are none, and ``${…}`` that refers to nothing."""
    for index, check in enumerate(component.checks):
        for path, value in _texts(check.parameters, ("checks", index, "with")):
            if path[-1] in PATTERNS or path[-2:] == ("expect", "body") or path[-3:-1] == ("expect", "headers"):
                try:
                    re.compile(value)
                except re.error as error:
                    message = f"{path[-1]} of check '{check.name}' is no regular expression: {error}"
                    yield _error("bad-pattern", message, place(document, path))
            for name in references(value):
                if name not in NAMES and not name.startswith(VALUES):
                    yield _unknown_reference(f"check '{check.name}'", name, NAMES, place(document, path))


def _leaves(component: Component, document: MapNode) -> Iterator[Problem]:
    """``${…}`` that refers to nothing, or to a value that may not be set: what is left is named before it is there."""
    known = tuple(name for name in NAMES if name != "name")
    what = f"what {component.name} leaves"
    for path, text in _texts(component.leaves, ("leaves",)):
        for match in REFERENCE.finditer(text):
            name = match["name"]
            if name.startswith(VALUES) and match["default"] is None:
                message = f"{what} refers to ${{{name}}} without a default"
                hint = f"write ${{{name}:-…}} with the chart's own default: it is not among the values"
                yield _error("no-default", message, place(document, path), hint=hint)
            elif not name.startswith(VALUES) and name not in known:
                yield _unknown_reference(what, name, known, place(document, path))


def _unknown_reference(what: str, name: str, known: Sequence[str], position: Position) -> Problem:
    close = did_you_mean(name, known)
    hint = None if close else f"there is {', '.join(known)} and values.PATH"
    return _error(
        "unknown-reference", f"{what} refers to ${{{name}}}, which is nothing", position, close=close, hint=hint
    )


def _texts(node: object, path: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], str]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _texts(value, (*path, key))
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for index, value in enumerate(node):
            yield from _texts(value, (*path, index))
    elif isinstance(node, str):
        yield path, node


def _references(catalog: Catalog) -> Iterator[Problem]:
    for component in catalog.components.values():
        for name, position, verb in _named(catalog, component):
            if name.startswith(CRD):
                if verb == "needs" and not catalog.providers(name):
                    message = f"{component.name} needs {name}, which no component provides"
                    yield _error("unknown-crd", message, position)
            elif name not in catalog.components:
                close = did_you_mean(name, catalog.components)
                message = f"{component.name} {verb} '{name}', which is not in the catalogue"
                hint = None if close else f"the catalogue has {', '.join(sorted(catalog.components))}"
                yield _error("unknown-component", message, position, close=close, hint=hint)


def _following(catalog: Catalog) -> Iterator[Problem]:
    """Followers of followers: whose value came first would depend on the order."""
    for component in catalog.components.values():
        for index, rule in enumerate(component.follows):
            other = catalog.components.get(rule.component)
            if other is not None and (other.follows or other is component):
                position = catalog.place(component.name, "follows", index, "component")
                message = f"{component.name} follows {other.name}, which follows others itself"
                yield _error("follows-follower", message, position, hint="name the component that has the value")


def _named(catalog: Catalog, component: Component) -> Iterator[tuple[str, Position, str]]:
    for verb, names in (("needs", component.needs), ("uses", component.uses)):
        for index, name in enumerate(names):
            yield name, catalog.place(component.name, verb, index), verb
    for index, rule in enumerate(component.follows):
        yield rule.component, catalog.place(component.name, "follows", index, "component"), "follows"


def _same_release(catalog: Catalog) -> Iterator[Problem]:
    taken: dict[tuple[str, str], str] = {}
    for component in catalog.components.values():
        key = (component.namespace, component.release)
        other = taken.setdefault(key, component.name)
        if other != component.name:
            message = f"{component.name} and {other} both become release '{component.release}' in {component.namespace}"
            position = catalog.place(component.name, "release", "name")
            yield _error(
                "same-release", message, position, hint=f"{other} is at {catalog.place(other, 'metadata', 'name')}"
            )


def _cycles(catalog: Catalog) -> Iterator[Problem]:
    components = catalog.components
    waits: dict[str, Mapping[str, str]] = {
        name: {other: reference for other, reference in waits_for(component, components) if other in components}
        for name, component in components.items()
    }
    for path in cycles({name: list(others) for name, others in waits.items()}):
        steps = [(a, waits[a][b]) for a, b in itertools.pairwise(path)]
        places = [_reference_place(catalog, name, reference) for name, reference in steps]
        yield _error(
            "dependency-cycle",
            f"components wait for each other: {' -> '.join(path)}",
            places[0][1],
            hint="\n".join(f"{name} {verb} {ref}: {at}" for (name, ref), (verb, at) in zip(steps, places, strict=True)),
        )


def _reference_place(catalog: Catalog, component: str, reference: str) -> tuple[str, Position]:
    for name, position, verb in _named(catalog, catalog.components[component]):
        if name == reference:
            return verb, position
    raise KeyError(reference)


def _profile_files(catalog: Catalog) -> Iterator[Problem]:
    for name, component in catalog.components.items():
        for path in _listed(component.folder / "profiles"):
            if path.suffix == ".yaml" and path.stem in PROFILES:
                continue
            position = Position(catalog.sources.shown(path), 1, 1)
            close = path.stem if path.stem in PROFILES else did_you_mean(path.stem, PROFILES)
            message = f"{name} has values for a profile that does not exist: {path.name}"
            hint = f"rename it to {close}.yaml" if close else f"profiles are {', '.join(PROFILES)}"
            yield _error("unknown-profile", message, position, hint=hint)


def _listed(folder: Path) -> Sequence[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return ()
