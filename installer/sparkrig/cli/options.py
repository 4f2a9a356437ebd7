"""The options that several commands share, each declared once: in a group that commands take as a parameter.

``groups.grouped`` makes options of the fields. A command that offers only some fields names them with ``Only``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparkrig.cli.completion import assignments, clusters, components
from sparkrig.cli.groups import Group, Only, option
from sparkrig.defaults import HISTORY_MAX

if TYPE_CHECKING:
    from sparkrig.commands.session import Request
    from sparkrig.commands.transaction import Options
    from sparkrig.models.problem import Commands


class Format(enum.StrEnum):
    """How a command prints its result."""

    TEXT = "text"
    JSON = "json"


class OnFailure(enum.StrEnum):
    """What happens when an operation or a check fails."""

    ROLLBACK = "rollback"
    STOP = "stop"
    CONTINUE = "continue"


@dataclass(frozen=True)
class StackOptions(Group):
    """Which stack, on which cluster, from which charts and values."""

    SECTION = "Stack and cluster"

    file: Path = option(Path("stack.yaml"), "--file", "-f", metavar="FILE", help="The stack file.")
    name: str | None = option(
        None, "--stack", metavar="NAME", help="The name of the stack. Default: the name in the stack file."
    )
    target: str | None = option(
        None,
        "--on",
        metavar="PROVIDER[:NAME]",
        help="The cluster: context[:NAME], kind[:NAME] or sim[:NAME]. Default: the current context.",
        autocompletion=clusters,
    )
    catalog: list[Path] | None = option(
        None,
        "--catalog",
        metavar="DIR",
        help="A directory of components to add to the catalog; they replace those of the same name. Repeatable.",
    )
    mirror: list[Path] | None = option(
        None,
        "--chart-mirror",
        metavar="DIR",
        help="Take all upstream charts from this directory (.tgz files or chart directories) only. Repeatable.",
    )
    stand_ins: Path | None = option(
        None,
        "--stand-ins",
        metavar="DIR",
        help="A directory of test charts to use instead of upstream charts, on clusters marked as test clusters only.",
    )
    values: list[str] | None = option(
        None, "--values", metavar="COMPONENT=FILE", help="A values file for one component. Repeatable."
    )
    sets: list[str] | None = option(
        None,
        "--set",
        metavar="COMPONENT.PATH=VALUE",
        help="Set one value, like Helm's --set. Repeatable.",
        autocompletion=assignments,
    )
    run_commands: bool = option(
        False,
        "--run-commands",
        help="Run the commands in the stack file (`fromCommand`) that return credentials for chart sources. Use this "
        "only with a stack file that you trust.",
    )

    def request(self, *, create: bool = False, commands: Commands | None = None, install_tools: bool = True) -> Request:
        """Return these options as a request.

        Args:
            create: create the cluster if it does not exist.
            commands: which commands may run. Default: those of the user's own file; with --run-commands, all.
            install_tools: install tools that are not on this machine.
        """
        from sparkrig.commands.session import Request
        from sparkrig.models.problem import Commands
        from sparkrig.models.release import Overrides

        return Request(
            stack_file=self.file,
            target=self.target,
            catalogs=tuple(self.catalog or ()),
            chart_mirror=tuple(self.mirror or ()),
            stand_ins=self.stand_ins,
            create=create,
            commands=commands or (Commands.ALL if self.run_commands else Commands.OWN),
            install_tools=install_tools,
            overrides=Overrides(values=tuple(self.values or ()), sets=tuple(self.sets or ())),
        )


SourceStack = Annotated[StackOptions, Only("file target catalog mirror stand_ins values sets")]
"""For commands that resolve the stack file."""
DeployedStack = Annotated[StackOptions, Only("file name target catalog")]
"""For commands that work on what is deployed."""


@dataclass(frozen=True)
class ChangeOptions(Group):
    """How to change the stack."""

    SECTION = "Change"

    repair: bool = option(
        False, "--repair", help="Restore missing objects and changed fields, and report who changed each field."
    )
    keep: list[str] | None = option(
        None,
        "--keep",
        metavar="COMPONENT",
        help="Do not uninstall a component that was removed from the stack file; sparkrig stops managing it. "
        "Repeatable.",
        autocompletion=components,
    )
    message: str = option(
        "", "--message", "-m", metavar="TEXT", help="The reason for the change, recorded in the history."
    )
    on_failure: OnFailure | None = option(
        None,
        "--on-failure",
        help="What to do when an operation or a check fails. rollback: restore the last successful revision. stop: "
        "leave everything in place for you to examine. continue: finish what does not depend on it. Default: "
        "rollback, but stop on a first install, after CRD changes, and where a component cannot be rolled back.",
    )
    history_max: int = option(
        HISTORY_MAX,
        "--history-max",
        min=1,
        metavar="N",
        help="The number of revisions to retain, in sparkrig and in Helm.",
    )
    allow_crd_change: list[str] | None = option(
        None,
        "--allow-crd-change",
        metavar="CRD",
        help="Apply this CRD change even if existing custom resources become invalid, e.g. things.example.org. "
        "Repeatable.",
    )
    allow_disruption: list[str] | None = option(
        None,
        "--allow-disruption",
        metavar="COMPONENT",
        help="Change this component even if that disrupts running pods of others. Repeatable.",
        autocompletion=components,
    )
    accept: list[str] | None = option(
        None,
        "--accept",
        metavar="CODE",
        help="Ignore the preflight finding with this code, e.g. load-balancer. Repeatable.",
    )
    wait_lock: str = option(
        "0", "--wait-lock", metavar="DURATION", help="How long to wait for the lock of another run, e.g. 5m."
    )
    yes: bool = option(False, "--yes", "-y", help="Skip the confirmation.")
    timings: bool = option(
        False, "--timings", help="Print the time spent in each phase and component, and the critical path, to stderr."
    )
    trace: Path | None = option(
        None, "--trace", metavar="FILE", help="Write the timings for a trace viewer (Perfetto, chrome://tracing)."
    )

    def options(self, *, purge: tuple[str, ...] = ()) -> Options:
        """Return these options as the workflows take them.

        Raises:
            typer.BadParameter: --wait-lock is not a duration.
        """
        from sparkrig.commands.transaction import Options

        return Options(
            repair=self.repair,
            message=self.message,
            wait_lock_s=seconds(self.wait_lock),
            on_failure=self.on_failure.value if self.on_failure else None,
            history_max=self.history_max,
            allow_disruption=tuple(self.allow_disruption or ()),
            accept=tuple(self.accept or ()),
            allow_crd_change=tuple(self.allow_crd_change or ()),
            keep=tuple(self.keep or ()),
            purge=purge,
        )


@dataclass(frozen=True)
class OutputOptions(Group):
    """What to print, and how."""

    SECTION = "Output"

    quiet: bool = option(False, "--quiet", "-q", help="Print only results and errors, no progress.")
    format: Format = option(Format.TEXT, "--output", "-o", help="The format of the result.")


FormatOnly = Annotated[OutputOptions, Only("format")]
QuietOnly = Annotated[OutputOptions, Only("quiet")]


def seconds(text: str) -> float:
    """Return the seconds of ``90``, ``90s``, ``5m`` or ``1h``.

    Raises:
        typer.BadParameter: it is none of these.
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise typer.BadParameter(f"'{text}' is not a duration; use a form such as 90s, 5m or 1h")
    return value * units[unit]
