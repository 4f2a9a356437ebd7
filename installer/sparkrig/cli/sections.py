"""``--help`` in sections: commands and options under the heading that ``rich_help_panel`` names.

Typer itself does this only with rich, whose import takes longer than the rest of ``--help``.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


class SectionedGroup(TyperGroup):
    """A group of commands whose help lists them in sections."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one list for each section, all with the same columns."""
        del ctx
        width = max(map(len, self.commands))
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            short = command.get_short_help_str(formatter.width - 6 - width)
            title = getattr(command, "rich_help_panel", None) or "Commands"
            sections.setdefault(title, []).append((name.ljust(width), short))
        _write(sections, formatter)


class SectionedCommand(TyperCommand):
    """A command whose help lists its options in sections."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, the options of this command alone, then the groups that it shares with others."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            own = "Arguments" if parameter.param_type_name == "argument" else "Options"
            record = parameter.get_help_record(ctx)
            if record:
                sections.setdefault(getattr(parameter, "rich_help_panel", None) or own, []).append(record)
        _write(sections, formatter)


def _write(sections: dict[str, list[tuple[str, str]]], formatter: Any) -> None:
    for title, rows in sections.items():
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows)
