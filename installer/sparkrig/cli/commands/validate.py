"""``sparkrig validate``."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparkrig.cli.options import (
    CHARTS,
    CLUSTER,
    CatalogOption,
    MirrorOption,
    SetOption,
    StackFileOption,
    StandInsOption,
    TargetOption,
    ValuesOption,
)
from sparkrig.cli.progress import step_lines
from sparkrig.cli.prompt import err, out, print_json
from sparkrig.cli.request import request
from sparkrig.errors import ExitCode

if TYPE_CHECKING:
    from sparkrig.commands.validate import Validation


class Format(enum.StrEnum):
    """How the problems are printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("validate")(validate)


def validate(
    file: StackFileOption = Path("stack.yaml"),
    target: TargetOption = None,
    catalog: CatalogOption = None,
    mirror: MirrorOption = None,
    stand_ins: StandInsOption = None,
    values: ValuesOption = None,
    sets: SetOption = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Warnings are errors, and so is a chart that could not be checked.")
    ] = False,
    render: Annotated[
        bool,
        typer.Option(
            "--render/--no-render",
            help="Render the charts and check the objects against Kubernetes' schemas.",
            rich_help_panel=CHARTS,
        ),
    ] = True,
    require_render: Annotated[
        bool,
        typer.Option(
            "--require-render",
            help="Fail where helm or a chart is missing, so that something was not rendered; for CI.",
            rich_help_panel=CHARTS,
        ),
    ] = False,
    kubernetes: Annotated[
        str | None,
        typer.Option(
            "--kubernetes",
            metavar="VERSION",
            help="The version of Kubernetes to check for, e.g. 1.37. Default: the cluster's, else the newest known.",
            rich_help_panel=CLUSTER,
        ),
    ] = None,
    output: Annotated[Format, typer.Option("--output", "-o", help="How to print the result.")] = Format.TEXT,
) -> None:
    """Check the stack file, every value and what the charts make of them; all problems at once, each with its place.

    Writes nothing, runs no command of the stack file, and fetches no helm: without one nothing is rendered.
    """
    from sparkrig.commands import validate as validation
    from sparkrig.commands.session import Session
    from sparkrig.models.problem import Commands
    from sparkrig.stack.manifests.removed import minor

    if require_render and not render:
        raise typer.BadParameter("--require-render and --no-render exclude each other")
    if kubernetes is not None and minor(kubernetes) is None:
        raise typer.BadParameter(f"'{kubernetes}' is no version of Kubernetes; write one such as 1.37")
    asked = request(file, target, catalog, mirror, stand_ins, values, sets, commands=Commands.NONE, install_tools=False)
    with Session(asked, on_progress=step_lines()) as session:
        result = validation.validate(session, render=render, kubernetes=kubernetes)
        if strict:
            result = result.strict()
        elif require_render:
            result = result.complete()
        _show(result, session.sources, validation.counted_files(session), output)
    if not result.ok:
        raise typer.Exit(int(ExitCode.INVALID))


def _show(result: Validation, sources: Mapping[str, str], files: int, output: Format) -> None:
    if output is Format.SARIF:
        from sparkrig.output.sarif import to_sarif

        print_json(to_sarif(result.problems, not_checked=_skipped(result)))
        return
    if output is Format.JSON:
        from sparkrig.output.document import document
        from sparkrig.output.problems import to_json

        print_json(
            document(
                "Validation",
                stack=result.name,
                ok=result.ok,
                partial=result.partial,
                components=list(result.components),
                notLookedAt=[*_skipped(result), *result.unseen],
                problems=to_json(result.problems),
            )
        )
        return
    from sparkrig.output.problems import render, summary, took

    terminal = err()
    if result.problems:
        terminal.write(render(result.problems, sources, terminal.color) + "\n")
    for line in _skipped(result):
        terminal.write(f"skipped: {line}\n")
    for line in result.unseen:
        terminal.write(f"not looked at: {line}\n")
    components = len(result.components) or None
    terminal.write(f"{summary(result.problems, files=files, components=components)}, {took(result.seconds)}\n")
    if result.ok and result.partial:
        missing = ", ".join(result.without_chart)
        why = f"the charts of {missing} are not available" if missing else "helm is not available"
        out().write(f"no error found in stack {result.name}, but the check is partial: {why}\n")
    elif result.ok:
        names = ", ".join(result.components)
        count = f"{len(result.components)} component{'' if len(result.components) == 1 else 's'}"
        out().write(f"stack {result.name} is valid: {count} ({names})\n")


def _skipped(result: Validation) -> list[str]:
    from sparkrig.commands.validate import GET_HELM

    without_helm = [f"rendering: {result.without_helm}; {GET_HELM}"] if result.without_helm else []
    return without_helm + [
        f"{name}: chart not available, so its schema and templates were not checked: {why}"
        for name, why in result.without_chart.items()
    ]
