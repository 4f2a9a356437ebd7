"""The ``sparkrig`` command."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any, Final

import typer

import sparkrig
from sparkrig import interrupts
from sparkrig.cli import logs
from sparkrig.cli.groups import grouped
from sparkrig.cli.prompt import show_error
from sparkrig.cli.sections import SectionedCommand, SectionedGroup
from sparkrig.errors import ExitCode, InternalError, OperationError, SparkrigError

USAGE_ERROR: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError")
"""typer carries its own click and does not export this class by name."""

SECTIONS: Final = {
    "Start": ("init", "validate", "lock", "doctor", "help"),
    "Change": ("plan", "up", "rollback", "down"),
    "Look": ("status", "verify", "open", "history", "diff", "explain", "render"),
}
"""Commands in the sections and the order of the help, each a module with a function of that name."""
COMMANDS: Final = tuple(name for names in SECTIONS.values() for name in names)
GROUPS: Final = ("cluster", "tools", "schema")
"""Groups of commands, each a module with an ``app`` of its own."""
CHANGING: Final = frozenset({"up", "rollback", "down"})
"""Commands whose purpose is not their output."""
GARBAGE: Final = 100_000
"""Objects made before Python looks for cycles among them (its own default: 700). Manifests, records and answers of the
API server are trees of many small objects without cycles: looking costs a quarter of the time to read one."""
COMPLETION: Final = "_SPARKRIG_COMPLETE"
"""Set by the shell's completion script, with the words of the line in ``COMP_WORDS``."""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sparkrig {sparkrig.__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    verbose: logs.VerboseOption = 0,
    log_file: logs.LogFileOption = None,
    log_format: logs.LogFormatOption = None,
) -> None:
    del version, verbose, log_file, log_format  # their callbacks have seen to them


def command_line(names: Sequence[str] = (*COMMANDS, *GROUPS)) -> Any:
    """The command line with these commands and groups, ready to be called with ``args``."""
    app = typer.Typer(
        name="sparkrig",
        cls=SectionedGroup,
        help="Install a working Spark, GPU and ML platform on a Kubernetes cluster or an empty machine. Verify, "
        "upgrade and roll back the whole stack as one unit.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        epilog="Exit codes: 0 success, 1 failure, 2 changes (plan --detailed-exitcode), 3 invalid input, 4 refused "
        "before any write, 5 locked, 6 failed and restored, 7 failed and not restored, 64 usage, "
        "70 a bug in sparkrig, 130 interrupted.",
    )
    app.callback()(_root)
    section = {name: title for title, commands in SECTIONS.items() for name in commands}
    for name in names:
        module = import_module(f"sparkrig.cli.commands.{name}")
        if name in GROUPS:
            app.add_typer(module.app, name=name, rich_help_panel="Clusters and tools")
        else:
            function = getattr(module, name, None) or getattr(module, f"{name}_")  # open_ and help_ are also built in
            app.command(name, cls=SectionedCommand, rich_help_panel=section[name])(grouped(function))
    return logs.attach(typer.main.get_command(app))


def needed(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The commands that this command line can be about: one where it names one, else all of them.

    Each costs a few milliseconds to make ready; a person who presses TAB waits for them.
    """
    everything = (*COMMANDS, *GROUPS)
    first = next(iter(logs.words(arguments)), "")
    if COMPLETION in environment:
        words = environment.get("COMP_WORDS", "").split()
        # The word that the cursor is in may be the beginning of another.
        first = words[1] if len(words) > 1 and environment.get("COMP_CWORD", "1") not in ("0", "1") else ""
    return (first,) if first in everything else everything


def run(arguments: list[str] | None = None) -> int:
    """Runs one command line and returns its exit code; never a traceback, its place is the log."""
    arguments = sys.argv[1:] if arguments is None else arguments
    interrupts.begin(False)
    logs.start(arguments)
    code = int(ExitCode.INTERNAL)
    try:
        code = _run(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(ExitCode.OK if end.code is None else ExitCode.FAILED)
        raise
    except Exception as error:
        _show_bug(logs.report(error), as_json=_wants_json(arguments))
    finally:
        logs.end(code)
    return code


def _run(arguments: list[str]) -> int:
    changing = bool(CHANGING.intersection(logs.words(arguments)[:1]))
    try:
        command = command_line(needed(arguments, os.environ))
        code = command(args=arguments, prog_name="sparkrig", standalone_mode=False)
        if code == ExitCode.INTERRUPTED and interrupts.ended_by():
            _say_interrupted(arguments)
    except USAGE_ERROR as error:
        error.show()
        return int(ExitCode.USAGE)
    except SparkrigError as error:
        logs.tell(error)
        return show_error(error, as_json=_wants_json(arguments))
    except (KeyboardInterrupt, typer.Abort):
        _say_interrupted(arguments)
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # The reader went away (sparkrig ... | head): what it read was right. A change that was not made is no success.
        sys.stderr.close()
        return int(ExitCode.INTERRUPTED if changing else ExitCode.OK)
    except SystemExit as end:
        # typer ends the program by itself when the reader of its output is gone.
        if changing and isinstance(end.__context__, BrokenPipeError):
            return int(ExitCode.INTERRUPTED)
        raise
    except OSError as error:
        told = _unusable(error)
        logs.tell(told)
        return show_error(told, as_json=_wants_json(arguments))
    return int(code or ExitCode.OK)


def _show_bug(error: InternalError, *, as_json: bool) -> None:
    with contextlib.suppress(OSError, ValueError):  # the reader may be gone
        sys.stderr.write(logs.lines(error))
        if as_json:
            show_error(error, as_json=True)


def _unusable(error: OSError) -> SparkrigError:
    """A file or folder of this machine that cannot be used: a full disk, a read-only folder, a missing right."""
    place = f"{error.filename}: " if error.filename else ""
    hints = {
        errno.ENOSPC: "the disk is full: free some space, or let SPARKRIG_CACHE_DIR and TMPDIR name another disk",
        errno.EROFS: "let SPARKRIG_CACHE_DIR, SPARKRIG_STATE_DIR or TMPDIR name a folder that can be written",
    }
    return OperationError(
        f"{place}{error.strerror or error}",
        hint=hints.get(error.errno or 0, "check that the file exists and that its folder can be used"),
    )


def _say_interrupted(arguments: Sequence[str]) -> None:
    """What ended the run, and that nothing was changed where that is certain."""
    name = interrupts.ended_by()
    words = "interrupted" if name in ("", interrupts.NAMES[signal.SIGINT]) else f"interrupted by {name}"
    certain = not interrupts.begun() and not set(logs.words(arguments)[:1]) & {"cluster", "tools", "lock"}
    with contextlib.suppress(OSError):  # the terminal may be gone
        sys.stderr.write(f"{words}; nothing was changed\n" if certain else f"{words}\n")


def _wants_json(arguments: list[str]) -> bool:
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    return any(
        argument in ("--output=json", "-ojson") or (argument in ("--output", "-o") and value == "json")
        for argument, value in pairs
    )


def _open_standard_streams() -> None:
    """Opens what the caller closed (``>&-``) on the null device.

    Otherwise the next file or socket would get that number, and what is printed would go into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
        stream = open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)


def main() -> None:
    """Entry point of the console script."""
    gc.set_threshold(GARBAGE)
    _open_standard_streams()
    interrupts.install()
    sys.exit(run())
