"""Problems of an input, with their places."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Commands(enum.StrEnum):
    """Whose commands (``fromCommand``) may run to obtain a user name or password.

    A stack file comes with a repository: whoever proposes a change to it must not be able to run a program on the
    machine that checks the change.
    """

    NONE = "none"
    OWN = "own"
    """Those of the user's own configuration file only."""
    ALL = "all"


class Severity(enum.StrEnum):
    """How bad a problem is: an error stops the run, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a text file. ``line`` and ``column`` count from 1, columns in characters."""

    file: str
    line: int
    column: int
    length: int = 1
    """How many characters the caret line underlines."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the input. All problems are collected and shown together."""

    severity: Severity
    code: str
    """Stable kebab-case identifier, e.g. ``unknown-key``; documented in docs/problems.md."""
    message: str
    """One sentence: what was found and what was expected."""
    position: Position | None = None
    where: str | None = None
    """Where, if the place is not in a file, e.g. ``--set web.replicas``."""
    label: str | None = None
    """Short text behind the carets, e.g. ``did you mean 'replicas'?``."""
    hint: str | None = None
    """What to do next, or what the key means."""
