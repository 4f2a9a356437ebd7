"""``sparkrig explain``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from sparkrig.cli.completion import value_paths
from sparkrig.cli.options import Format, FormatOnly, OutputOptions, SourceStack
from sparkrig.cli.prompt import err, print_result, session_for

if TYPE_CHECKING:
    from sparkrig.commands.session import Session
    from sparkrig.models.cluster import ClusterFacts
    from sparkrig.models.component import Component
    from sparkrig.stack.explain.chart import ChartDefaults
    from sparkrig.stack.explain.layers import Subject
    from sparkrig.stack.resolve import Prepared
    from sparkrig.yaml.merge import Layer


def explain(
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="COMPONENT[.PATH]",
            help="A value such as web.replicas, or a component to list everything you changed in it. In a path, write "
            "a dot inside a key as '\\.' and a list item as [0].",
            autocompletion=value_paths,
        ),
    ] = None,
    unset: Annotated[
        bool, typer.Option("--unset", help="List values that equal what applies without them; you can delete them.")
    ] = False,
    *,
    stack: SourceStack,
    output: FormatOnly,
) -> None:
    """Show where a value comes from and what it means. Lists each setting that it overrides. Writes nothing."""
    from sparkrig.models.problem import Commands

    if path is None and not unset:
        raise typer.BadParameter("name a value such as web.replicas or a component, or use --unset")
    name = path.partition(".")[0].partition("[")[0] if path else ""
    with session_for(stack.request(commands=Commands.NONE, install_tools=False), output) as session:
        prepared, facts = _prepare(session)
        if unset:
            _redundant(session, prepared, facts, name, output)
        elif path == name:
            _overrides(session, prepared, facts, name, output)
        else:
            _value(session, prepared, facts, name, (path or "")[len(name) :].removeprefix("."), output)


def _prepare(session: Session) -> tuple[Prepared, ClusterFacts]:
    """The stack without its charts; what is wrong with it is counted, and explained elsewhere."""
    from sparkrig.models.cluster import ClusterFacts
    from sparkrig.stack.resolve import prepare

    facts = session.facts if session.request.target else ClusterFacts()
    prepared = prepare(
        session.stack_file, session.catalog, facts, overrides=session.request.overrides, sources=session.sources
    )
    if prepared.errors:
        number = len(prepared.errors)
        words = "1 problem" if number == 1 else f"{number} problems"
        err().write(f"note: the input has {words}; sparkrig validate shows {'it' if number == 1 else 'them'}\n")
    return prepared, facts


def _value(
    session: Session, prepared: Prepared, facts: ClusterFacts, name: str, below: str, output: OutputOptions
) -> None:
    from sparkrig.output.explain import explanation_json, explanation_text
    from sparkrig.stack.explain.layers import explain as explain_value
    from sparkrig.stack.explain.layers import read_steps
    from sparkrig.stack.explain.search import require_known

    subject = _subject(session, prepared, facts, name)
    try:
        steps = read_steps(below, subject.values, *(layer.root for layer in subject.default_layers if layer.root))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    require_known(subject, steps)
    found = explain_value(subject, steps)
    why = prepared.choices[name]
    state = "" if why.on else f"{name} is {why.why}"
    print_result(output, partial(explanation_json, found), partial(explanation_text, found, off=state))


def _overrides(session: Session, prepared: Prepared, facts: ClusterFacts, name: str, output: OutputOptions) -> None:
    from sparkrig.output.explain import overrides_json, overrides_text
    from sparkrig.stack.explain.overrides import overrides

    subject = _subject(session, prepared, facts, name)
    found, choice = overrides(subject), prepared.choices[name]
    print_result(
        output,
        partial(overrides_json, subject, found, choice.on, choice.why),
        partial(overrides_text, subject, found, choice.why),
    )


def _redundant(session: Session, prepared: Prepared, facts: ClusterFacts, name: str, output: OutputOptions) -> None:
    from sparkrig.output.explain import redundant_json, redundant_text
    from sparkrig.stack.explain.overrides import redundant

    names = [name] if name else list(prepared.values)
    subjects = [_subject(session, prepared, facts, each) for each in names]
    found = [one for subject in subjects for one in redundant(subject)]
    unseen = {s.name: s.defaults.note for s in subjects if s.defaults.note and not s.own_chart}
    as_json = partial(redundant_json, session.stack_file.name, found, unseen)
    print_result(output, as_json, partial(redundant_text, found))
    if output.format is Format.TEXT:
        for component, note in unseen.items():
            err().write(f"not compared with the chart's own defaults: {component}: {note}\n")


def _subject(session: Session, prepared: Prepared, facts: ClusterFacts, name: str) -> Subject:
    from sparkrig.errors import NotFound
    from sparkrig.stack.explain.layers import subject
    from sparkrig.yaml.schema import did_you_mean

    catalog = session.catalog
    if name not in catalog.components:
        close = did_you_mean(name, catalog.components)
        hint = f"did you mean {close}?" if close else f"the catalogue has {', '.join(sorted(catalog.components))}"
        raise NotFound(f"there is no component '{name}'", hint=hint)
    component = prepared.components.get(name, catalog.components[name])
    layers = _layers(session, prepared, facts, component)
    return subject(component, layers, catalog, _defaults(session, component), session.sources, facts)


def _layers(session: Session, prepared: Prepared, facts: ClusterFacts, component: Component) -> tuple[Layer, ...]:
    """Those of the prepared stack; of a component that is off and untouched they are made here."""
    if component.name in prepared.values:
        return prepared.values[component.name].layers
    from sparkrig.stack.layers import LayerSource, read_flags
    from sparkrig.stack.selection import provided_crds

    crds = provided_crds(prepared.choices, session.catalog)
    flags = read_flags(session.request.overrides, session.catalog, session.sources, [])
    source = LayerSource(
        session.stack_file,
        session.catalog,
        session.sources,
        flags,
        lambda fact: fact in crds or facts.values.get(fact),
        frozenset(prepared.components),
    )
    layers = tuple(source.layers(component, []))
    session.sources.include(session.catalog.sources)
    return layers


def _defaults(session: Session, component: Component) -> ChartDefaults:
    """The chart's own defaults, or why they cannot be had; a chart of ours has them among the layers."""
    from sparkrig.errors import SparkrigError
    from sparkrig.helm.charts.archive import read_chart
    from sparkrig.stack.explain.chart import ChartDefaults, read_defaults

    if session.catalog.files[component.name].own_chart:
        return ChartDefaults()
    try:
        chart = session.chart(component)
        shown = chart.path.name if chart.path.is_file() else session.sources.shown(chart.path)
        return read_defaults(read_chart(chart.path), shown)
    except SparkrigError as error:
        return ChartDefaults(note=error.message)
