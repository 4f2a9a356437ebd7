"""``sparkrig plan``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sparkrig.cli.drift import drift_text, with_drift
from sparkrig.cli.groups import Only
from sparkrig.cli.options import ChangeOptions, OutputOptions, SourceStack
from sparkrig.cli.prompt import err, print_result, session_for
from sparkrig.errors import ExitCode


def plan(
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with code 2 if there are changes.")
    ] = False,
    drift: Annotated[
        bool, typer.Option("--drift", help="Also compare live objects with the recorded ones, field by field.")
    ] = False,
    out_file: Annotated[
        Path | None,
        typer.Option("--out", metavar="PLAN", help="Save the plan to this file; `sparkrig up PLAN` applies it."),
    ] = None,
    *,
    stack: SourceStack,
    change: Annotated[ChangeOptions, Only("repair keep")],
    output: OutputOptions,
) -> None:
    """Show what `up` would change, why, and in which order. Writes nothing to the cluster."""
    from sparkrig.commands import workflows
    from sparkrig.commands.plan_file import write_plan
    from sparkrig.commands.status import drift_of
    from sparkrig.models.problem import Commands
    from sparkrig.output.plan import plan_json, plan_text

    with session_for(stack.request(commands=Commands.ALL), output) as session:
        made, saved = workflows.plan(session, change.options())
        cluster, kubernetes = session.handle.name, session.facts.kubernetes
        drifted = drift_of(session, made.stack) if drift else None
    if out_file is not None:
        write_plan(saved, out_file)
        err().write(f"plan saved; apply it with: sparkrig up {out_file}\n")

    def as_json() -> dict[str, Any]:
        document = plan_json(made, cluster=cluster, kubernetes=kubernetes)
        return with_drift(document, drifted, cluster) if drift else document

    def as_text(**look: Any) -> str:
        return plan_text(made, cluster=cluster, kubernetes=kubernetes, **look) + drift_text(drifted, cluster)

    print_result(output, as_json, as_text)
    if detailed_exitcode and not made.empty:
        raise typer.Exit(int(ExitCode.CHANGES))
