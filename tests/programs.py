"""Go programs that only tests need: built from the folders that pin them, kept in the cache of tools."""

from __future__ import annotations

import shutil
from pathlib import Path

from sparkrig import tools
from sparkrig.tools import Progress, ToolSettings
from sparkrig.tools.model import quiet


def go_program(folder: Path, binary: str, on_progress: Progress = quiet) -> Path:
    """Return a binary of a folder with tool.yaml and go.mod (docs/tools.md), built where the cache lacks it.

    Only the cache and the build count: a program of the machine need not run in an image that has nothing else.

    Raises:
        ToolError: it cannot be built.
    """
    environment = ToolSettings.from_environment()
    go = {key: value for key, value in environment.explicit.items() if key == "SPARKRIG_GO"}
    found = shutil.which("go")
    if found and not go:
        go = {"SPARKRIG_GO": Path(found)}
    settings = ToolSettings(environment.cache_dir, folder.parent, go, "")
    return tools.find(binary, settings=settings, on_progress=on_progress).path
