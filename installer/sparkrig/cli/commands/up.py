"""``sparkrig up``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from sparkrig.cli.change import run_change
from sparkrig.cli.options import ChangeOptions, OutputOptions, SourceStack


def up(
    saved_plan: Annotated[
        Path | None,
        typer.Argument(
            metavar="PLAN",
            help="Apply a plan saved with `plan --out`. Fails if the cluster or the stack file has changed since.",
        ),
    ] = None,
    *,
    stack: SourceStack,
    change: ChangeOptions,
    output: OutputOptions,
) -> None:
    """Install or upgrade what the stack file describes. Waits until it is ready."""
    from sparkrig.cli.saved import saved_stack
    from sparkrig.commands import workflows
    from sparkrig.models.problem import Commands

    saved = None
    if saved_plan:
        from sparkrig.commands.plan_file import read_plan

        saved = read_plan(saved_plan)
    options = change.options()
    if saved:
        stack = saved_stack(saved, stack)
        options = replace(options, repair=saved.asked.repair, keep=saved.asked.keep)
    request = stack.request(create=saved is None, commands=Commands.ALL)
    run_change(request, change, output, lambda session, person: workflows.up(session, options, person, saved))
