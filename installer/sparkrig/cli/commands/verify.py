"""``sparkrig verify``."""

from __future__ import annotations

import enum
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparkrig.cli.completion import components
from sparkrig.cli.options import CatalogOption, Output, StackFileOption, StackNameOption, TargetOption
from sparkrig.cli.progress import QuietOption, is_quiet
from sparkrig.cli.prompt import err, out, print_json, session_for
from sparkrig.cli.request import request
from sparkrig.defaults import WATCH_VERIFY_S
from sparkrig.errors import ExitCode

if TYPE_CHECKING:
    from sparkrig.checks.selection import Selection
    from sparkrig.commands.session import Session
    from sparkrig.models.check import CheckResult, VerifyResult


class Form(enum.StrEnum):
    """How the results are printed."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("verify")(verify)


def verify(
    file: StackFileOption = Path("stack.yaml"),
    stack: StackNameOption = None,
    target: TargetOption = None,
    catalog: CatalogOption = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="NAME",
            help="Only the checks of this component, of this name or kind, or COMPONENT/CHECK. Repeatable.",
            autocompletion=components,
        ),
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="Only checks that read objects.")] = False,
    deep: Annotated[bool, typer.Option("--deep", help="Also checks that make objects and wait for them.")] = False,
    require: Annotated[
        list[str] | None,
        typer.Option(
            "--require",
            metavar="NAME",
            help="What must not be skipped: names as for --only, or all. Skipped, it fails the run. Repeatable.",
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Ask again and again, until Ctrl-C.")] = False,
    quiet: QuietOption = False,
    output: Annotated[Form, typer.Option("--output", "-o", help="How to print the result.")] = Form.TEXT,
) -> None:
    """Ask whether the deployed stack works. Exit 1 when a check fails, or an expected one was skipped."""
    del quiet  # its callback has seen to it
    if fast and deep:
        raise typer.BadParameter("--fast and --deep exclude each other")
    from sparkrig.checks.kinds.base import Depth
    from sparkrig.checks.selection import Selection

    depth = Depth.FAST if fast else Depth.DEEP if deep else Depth.NORMAL
    selection = Selection(only=tuple(only or ()), require=tuple(require or ()), depth=depth)
    with session_for(request(file, target, catalog), Output.JSON if output is Form.JSON else Output.TEXT) as session:
        name = session.stack_name(stack)
        result = _round(session, name, selection, output)
        while watch and not result.interrupted:
            try:
                time.sleep(WATCH_VERIFY_S)
            except KeyboardInterrupt:
                break
            result = _round(session, name, selection, output)
    if result.interrupted:
        raise typer.Exit(int(ExitCode.INTERRUPTED))
    if not result.ok:
        raise typer.Exit(int(ExitCode.FAILED))


def _round(session: Session, stack: str, selection: Selection, output: Form) -> VerifyResult:
    from sparkrig.commands import workflows

    counter = _Counter()
    try:
        result = workflows.verify(session, stack, selection, counter)
    finally:
        counter.clear()
    _show(result, output)
    return result


def _show(result: VerifyResult, output: Form) -> None:
    from sparkrig.output.checks import checks_json, checks_junit, checks_text

    if output is Form.JSON:
        print_json(checks_json(result))
        return
    terminal = out()
    if output is Form.JUNIT:
        terminal.write(checks_junit(result))
    else:
        terminal.write(checks_text(result, color=terminal.color, width=terminal.width))


class _Counter:
    """How far the run is: one line on a terminal, nothing elsewhere."""

    def __init__(self) -> None:
        self._terminal = err()
        self._live = self._terminal.live and not is_quiet()

    def __call__(self, result: CheckResult, done: int, total: int) -> None:
        if self._live:
            text = f"{done}/{total} checks · {result.component} {result.name}"[: max(0, self._terminal.width - 1)]
            self._terminal.write(f"\r\x1b[K{text}")

    def clear(self) -> None:
        if self._live:
            self._terminal.write("\r\x1b[K")
            sys.stderr.flush()
