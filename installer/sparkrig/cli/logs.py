"""The log of a command: its options, its file, what goes into it of the command line, and how a bug is reported."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

import sparkrig
from sparkrig import log
from sparkrig.cli.options import Format
from sparkrig.errors import ExitCode, InternalError, InvalidInput, SparkrigError

NAMES: Final = ("verbose", "log_file", "log_format")
"""The parameters of the options below: each is understood before and after the name of every command."""
SECTION: Final = "Log"
"""The heading of the options in ``--help``."""
TAKE_VALUE: Final = frozenset({"--log-file", "--log-format"})
NOT_KEPT: Final = frozenset({"init", "help", "schema", "tools", "cluster list", "cluster kubeconfig"})
"""Commands, and groups of them, that work on no stack and no cluster: they keep a log only where one is asked for."""
CHANGING: Final = frozenset({"up", "rollback", "down", "cluster-create", "cluster-delete", "cluster-mark"})
"""Commands, as in names of files, whose logs others do not push out of the folder."""
SHORTEST: Final = 3
SHORTEST_UNNAMED: Final = 8
"""Characters from which on a text is hidden wherever it is: where its name is that of a secret, and elsewhere."""
LONGEST: Final = 500
"""Characters of a bug's message that are printed; the log has all of it."""


class _Asked:
    """What the options of this command line ask for."""

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        self.arguments = tuple(arguments)
        self.began = time.monotonic()
        self.verbosity = 0
        self.file: Path | None = None
        self.as_json = False


_asked = _Asked()


def _verbose(count: int) -> None:
    _asked.verbosity += count


def _file(file: Path | None) -> None:
    _asked.file = file or _asked.file


def _form(form: str | None) -> None:
    _asked.as_json = form == Format.JSON if form else _asked.as_json


VerboseOption = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        expose_value=False,
        callback=_verbose,
        show_default=False,
        rich_help_panel=SECTION,
        help="Show the log on stderr; -vv also shows what is read.",
    ),
]
LogFileOption = Annotated[
    Path | None,
    typer.Option(
        "--log-file",
        metavar="FILE",
        expose_value=False,
        callback=_file,
        rich_help_panel=SECTION,
        help="Append the log to this file instead of a new file in the state folder.",
    ),
]
LogFormatOption = Annotated[
    Format | None,
    typer.Option(
        "--log-format",
        expose_value=False,
        callback=_form,
        rich_help_panel=SECTION,
        help="The form of the log: text, or a JSON object a line.",
    ),
]


def start(arguments: Sequence[str]) -> None:
    """Forget the options of an earlier command in this process."""
    global _asked  # noqa: PLW0603 - one command line at a time, as its signals are
    _asked = _Asked(arguments)


def attach(root: Any) -> Any:
    """The command line in which every command understands the options, and keeps its log."""
    shared = [parameter for parameter in root.params if parameter.name in NAMES]

    def walk(group: Any, above: str) -> None:
        for name, command in group.commands.items():
            full = f"{above} {name}".strip()
            command.params = [*command.params, *shared]
            if hasattr(command, "commands"):
                walk(command, full)
            else:
                command.callback = _recorded(full, command.callback)

    walk(root, "")
    return root


