"""The request that carries a saved plan out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sparkrig.cli.options import Output
from sparkrig.cli.request import request
from sparkrig.errors import InvalidInput, Refused

if TYPE_CHECKING:
    from sparkrig.commands.session import Request
    from sparkrig.plan.saved import SavedPlan


def read_saved(path: Path, given: Request, output: Output) -> tuple[SavedPlan, Request]:
    """The saved plan in a file, and the request that carries it out.

    Raises:
        typer.Exit: it is no saved plan; the problem was shown.
    """
    from sparkrig.cli.prompt import show_problems
    from sparkrig.commands.plan_file import read_plan

    try:
        saved = read_plan(path)
    except InvalidInput as error:
        show_problems(error, {}, output)
        raise typer.Exit(int(error.exit_code)) from error
    return saved, saved_request(saved, given)


def saved_request(saved: SavedPlan, given: Request) -> Request:
    """The command line that made the plan; what is given now wins, because paths differ between machines.

    Raises:
        Refused: a ``--set`` that was not written into the file is not given again.
    """
    asked = saved.asked
    sets = given.overrides.sets
    if asked.withheld and not sets:
        raise Refused(
            "the plan was made with values that look like secrets, which are not in its file",
            detail=[f"--set {path}=…" for path in asked.withheld],
            hint="give every --set of the plan again",
        )
    default = Path("stack.yaml")
    return request(
        given.stack_file if given.stack_file != default else Path(asked.stack_file),
        given.target or asked.target,
        list(given.catalogs or map(Path, asked.catalogs)),
        list(given.chart_mirror or map(Path, asked.chart_mirror)),
        given.stand_ins or (Path(asked.stand_ins) if asked.stand_ins else None),
        list(given.overrides.values or asked.values),
        list(sets or asked.sets),
        commands=given.commands,
    )
