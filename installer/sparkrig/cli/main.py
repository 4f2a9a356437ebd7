"""The ``sparkrig`` command."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

import sparkrig
from sparkrig.cli import (
    cluster,
    diff,
    doctor,
    down,
    explain,
    history,
    init,
    lock,
    plan,
    render,
    rollback,
    schema,
    status,
    tools,
    up,
    validate,
    verify,
)
from sparkrig.cli import open as open_command
from sparkrig.cli.person import show_error
from sparkrig.errors import ExitCode, SparkrigError

app = typer.Typer(
    name="sparkrig",
    help="Turns a Kubernetes cluster, or an empty machine, into a working Spark, GPU and ML platform, "
    "and upgrades, verifies and rolls back the whole stack as one unit.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 done, 1 failed, 2 changes (plan --detailed-exitcode), 3 invalid input, 4 refused before any "
    "write, 5 locked, 6 restored, 7 not restored, 64 usage, 130 interrupted.",
)

USAGE_ERROR: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError")
"""typer carries its own click and does not export this class by name."""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sparkrig {sparkrig.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    del version


for module in (
    init,
    validate,
    explain,
    render,
    lock,
    plan,
    up,
    verify,
    doctor,
    status,
    open_command,
    history,
    diff,
    rollback,
    down,
):
    module.register(app)
app.add_typer(cluster.app, name="cluster")
app.add_typer(tools.app, name="tools")
app.add_typer(schema.app, name="schema")


def run(arguments: list[str] | None = None) -> int:
    """Runs one command line and returns its exit code; never a traceback for a user's mistake."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(args=arguments, prog_name="sparkrig", standalone_mode=False)
    except USAGE_ERROR as error:
        error.show()
        return int(ExitCode.USAGE)
    except SparkrigError as error:
        return show_error(error, as_json=_wants_json(arguments))
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("interrupted; nothing was changed\n")
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # The reader went away (sparkrig ... | head): what it read was right.
        sys.stderr.close()
        return int(ExitCode.OK)
    return int(code or ExitCode.OK)


def _wants_json(arguments: list[str]) -> bool:
    joined = " ".join(arguments)
    return any(text in joined for text in ("--output json", "--output=json", "-o json", "-ojson"))


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run())
