"""Where the records of ``log`` go: a file, stderr, as text or as JSON; and which files are kept. A leaf module.

Secrets are redacted here, once for all places that a record goes to; which texts are secret is for the caller to say.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import os
import re
import shlex
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sparkrig.log import COVER, DEBUG, INFO, OFF

KEPT: Final = 20
"""Logs of each kind of command that stay in the folder; see ``prune``."""
CLEAR: Final = "\r\x1b[K"
"""Erases what a line of progress left on the terminal's current line; the next progress redraws it."""
_NAME: Final = re.compile(r"\d{8}T\d{6}Z-(?P<command>[a-z][a-z-]*)-\d+\.(?:log|jsonl)")
"""Names that ``file_name`` makes: nothing else in the folder is ever deleted."""
_BARE: Final = re.compile(r"[^\s\"'=]+")
"""A value that needs no quotes in the text form."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run keeps of itself, and where."""

    file: Path | None = None
    """The file to write; None for none."""
    append: bool = False
    """Add to the file. What it has from other runs stays, and so do its permissions."""
    stderr: int = OFF
    """The least level that is shown on stderr."""
    as_json: bool = False
    cover: Callable[[str], str] = str
    """Redacts a text by the names in it, such as ``password: x``."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Texts that are redacted wherever they are."""

    def clean(self, value: Any, *, plain: bool = False) -> Any:
        """A value with its secrets covered; ``plain`` for a text whose names say nothing of secrets."""
        if isinstance(value, float):
            return round(value, 3)
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, list | tuple):
            return [self.clean(item, plain=plain) for item in value]
        text = str(value)
        for secret in self.secrets:
            text = text.replace(secret, COVER)
        # Names of secrets are followed by one of these; without them there is nothing to look for.
        return self.cover(text) if not plain and (":" in text or "=" in text) else text


class Log:
    """The open log of a run."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self.file: _File | None = None
        self.failure = ""
        self._logger = logging.Logger("sparkrig", DEBUG)  # in no hierarchy: other libraries' settings do not reach it
        self._once: set[str] = set()
        self._lock = threading.Lock()
        self.least = wanted.stderr
        verbose = wanted.stderr <= DEBUG
        if wanted.stderr < OFF:
            form = _Json() if wanted.as_json else _Text(dated=False, traces=verbose)
            self._add(_Stderr(), form, wanted.stderr)
        if wanted.file is not None:
            try:
                self.file = _File(wanted.file, append=wanted.append)
            except OSError as error:
                self.failure = error.strerror or str(error)
            else:
                least = DEBUG if verbose else INFO
                self.least = min(self.least, least)
                self._add(self.file, _Json() if wanted.as_json else _Text(), least)

    def _add(self, sink: _File | _Stderr, form: logging.Formatter, least: int) -> None:
        handler = _Handler(sink)
        handler.setLevel(least)
        handler.setFormatter(form)
        self._logger.addHandler(handler)

    def write(self, level: int, event: str, fields: Mapping[str, Any], *, once: bool = False) -> None:
        """Keep a record; with ``once`` unless the very same one is kept already."""
        kept = {name: self._wanted.clean(value, plain=name == "traceback") for name, value in fields.items()}
        if once:
            key = f"{event} {kept}"
            with self._lock:
                if key in self._once:
                    return
                self._once.add(key)
        self._logger.log(level, event, extra={"fields": kept})

    def trace(self, found: BaseException) -> str:
        """The traceback with its messages redacted; lines of source code stay, for they hold names and no values."""
        chunks = traceback.TracebackException.from_exception(found).format()
        clean = self._wanted.clean
        return "".join(chunk if chunk.startswith('  File "') else f"{clean(chunk.rstrip())}\n" for chunk in chunks)

    def close(self) -> None:
        """Close the file."""
        if self.file is not None:
            self.file.close()


def file_name(command: str, *, as_json: bool) -> str:
    """The name of a run's file: sorted by name they are sorted by age."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{stamp}-{command.replace(' ', '-')}-{os.getpid()}.{'jsonl' if as_json else 'log'}"


def prune(folder: Path, first: Collection[str], *, kept: int = KEPT) -> None:
    """Delete all but the newest logs: so many of the commands in ``first``, and as many of all others.

    Two kinds, because somebody who asks for the status every minute still wants the log of the upgrade that failed.
    """
    logs: dict[str, list[Path]] = {"first": [], "others": []}
    with contextlib.suppress(OSError):
        for file in sorted(folder.iterdir(), reverse=True):
            if found := _NAME.fullmatch(file.name):
                logs["first" if found["command"] in first else "others"].append(file)
    for old in (*logs["first"][kept:], *logs["others"][kept:]):
        with contextlib.suppress(OSError):
            old.unlink(missing_ok=True)


# --------------------------------------------------------------------------- forms and sinks


class _Handler(logging.StreamHandler[Any]):
    """A log is no reason to fail, nor to print the traceback that ``logging`` prints of its own failures."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Goes on."""
        del record


def _when(record: logging.LogRecord) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(record.created, datetime.UTC)


class _Json(logging.Formatter):
    """One JSON object a line. ASCII, so that it is whole on a stream of any encoding."""

    def format(self, record: logging.LogRecord) -> str:
        time = _when(record).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = {"time": time, "level": record.levelname.lower(), "event": record.msg}
        return json.dumps({**head, **vars(record)["fields"]})


class _Text(logging.Formatter):
    """``TIME LEVEL EVENT name=value ...``; a traceback on lines of its own."""

    def __init__(self, *, dated: bool = True, traces: bool = True) -> None:
        super().__init__()
        self._traces = traces
        self._time = "%Y-%m-%dT%H:%M:%S" if dated else "%H:%M:%S"

    def format(self, record: logging.LogRecord) -> str:
        when = _when(record)
        fields = dict(vars(record)["fields"])
        told = str(fields.pop("traceback", "")).splitlines() if self._traces else ()
        fields.pop("traceback", None)
        words = [f"{name}={_shown(value)}" for name, value in fields.items() if value not in ("", None, [])]
        time = f"{when.strftime(self._time)}.{when.microsecond // 1000:03}Z"
        line = " ".join((time, f"{record.levelname.lower():5}", record.msg, *words))
        return "\n".join((line, *(f"    {_printable(text)}" for text in told)))


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return _shown(shlex.join(map(str, value)))
    text = value if isinstance(value, str) else json.dumps(value)
    plain = text.isprintable()
    return text if plain and _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=not plain)


def _printable(text: str) -> str:
    """A line that cannot move a cursor."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


class _File:
    """A file that its owner alone may read; what cannot be written is given up for good."""

    def __init__(self, path: Path, *, append: bool) -> None:
        if not append:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = 0o666 if append else 0o600
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, mode)
        self._stream = os.fdopen(number, "a", encoding="utf-8", errors="backslashreplace")
        self.path = path
        self.broken = False

    def write(self, text: str) -> None:
        self._safely(lambda: self._stream.write(text))

    def flush(self) -> None:
        self._safely(self._stream.flush)

    def close(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # what it still holds cannot be written either
            self._stream.close()

    def _safely(self, work: Callable[[], object]) -> None:
        if self.broken:
            return
        try:
            work()
        except (OSError, ValueError):
            self.broken = True


class _Stderr:
    """The stream of that name at the moment of writing: the live display puts its own there, to print above itself."""

    def write(self, text: str) -> None:
        stream = sys.stderr
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.write(f"{CLEAR}{text}" if stream.isatty() else text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()
