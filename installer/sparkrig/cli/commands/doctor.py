"""``sparkrig doctor``."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from sparkrig.cli.groups import Only
from sparkrig.cli.options import Format, OutputOptions, StackOptions
from sparkrig.cli.prompt import err, out, print_json, print_result, session_for
from sparkrig.errors import ExitCode


def doctor(
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="The stack file. Default: stack.yaml if it exists; otherwise only the cluster is checked.",
            rich_help_panel=StackOptions.SECTION,
        ),
    ] = None,
    rbac: Annotated[
        bool, typer.Option("--rbac", help="Print the minimal ClusterRole and Roles for `up`, as YAML.")
    ] = False,
    *,
    stack: Annotated[StackOptions, Only("target catalog mirror stand_ins values sets run_commands")],
    output: OutputOptions,
) -> None:
    """Check the cluster before an install or upgrade. Writes nothing. Exits with code 1 if a check fails."""
    from sparkrig.commands import doctor as preflight
    from sparkrig.output.doctor import doctor_json, doctor_text, roles_text

    with_stack = file is not None or stack.file.is_file()
    with session_for(replace(stack, file=file or stack.file).request(), output) as session:
        if rbac:
            roles = preflight.roles(session, with_stack=with_stack)
            if output.format is Format.JSON:
                print_json({"apiVersion": "v1", "kind": "List", "items": list(roles)})
            else:
                out().write(roles_text(roles))
                err().write("the namespaces of the Roles must exist; bind each Role to the user that runs sparkrig\n")
            return
        report = preflight.diagnose(session, with_stack=with_stack)
    print_result(output, partial(doctor_json, report), partial(doctor_text, report))
    if not report.ok:
        raise typer.Exit(int(ExitCode.FAILED))
