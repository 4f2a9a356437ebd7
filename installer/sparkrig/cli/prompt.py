"""The person at the terminal: what is shown where, and what is asked.

Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from sparkrig.cli.options import Format, OutputOptions
from sparkrig.cli.progress import step_lines
from sparkrig.errors import InvalidInput, SparkrigError
from sparkrig.output.terminal import Terminal, detect

if TYPE_CHECKING:
    from sparkrig.commands.session import Request, Session
    from sparkrig.models.plan import Event, Plan


def out() -> Terminal:
    """Where results go."""
    return detect(sys.stdout, os.environ)


def err() -> Terminal:
    """Where everything else goes."""
    return detect(sys.stderr, os.environ)


def print_json(document: dict[str, Any]) -> None:
    """One JSON document on stdout."""
    out().write(json.dumps(document, indent=2, ensure_ascii=False, sort_keys=False) + "\n")


def print_result(output: OutputOptions, as_json: Callable[[], dict[str, Any]], as_text: Callable[..., str]) -> None:
    """Print a result in the format that was asked for; ``as_text`` takes ``color`` and ``width`` of the terminal."""
    if output.format is Format.JSON:
        print_json(as_json())
    else:
        terminal = out()
        terminal.write(as_text(color=terminal.color, width=terminal.width))


class Person:
    """Implements ``workflows.Dialogue``."""

    def __init__(self, *, yes: bool, quiet: bool, cluster: str, kubernetes: Callable[[], str | None]) -> None:
        self._yes = yes
        self._quiet = quiet
        self._cluster = cluster
        self._kubernetes = kubernetes
        self._say: Callable[[str], None] | None = None

    def note(self, message: str) -> None:
        """Says something on stderr, above the live lines where there are some."""
        if self._say is not None:
            self._say(message)
        else:
            err().write(f"{message}\n")

    def show_plan(self, plan: Plan) -> None:
        """The plan on stderr; ``plan`` itself prints it on stdout."""
        from sparkrig.output.plan import plan_text

        terminal = err()
        terminal.write(
            plan_text(
                plan, cluster=self._cluster, kubernetes=self._kubernetes(), color=terminal.color, width=terminal.width
            )
        )

    def confirm(self, plan: Plan) -> bool:
        """Asks, unless --yes; without a terminal to ask on the answer is an error, not a guess."""
        if self._yes:
            return True
        if not sys.stdin.isatty():
            raise typer.BadParameter("cannot prompt: stdin is not a terminal. Use --yes to skip the confirmation.")
        return typer.confirm("Apply?" if plan.action != "down" else "Remove?", default=False, err=True)

    @contextmanager
    def progress(self, plan: Plan) -> Iterator[Callable[[Event], None]]:
        """Live lines on a terminal, one line an event elsewhere."""
        from sparkrig.output.progress import make_progress

        if self._quiet:
            yield lambda _event: None
            return
        with make_progress(plan, err()) as progress:
            self._say = progress.note
            try:
                yield progress
            finally:
                self._say = None


@contextmanager
def session_for(request: Request, output: OutputOptions) -> Iterator[Session]:
    """Open a session that shows its errors with the lines of the files they are in.

    Raises:
        typer.Exit: with the error's exit code, after it was shown.
    """
    from sparkrig.commands.session import Session

    with Session(request, on_progress=step_lines(quiet=output.quiet)) as session:
        try:
            yield session
        except InvalidInput as error:
            as_json = output.format is Format.JSON
            raise typer.Exit(show_error(error, as_json=as_json, sources=session.sources)) from error


def show_error(error: SparkrigError, *, as_json: bool = False, sources: Mapping[str, str] | None = None) -> int:
    """Print an error to stderr, or as JSON to stdout. Returns its exit code.

    Args:
        error: the error, with all its problems.
        as_json: print a JSON document.
        sources: texts of the files whose lines are shown with the problems.
    """
    from sparkrig.output.errors import error_json, error_text

    if as_json:
        print_json(error_json(error))
    else:
        terminal = err()
        terminal.write(error_text(error, terminal.color, width=terminal.width, sources=sources))
    return int(error.exit_code)
