"""``--timings`` and ``--trace`` of the commands that change a stack."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer


@contextmanager
def timed(timings: bool, trace: Path | None) -> Iterator[None]:
    """Record what happens inside and show it behind everything else, also when it fails.

    Raises:
        typer.BadParameter: the trace file cannot be written; said before anything is done.
    """
    if not timings and trace is None:
        yield
        return
    from sparkrig import timeline
    from sparkrig.cli.prompt import err
    from sparkrig.output.timings import timings_text, trace_json

    if trace is not None:
        _write(trace, "")
    line = timeline.begin()
    started = time.monotonic()
    try:
        yield
    finally:
        timeline.end()
        if trace is not None:
            _write(trace, json.dumps(trace_json(line.spans)))
        if timings:
            err().write(timings_text(line.spans, time.monotonic() - started))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"--trace {path} cannot be written: {error.strerror or error}") from error
