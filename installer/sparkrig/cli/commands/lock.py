"""``sparkrig lock``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparkrig.cli.completion import components
from sparkrig.cli.groups import Only
from sparkrig.cli.options import Format, OutputOptions, StackOptions
from sparkrig.cli.prompt import out, print_json, session_for

if TYPE_CHECKING:
    from sparkrig.commands.lock import Locking
    from sparkrig.stack.lockfile import LockChange, LockedChart


def lock(
    components: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMPONENT", help="With --upgrade: only these components.", autocompletion=components),
    ] = None,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Query the chart sources and lock charts that have changed there.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing. Exit with code 3 if the lock file is out of date.")
    ] = False,
    *,
    stack: Annotated[StackOptions, Only("file catalog mirror stand_ins run_commands")],
    output: OutputOptions,
) -> None:
    """Record the exact charts of the stack in a lock file. All other commands then use these charts."""
    from sparkrig.commands import lock as locking

    if components and not upgrade:
        raise typer.BadParameter("COMPONENT needs --upgrade; without it, the whole stack is locked")
    if upgrade and check:
        raise typer.BadParameter("--check and --upgrade exclude each other: --check writes nothing")
    with session_for(stack.request(install_tools=not check), output) as session:
        done = locking.lock(session, upgrade=tuple(components or ()) if upgrade else None, check=check)
    if output.format is Format.JSON:
        print_json(_json(done))
    else:
        out().write(_text(done))


def _text(done: Locking) -> str:
    lines = [line for change in done.changes for line in _lines(change)]
    what = "written" if done.written else "up to date"
    return "\n".join([*lines, f"{done.file} {what}: {len(done.charts)} charts"]) + "\n"


def _lines(change: LockChange) -> list[str]:
    old, new = change.old, change.new
    if old is None or new is None:
        chart = new or old
        sign = "+" if old is None else "-"
        return [f"{sign} {change.component}  {chart}{f'  {new.digest}' if new else ''}"]
    lines = [f"~ {change.component}  {old}" + (f" -> {new}" if str(old) != str(new) else "")]
    for what in ("digest", "source"):
        before, after = getattr(old, what), getattr(new, what)
        lines += [f"    {what}  {before}", f"    {' ' * len(what)}  -> {after}"] if before != after else []
    return lines


def _json(done: Locking) -> dict[str, Any]:
    from sparkrig.stack.lockfile import lock_document

    return {
        **lock_document(done.charts),
        "file": done.file,
        "written": done.written,
        "changes": [
            {"component": change.component, "old": _chart(change.old), "new": _chart(change.new)}
            for change in done.changes
        ],
    }


def _chart(chart: LockedChart | None) -> dict[str, str] | None:
    if chart is None:
        return None
    return {"name": chart.name, "version": chart.version, "digest": chart.digest, "source": chart.source}
