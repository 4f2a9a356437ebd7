"""The log of one run: helm processes, requests, retries, decisions, checks, and how the run ended. A leaf module.

Off, and then free of cost, until ``begin`` is called: ``--help`` and the shell's completion keep no log, and do not
import ``logging``. Callers hand over an event and its fields; ``logfile`` redacts secrets and writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

    from sparkrig.logfile import Log

DEBUG: Final = 10
INFO: Final = 20
ERROR: Final = 40
"""The numbers of ``logging``, which is not imported here."""
OFF: Final = 1000
"""Above every level."""
COVER: Final = "***"
"""Shown instead of a secret."""

_run: Log | None = None
_least = OFF


def begin(run: Log) -> None:
    """Keep this log from now on."""
    global _run, _least
    end()
    _run, _least = run, run.least


def end() -> None:
    """Close the log."""
    global _run, _least
    run, _run, _least = _run, None, OFF
    if run is not None:
        run.close()


def path() -> Path | None:
    """The file that this run's log is in; None where there is none, or it could not be written."""
    file = _run.file if _run is not None else None
    return file.path if file is not None and not file.broken else None


def write(level: int, event: str, **fields: Any) -> None:
    """Keep a record. Cheap where nobody wants its level."""
    if level >= _least and (run := _run) is not None:
        run.write(level, event, fields)


def debug(event: str, **fields: Any) -> None:
    """Keep a record of what helps only whoever looks for a fault in sparkrig or the cluster."""
    write(DEBUG, event, **fields)


def info(event: str, **fields: Any) -> None:
    """Keep a record of something that the run did or decided."""
    write(INFO, event, **fields)


def once(event: str, **fields: Any) -> None:
    """Keep a record unless this run has the very same one already: a plan is made again under the lock."""
    if _least <= INFO and (run := _run) is not None:
        run.write(INFO, event, fields, once=True)


def error(event: str, **fields: Any) -> None:
    """Keep a record of a failure."""
    write(ERROR, event, **fields)


def bug(found: BaseException, where: str = "") -> None:
    """Keep an exception that nothing expected, with its traceback."""
    if (run := _run) is not None:
        run.write(ERROR, "bug", {"where": where, "error": named(found), "traceback": run.trace(found)})


def named(found: BaseException) -> str:
    """The exception's type and message."""
    try:
        return f"{type(found).__name__}: {found}".removesuffix(": ")
    except Exception:  # its own text is broken
        return type(found).__name__