def _recorded(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def recorded(*arguments: Any, **options: Any) -> Any:
        begin(name)
        try:
            return call(*arguments, **options)
        except typer.Exit as end:
            if isinstance(end.__cause__, SparkrigError):
                tell(end.__cause__)
            raise

    return recorded


def words(arguments: Sequence[str]) -> Sequence[str]:
    """The command line from the name of the command on: without the options above that come before it."""
    at = 0
    while at < len(arguments) and (taken := _taken(arguments[at])):
        at += taken
    return arguments[at:]


def _taken(option: str) -> int:
    """How many arguments one of the options takes; 0 for anything else."""
    if option in TAKE_VALUE:
        return 2
    short = option[:2] == "-v" and not option.strip("-v")
    return int(short or option == "--verbose" or option.startswith(("--log-file=", "--log-format=")))


def begin(command: str) -> None:
    """Keep a log of this command where it is one that keeps one, or where one is asked for."""
    keeps = not {command, command.partition(" ")[0]} & NOT_KEPT
    if not keeps and not _asked.verbosity and _asked.file is None:
        return
    why = _open(command, None if keeps else Path())
    if why and (_asked.file is not None or _asked.verbosity):
        place = _asked.file or "the state folder"
        _say(f"warning: cannot write the log to {place}: {why}; the command runs without it")


def _open(command: str, folder: Path | None) -> str:
    """Opens the log and writes its first record; returns why its file cannot be written.

    The file is that of ``--log-file``, else a new one in ``folder``: None for the state folder, ``Path()`` for none.
    """
    from sparkrig.logfile import Log, Wanted, file_name, prune

    try:
        file, append = _asked.file, _asked.file is not None
        if file is None and folder != Path():
            file = (folder or _folder()) / file_name(command, as_json=_asked.as_json)
        run = Log(
            Wanted(
                file=file,
                append=append,
                stderr=(log.OFF, log.INFO, log.DEBUG)[min(_asked.verbosity, 2)],
                as_json=_asked.as_json,
                cover=_covered,
                secrets=secrets_of(_asked.arguments),
            )
        )
        log.begin(run)
        if file is not None and not append:
            prune(file.parent, CHANGING)
        log.info(
            "begin",
            command=command,
            arguments=list(redacted(_asked.arguments)),
            version=sparkrig.__version__,
            python=".".join(map(str, sys.version_info[:3])),
            pid=os.getpid(),
            folder=Path.cwd(),
        )
    except Exception as error:  # whatever is wrong with the machine: the command does its work
        return log.named(error)
    return run.failure


def _folder() -> Path:
    from sparkrig.tools import state_dir

    return state_dir() / "logs"


def _covered(text: str) -> str:
    from sparkrig.yaml.secret_names import with_covered

    return with_covered(text, log.COVER)


# --------------------------------------------------------------------------- what of the command line is secret


def redacted(arguments: Sequence[str]) -> Iterator[str]:
    """The arguments without what ``--set`` sets; names of what is set stay."""
    after = False
    for argument in arguments:
        if after:
            yield _without_values(argument)
        elif argument.startswith("--set="):
            yield f"--set={_without_values(argument.removeprefix('--set='))}"
        else:
            yield argument
        after = argument == "--set"


def _without_values(argument: str) -> str:
    name, separator, _ = argument.partition("=")
    return f"{name}={log.COVER}" if separator else log.COVER


def secrets_of(arguments: Sequence[str]) -> tuple[str, ...]:
    """What ``--set`` sets, for errors of others may repeat it without its name. The longest first.

    A short text is taken for a secret only where its name says so: hiding each ``true`` would hide half of the log.
    """
    pairs = [
        value if before == "--set" else value.removeprefix("--set=")
        for before, value in zip(("", *arguments), arguments, strict=False)
        if before == "--set" or value.startswith("--set=")
    ]
    if not pairs:
        return ()
    from sparkrig.yaml.secret_names import names_secret

    found: set[str] = set()
    for pair in pairs:
        path, _, value = pair.partition("=")
        least = SHORTEST_UNNAMED
        inner = [part.partition("=")[0] for part in value.split(",")[1:]]  # --set a.user=x,a.password=y
        if any(names_secret(name.split(".")) for name in (path, *inner)):
            least = SHORTEST
        texts = {value, *(part.rpartition("=")[2] for part in value.split(","))}
        found |= {text for text in texts if len(text) >= least}
    return tuple(sorted(found, key=len, reverse=True))


# --------------------------------------------------------------------------- how the command ended


def tell(error: SparkrigError) -> None:
    """Keep an error that is shown to the person."""
    problems = error.problems if isinstance(error, InvalidInput) else ()
    log.error(
        "error",
        error=type(error).__name__,
        message=error.message,
        detail=[*error.detail, *(f"{problem.code}: {problem.message}" for problem in problems)],
        next=error.hint,
    )


def end(code: int) -> None:
    """Keep how the command ended, and close the log."""
    try:
        name = ExitCode(code).name.lower().replace("_", "-")
    except ValueError:
        name = ""
    log.info("end", exit_code=code, result=name, seconds=time.monotonic() - _asked.began)
    log.end()


def report(error: BaseException) -> InternalError:
    """Keep a bug with its traceback, in a log that is opened for it where there is none; returns what to say of it."""
    if log.path() is None:
        _open_for_a_bug()
    log.bug(error)
    path = log.path()
    from sparkrig.logfile import Wanted

    text = Wanted(cover=_covered, secrets=secrets_of(_asked.arguments)).clean(log.named(error))
    text = " ".join(text.split())
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
    where = f"the traceback is in {path}" if path else "it could not be written; --log-file FILE names another place"
    return InternalError(
        f"internal error: {text}",
        detail=(where,),
        hint="this is a bug in sparkrig: open an issue with that log (secrets are redacted) and your stack file",
    )


def _open_for_a_bug() -> None:
    """Opens a log in the state folder; where none can be written there, in a new folder for temporary files."""
    import tempfile

    command = next(iter(words(_asked.arguments)), "")
    name = command if command.isascii() and command.isalpha() and command.islower() else "sparkrig"
    if not _open(name, None) and log.path() is not None:
        return
    _asked.file = None  # it cannot be written
    if _open(name, None) or log.path() is None:
        with contextlib.suppress(OSError):
            _open(name, Path(tempfile.mkdtemp(prefix="sparkrig-log-")))


def lines(error: InternalError) -> str:
    """The three lines about a bug: what failed, where its log is, how to report it."""
    from sparkrig.output.text import clean

    return "".join(
        f"{' '.join(clean(line).splitlines())}\n"
        for line in (f"error: {error.message}", f"log: {error.detail[0]}", f"next: {error.hint}")
    )


def _say(line: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{line}\n")
