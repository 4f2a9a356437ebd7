"""The binaries sparkrig runs: finding, checking, fetching and building them."""

from sparkrig.tools.data import data_dir
from sparkrig.tools.finding import find, install, list_tools
from sparkrig.tools.model import Origin, Progress, Tool, ToolSettings, ToolStatus, cache_dir

__all__ = [
    "Origin",
    "Progress",
    "Tool",
    "ToolSettings",
    "ToolStatus",
    "cache_dir",
    "data_dir",
    "find",
    "install",
    "list_tools",
]
