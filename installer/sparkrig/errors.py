"""Every error that a user can see, and its exit code. A leaf module."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the records cost a fifth of `sparkrig --help`
    from sparkrig.models.explanation import Explanation
    from sparkrig.models.problem import Problem


class ExitCode(enum.IntEnum):
    """The exit codes of the ``sparkrig`` command; documented in docs/exit-codes.md."""

    OK = 0
    FAILED = 1
    CHANGES = 2
    INVALID = 3
    REFUSED = 4
    LOCKED = 5
    RESTORED = 6
    NOT_RESTORED = 7
    USAGE = 64
    INTERNAL = 70
    INTERRUPTED = 130


class SparkrigError(Exception):
    """An error with a message for a person: what was expected, what was found, what to do next.

    ``message`` is one or more whole lines; ``hint`` says what to do next; ``detail`` holds further
    lines such as the last output of a tool. The class decides the exit code.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str | None = None, detail: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = tuple(detail)

    @property
    def explanation(self) -> Explanation:
        """The error as a record, for results that outlive it."""
        from sparkrig.models.explanation import Explanation

        return Explanation(self.message, self.detail, self.hint)


class OperationError(SparkrigError):
    """An operation on the cluster, a check or a tool failed."""


class ToolError(SparkrigError):
    """A binary could not be found, fetched, built or run."""


class ToolMissing(ToolError):
    """A binary is not on this machine, and this command fetches and builds none."""


class InvalidInput(SparkrigError):
    """The stack file, values, a component or a chart reference is wrong; carries every problem."""

    exit_code = ExitCode.INVALID

    def __init__(self, problems: Sequence[Problem], message: str = "invalid input") -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class NotFound(SparkrigError):
    """A named thing (context, cluster, chart, version) does not exist."""

    exit_code = ExitCode.INVALID


class Refused(SparkrigError):
    """Preflight refused; nothing was written."""

    exit_code = ExitCode.REFUSED


class ClusterUnreachable(Refused):
    """The API server does not answer."""


class AccessDenied(Refused):
    """The API server answers 401 or 403."""


class Locked(SparkrigError):
    """Another run holds the stack's lock."""

    exit_code = ExitCode.LOCKED


class InternalError(SparkrigError):
    """A bug in sparkrig: an exception that nothing expected."""

    exit_code = ExitCode.INTERNAL


class Interrupted(SparkrigError):
    """The user pressed Ctrl-C or the process was asked to end."""

    exit_code = ExitCode.INTERRUPTED
