"""Results of checks."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class CheckStatus(enum.StrEnum):
    """What a check says."""

    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The answer to one check, with its reason."""

    component: str
    name: str
    status: CheckStatus
    message: str
    gate: bool = True
    hint: str = ""
    simulated: bool = False
    seconds: float = 0.0
    kind: str = ""
    expected: bool = False
    """It had to be answered: its needs are met, or it was required. Skipped all the same, it fails the run."""

    @property
    def ok(self) -> bool:
        """False for a failure, and for an expected answer that was not given."""
        return self.status is not CheckStatus.FAIL and not (self.status is CheckStatus.SKIP and self.expected)


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What ``sparkrig verify`` says of a stack."""

    stack: str
    cluster: str
    revision: int
    results: tuple[CheckResult, ...]
    """In the order of the components and of their checks."""
    kubernetes: str | None = None
    simulated: bool = False
    seconds: float = 0.0
    left_out: int = 0
    """Checks that were not asked for, such as deep ones without ``--deep``."""
    swept: tuple[str, ...] = ()
    """What an earlier run that was killed had left in the cluster, and this one removed."""
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        """True when something was asked, and every expected answer is there and good."""
        return bool(self.results) and not self.interrupted and all(result.ok for result in self.results)
