"""Which pending releases a helm may be at work on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.records import desired, observed, release, revision, stack, state

from sparkrig.models.revision import RevisionStatus
from sparkrig.models.state import ObservedState
from sparkrig.preflight.releases import helms_at_work, release_findings

A = desired("a", adopt=True)
NOW = datetime(2026, 1, 1, 0, 10, tzinfo=UTC)
BEGUN = revision(2, status=RevisionStatus.PENDING)


def seen(
    status: str = "pending-upgrade", owner: str | None = None, at: str = "00:09:00", **more: object
) -> ObservedState:
    found = release(A, status=status, stack=owner, modified=f"2026-01-01T{at}Z")
    return replace(observed(found), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("there", "alive"),
    [
        (seen(), True),
        (seen("uninstalling"), True),
        (seen("deployed"), False),
        (seen("failed"), False),
        (seen(at="00:03:00"), False),  # past every deadline
        (seen(pending=BEGUN), True),  # our own run has nothing to do with somebody else's helm
        (seen(last=revision(1)), True),
        (seen(owner="lab", last=revision(1, state(A))), True),  # a person's helm on our release
        (seen(owner="lab", pending=BEGUN), False),  # that of the run which is not recorded yet
        (seen(owner="lab", at="00:00:30", last=revision(1, state(A))), False),  # older than the record
        (seen(owner="other", pending=BEGUN), True),
    ],
)
def test_whose_helm_may_be_alive(there: ObservedState, alive: bool) -> None:
    assert bool(helms_at_work("lab", there, NOW)) is alive


def test_what_up_refuses_is_a_finding() -> None:
    there = seen()
    told = [f.message for f in release_findings(stack(A), there, helms_at_work("lab", there, NOW))]
    assert told == ["release a-ns/a is pending-upgrade since 2026-01-01T00:09:00Z: a helm is at work"]
    foreign = replace(A, adopt=False)
    (first, second) = release_findings(stack(foreign), there, helms_at_work("lab", there, NOW))
    assert "belongs to no stack" in first.message
    assert second.hint
