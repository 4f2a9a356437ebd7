"""Releases that the stack wants and cannot have now: somebody else's, and those that a helm is at work on."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping

from sparkrig.defaults import HELM_TIMEOUT_S
from sparkrig.helm.storage.recovery import presumed_dead
from sparkrig.models.release import ObservedRelease, ResolvedStack
from sparkrig.models.state import ObservedState
from sparkrig.plan.build import foreign_claims
from sparkrig.plan.decide import PENDING
from sparkrig.preflight.finding import Finding, fail

WAIT = "wait for it to end; if it is dead, sparkrig takes over six minutes after it began"


def helms_at_work(
    stack: str, observed: ObservedState, now: datetime.datetime | None = None
) -> dict[tuple[str, str], ObservedRelease]:
    """Pending releases whose helm may be alive; it is taken for dead only where that is certain.

    Our own helms end with the run that started them, and that run's record is either unfinished or
    newer than the release. Anything else is a person's helm, alive until its deadline has passed.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    ended = (observed.last.finished if observed.last else None) or ""
    found = {}
    for key, release in observed.releases.items():
        if release.status not in PENDING or release.modified is None:
            continue
        if release.stack == stack and (observed.pending is not None or release.modified <= ended):
            continue
        if not presumed_dead(release.modified, HELM_TIMEOUT_S, now):
            found[key] = release
    return found


def at_work_text(release: ObservedRelease) -> str:
    """The sentence about one of them."""
    name = f"{release.namespace}/{release.name}"
    return f"release {name} is {release.status} since {release.modified}: a helm is at work"


def release_findings(
    resolved: ResolvedStack, observed: ObservedState, busy: Mapping[tuple[str, str], ObservedRelease]
) -> Iterator[Finding]:
    """One finding for each release that `up` would refuse to touch."""
    for claim in foreign_claims(resolved, observed):
        whose = f"stack {claim.owner}" if claim.owner else "no stack: a person or another tool installed it"
        yield fail(
            "release",
            claim.component,
            f"release {claim.namespace}/{claim.release}, wanted for {claim.component}, belongs to {whose}",
            "switch the component off in this stack, give it another namespace, or remove that release",
        )
    for desired in resolved.releases:
        if found := busy.get((desired.namespace, desired.release)):
            yield fail("release", desired.component, at_work_text(found), WAIT)
