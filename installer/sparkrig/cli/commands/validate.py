"""``sparkrig validate``."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from sparkrig.cli.options import OutputOptions, SourceStack
from sparkrig.cli.progress import step_lines
from sparkrig.cli.prompt import err, out, print_json
from sparkrig.errors import ExitCode

if TYPE_CHECKING:
    from sparkrig.commands.validate import Validation


class Report(enum.StrEnum):
    """How the problems are printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


def validate(
    strict: Annotated[
        bool, typer.Option("--strict", help="Treat warnings and charts that cannot be checked as errors.")
    ] = False,
    render: Annotated[
        bool,
        typer.Option(
            "--render/--no-render", help="Render the charts and check the objects against Kubernetes schemas."
        ),
    ] = True,
    require_render: Annotated[
        bool,
        typer.Option("--require-render", help="For CI: fail if a chart is not rendered because it or Helm is missing."),
    ] = False,
    kubernetes: Annotated[
        str | None,
        typer.Option(
            "--kubernetes",
            metavar="VERSION",
            help="The Kubernetes version to check for, e.g. 1.37. Default: the version of the cluster, or the newest "
            "known version.",
        ),
    ] = None,
    report: Annotated[
        Report, typer.Option("--output", "-o", help="The format of the result.", rich_help_panel=OutputOptions.SECTION)
    ] = Report.TEXT,
    *,
    stack: SourceStack,
) -> None:
    """Check the stack file, its values and the rendered charts. Reports all problems at once, each with its location.

    Writes nothing, runs no commands from the stack file and does not download Helm: without Helm, no chart is rendered.
    """
    from sparkrig.commands import validate as validation
    from sparkrig.commands.session import Session
    from sparkrig.models.problem import Commands
    from sparkrig.stack.manifests.removed import minor

    if require_render and not render:
        raise typer.BadParameter("--require-render and --no-render exclude each other")
    if kubernetes is not None and minor(kubernetes) is None:
        raise typer.BadParameter(f"'{kubernetes}' is not a Kubernetes version; use a form such as 1.37")
    request = stack.request(commands=Commands.NONE, install_tools=False)
    with Session(request, on_progress=step_lines()) as session:
        result = validation.validate(session, render=render, kubernetes=kubernetes)
        if strict:
            result = result.strict()
        elif require_render:
            result = result.complete()
        _show(result, session.sources, validation.counted_files(session), report)
    if not result.ok:
        raise typer.Exit(int(ExitCode.INVALID))


def _show(result: Validation, sources: Mapping[str, str], files: int, report: Report) -> None:
    if report is Report.SARIF:
        from sparkrig.output.sarif import to_sarif

        print_json(to_sarif(result.problems, not_checked=_skipped(result)))
        return
    if report is Report.JSON:
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
        terminal.write(f"skipped: {line}\n")
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
