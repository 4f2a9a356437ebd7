"""What a check has to work with, and the four ways in which it can end other than well.

A kind of check is a function that takes a ``Context`` and returns one sentence about what it found. It raises

- ``NotYet`` for an answer that is not good, and may become good: it is asked again while there is time;
- ``Wrong`` for one that asking again will not mend;
- ``NotApplicable`` where there is nothing to ask here.
"""

from __future__ import annotations

import contextlib
import enum
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from sparkrig.defaults import CHECK_REQUEST_S
from sparkrig.kube.client import KubeApi
from sparkrig.kube.watch import ObjectWatch
from sparkrig.models.cluster import ClusterFacts
from sparkrig.models.component import CheckSpec, NodeStateRule, ReadinessRule
from sparkrig.models.json import JsonObject
from sparkrig.models.release import ReleaseState

T = TypeVar("T")
REAL_PODS: Final = "real-pods"
FIRST_PAUSE_S: Final = 0.3
LONGEST_PAUSE_S: Final = 5.0


class NotYet(Exception):
    """The answer is not good; it may become so."""


class Wrong(Exception):
    """The answer is not good, and asking again will not mend it."""


class NotApplicable(Exception):
    """There is nothing to ask: the reason."""


class Cancelled(Exception):
    """The run is being ended."""


class Closable(Protocol):
    """Something that ends a wait when it is closed."""

    def close(self) -> None:
        """End it."""


class Depth(enum.IntEnum):
    """What a check costs."""

    FAST = 0
    """Reads objects."""
    NORMAL = 1
    """Sends requests to pods, or dry-runs to the API server."""
    DEEP = 2
    """Makes objects and waits for what comes of them."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One component of the stack, as it is deployed, and what is asked about it."""

    component: str
    state: ReleaseState
    checks: tuple[CheckSpec, ...] = ()
    rules: tuple[ReadinessRule, ...] = ()
    provides: tuple[str, ...] = ()
    node_states: tuple[NodeStateRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster that is asked."""

    api: KubeApi
    watch: ObjectWatch
    facts: ClusterFacts
    stack: str
    subjects: tuple[Subject, ...]
    """Every component of the stack, also those that are not asked about."""


@dataclass(slots=True)
class Context:
    """One check at work. ``parameters`` are expanded: no ``${…}`` is left in them."""

    cluster: Cluster
    subject: Subject
    spec: CheckSpec
    parameters: JsonObject
    deadline: float
    """On the monotonic clock."""
    cancelled: threading.Event
    name: str = ""
    """For an object that the check makes; no other run uses it. ``${name}`` in the parameters."""
    gate: bool = False
    """Asked after a change, as long as it takes; otherwise whether what is deployed is well at this moment."""
    say: Callable[[str], None] = lambda _message: None
    """Takes what the check waits for."""
    memory: dict[str, float] = field(default_factory=dict)
    """What a check remembers from one time it is asked to the next: points on the monotonic clock."""
    _open: list[Closable] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def api(self) -> KubeApi:
        """The connection to the cluster."""
        return self.cluster.api

    @property
    def namespace(self) -> str:
        """Where the check works: what it says, else the release's namespace."""
        return str(self.parameters.get("namespace") or self.subject.state.namespace)

    def left_s(self, longest: float = float("inf")) -> float:
        """Seconds until the deadline, at most ``longest``.

        Raises:
            NotYet: none are left.
            Cancelled: the run is being ended.
        """
        if self.cancelled.is_set():
            raise Cancelled
        left = min(self.deadline - time.monotonic(), longest)
        if left <= 0:
            raise NotYet("no answer in time")
        return left

    @property
    def request_s(self) -> float:
        """How long one request may take."""
        return self.left_s(CHECK_REQUEST_S)

    def pause(self, seconds: float) -> None:
        """Wait, at most until the deadline. Raises Cancelled when the run is being ended."""
        if self.cancelled.wait(max(0.0, min(seconds, self.deadline - time.monotonic()))):
            raise Cancelled

    def until_value(self, look: Callable[[], T | None], every_s: float = 0.5) -> T:
        """Call ``look`` until it returns something.

        Raises:
            NotYet: the time is over; ``look`` itself says more by raising NotYet, of which the last is remembered.
        """
        while True:
            last = NotYet("no answer in time")
            try:
                found = look()
            except NotYet as error:
                found, last = None, error
            if found is not None:
                return found
            if time.monotonic() >= self.deadline:
                raise last
            self.pause(every_s)

    @contextmanager
    def closing(self, thing: Closable) -> Iterator[None]:
        """Close ``thing`` at the end, or as soon as the run is being ended."""
        with self._lock:
            self._open.append(thing)
        try:
            if self.cancelled.is_set():
                raise Cancelled
            yield
        finally:
            with self._lock:
                self._open.remove(thing)
            thing.close()

    def interrupt(self) -> None:
        """End every wait for an answer; called from another thread."""
        with self._lock:
            things = list(self._open)
        for thing in things:
            with contextlib.suppress(OSError):
                thing.close()


Ask = Callable[[Context], str]


def no_needs(_parameters: JsonObject) -> Sequence[str]:
    """For a kind that any cluster can answer."""
    return ()


def needs_real_pods(_parameters: JsonObject) -> Sequence[str]:
    """For a kind whose answer comes from a pod: on a simulated cluster it would come from a script."""
    return (REAL_PODS,)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of check."""

    ask: Ask
    depth: Depth
    needs: Callable[[JsonObject], Sequence[str]] = needs_real_pods
    """What this kind needs whatever ``component.yaml`` says, from its parameters."""
    once: bool = False
    """True where asking again would make objects again; the function waits for itself."""
