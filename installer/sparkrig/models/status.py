"""The status of a stack and of its components."""

from __future__ import annotations

from dataclasses import dataclass

from sparkrig.models.objects import ObjectRef
from sparkrig.models.release import ReleaseState
from sparkrig.models.revision import RevisionStatus


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """One line of ``sparkrig status``."""

    component: str
    version: str
    stand_in: bool
    ready: int
    total: int
    """Objects that can be judged, missing ones included; ``not_judged`` ones are not among them."""
    missing: tuple[ObjectRef, ...]
    problems: tuple[str, ...]
    """Each one or more lines; a line that begins with ``next:`` says what to do."""
    url: str | None = None
    helm_revision: int = 0
    not_judged: int = 0
    namespace: str = ""
    notes: tuple[str, ...] = ()
    """What is worth knowing and no problem: optional objects that are not ready."""
    changed: str | None = None
    """RFC 3339 time of the release's newest Helm revision."""
    drift: int | None = None
    """Fields of live objects that are not as they were recorded; None where nobody looked."""


@dataclass(frozen=True, slots=True)
class StackStatus:
    """What ``sparkrig status`` says of a stack: the newest recorded revision, and what is live."""

    stack: str
    cluster: str
    kubernetes: str | None = None
    revision: int = 0
    """0 when no revision is recorded."""
    status: str = ""
    """A ``RevisionStatus``; empty when no revision is recorded."""
    interrupted: bool = False
    """Whether it failed because somebody ended the run."""
    when: str | None = None
    """RFC 3339 time at which the revision finished, or began when it never finished."""
    who: str = ""
    message: str = ""
    simulated: bool = False
    components: tuple[ComponentStatus, ...] = ()
    kept: tuple[ReleaseState, ...] = ()
    """Releases that the stack gave up and left in place."""
    reused: tuple[str, ...] = ()
    """Components in whose place an installation of somebody else serves."""
    gpus_allocated: int | None = None
    gpus_allocatable: int | None = None
    gpu_nodes: int | None = None
    problems: tuple[str, ...] = ()
    """What is wrong with the stack as a whole; lines as in ``ComponentStatus.problems``."""
    at_work: str | None = None
    """Whose run makes the pending revision; empty where its run is no more, None where that is not known."""

    @property
    def ok(self) -> bool:
        """True when something is deployed, all of it that can be judged is ready, and nothing is wrong."""
        return (
            self.status in (RevisionStatus.DEPLOYED, RevisionStatus.ROLLED_BACK)
            and not self.problems
            and all(c.ready == c.total and not c.missing and not c.problems for c in self.components)
        )
