"""What the operations of one run share: the clients, and what earlier operations found out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sparkrig.apply.crds.apply import Applied
from sparkrig.apply.turns import Turns
from sparkrig.apply.waiting import Waiter
from sparkrig.defaults import CRDS_AT_ONCE
from sparkrig.helm.client import HelmClient
from sparkrig.history.crds import CrdStore
from sparkrig.kube.client import KubeApi
from sparkrig.models.component import ReadinessRule
from sparkrig.models.release import DesiredRelease, ReleaseState
from sparkrig.secrets.cluster import SecretBook

Say = Callable[[str], None]
"""Called with what an operation does or waits for."""
LetThrough = Callable[[], None]
"""Called where the operations that need this one may start before it has ended."""


@dataclass(slots=True)
class Context:
    """One Helm client, one API connection, one set of watches, and what is known of the run so far."""

    stack: str
    api: KubeApi
    helm: HelmClient
    waiter: Waiter
    rules: Callable[[str], tuple[ReadinessRule, ...]]
    """The readiness rules of a component that is named by a record alone."""
    allow_crd_change: Sequence[str]
    book: SecretBook = field(init=False)
    """The Secrets of the stack. It reads the sources of each Secret once a run."""
    crd_store: CrdStore = field(init=False)
    states: dict[str, ReleaseState] = field(default_factory=dict)
    """Component -> its release as this run left it."""
    uninstalled: set[str] = field(default_factory=set)
    """Components whose release a recovery marked as uninstalled, to be installed again."""
    crds: dict[str, Applied] = field(default_factory=dict)
    """Component -> the CRDs that this run applied."""
    changed_crds: tuple[str, ...] = ()
    """CRDs that existed before and are different now."""
    converted: dict[str, list[str]] = field(default_factory=dict)
    """Component -> its CRDs whose custom resources a webhook converts."""
    crd_turns: Turns = field(default_factory=lambda: Turns(CRDS_AT_ONCE))
    crd_ranks: Iterator[int] = field(default_factory=itertools.count)
    marks: dict[str, str] = field(default_factory=dict)
    """Secret -> keyed hash of its content as this run applied it."""

    def __post_init__(self) -> None:
        self.book = SecretBook(self.stack, self.api)
        self.crd_store = CrdStore(self.api, self.stack)

    def marks_of(self, desired: DesiredRelease) -> dict[str, str]:
        """What the Secrets of a release hold: as this run applied them, else as planned."""
        return {name: self.marks.get(name, mark) for name, mark in desired.secrets.items()}

    def crds_of(self, component: str) -> tuple[str, ...]:
        """The names of the CRDs that this run applied for a component."""
        return self.crds[component].names if component in self.crds else ()
