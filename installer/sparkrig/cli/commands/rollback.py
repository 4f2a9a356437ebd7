"""``sparkrig rollback``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from sparkrig.cli.commands.up import finish
from sparkrig.cli.completion import revisions
from sparkrig.cli.options import (
    AllowCrdChangeOption,
    AllowDisruptionOption,
    CatalogOption,
    HistoryMaxOption,
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
from sparkrig.defaults import HISTORY_MAX


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("rollback")(rollback)


def rollback(
    revision: Annotated[
        int | None,
        typer.Argument(
            metavar="REVISION", min=1, help="Default: the newest good one before this.", autocompletion=revisions
        ),
    ] = None,
    file: StackFileOption = Path("stack.yaml"),
    stack: StackNameOption = None,
    target: TargetOption = None,
    catalog: CatalogOption = None,
    message: MessageOption = "",
    history_max: HistoryMaxOption = HISTORY_MAX,
    allow_crd_change: AllowCrdChangeOption = None,
    allow_disruption: AllowDisruptionOption = None,
    wait_lock: WaitLockOption = "0",
    yes: YesOption = False,
    quiet: QuietOption = False,
    timings: TimingsOption = False,
    trace: TraceOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Bring the whole stack back to an earlier revision, CRDs included; that is a new revision itself."""
    del quiet  # its callback has seen to it
    from sparkrig.commands import workflows
    from sparkrig.commands.transaction import Options

    options = Options(
        message=message,
        wait_lock_s=seconds(wait_lock),
        history_max=history_max,
        allow_disruption=tuple(allow_disruption or ()),
        allow_crd_change=tuple(allow_crd_change or ()),
    )
    with timed(timings, trace):
        started = time.monotonic()
        with session_for(request(file, target, catalog), output) as session:
            person = Person(yes=yes, cluster=session.handle.name, kubernetes=lambda: session.facts.kubernetes)
            outcome = workflows.rollback(session, session.stack_name(stack), revision, options, person)
        finish(outcome, output, time.monotonic() - started)
