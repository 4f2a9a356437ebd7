"""``sparkrig plan``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparkrig.cli.drift import DriftOption, drift_text, with_drift
from sparkrig.cli.options import (
    CatalogOption,
    KeepOption,
    MirrorOption,
    Output,
    OutputOption,
    RepairOption,
    SetOption,
    StackFileOption,
    StandInsOption,
    TargetOption,
    ValuesOption,
)
from sparkrig.cli.progress import QuietOption
from sparkrig.cli.prompt import err, out, print_json, session_for
from sparkrig.cli.request import request
from sparkrig.errors import ExitCode


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("plan")(plan)


def plan(
    file: StackFileOption = Path("stack.yaml"),
    target: TargetOption = None,
    catalog: CatalogOption = None,
    mirror: MirrorOption = None,
    stand_ins: StandInsOption = None,
    values: ValuesOption = None,
    sets: SetOption = None,
    repair: RepairOption = False,
    keep: KeepOption = None,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 2 when there is something to do.")
    ] = False,
    drift: DriftOption = False,
    out_file: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Save the plan; `sparkrig up FILE` does exactly that, or nothing."),
    ] = None,
    quiet: QuietOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show what up would do: what changes, why, in which order. Writes nothing to the cluster."""
    del quiet  # its callback has seen to it
    from sparkrig.commands import workflows
    from sparkrig.commands.plan_file import write_plan
    from sparkrig.commands.status import drift_of
    from sparkrig.commands.transaction import Options
    from sparkrig.models.problem import Commands
    from sparkrig.output.plan import plan_json, plan_text

    with session_for(
        request(file, target, catalog, mirror, stand_ins, values, sets, commands=Commands.ALL), output
    ) as session:
        made, saved = workflows.plan(session, Options(repair=repair, keep=tuple(keep or ())))
        cluster, kubernetes = session.handle.name, session.facts.kubernetes
        drifted = drift_of(session, made.stack) if drift else None
    if out_file is not None:
        write_plan(saved, out_file)
        err().write(f"saved; carry it out with: sparkrig up {out_file}\n")
    if output is Output.JSON:
        document = plan_json(made, cluster=cluster, kubernetes=kubernetes)
        print_json(with_drift(document, drifted, cluster) if drift else document)
    else:
        terminal = out()
        terminal.write(
            plan_text(made, cluster=cluster, kubernetes=kubernetes, color=terminal.color, width=terminal.width)
            + drift_text(drifted, cluster)
        )
    if detailed_exitcode and not made.empty:
        raise typer.Exit(int(ExitCode.CHANGES))
