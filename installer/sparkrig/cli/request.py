"""Flags -> ``session.Request``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparkrig.commands.session import Request
    from sparkrig.models.problem import Commands


def request(
    stack_file: Path,
    target: str | None = None,
    catalogs: list[Path] | None = None,
    mirror: list[Path] | None = None,
    stand_ins: Path | None = None,
    values: list[str] | None = None,
    sets: list[str] | None = None,
    *,
    create: bool = False,
    commands: Commands | None = None,
    install_tools: bool = True,
) -> Request:
    """The request that the given flags make; without ``commands`` those of the user's own file may run."""
    from sparkrig.commands.session import Request
    from sparkrig.models.problem import Commands
    from sparkrig.models.release import Overrides

    return Request(
        stack_file=stack_file,
        target=target,
        catalogs=tuple(catalogs or ()),
        chart_mirror=tuple(mirror or ()),
        stand_ins=stand_ins,
        create=create,
        commands=commands or Commands.OWN,
        install_tools=install_tools,
        overrides=Overrides(values=tuple(values or ()), sets=tuple(sets or ())),
    )
