"""``sparkrig down``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from sparkrig.cli.commands.up import finish
from sparkrig.cli.options import (
    AllowDisruptionOption,
    CatalogOption,
    MessageOption,
    Output,
    OutputOption,
    StackFileOption,
    StackNameOption,
    TargetOption,
    TimingsOption,
    TraceOption,
    WaitLockOption,
    YesOption,
    seconds,
)
from sparkrig.cli.progress import QuietOption
from sparkrig.cli.prompt import Person, session_for
from sparkrig.cli.request import request
from sparkrig.cli.timings import timed


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("down")(down)


def down(
    file: StackFileOption = Path("stack.yaml"),
    stack: StackNameOption = None,
    target: TargetOption = None,
    catalog: CatalogOption = None,
    message: MessageOption = "",
    allow_disruption: AllowDisruptionOption = None,
    purge: Annotated[
        str | None,
        typer.Option(
            "--purge",
            metavar="WHAT",
            help="Remove data too: crds (with all their custom resources), claims (volumes), namespaces (with all "
            "that is in them), nodes (labels and annotations that the stack's programs left there), history (no "
            "rollback any more), or all. Comma-separated.",
        ),
    ] = None,
    wait_lock: WaitLockOption = "0",
    yes: YesOption = False,
    quiet: QuietOption = False,
    timings: TimingsOption = False,
    trace: TraceOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Remove the stack's releases, dependents first. Keeps CRDs, custom resources and users' data without --purge."""
    del quiet  # its callback has seen to it
    from sparkrig.commands import workflows
    from sparkrig.commands.transaction import Options

    options = Options(
        message=message,
        wait_lock_s=seconds(wait_lock),
        allow_disruption=tuple(allow_disruption or ()),
        purge=purged(purge),
    )
    with timed(timings, trace):
        started = time.monotonic()
        with session_for(request(file, target, catalog), output) as session:
            person = Person(yes=yes, cluster=session.handle.name, kubernetes=lambda: session.facts.kubernetes)
            outcome = workflows.down(session, session.stack_name(stack), options, person)
        finish(outcome, output, time.monotonic() - started)


def purged(text: str | None) -> tuple[str, ...]:
    """What ``crds,claims`` or ``all`` names.

    Raises:
        typer.BadParameter: it names something else.
    """
    from sparkrig.plan.removal import PURGEABLE

    words = [word.strip() for word in (text or "").split(",") if word.strip()]
    if text is not None and not words:
        raise typer.BadParameter(f"--purge names nothing; one or more of {', '.join(PURGEABLE)}, or all")
    unknown = [word for word in words if word not in (*PURGEABLE, "all")]
    if unknown:
        raise typer.BadParameter(f"--purge does not know {', '.join(unknown)}; it knows {', '.join(PURGEABLE)} and all")
    return tuple(name for name in PURGEABLE if name in words or "all" in words)
