"""The text of docs/cli.md: every command with its arguments and options, from the command line itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

HEAD: Final = """\
<!-- made by scripts/cli_reference.py from the commands: change those, then `make docs` -->
# Command reference

Every command of `sparkrig` with its arguments and options, as `--help` shows them. See [Exit codes](exit-codes.md) for
how a command ends and [Tools](tools.md) for the environment variables.
"""
TYPE: Final = re.compile(r" <(?:str|path|int|list\[str\])>$")
"""What typer appends to an argument; the description says more."""


def page() -> str:
    """The page as Markdown."""
    from sparkrig.cli.app import command_line

    root = command_line()
    context = root.make_context("sparkrig", [], resilient_parsing=True)
    lines = [HEAD, "| command | purpose |", "|---|---|"]
    commands = list(_commands(root, context))
    for name, command, _ in commands:
        purpose = _prose((command.help or "").strip().split("\n\n")[0])
        lines.append(f"| [`{name}`](#{name.replace(' ', '-')}) | {purpose} |")
    lines += ["", "## Options of the program", "", *_table(root, context)]
    for name, command, own in commands:
        lines += ["", *_section(name, command, own)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _commands(group: Any, context: Any) -> Iterator[tuple[str, Any, Any]]:
    """Every command with its full name and its context, in the order of ``--help``; groups are entered."""
    for name, command in group.commands.items():
        own = command.make_context(name, ["--help"], parent=context, resilient_parsing=True)
        if hasattr(command, "commands"):
            yield from _commands(command, own)
        else:
            yield own.command_path, command, own


def _section(name: str, command: Any, context: Any) -> Iterator[str]:
    yield f"## {name}"
    yield ""
    for paragraph in (command.help or "").strip().split("\n\n"):
        yield _prose(paragraph)
        yield ""
    yield "```text"
    yield command.get_usage(context).removeprefix("Usage: ")
    yield "```"
    yield ""
    yield from _table(command, context)


def _table(command: Any, context: Any) -> Iterator[str]:
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    # Arguments before options, as in --help.
    shown = sorted((record for record in records if record), key=lambda record: record[0].startswith("-"))
    yield "| argument or option | description |"
    yield "|---|---|"
    for left, right in shown:
        yield f"| `{_line(TYPE.sub('', left))}` | {_prose(right)} |"


def _line(text: str) -> str:
    """The text in one line of a table, where a bar would end the cell, also within a code span."""
    return " ".join(text.split()).replace("|", "\\|")


def _prose(text: str) -> str:
    """The same for text outside a code span, where a bracket may begin a link."""
    parts = _line(text).split("`")
    return "`".join(part if i % 2 else part.replace("[", "\\[").replace("<", "&lt;") for i, part in enumerate(parts))
