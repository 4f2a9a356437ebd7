"""Groups of options: what a command gets, and what ``--help`` shows of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer

from sparkrig.cli.app import COMMANDS, GROUPS, SECTIONS, command_line, run
from sparkrig.cli.groups import Group, Only, grouped, option

OWN = {
    "--charts": "in diff it selects what is compared, in cluster mark it names what `make up` installs",
    "--file": "doctor works without a stack file",
    "--on": "the commands of `cluster` take only clusters that sparkrig creates",
    "--output": "validate and verify have formats of their own",
    "--values": "the same in diff",
    "--drift": "status counts differences without it",
}
"""Options with more than one declaration, and why."""


@dataclass(frozen=True)
class Paint(Group):
    """A group for these tests."""

    SECTION = "Paint"

    color: str = option("red", "--color", "-c", help="The color.")
    layers: int = option(1, "--layers", min=1, help="The number of layers.")
    spots: list[str] | None = option(None, "--spot", help="Repeatable.")


def called(arguments: list[str], groups: Any) -> dict[str, Any]:
    """What a command with an argument, an option and a group gets."""
    got: dict[str, Any] = {}

    def command(thing: str, fast: Annotated[bool, typer.Option("--fast")] = False, *, paint: Paint) -> None:
        got.update(thing=thing, fast=fast, paint=paint)

    command.__annotations__["paint"] = groups
    app = typer.Typer(rich_markup_mode=None)
    app.command()(grouped(command))
    typer.main.get_command(app)(args=arguments, standalone_mode=False)
    return got


@pytest.mark.parametrize(
    ("arguments", "paint"),
    [
        ([], Paint()),
        (["-c", "blue", "--layers", "2"], Paint(color="blue", layers=2)),
        (["--spot", "a", "--spot", "b", "--fast"], Paint(spots=["a", "b"])),
    ],
)
def test_a_command_gets_its_group(arguments: list[str], paint: Paint) -> None:
    assert called(["wall", *arguments], Paint) == {"thing": "wall", "fast": "--fast" in arguments, "paint": paint}


def test_fields_that_a_command_does_not_offer_keep_their_default() -> None:
    some = Annotated[Paint, Only("color")]
    assert called(["wall", "-c", "blue"], some)["paint"] == Paint(color="blue")
    with pytest.raises(Exception, match="No such option: --layers"):
        called(["wall", "--layers", "2"], some)


def test_limits_of_an_option_in_a_group_hold() -> None:
    with pytest.raises(Exception, match="greater than or equal to 1"):
        called(["wall", "--layers", "0"], Paint)


def walk(name: str, command: Any) -> Any:
    """Every command that has no commands below it, with its full name."""
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command
        return
    for child, found in below.items():
        yield from walk(f"{name} {child}".strip(), found)


def test_each_shared_option_has_one_declaration() -> None:
    declarations: dict[str, set[Any]] = defaultdict(set)
    for _, command in walk("", command_line()):
        for parameter in command.params:
            if parameter.param_type_name == "option":
                wording = (tuple(parameter.opts), parameter.metavar, repr(parameter.default), parameter.help)
                declarations[parameter.opts[0]].add(wording)
    assert {name for name, found in declarations.items() if len(found) > 1} == set(OWN)


def lines_of(arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines of ``--help`` on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    assert run([*arguments, "--help"]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("group", ["", *GROUPS])
def test_the_help_of_no_command_is_cut_off(
    group: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = lines_of([group] if group else [], capsys, monkeypatch)
    assert all(len(line) <= 80 for line in lines)
    assert [line for line in lines if line.endswith(("...", "e.g.", "i.e."))][1:] == []  # the first is the usage


def test_help_lists_commands_in_sections(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lines = lines_of([], capsys, monkeypatch)
    titles = [line.removesuffix(":") for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert titles == ["Options", *SECTIONS, "Clusters and tools"]
    listed = [line.split()[0] for line in lines[lines.index("Start:") :] if line.startswith("  ") and line[2] != " "]
    assert listed[: len(COMMANDS) + len(GROUPS)] == [*COMMANDS, *GROUPS]
    texts = {line.index(line.split(maxsplit=1)[1]) for line in lines if line.split()[:1] in ([c] for c in COMMANDS)}
    assert len(texts) == 1, "one column in all sections"


@pytest.mark.parametrize(
    ("command", "titles"),
    [
        ("plan", ["Options", "Stack and cluster", "Change", "Output", "Log"]),
        ("up", ["Arguments", "Options", "Stack and cluster", "Change", "Output", "Log"]),
        ("init", ["Arguments", "Options", "Stack and cluster", "Log"]),
    ],
)
def test_help_lists_options_in_sections(
    command: str, titles: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = lines_of([command], capsys, monkeypatch)
    assert [line.removesuffix(":") for line in lines if line.endswith(":") and not line.startswith(" ")] == titles
