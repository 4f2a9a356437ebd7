"""The stack options for applying a saved plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sparkrig.cli.options import StackOptions
from sparkrig.errors import Refused

if TYPE_CHECKING:
    from sparkrig.plan.saved import SavedPlan


def saved_stack(saved: SavedPlan, given: StackOptions) -> StackOptions:
    """Return the options of the `plan` run. Options given now take precedence because paths differ between machines.

    Raises:
        Refused: a ``--set`` that was not written into the file is not given again.
    """
    asked = saved.asked
    if asked.withheld and not given.sets:
        raise Refused(
            "the plan file does not contain values that look like secrets",
            detail=[f"--set {path}=…" for path in asked.withheld],
            hint="repeat every --set option of the plan",
        )
    return replace(
        given,
        file=given.file if given.file != StackOptions.file else Path(asked.stack_file),
        target=given.target or asked.target,
        catalog=given.catalog or [Path(folder) for folder in asked.catalogs],
        mirror=given.mirror or [Path(folder) for folder in asked.chart_mirror],
        stand_ins=given.stand_ins or (Path(asked.stand_ins) if asked.stand_ins else None),
        values=given.values or list(asked.values),
        sets=given.sets or list(asked.sets),
    )
