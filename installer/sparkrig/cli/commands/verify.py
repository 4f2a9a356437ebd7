"""``sparkrig verify``."""

from __future__ import annotations

import enum
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from sparkrig.cli.completion import components
from sparkrig.cli.options import DeployedStack, Format, OutputOptions, QuietOnly
from sparkrig.cli.prompt import err, out, print_json, session_for
from sparkrig.defaults import WATCH_VERIFY_S
from sparkrig.errors import ExitCode

if TYPE_CHECKING:
    from sparkrig.checks.selection import Selection
    from sparkrig.commands.session import Session
    from sparkrig.models.check import CheckResult, VerifyResult


class Report(enum.StrEnum):
    """How the results are printed."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"


def verify(
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="NAME",
            help="Run only checks with this component, name or kind, or COMPONENT/CHECK. Repeatable.",
            autocompletion=components,
        ),
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="Run only checks that read objects.")] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also run checks that create objects and wait for them.")
    ] = False,
    require: Annotated[
        list[str] | None,
        typer.Option(
            "--require",
            metavar="NAME",
            help="Fail if these checks are skipped: a name as for --only, or all. Repeatable.",
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Repeat until interrupted (Ctrl-C).")] = False,
    report: Annotated[
        Report, typer.Option("--output", "-o", help="The format of the result.", rich_help_panel=OutputOptions.SECTION)
    ] = Report.TEXT,
    *,
    stack: DeployedStack,
    output: QuietOnly,
) -> None:
    """Check that the deployed stack works. Exits with code 1 if a check fails or an expected check is skipped."""
    if fast and deep:
        raise typer.BadParameter("--fast and --deep exclude each other")
    from sparkrig.checks.kinds.base import Depth
    from sparkrig.checks.selection import Selection

    depth = Depth.FAST if fast else Depth.DEEP if deep else Depth.NORMAL
    selection = Selection(only=tuple(only or ()), require=tuple(require or ()), depth=depth)
    errors = replace(output, format=Format.JSON if report is Report.JSON else Format.TEXT)
    with session_for(stack.request(), errors) as session:
        name = session.stack_name(stack.name)
        result = _round(session, name, selection, report, output.quiet)
        while watch and not result.interrupted:
            try:
                time.sleep(WATCH_VERIFY_S)
            except KeyboardInterrupt:
                break
            result = _round(session, name, selection, report, output.quiet)
    if result.interrupted:
        raise typer.Exit(int(ExitCode.INTERRUPTED))
    if not result.ok:
        raise typer.Exit(int(ExitCode.FAILED))


def _round(session: Session, stack: str, selection: Selection, report: Report, quiet: bool) -> VerifyResult:
    from sparkrig.commands import workflows

    counter = _Counter(quiet=quiet)
    try:
        result = workflows.verify(session, stack, selection, counter)
    finally:
        counter.clear()
    _show(result, report)
    return result


def _show(result: VerifyResult, report: Report) -> None:
    from sparkrig.output.checks import checks_json, checks_junit, checks_text

    if report is Report.JSON:
        print_json(checks_json(result))
        return
    terminal = out()
    if report is Report.JUNIT:
        terminal.write(checks_junit(result))
    else:
        terminal.write(checks_text(result, color=terminal.color, width=terminal.width))


class _Counter:
    """How far the run is: one line on a terminal, nothing elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        self._terminal = err()
        self._live = self._terminal.live and not quiet

    def __call__(self, result: CheckResult, done: int, total: int) -> None:
        if self._live:
            text = f"{done}/{total} checks · {result.component} {result.name}"[: max(0, self._terminal.width - 1)]
            self._terminal.write(f"\r\x1b[K{text}")

    def clear(self) -> None:
        if self._live:
            self._terminal.write("\r\x1b[K")
            sys.stderr.flush()
