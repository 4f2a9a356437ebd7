"""``sparkrig up``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparkrig.cli.options import (
    AcceptOption,
    AllowCrdChangeOption,
    AllowDisruptionOption,
    CatalogOption,
    HistoryMaxOption,
    KeepOption,
    MessageOption,
    MirrorOption,
    OnFailureOption,
    Output,
    OutputOption,
    RepairOption,
    SetOption,
    StackFileOption,
    StandInsOption,
    TargetOption,
    TimingsOption,
    TraceOption,
    ValuesOption,
    WaitLockOption,
    YesOption,
    seconds,
)
from sparkrig.cli.progress import QuietOption
from sparkrig.cli.prompt import Person, out, print_json, session_for
from sparkrig.cli.request import request
from sparkrig.cli.timings import timed
from sparkrig.defaults import HISTORY_MAX
from sparkrig.errors import ExitCode

if TYPE_CHECKING:
    from sparkrig.commands.transaction import Outcome


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("up")(up)


def up(
    saved_plan: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A plan that `plan --out` saved: exactly that is done, or nothing."),
    ] = None,
    file: StackFileOption = Path("stack.yaml"),
    target: TargetOption = None,
    catalog: CatalogOption = None,
    mirror: MirrorOption = None,
    stand_ins: StandInsOption = None,
    values: ValuesOption = None,
    sets: SetOption = None,
    repair: RepairOption = False,
    keep: KeepOption = None,
    message: MessageOption = "",
    on_failure: OnFailureOption = None,
    history_max: HistoryMaxOption = HISTORY_MAX,
    allow_disruption: AllowDisruptionOption = None,
    allow_crd_change: AllowCrdChangeOption = None,
    accept: AcceptOption = None,
    wait_lock: WaitLockOption = "0",
    yes: YesOption = False,
    quiet: QuietOption = False,
    timings: TimingsOption = False,
    trace: TraceOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Bring the cluster to what the stack file describes, and wait until it is ready."""
    del quiet  # its callback has seen to it
    from sparkrig.cli.saved import read_saved
    from sparkrig.commands import workflows
    from sparkrig.commands.transaction import Options
    from sparkrig.models.problem import Commands

    asked = request(
        file, target, catalog, mirror, stand_ins, values, sets, create=saved_plan is None, commands=Commands.ALL
    )
    saved, asked = read_saved(saved_plan, asked, output) if saved_plan else (None, asked)
    options = Options(
        repair=saved.asked.repair if saved else repair,
        keep=saved.asked.keep if saved else tuple(keep or ()),
        message=message,
        wait_lock_s=seconds(wait_lock),
        on_failure=on_failure.value if on_failure else None,
        history_max=history_max,
        allow_disruption=tuple(allow_disruption or ()),
        allow_crd_change=tuple(allow_crd_change or ()),
        accept=tuple(accept or ()),
    )
    with timed(timings, trace):
        started = time.monotonic()
        with session_for(asked, output) as session:
            person = Person(yes=yes, cluster=session.handle.name, kubernetes=lambda: session.facts.kubernetes)
            outcome = workflows.up(session, options, person, saved)
        finish(outcome, output, time.monotonic() - started)


def finish(outcome: Outcome, output: Output, took_s: float) -> None:
    """Prints how a change went and ends with its exit code."""
    from sparkrig.models.plan import ApplyResult
    from sparkrig.output.result import apply_text
    from sparkrig.output.returned import outcome_json, return_text

    result = outcome.result or ApplyResult((), outcome.plan.unchanged)
    if outcome.declined:
        out().write("nothing was changed\n")
        raise typer.Exit(int(ExitCode.FAILED))
    if output is Output.JSON:
        print_json(outcome_json(outcome, result, took_s))
    elif outcome.ok or outcome.result:
        terminal = out()
        terminal.write(
            apply_text(
                outcome.plan,
                result,
                revision=outcome.revision,
                seconds=took_s,
                color=terminal.color,
                width=terminal.width,
            )
        )
        terminal.write(return_text(outcome, terminal.style))
    code = exit_code(outcome)
    if code:
        raise typer.Exit(int(code))


def exit_code(outcome: Outcome) -> ExitCode:
    """The exit code of a change, as the design has it."""
    if outcome.ok:
        return ExitCode.INTERRUPTED if outcome.result and outcome.result.interrupted else ExitCode.OK
    if outcome.result and outcome.result.interrupted:
        return ExitCode.INTERRUPTED
    if outcome.restored_to is None:
        return ExitCode.FAILED
    return ExitCode.RESTORED if outcome.restored and outcome.restored.ok else ExitCode.NOT_RESTORED
