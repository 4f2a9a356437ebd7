"""``sparkrig status``."""

from __future__ import annotations

import datetime
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparkrig.cli.drift import drift_text, with_drift
from sparkrig.cli.options import DeployedStack, Format, FormatOnly
from sparkrig.cli.prompt import out, print_json, session_for
from sparkrig.defaults import WATCH_STATUS_S
from sparkrig.errors import ExitCode

if TYPE_CHECKING:
    from sparkrig.commands.session import Session
    from sparkrig.models.status import StackStatus
    from sparkrig.plan.diff.revisions import StackChange


def status(
    drift: Annotated[
        bool | None,
        typer.Option(
            "--drift/--no-drift",
            help="Show each field of live objects that differs from what was recorded, or do not compare. "
            "Default: show the number of differences.",
            show_default=False,
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Repeat until interrupted (Ctrl-C).")] = False,
    *,
    stack: DeployedStack,
    output: FormatOnly,
) -> None:
    """Show the state of the deployed stack. Exits with code 1 if anything is missing or not ready."""
    with session_for(stack.request(), output) as session:
        name = session.stack_name(stack.name)
        found, drifted = _look(session, name, look=drift is not False)
    try:  # from the first line on: who reads it may end the watch at once
        shown = _show(found, output.format, None, details=drift is True, drifted=drifted)
        while watch:
            time.sleep(WATCH_STATUS_S)
            with session_for(stack.request(), output) as session:  # a new one: what it reads once may have changed
                found, drifted = _look(session, name, look=drift is not False)
            shown = _show(found, output.format, shown, details=drift is True, drifted=drifted)
    except KeyboardInterrupt:
        raise typer.Exit(int(ExitCode.OK if found.ok else ExitCode.FAILED)) from None
    if not found.ok:
        raise typer.Exit(int(ExitCode.FAILED))


def _look(session: Session, name: str, *, look: bool) -> tuple[StackStatus, StackChange | None]:
    """The status, and the differences from what was recorded where they are asked for."""
    from sparkrig.commands import status as standing

    return standing.look(session, name, drift=look)


def _show(
    found: StackStatus,
    output: Format,
    before: dict[str, Any] | None,
    *,
    details: bool = False,
    drifted: StackChange | None = None,
) -> dict[str, Any]:
    """Prints the status; on a terminal in the place of the last one, elsewhere only when something is different.

    Returns everything that was shown but the time that has passed; ``before`` is that of the last time.
    """
    from sparkrig.output.status import status_json, status_text

    terminal, document = out(), status_json(found)
    document = with_drift(document, drifted, found.cluster) if details else document
    if not terminal.live and document == before:
        return document
    if output is Format.JSON:
        print_json(document)
        return document
    now = datetime.datetime.now(datetime.UTC)
    text = status_text(found, now, color=terminal.color, width=terminal.width)
    text += drift_text(drifted, found.cluster) if details else ""
    # Home, then clear what stands below: a screen that is cleared first flickers.
    terminal.write(f"\x1b[H\x1b[J{text}" if before and terminal.live else text)
    return document
