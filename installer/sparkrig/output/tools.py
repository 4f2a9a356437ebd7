"""The tools that sparkrig runs, as text and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from sparkrig.output.document import document
from sparkrig.output.tables import Cell, Column, Row, table
from sparkrig.output.terminal import Style
from sparkrig.output.text import duration, joined


class Tool(Protocol):
    """What is shown of a tool that is on this machine."""

    @property
    def name(self) -> str:
        """The binary's name."""
        ...

    @property
    def version(self) -> str:
        """Its version."""
        ...

    @property
    def path(self) -> Path:
        """Where it is."""
        ...

    @property
    def origin(self) -> str:
        """How it came here, e.g. ``path`` or ``build``."""
        ...

    @property
    def seconds(self) -> float:
        """How long it took to fetch or build it; 0 for one that was there already."""
        ...


class ToolStatus(Protocol):
    """What is shown of a tool that may not be there."""

    @property
    def name(self) -> str:
        """The binary's name."""
        ...

    @property
    def version(self) -> str:
        """The version that is wanted."""
        ...

    @property
    def tool(self) -> Tool | None:
        """The tool; None when it is not on this machine."""
        ...

    @property
    def reason(self) -> str:
        """Why not, where a person must act."""
        ...


_COLUMNS = (
    Column(""),
    Column("tool"),
    Column("version", fit="cut"),
    Column("origin", fit="cut"),
    Column("took", right=True),
    Column("path", fit="below"),
)


def tools_text(tools: Sequence[Tool | ToolStatus], *, color: bool = False, width: int = 0) -> str:
    """The table of tools; ends with a newline. What is not installed is said to be, with the next step.

    ``width`` is the terminal's, 0 for no limit.
    """
    style = Style(color)
    lines = table(_COLUMNS, [_row(item, style) for item in tools], width=width, title=style.dim)
    missing = [item.name for item in tools if _tool(item) is None]
    if missing:
        lines.append(style.strong(f"next: sparkrig tools install {' '.join(missing)}"))
    return joined(lines)


def tools_json(tools: Sequence[Tool | ToolStatus]) -> dict[str, Any]:
    """The tools as a JSON document of kind ``Tools``."""
    return document("Tools", tools=[_tool_json(item) for item in tools])


def _tool_json(item: Tool | ToolStatus) -> dict[str, Any]:
    tool = _tool(item)
    return {
        "name": item.name,
        "version": tool.version if tool else item.version,
        "installed": tool is not None,
        "origin": str(tool.origin) if tool else None,
        "verified": _verified(tool) or None,
        "cached": _cached(tool),
        "seconds": tool.seconds if tool else None,
        "path": str(tool.path) if tool else None,
        "reason": _reason(item) or None,
    }


def _row(item: Tool | ToolStatus, style: Style) -> Row:
    tool = _tool(item)
    if tool is None:
        what = f"not installed: {_reason(item)}" if _reason(item) else "not installed"
        return Row((Cell("✗", style.bad), item.name, item.version, "-", "-", Cell(what, style.bad)))
    origin = ", ".join(filter(None, (str(tool.origin), _verified(tool), "cached" if _cached(tool) else "")))
    took = duration(tool.seconds) if tool.seconds else "-"
    return Row((Cell("✓", style.good), tool.name, tool.version, origin, took, str(tool.path)))


def _tool(item: Tool | ToolStatus) -> Tool | None:
    tool: Tool | None = item.tool if hasattr(item, "tool") else item
    return tool


def _reason(item: Tool | ToolStatus) -> str:
    return str(getattr(item, "reason", ""))


def _verified(tool: Tool | None) -> str:
    return str(getattr(tool, "verified", ""))


def _cached(tool: Tool | None) -> bool:
    return bool(getattr(tool, "cached", False))
