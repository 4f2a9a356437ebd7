"""``sparkrig diff``."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import typer

from sparkrig.cli.completion import revisions
from sparkrig.cli.options import (
    CatalogOption,
    MirrorOption,
    Output,
    OutputOption,
    StackFileOption,
    StackNameOption,
    StandInsOption,
    TargetOption,
)
from sparkrig.cli.progress import QuietOption
from sparkrig.cli.prompt import out, print_json, session_for
from sparkrig.cli.request import request
from sparkrig.errors import ExitCode


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("diff")(diff)


def diff(
    first: Annotated[
        int | None, typer.Argument(metavar="A", min=1, help="A revision.", autocompletion=revisions)
    ] = None,
    second: Annotated[
        int | None,
        typer.Argument(
            metavar="B",
            min=1,
            help="The revision to compare with; default: the newest.",
            autocompletion=revisions,
        ),
    ] = None,
    values: Annotated[bool, typer.Option("--values", help="Only values (and what else is asked for).")] = False,
    charts: Annotated[bool, typer.Option("--charts", help="Only charts (and what else is asked for).")] = False,
    manifests: Annotated[
        bool, typer.Option("--manifests", help="Only manifests (and what else is asked for).")
    ] = False,
    context: Annotated[int, typer.Option("--context", min=0, metavar="N", help="Unchanged lines to show.")] = 3,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 2 when there is a difference.")] = False,
    file: StackFileOption = Path("stack.yaml"),
    stack: StackNameOption = None,
    target: TargetOption = None,
    catalog: CatalogOption = None,
    mirror: MirrorOption = None,
    stand_ins: StandInsOption = None,
    quiet: QuietOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Compare two revisions (A B), one with the newest (A), or the newest with the live cluster: what drifted.

    Secrets are masked. Charts that are at hand (--chart-mirror, --stand-ins) tell which fields they make
    anew at each rendering; those are left out.
    """
    del quiet  # its callback has seen to it
    from sparkrig.commands import workflows
    from sparkrig.output.diff import diff_json, diff_text
    from sparkrig.plan.diff.revisions import Parts

    everything = not (values or charts or manifests)
    parts = Parts(values or everything, charts or everything, manifests or everything)
    with session_for(request(file, target, catalog, mirror, stand_ins), output) as session:
        found = workflows.diff(session, session.stack_name(stack), first, second, parts)
        cluster = session.handle.name
    if output is Output.JSON:
        print_json(diff_json(found, cluster=cluster))
    else:
        terminal = out()
        now = datetime.datetime.now(datetime.UTC)
        terminal.write(
            diff_text(found, cluster=cluster, now=now, context=context, color=terminal.color, width=terminal.width)
        )
    if exit_code and found.different:
        raise typer.Exit(int(ExitCode.CHANGES))
