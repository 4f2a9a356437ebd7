"""Stack file, catalogue and facts brought together: what every release shall be.

Knows no cluster and no Helm: facts are handed in, charts come from a function. Every problem of the
whole input is found before anything is raised.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sparkrig.catalog.catalog import CRD, CRD_FACT, Catalog, waits_for
from sparkrig.catalog.graph import ordered
from sparkrig.catalog.sources import SourceTexts
from sparkrig.catalog.validate import check_values
from sparkrig.errors import InvalidInput, NotFound
from sparkrig.models.chart import Chart
from sparkrig.models.cluster import ClusterFacts
from sparkrig.models.component import Component, CrdOwner
from sparkrig.models.json import JsonDict, JsonObject, JsonValue
from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.models.release import DesiredRelease, Overrides, ResolvedStack
from sparkrig.models.secret import DesiredSecret
from sparkrig.stack.file import StackFile
from sparkrig.stack.follows import check_follows, said_once
from sparkrig.stack.layers import COMPONENT_LAYER, CRDS_LAYER, LayerSource, read_flags, unknown_component, without_nulls
from sparkrig.stack.leaving import left_behind
from sparkrig.stack.lint.chart_values import ChartLike, read_defaults
from sparkrig.stack.lint.checks import check_shipped, check_written, joined, renamed_keys, unused_flags, users_layers
from sparkrig.stack.secrets.wanted import desired_secrets, read_by
from sparkrig.stack.selection import Choice, choose, missing_needs, provided_crds, two_owners
from sparkrig.yaml.merge import Layer, MergedValues, merge, to_values
from sparkrig.yaml.nodes import find, parse_path, place, to_python

Charts = Callable[[Component], Chart]
Contents = Callable[[Component], ChartLike | None]
"""The files of a component's chart, where they are on this machine."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that can be said without the charts."""

    choices: Mapping[str, Choice]
    components: Mapping[str, Component]
    """Those that are on, in a dependency order, with the stack file's namespace and version."""
    values: Mapping[str, MergedValues]
    """Component -> its merged values with all layers; a chart of our own has its defaults among them.
    Components that are off are in it where the input gives values for them."""
    problems: tuple[Problem, ...]
    secrets: tuple[DesiredSecret, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stop a run."""
        return tuple(problem for problem in self.problems if problem.severity is Severity.ERROR)


def prepare(
    file: StackFile,
    catalog: Catalog,
    facts: ClusterFacts,
    *,
    overrides: Overrides | None = None,
    installed: frozenset[str] = frozenset(),
    sources: SourceTexts | None = None,
) -> Prepared:
    """Decide what is on, merge and check all values. Raises nothing: what is wrong is in ``problems``."""
    sources = SourceTexts() if sources is None else sources
    problems = list(file.problems)
    problems += [
        unknown_component(name, catalog, position=entry.position)
        for name, entry in file.components.items()
        if name not in catalog.components
    ]
    choices, wrong = choose(file, catalog, facts, installed)
    problems += [*wrong, *missing_needs(file, catalog, choices), *two_owners(catalog, choices)]
    components = _wanted(file, catalog, choices, problems)
    flags = read_flags(overrides or Overrides(), catalog, sources, problems)
    crds = provided_crds(choices, catalog)
    source = LayerSource(file, catalog, sources, flags, lambda name: _fact(name, facts, crds), frozenset(components))
    values = {}
    wrong_values: dict[str, list[Problem]] = {}
    for name, component in catalog.components.items():
        entry = file.components.get(name)
        asked = entry is not None and (entry.values is not None or entry.values_files)
        if name in components or asked or flags.of(name):
            values[name] = merge(source.layers(component, problems))
            problems += values[name].problems
            problems += renamed_keys(components.get(name, component), values[name])
            wrong_values[name] = _check_values(component, catalog, values[name])
        if name in components:
            problems += check_follows(component, values[name], source.merged)
    problems += said_once(catalog.components, wrong_values)
    problems += unused_flags(flags.layers, {name: choice.why for name, choice in choices.items() if not choice.on})
    secrets = desired_secrets(file, catalog, components, values, problems)
    sources.include(catalog.sources)
    return Prepared(choices, components, values, tuple(in_order(problems)), secrets)


def resolve(
    file: StackFile,
    catalog: Catalog,
    facts: ClusterFacts,
    charts: Charts,
    *,
    overrides: Overrides | None = None,
    installed: frozenset[str] = frozenset(),
    sources: SourceTexts | None = None,
    contents: Contents | None = None,
) -> ResolvedStack:
    """What the stack wants, release by release.

    ``installed`` names the components of the last revision: ``auto`` never removes one of them.
    ``charts`` finds the chart of a component whose version may be the stack file's; it is called
    only when everything else is right, and what it cannot find (NotFound, InvalidInput) is collected.
    ``contents`` gives the files of a chart that is on this machine; the values are checked with them
    whatever else is wrong.
    Texts of all files that were read are kept in ``sources``.

    Raises:
        InvalidInput: with every problem of the whole input.
    """
    sources = SourceTexts() if sources is None else sources
    prepared = prepare(file, catalog, facts, overrides=overrides, installed=installed, sources=sources)
    found, missing = ({}, []) if prepared.errors else find_charts(file, catalog, prepared, charts)
    written = written_problems(catalog, prepared, contents, sources)
    problems = tuple(in_order(joined([*prepared.problems, *missing], written)))
    if any(problem.severity is Severity.ERROR for problem in problems):
        raise InvalidInput(problems, "charts are missing" if missing else "the input is not valid")
    return ResolvedStack(
        name=file.name,
        profile=file.profile,
        file=file.file,
        text=file.text,
        releases=tuple(
            _release(component, found[name], prepared, catalog, file) for name, component in prepared.components.items()
        ),
        disabled=tuple(name for name, choice in prepared.choices.items() if not choice.on),
        problems=problems,
        secrets=prepared.secrets,
        reused=tuple(name for name, choice in prepared.choices.items() if choice.reused),
    )


def written_problems(
    catalog: Catalog, prepared: Prepared, contents: Contents | None, sources: SourceTexts
) -> list[Problem]:
    """What the charts' own files, and the conventions of the field, say about the values that a person wrote.

    Without ``contents``, or for a chart that it does not have, what needs the chart's files is left out.
    """
    problems: list[Problem] = []
    for name, values in prepared.values.items():
        component = prepared.components.get(name, catalog.components[name])
        files = catalog.files[name]
        version = catalog.components[name].chart.version
        moved = component.chart.version != version
        if not moved and not users_layers(values.layers):
            continue
        ours = files.schema if isinstance(files.schema, Mapping) else None
        chart = contents(component) if contents is not None and not files.own_chart else None
        problems += check_written(component, values, ours, chart)
        if chart is not None:
            sources.include(read_defaults(chart).texts)
            if moved:
                problems += check_shipped(component, values, chart, version)
    return problems


def _fact(name: str, facts: ClusterFacts, crds: frozenset[str]) -> JsonValue:
    if name in crds:
        return True
    # Without a cluster nobody knows its CRDs; that none is there is the answer that holds for the stack alone.
    return facts.values.get(name, False if name.startswith(CRD_FACT) else None)


def _wanted(
    file: StackFile, catalog: Catalog, choices: Mapping[str, Choice], problems: list[Problem]
) -> dict[str, Component]:
    """The components that are on, as the stack file wants them, in a dependency order."""
    needs = {
        name: [other for other, _ in waits_for(component, catalog.components) if choices[other].on]
        for name, component in catalog.components.items()
        if choices[name].on
    }
    names = ordered(list(needs), needs)
    wanted = {name: _as_asked(catalog.components[name], file, problems) for name in names}
    problems += _clashes(wanted, file, catalog)
    return wanted


def _as_asked(component: Component, file: StackFile, problems: list[Problem]) -> Component:
    entry = file.components.get(component.name)
    if entry is None:
        return component
    if entry.namespace is not None:
        component = replace(component, namespace=entry.namespace)
    if entry.namespace_labels:
        component = replace(component, namespace_labels={**component.namespace_labels, **entry.namespace_labels})
    if entry.version is not None and entry.version != component.chart.version:
        if component.chart.path is not None:
            message = f"{component.name} has its chart in the catalogue, version {component.chart.version}"
            position = file.place("components", component.name, "version")
            problems.append(Problem(Severity.ERROR, "version-fixed", message, position, hint="leave the version out"))
        component = replace(component, chart=replace(component.chart, version=entry.version))
    return component


def _clashes(wanted: Mapping[str, Component], file: StackFile, catalog: Catalog) -> list[Problem]:
    """Releases that would be one, and namespaces that would get two values for a label."""
    releases: dict[tuple[str, str], str] = {}
    labels: dict[tuple[str, str], tuple[str, str]] = {}
    problems = []
    for name, component in wanted.items():
        other = releases.setdefault((component.namespace, component.release), name)
        if other != name:
            message = f"{name} and {other} both become release '{component.release}' in {component.namespace}"
            position = file.place("components", name, "namespace")
            problems.append(Problem(Severity.ERROR, "same-release", message, position))
        for label, value in component.namespace_labels.items():
            first, before = labels.setdefault((component.namespace, label), (name, value))
            if before != value:
                message = (
                    f"{name} and {first} share namespace {component.namespace}, "
                    f"but one wants {label}={value}, the other {before}"
                )
                entry = file.components.get(name)
                if entry is not None and label in entry.namespace_labels:
                    position = file.place("components", name, "namespaceLabels", label)
                else:
                    position = catalog.place(name, "release", "namespaceLabels", label)
                hint = f"give one of them another namespace: components.{name}.namespace"
                problems.append(Problem(Severity.ERROR, "namespace-labels", message, position, hint=hint))
    return problems


def _check_values(component: Component, catalog: Catalog, values: MergedValues) -> list[Problem]:
    schema = catalog.files[component.name].schema
    problems = _crd_switches(component, values)
    if isinstance(schema, Problem):
        problems.append(schema)
    elif schema is not None:
        problems += check_values(without_nulls(values.root), schema, component.name, written=values.root)
    return problems


def _crd_switches(component: Component, values: MergedValues) -> list[Problem]:
    """A value that would give the component's CRDs a second owner."""
    problems = []
    for dotted, wanted in component.crd_off_values.items():
        path = parse_path(dotted)
        node = find(values.root, path)
        found = to_python(node) if node is not None else None
        if found == wanted and isinstance(found, bool) == isinstance(wanted, bool):
            continue
        position = _winner(values, path)
        message = f"{component.name}.{dotted} would give the component's CRDs a second owner"
        owner = "sparkrig applies them" if component.crd_owner is CrdOwner.US else f"{component.crd_owner} owns them"
        problems.append(
            Problem(
                Severity.ERROR,
                "crd-owner",
                message,
                position,
                hint=f"{owner}, so this value stays {json.dumps(wanted)}: leave it out",
            )
        )
    return problems


def _winner(values: MergedValues, path: Sequence[str | int]) -> Position:
    origins = [origin for origin in values.origins(path) if origin[0] != CRDS_LAYER]
    return origins[-1][1] if origins else place(values.root, path)


def find_charts(
    file: StackFile, catalog: Catalog, prepared: Prepared, charts: Charts
) -> tuple[dict[str, Chart], list[Problem]]:
    """The chart of every component that is on; what ``charts`` cannot find is among the problems."""
    found: dict[str, Chart] = {}
    problems: list[Problem] = []
    for name, component in prepared.components.items():
        try:
            found[name] = charts(component)
        except InvalidInput as error:
            problems += error.problems
        except NotFound as error:
            entry = file.components.get(name)
            position = (
                file.place("components", name, "version")
                if entry is not None and entry.version is not None
                else catalog.place(name, "chart", "version")
            )
            hint = "\n".join([*error.detail, *([error.hint] if error.hint else [])])
            problems.append(Problem(Severity.ERROR, "chart-not-found", error.message, position, hint=hint or None))
    return found, problems


def _release(
    component: Component, chart: Chart, prepared: Prepared, catalog: Catalog, file: StackFile
) -> DesiredRelease:
    on = prepared.components
    entry = file.components.get(component.name)
    references = (*component.needs, *component.uses)
    crd_needs = dict.fromkeys(
        name
        for reference in references
        if reference.startswith(CRD)
        for name in catalog.providers(reference)
        if name in on and name != component.name
    )
    values = handed_values(component, prepared.values[component.name].layers, catalog)
    return DesiredRelease(
        component=component.name,
        release=component.release,
        namespace=component.namespace,
        namespace_labels=component.namespace_labels,
        chart=chart,
        values=values,
        needs=tuple(dict.fromkeys(name for name in references if name in on)),
        crd_needs=tuple(crd_needs),
        crd_owner=component.crd_owner,
        crd_labels=component.crd_labels,
        rollback=component.rollback,
        keep=component.keep,
        timeout_s=component.timeout_s,
        digest=_digest(component, chart, values),
        readiness=component.readiness,
        checks=component.checks,
        urls=component.urls,
        secrets=dict.fromkeys(read_by(component.name, prepared.secrets), ""),
        adopt=entry is not None and entry.existing == "adopt",
        conflicts=entry.conflicts if entry else "fail",
        immutable=entry.immutable if entry else "fail",
        crds=tuple(thing.removeprefix(CRD) for thing in component.provides if thing.startswith(CRD)),
        leaves=left_behind(component, values, file.name),
    )


def handed_values(component: Component, layers: Sequence[Layer], catalog: Catalog) -> JsonDict:
    """What Helm is given: all layers, without the ``values.yaml`` that is a chart's own default already."""
    if catalog.files[component.name].own_chart:
        layers = [layer for layer in layers if layer.name != COMPONENT_LAYER]
    return to_values(merge(layers))


def _digest(component: Component, chart: Chart, values: JsonObject) -> str:
    """Over everything that changes the cluster; equal input, equal digest."""
    text = json.dumps(
        {
            "chart": chart.digest,
            "values": values,
            "release": component.release,
            "namespace": component.namespace,
            "namespaceLabels": component.namespace_labels,
            "crdOwner": component.crd_owner,
            "crdLabels": component.crd_labels,
        },
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def in_order(problems: Sequence[Problem]) -> list[Problem]:
    """Each problem once, by place; those without one last."""
    return sorted(
        dict.fromkeys(problems),
        key=lambda p: (p.position is None, p.position or Position("", 0, 0), p.where or "", p.message),
    )
