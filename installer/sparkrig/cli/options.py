"""Options that several commands share."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparkrig.cli.completion import assignments, clusters, components

if TYPE_CHECKING:
    from sparkrig.models.problem import Commands


class Output(enum.StrEnum):
    """How a reading command prints its result."""

    TEXT = "text"
    JSON = "json"


CLUSTER = "Cluster"
CHARTS = "Charts and values"

StackFileOption = Annotated[
    Path, typer.Option("--file", "-f", metavar="FILE", help="The stack file.", show_default=True)
]
TargetOption = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="PROVIDER[:NAME]",
        help="Where the cluster comes from: context[:NAME], kind[:NAME] or sim[:NAME]. Default: the current context.",
        rich_help_panel=CLUSTER,
        autocompletion=clusters,
    ),
]
CatalogOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--catalog",
        metavar="DIR",
        help="A folder of component folders, laid over ours. Repeatable.",
        rich_help_panel=CHARTS,
    ),
]
MirrorOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--chart-mirror",
        metavar="DIR",
        help="Take every upstream chart from this folder (.tgz files or chart folders) and from nowhere else. "
        "Repeatable.",
        rich_help_panel=CHARTS,
    ),
]
StandInsOption = Annotated[
    Path | None,
    typer.Option(
        "--stand-ins",
        metavar="DIR",
        help="Test charts in place of upstream ones; refused on a cluster that is not marked as a test cluster.",
        rich_help_panel=CHARTS,
    ),
]
ValuesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--values",
        metavar="COMPONENT=FILE",
        help="A values file for one component. Repeatable.",
        rich_help_panel=CHARTS,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="COMPONENT.PATH=VALUE",
        help="One value, as Helm's --set. Repeatable.",
        rich_help_panel=CHARTS,
        autocompletion=assignments,
    ),
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print the result.")]
AcceptOption = Annotated[
    list[str] | None,
    typer.Option(
        "--accept", metavar="CODE", help="Go on although `doctor` fails with this code, e.g. load-balancer. Repeatable."
    ),
]
RunCommandsOption = Annotated[
    bool,
    typer.Option(
        "--run-commands",
        help="Run the commands (`fromCommand`) of the stack file that give credentials of chart sources. Only for a "
        "stack file you trust.",
        rich_help_panel=CHARTS,
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before changing the cluster.")]
MessageOption = Annotated[str, typer.Option("--message", "-m", metavar="TEXT", help="Why; kept in the history.")]
WaitLockOption = Annotated[
    str, typer.Option("--wait-lock", metavar="DURATION", help="How long to wait for another run's lock, e.g. 5m.")
]


class OnFailure(enum.StrEnum):
    """What happens when an operation or a gate check fails."""

    ROLLBACK = "rollback"
    STOP = "stop"
    CONTINUE = "continue"


OnFailureOption = Annotated[
    OnFailure | None,
    typer.Option(
        "--on-failure",
        help="rollback: return to the last good revision; stop: keep the evidence; continue: go on with what does not "
        "depend on it. Default: rollback, but stop on a first install, after CRD changes, and where a component "
        "cannot go back.",
    ),
]
HistoryMaxOption = Annotated[
    int,
    typer.Option(
        "--history-max", min=1, metavar="N", help="Revisions to keep, Helm's together with ours.", show_default=True
    ),
]
RepairOption = Annotated[
    bool,
    typer.Option(
        "--repair", help="Bring back objects that are missing, and fields that others changed; names who set them."
    ),
]
KeepOption = Annotated[
    list[str] | None,
    typer.Option(
        "--keep",
        metavar="COMPONENT",
        help="Leave this component in place, which the stack does not have any more: it is not uninstalled, and is no "
        "more of this stack. Repeatable.",
        autocompletion=components,
    ),
]
AllowDisruptionOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-disruption",
        metavar="COMPONENT",
        help="Change this component although it disturbs running pods of others. Repeatable.",
        autocompletion=components,
    ),
]
AllowCrdChangeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-crd-change",
        metavar="CRD",
        help="Change this CRD although custom resources are hurt by it, e.g. things.example.org. Repeatable.",
    ),
]
TimingsOption = Annotated[
    bool,
    typer.Option(
        "--timings", help="Show on stderr where the time went, by phase and component, and the critical path."
    ),
]
TraceOption = Annotated[
    Path | None,
    typer.Option(
        "--trace", metavar="FILE", help="Write where the time went for a trace viewer (Perfetto, chrome://tracing)."
    ),
]
StackNameOption = Annotated[
    str | None,
    typer.Option("--stack", metavar="NAME", help="The stack's name; default: what the stack file says."),
]


def allowed_commands(run_commands: bool) -> Commands:
    """Whose commands a command with ``--run-commands`` may run."""
    from sparkrig.models.problem import Commands

    return Commands.ALL if run_commands else Commands.OWN


def seconds(text: str) -> float:
    """Seconds of ``90``, ``90s``, ``5m`` or ``1h``.

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
        raise typer.BadParameter(f"'{text}' is no duration; write 90s, 5m or 1h")
    return value * units[unit]
