"""``sparkrig rollback``."""

from __future__ import annotations

from typing import Annotated

import typer

from sparkrig.cli.change import run_change
from sparkrig.cli.completion import revisions
from sparkrig.cli.groups import Only
from sparkrig.cli.options import ChangeOptions, DeployedStack, OutputOptions


def rollback(
    revision: Annotated[
        int | None,
        typer.Argument(
            metavar="REVISION",
            min=1,
            help="Default: the last successful revision before the current one.",
            autocompletion=revisions,
        ),
    ] = None,
    *,
    stack: DeployedStack,
    change: Annotated[
        ChangeOptions,
        Only("message history_max allow_crd_change allow_disruption wait_lock yes timings trace"),
    ],
    output: OutputOptions,
) -> None:
    """Return the whole stack to an earlier revision, with its CRDs. This creates a new revision."""
    from sparkrig.commands import workflows

    options = change.options()
    run_change(
        stack.request(),
        change,
        output,
        lambda session, person: workflows.rollback(session, session.stack_name(stack.name), revision, options, person),
    )
