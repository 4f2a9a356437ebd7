"""Builds binaries from the pinned Go module of a folder under tools/."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from sparkrig.defaults import TOOL_BUILD_TIMEOUT_S
from sparkrig.errors import Interrupted
from sparkrig.tools.cache import folder_of, place, workspace
from sparkrig.tools.child import started
from sparkrig.tools.golang import find_go
from sparkrig.tools.model import REPORT_EVERY_S, Progress, StopCheck, Tool, ToolSettings, ToolSpec, Update
from sparkrig.tools.probe import UnfitError, fitting_version

POLL_S = 0.5
LAST_LINES = 5

UNWANTED = frozenset({"GOOS", "GOARCH", "GO111MODULE", "GOROOT", "GOTOOLDIR", "GOEXPERIMENT"})
"""Settings of somebody's shell that would make a binary for another machine or with another toolchain."""


def build(specs: Sequence[ToolSpec], settings: ToolSettings, on_progress: Progress, stop: StopCheck) -> dict[str, Tool]:
    """Build binaries of one folder in one run of go, check their versions and cache them. Call it under the lock.

    The whole output is kept in ``logs/`` of the cache. Go keeps what it compiled in a cache of its own, so that a
    build that was interrupted goes on where it was.

    Raises:
        UnfitError: no Go, or go failed; the text ends with go's last lines and the place of the log.
        Interrupted: ``stop`` said so.
    """
    first = specs[0]
    names = ", ".join(spec.name for spec in specs)
    go = find_go(settings, on_progress, stop)
    log = _log_file(first, settings)
    began = time.monotonic()
    with workspace(first, settings) as folder:
        what = f"{names} {first.version}"
        on_progress(f"{what}: building with {go} (log: {log})")
        _run_go(_command(go, specs, folder), first.folder, log, what, on_progress, stop)
        seconds = time.monotonic() - began
        versions = {spec.name: fitting_version(spec, folder / spec.name) for spec in specs}
        wrong = [f"{n} says {v}" for n, v in versions.items() if v != first.version]
        if wrong:
            raise UnfitError(
                f"built for {first.version}, but {', '.join(wrong)}: the ldflags in {first.folder} are wrong"
            )
        tools = {s.name: place(s, folder / s.name, versions[s.name], "build", seconds, settings) for s in specs}
    on_progress(f"{what}: built in {seconds:.0f} s")
    return tools


def go_environment(base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for go: the user's (proxy, caches), without what would change the result."""
    kept = {key: value for key, value in base.items() if key not in UNWANTED}
    return {**kept, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"}


def _command(go: Path, specs: Sequence[ToolSpec], folder: Path) -> list[str]:
    # go names the files itself when there are several packages; one may have a name of our choice.
    output = str(folder / specs[0].name) if len(specs) == 1 else f"{folder}{os.sep}"
    flags = ["-v", "-trimpath", "-buildvcs=false", "-ldflags", specs[0].ldflags, "-o", output]
    if specs[0].tags:
        flags += ["-tags", specs[0].tags]
    return [str(go), "build", *flags, *(spec.package for spec in specs)]


def _log_file(spec: ToolSpec, settings: ToolSettings) -> Path:
    logs = settings.cache_dir / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    return logs / f"{spec.folder.name}-{spec.group}-{folder_of(spec, settings).name}.log"


def _run_go(command: Sequence[str], where: Path, log: Path, what: str, on_progress: Progress, stop: StopCheck) -> None:
    with log.open("wb") as file:
        environment = go_environment(os.environ)
        with started(command, cwd=where, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            assert process.stderr is not None  # noqa: S101 - for the type checker; stderr is a pipe
            _follow(process.stderr, file, what, on_progress, stop)
            code = process.wait()
    if code:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        raise UnfitError(f"go build failed (exit {code}, log: {log}): " + " | ".join(lines[-LAST_LINES:]))


def _follow(pipe: IO[bytes], log: IO[bytes], what: str, on_progress: Progress, stop: StopCheck) -> None:
    """Copy go's lines to the log until it closes them, and report how far it is."""
    began = reported = time.monotonic()
    fetched = compiled = 0
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if selector.select(POLL_S):
                data = os.read(pipe.fileno(), 1 << 16)
                if not data:
                    return
                log.write(data)
                fetched += data.count(b"go: downloading")
                compiled += data.count(b"\n") - data.count(b"go: downloading")
            now = time.monotonic()
            if stop():
                raise Interrupted(f"stopped building {what}; the next run goes on from what is compiled")
            if now - began > TOOL_BUILD_TIMEOUT_S:
                raise UnfitError(f"go build took longer than {TOOL_BUILD_TIMEOUT_S:.0f} s")
            if now - reported >= REPORT_EVERY_S:
                modules = f"{fetched} modules fetched, " if fetched else ""
                on_progress(Update(f"{what}: building, {modules}{compiled} packages, {now - began:.0f} s"))
                reported = now
