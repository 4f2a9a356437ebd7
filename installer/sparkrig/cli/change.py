"""What `up`, `rollback` and `down` share: run a change, print how it went, end with its exit code."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import typer

from sparkrig.cli.options import ChangeOptions, Format, OutputOptions
from sparkrig.cli.prompt import Person, out, print_json, session_for
from sparkrig.cli.timings import timed
from sparkrig.errors import ExitCode

if TYPE_CHECKING:
    from sparkrig.commands.session import Request, Session
    from sparkrig.commands.transaction import Outcome


def run_change(
    request: Request,
    change: ChangeOptions,
    output: OutputOptions,
    workflow: Callable[[Session, Person], Outcome],
) -> None:
    """Run a workflow that changes the stack and print its outcome.

    Raises:
        typer.Exit: with the exit code of the change, unless it succeeded.
    """
    with timed(change.timings, change.trace):
        started = time.monotonic()
        with session_for(request, output) as session:
            person = Person(
                yes=change.yes,
                quiet=output.quiet,
                cluster=session.handle.name,
                kubernetes=lambda: session.facts.kubernetes,
            )
            outcome = workflow(session, person)
        _finish(outcome, output, time.monotonic() - started)


def _finish(outcome: Outcome, output: OutputOptions, seconds: float) -> None:
    from sparkrig.models.plan import ApplyResult
    from sparkrig.output.result import apply_text
    from sparkrig.output.returned import outcome_json, return_text

    result = outcome.result or ApplyResult((), outcome.plan.unchanged)
    if outcome.declined:
        out().write("nothing was changed\n")
        raise typer.Exit(int(ExitCode.FAILED))
    if output.format is Format.JSON:
        print_json(outcome_json(outcome, result, seconds))
    elif outcome.ok or outcome.result:
        terminal = out()
        text = partial(apply_text, outcome.plan, result, revision=outcome.revision, seconds=seconds)
        terminal.write(text(color=terminal.color, width=terminal.width) + return_text(outcome, terminal.style))
    code = _exit_code(outcome)
    if code:
        raise typer.Exit(int(code))


def _exit_code(outcome: Outcome) -> ExitCode:
    if outcome.ok:
        return ExitCode.INTERRUPTED if outcome.result and outcome.result.interrupted else ExitCode.OK
    if outcome.result and outcome.result.interrupted:
        return ExitCode.INTERRUPTED
    if outcome.restored_to is None:
        return ExitCode.FAILED
    return ExitCode.RESTORED if outcome.restored and outcome.restored.ok else ExitCode.NOT_RESTORED
