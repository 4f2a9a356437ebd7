"""The binaries that sparkrig runs: finding, verifying, downloading and building them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparkrig.tools.data import data_dir
    from sparkrig.tools.finding import find, install, list_tools
    from sparkrig.tools.model import Origin, Progress, Tool, ToolSettings, ToolStatus, Update, cache_dir, state_dir

__all__ = [
    "Origin",
    "Progress",
    "Tool",
    "ToolSettings",
    "ToolStatus",
    "Update",
    "cache_dir",
    "data_dir",
    "find",
    "install",
    "list_tools",
    "state_dir",
]

_HOMES = {"data_dir": "data", "find": "finding", "install": "finding", "list_tools": "finding"}


def __getattr__(name: str) -> Any:
    # On first use: most commands run no tool, and what builds them takes a tenth of a `status` to import.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'model')}"), name)
