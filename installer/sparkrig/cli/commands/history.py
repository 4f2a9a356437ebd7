"""``sparkrig history``."""

from __future__ import annotations

import datetime
from pathlib import Path

import typer

from sparkrig.cli.options import Output, OutputOption, StackFileOption, StackNameOption, TargetOption
from sparkrig.cli.prompt import out, print_json, session_for
from sparkrig.cli.request import request


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("history")(history)


def history(
    file: StackFileOption = Path("stack.yaml"),
    stack: StackNameOption = None,
    target: TargetOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """List the recorded revisions of the stack: when, who, what, how it went."""
    from sparkrig.output.history import history_json, history_text

    with session_for(request(file, target), output) as session:
        name = session.stack_name(stack)
        revisions = session.history(name).all()
    if output is Output.JSON:
        print_json(history_json(name, revisions))
        return
    terminal = out()
    now = datetime.datetime.now(datetime.UTC)
    terminal.write(history_text(name, revisions, now, color=terminal.color, width=terminal.width))
