"""``sparkrig diff``."""

from __future__ import annotations

import datetime
from functools import partial
from typing import Annotated

import typer

from sparkrig.cli.completion import revisions
from sparkrig.cli.groups import Only
from sparkrig.cli.options import OutputOptions, StackOptions
from sparkrig.cli.prompt import print_result, session_for
from sparkrig.errors import ExitCode


def diff(
    first: Annotated[
        int | None, typer.Argument(metavar="A", min=1, help="A revision.", autocompletion=revisions)
    ] = None,
    second: Annotated[
        int | None,
        typer.Argument(
            metavar="B",
            min=1,
            help="The revision to compare with. Default: the latest.",
            autocompletion=revisions,
        ),
    ] = None,
    values: Annotated[
        bool, typer.Option("--values", help="Compare only values, and what other options select.")
    ] = False,
    charts: Annotated[
        bool, typer.Option("--charts", help="Compare only charts, and what other options select.")
    ] = False,
    manifests: Annotated[
        bool, typer.Option("--manifests", help="Compare only manifests, and what other options select.")
    ] = False,
    context: Annotated[
        int, typer.Option("--context", min=0, metavar="N", help="The number of unchanged lines to show.")
    ] = 3,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with code 2 if there are differences.")] = False,
    *,
    stack: Annotated[StackOptions, Only("file name target catalog mirror stand_ins")],
    output: OutputOptions,
) -> None:
    """Compare revisions with each other or with the cluster.

    With A and B: these revisions. With A: A and the latest revision. Without: the latest revision and the live objects
    (drift). Secrets are masked. Fields that a chart generates on each rendering are left out if the chart is available
    (--chart-mirror, --stand-ins).
    """
    from sparkrig.commands import workflows
    from sparkrig.output.diff import diff_json, diff_text
    from sparkrig.plan.diff.revisions import Parts

    everything = not (values or charts or manifests)
    parts = Parts(values or everything, charts or everything, manifests or everything)
    with session_for(stack.request(), output) as session:
        found = workflows.diff(session, session.stack_name(stack.name), first, second, parts)
        cluster = session.handle.name
    now = datetime.datetime.now(datetime.UTC)
    print_result(
        output,
        partial(diff_json, found, cluster=cluster),
        partial(diff_text, found, cluster=cluster, now=now, context=context),
    )
    if exit_code and found.different:
        raise typer.Exit(int(ExitCode.CHANGES))
