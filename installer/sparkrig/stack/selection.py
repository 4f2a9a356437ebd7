"""Which components are on, and why. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sparkrig.catalog.build import State, state_of
from sparkrig.catalog.catalog import CRD, CRD_FACT, Catalog
from sparkrig.models.cluster import ClusterFacts
from sparkrig.models.component import Component
from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.stack.file import StackFile


@dataclass(frozen=True, slots=True)
class Choice:
    """Whether a component is on."""

    on: bool
    why: str
    """Continues "X is on" or "X is off": ``switched off at stack.yaml:12:5``."""
    position: Position | None = None
    """Where the stack file says so, if it does."""
    reused: bool = False
    """Off, because an installation of somebody else serves in its place."""


def choose(
    file: StackFile, catalog: Catalog, facts: ClusterFacts, installed: frozenset[str]
) -> tuple[dict[str, Choice], list[Problem]]:
    """Decide for each component: what the stack file says, else the profile, else the component's default.

    ``auto`` follows its fact; a component of ``installed`` (what the last revision had) stays on.
    """
    problems: list[Problem] = []
    choices = {}
    for name, component in catalog.components.items():
        entry = file.components.get(name)
        if entry is not None and entry.enabled == "auto" and component.auto_fact is None:
            problems.append(_no_auto(component, file.place("components", name, "enabled")))
        choices[name] = _choose(component, file, facts, installed)
    return choices, problems


def _choose(component: Component, file: StackFile, facts: ClusterFacts, installed: frozenset[str]) -> Choice:
    entry = file.components.get(component.name)
    if entry is not None and entry.existing == "reuse" and entry.enabled != "false":
        said = file.place("components", component.name, "existing")
        return Choice(False, f"reused from somebody else at {said}", said, reused=True)
    profile = file.profile
    position = None
    state: State
    if entry is not None and entry.enabled is not None:
        state, position = entry.enabled, file.place("components", component.name, "enabled")
        why = f"switched {'on' if state == 'true' else 'off'} at {position}"
    elif profile in component.profiles:
        state, why = (
            state_of(component.profiles[profile]),
            f"{_switch(component.profiles[profile])} in profile {profile}",
        )
    else:
        state, why = component.enabled, f"{_switch(component.enabled)} by default"
    if state != "auto":
        return Choice(state == "true", why, position)
    value = facts.values.get(component.auto_fact) if component.auto_fact else None
    if value is True:
        return Choice(True, f"on because {component.auto_fact} is true", position)
    if component.name in installed:
        return Choice(True, "on because it is installed, and auto never removes", position)
    answer = "unknown" if value is None else "false" if value is False else repr(value)
    return Choice(False, f"off because {component.auto_fact} is {answer}", position)


def _switch(state: str) -> str:
    return "on" if state == "true" else "off"


def _no_auto(component: Component, position: Position) -> Problem:
    return Problem(
        Severity.ERROR,
        "no-auto-fact",
        f"{component.name} cannot be 'auto': no fact of the cluster decides it",
        position,
        hint="expected true or false",
    )


def provided_crds(choices: Mapping[str, Choice], catalog: Catalog) -> frozenset[str]:
    """Facts ``crd.NAME`` that hold because a component that is on, or reused, brings the CRD."""
    return frozenset(
        CRD_FACT + thing.removeprefix(CRD)
        for name, component in catalog.components.items()
        if choices[name].on or choices[name].reused
        for thing in component.provides
        if thing.startswith(CRD)
    )


def missing_needs(file: StackFile, catalog: Catalog, choices: Mapping[str, Choice]) -> list[Problem]:
    """Components that are on without something they cannot do without."""
    problems = []
    for name, component in catalog.components.items():
        for index, need in enumerate(component.needs) if choices[name].on else ():
            offers = catalog.providers(need) if need.startswith(CRD) else (need,)
            if any(choices[offer].on or choices[offer].reused for offer in offers if offer in choices):
                continue
            problems.append(_missing(file, catalog, choices, component, index, offers))
    return problems


def _missing(
    file: StackFile,
    catalog: Catalog,
    choices: Mapping[str, Choice],
    component: Component,
    index: int,
    offers: tuple[str, ...],
) -> Problem:
    need, offer = component.needs[index], offers[0]
    what = need if need == offer else f"{need} of {offer}"
    entry = file.components.get(component.name)
    position = choices[offer].position or choices[component.name].position or (entry.position if entry else None)
    return Problem(
        Severity.ERROR,
        "missing-need",
        f"{component.name} needs {what}, which is {choices[offer].why}",
        position or file.place("profile"),
        hint=f"switch {offer} on, or {component.name} off; the need is at "
        f"{catalog.place(component.name, 'needs', index)}",
    )


def two_owners(catalog: Catalog, choices: Mapping[str, Choice]) -> list[Problem]:
    """CRDs that more than one component would bring: only one can own a CRD."""
    owner: dict[str, str] = {}
    problems = []
    for name, component in catalog.components.items():
        for index, thing in enumerate(component.provides) if choices[name].on else ():
            first = owner.setdefault(thing, name) if thing.startswith(CRD) else name
            if first != name:
                message = f"{name} and {first} both bring {thing.removeprefix(CRD)}: a CRD has one owner"
                position = catalog.place(name, "provides", index)
                problems.append(
                    Problem(Severity.ERROR, "two-owners", message, position, hint=f"switch {first} or {name} off")
                )
    return problems
