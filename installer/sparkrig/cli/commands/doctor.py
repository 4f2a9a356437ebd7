"""``sparkrig doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparkrig.cli.options import (
    CatalogOption,
    MirrorOption,
    Output,
    OutputOption,
    RunCommandsOption,
    SetOption,
    StandInsOption,
    TargetOption,
    ValuesOption,
    allowed_commands,
)
from sparkrig.cli.progress import QuietOption
from sparkrig.cli.prompt import err, out, print_json, session_for
from sparkrig.cli.request import request
from sparkrig.errors import ExitCode

DEFAULT = Path("stack.yaml")

FileOption = Annotated[
    Path | None,
    typer.Option(
        "--file", "-f", metavar="FILE", help="The stack file. Default: stack.yaml; without one, the cluster alone."
    ),
]
RbacOption = Annotated[
    bool, typer.Option("--rbac", help="Print the least ClusterRole and Roles that suffice for up, as YAML.")
]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("doctor")(doctor)


def doctor(
    file: FileOption = None,
    target: TargetOption = None,
    catalog: CatalogOption = None,
    mirror: MirrorOption = None,
    stand_ins: StandInsOption = None,
    values: ValuesOption = None,
    sets: SetOption = None,
    rbac: RbacOption = False,
    run_commands: RunCommandsOption = False,
    quiet: QuietOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Look for what the cluster lacks before anything is installed. Writes nothing. Exit 1 when something is amiss."""
    del quiet  # its callback has seen to it
    from sparkrig.commands import doctor as preflight
    from sparkrig.output.doctor import doctor_json, doctor_text, roles_text

    with_stack = file is not None or DEFAULT.is_file()
    asked = request(
        file or DEFAULT, target, catalog, mirror, stand_ins, values, sets, commands=allowed_commands(run_commands)
    )
    with session_for(asked, output) as session:
        if rbac:
            roles = preflight.roles(session, with_stack=with_stack)
            if output is Output.JSON:
                print_json({"apiVersion": "v1", "kind": "List", "items": list(roles)})
            else:
                out().write(roles_text(roles))
                err().write("the namespaces of the Roles must exist; bind each to who runs sparkrig\n")
            return
        report = preflight.diagnose(session, with_stack=with_stack)
    if output is Output.JSON:
        print_json(doctor_json(report))
    else:
        terminal = out()
        terminal.write(doctor_text(report, color=terminal.color, width=terminal.width))
    if not report.ok:
        raise typer.Exit(int(ExitCode.FAILED))
