"""What one run works with: the cluster it reaches, its tools, its catalogue, its charts.

Everything is made on first use, so that a command pays only for what it needs: a run that changes
nothing starts no helm, ``validate`` without a cluster opens no connection.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkrig.catalog.sources import SourceTexts
from sparkrig.clusters import connect, ensure, parse_target
from sparkrig.errors import InvalidInput, Refused
from sparkrig.models.chart import Chart
from sparkrig.models.cluster import ClusterFacts, ClusterHandle
from sparkrig.models.component import Component, ReadinessRule, RunningRule
from sparkrig.models.objects import Judgement, ObjectRef
from sparkrig.models.problem import Commands, Problem, Severity
from sparkrig.models.release import Overrides, ReleaseState, ResolvedStack
from sparkrig.models.state import ObservedState
from sparkrig.tools import cache_dir, data_dir

# What only some commands need is imported where it is used: `status` renders nothing and starts no helm.
if TYPE_CHECKING:
    from sparkrig.apply.crds.review import CrdReview
    from sparkrig.apply.waiting import Waiter
    from sparkrig.catalog.catalog import Catalog
    from sparkrig.helm.charts.archive import ChartFiles
    from sparkrig.helm.charts.sources import ChartStore
    from sparkrig.helm.client import HelmClient
    from sparkrig.history.store import History
    from sparkrig.kube.client import KubeApi
    from sparkrig.kube.watch import ObjectWatch
    from sparkrig.stack.file import StackFile
    from sparkrig.stack.lint.chart_values import ChartLike
    from sparkrig.stack.lockfile import ChartLock
    from sparkrig.stack.secrets.sources import ChartSource
    from sparkrig.tools import Tool

Progress = Callable[[str], None]

HELM_KEEPS_ALL = 0
"""Helm prunes nothing: history.pruning decides, by what our own revisions may return to."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for, the same for every command."""

    stack_file: Path = Path("stack.yaml")
    target: str | None = None
    """``context[:NAME]``, ``kind[:NAME]`` or ``sim[:NAME]``; None for the current context."""
    catalogs: tuple[Path, ...] = ()
    chart_mirror: tuple[Path, ...] = ()
    stand_ins: Path | None = None
    commands: Commands = Commands.OWN
    """Whose commands may run to obtain the credentials of chart sources."""
    create: bool = False
    """Make the cluster where the provider can and it is not there (``up``)."""
    overrides: Overrides = field(default_factory=Overrides)
    install_tools: bool = True
    """Fetch or build a tool that is not on this machine. A command that only checks or explains does not."""


class Session:
    """One run. Use as a context manager: it ends watches and removes private files."""

    def __init__(self, request: Request, *, on_progress: Progress = lambda _message: None) -> None:
        self.request = request
        self.sources = SourceTexts()
        self._on_progress = on_progress
        self._watch: ObjectWatch | None = None
        self._helm: HelmClient | None = None
        self._api: KubeApi | None = None
        self._contents: dict[Path, ChartFiles] = {}

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        if self._watch is not None:
            self._watch.close()
        for helm in (self._helm, self.__dict__.get("offline_helm")):
            if helm is not None:
                helm.close()
        if self._api is not None:
            self._api.close()
        if "charts" in self.__dict__:
            self.charts.close()

    @functools.cached_property
    def handle(self) -> ClusterHandle:
        """The cluster that ``--on`` names."""
        target = parse_target(self.request.target)
        return ensure(target, on_progress=self._on_progress) if self.request.create else connect(target)

    @property
    def api(self) -> KubeApi:
        """The connection to it."""
        if self._api is None:
            from sparkrig.kube.client import KubeApi

            self._api = KubeApi(self.handle)
        return self._api

    @property
    def watch(self) -> ObjectWatch:
        """Shared watches on its objects."""
        if self._watch is None:
            from sparkrig.kube.watch import ObjectWatch

            self._watch = ObjectWatch(self.api)
        return self._watch

    @property
    def waiter(self) -> Waiter:
        """Judges objects as the watches see them."""
        from sparkrig.apply.waiting import Waiter

        return Waiter(self.api, self.watch)

    @functools.cached_property
    def crd_review(self) -> CrdReview:
        """Looks at what plans do to CRDs."""
        from sparkrig.apply.crds.review import CrdReview

        return CrdReview(self.api)

    @property
    def helm(self) -> HelmClient:
        """Helm against that cluster; a missing helm is built when the first process is needed."""
        if self._helm is None:
            from sparkrig.helm.client import HelmClient

            self._helm = HelmClient(
                lambda: self.helm_tool.path, self.handle, HELM_KEEPS_ALL, cache=cache_dir() / "helm"
            )
        return self._helm

    @functools.cached_property
    def offline_helm(self) -> HelmClient:
        """Helm for rendering, without a cluster."""
        from sparkrig.helm.client import HelmClient

        return HelmClient(lambda: self.helm_tool.path, None, cache=cache_dir() / "helm")

    @functools.cached_property
    def helm_tool(self) -> Tool:
        """Found once for both clients: a helm that is not from our cache is asked for its version each time."""
        from sparkrig.tools import find

        return find("helm", on_progress=self._on_progress, install=self.request.install_tools)

    def values_schema(self, component: str) -> Mapping[str, Any] | None:
        """The schema of a component's values in the catalogue; None where there is none, or no such component."""
        files = self.catalog.files.get(component)
        return files.schema if files is not None and isinstance(files.schema, Mapping) else None

    @functools.cached_property
    def catalog(self) -> Catalog:
        """The shipped components, and those of ``--catalog`` over them."""
        from sparkrig.catalog.load import load_catalog

        return load_catalog((data_dir("charts"), *self.request.catalogs), self.sources)

    @functools.cached_property
    def stack_file(self) -> StackFile:
        """The stack file, parsed and checked for its own form."""
        from sparkrig.stack.file import load_stack_file

        return load_stack_file(self.request.stack_file, self.sources)

    def stack_name(self, given: str | None) -> str:
        """The stack's name: the one given, else that of the stack file.

        Raises:
            InvalidInput: the stack file names none; with all of its problems.
        """
        if given:
            return given
        if not self.stack_file.named:
            raise InvalidInput(self.stack_file.problems)
        return self.stack_file.name

    @functools.cached_property
    def facts(self) -> ClusterFacts:
        """What the cluster is."""
        from sparkrig.clusters.facts.read import read_facts

        return read_facts(self.api, self.handle, [rule for c in self.catalog.components.values() for rule in c.detect])

    @functools.cached_property
    def charts(self) -> ChartStore:
        """Where charts come from."""
        from sparkrig.helm.charts.sources import ChartStore
        from sparkrig.secrets.chart_sources import SourceBook

        return ChartStore(
            cache_dir() / "charts",
            mirror=self.request.chart_mirror,
            stand_ins=self.request.stand_ins,
            helm=self.offline_helm,
            access=SourceBook(self._chart_sources, self.request.commands),
        )

    def _chart_sources(self) -> tuple[ChartSource, ...]:
        """Private chart sources: of the stack file, then of the user."""
        from sparkrig.secrets.chart_sources import user_file
        from sparkrig.stack.secrets.sources import chart_sources, load_user_sources

        file = self.stack_file
        return (*chart_sources(file.document, file.path.parent), *load_user_sources(user_file(), self.sources))

    def history(self, stack: str) -> History:
        """The recorded revisions of a stack."""
        from sparkrig.history.store import History

        return History(self.api, stack)

    def check(self) -> None:
        """Everything about the input that needs neither charts nor a cluster, before either is asked.

        Raises:
            InvalidInput: with every problem of the catalogue and of the stack file together.
        """
        from sparkrig.stack.lint.checks import joined
        from sparkrig.stack.resolve import in_order, prepare, written_problems

        problems: list[Problem] = []
        for load in (lambda: self.catalog, lambda: self.stack_file):
            try:
                load()
            except InvalidInput as error:
                problems += error.problems
        if problems:
            raise InvalidInput(problems)
        # Facts decide what is on and what is derived; what they cannot change is checked without them.
        prepared = prepare(
            self.stack_file, self.catalog, ClusterFacts(), overrides=self.request.overrides, sources=self.sources
        )
        written = written_problems(self.catalog, prepared, self.contents, self.sources)
        problems = in_order(joined(prepared.problems, written))
        if any(problem.severity is Severity.ERROR for problem in problems):
            raise InvalidInput(problems)

    def resolve(
        self,
        facts: ClusterFacts,
        charts: Callable[[Component], Chart],
        installed: frozenset[str] = frozenset(),
    ) -> ResolvedStack:
        """Stack file, catalogue and facts brought together.

        Raises:
            InvalidInput: with every problem of the input.
        """
        from sparkrig.stack.resolve import resolve

        return resolve(
            self.stack_file,
            self.catalog,
            facts,
            charts,
            overrides=self.request.overrides,
            installed=installed,
            sources=self.sources,
            contents=self.contents,
        )

    def contents(self, component: Component) -> ChartLike | None:
        """The files of a component's chart where it is on this machine; a stand-in says nothing about values."""
        try:
            locked = self.lock.charts.get(component.name) if self.lock is not None else None
        except InvalidInput:  # said where the lock is used
            locked = None
        chart = self.charts.at_hand(component.chart, digest=locked.digest if locked is not None else None)
        if chart is None or chart.stand_in:
            return None
        if chart.path not in self._contents:
            from sparkrig.helm.charts.archive import read_chart

            self._contents[chart.path] = read_chart(chart.path)
        return self._contents[chart.path]

    @functools.cached_property
    def lock(self) -> ChartLock | None:
        """The charts that the stack is locked to, where it is."""
        from sparkrig.stack.lockfile import load_lock, lock_path

        path = lock_path(self.request.stack_file, stand_ins=self.request.stand_ins is not None)
        return load_lock(path, self.sources)

    def with_fingerprints(self, resolved: ResolvedStack, observed: ObservedState) -> ResolvedStack:
        """The stack with what its Secrets hold now; values are read, hashed and forgotten.

        Raises:
            InvalidInput: with every value that cannot be had.
            Refused: a Secret of somebody else is where the stack wants its own.
        """
        if not resolved.secrets:
            return resolved
        from sparkrig.plan.secrets import fingerprinted
        from sparkrig.secrets.cluster import SecretBook, lacking

        problems = lacking(secret.spec for secret in resolved.secrets)
        if problems:
            raise InvalidInput(problems, "secrets cannot be read")
        book = SecretBook(resolved.name, self.api)
        book.refuse_foreign(resolved.secrets, observed.secrets)
        return fingerprinted(resolved, book.fingerprints(secret.spec for secret in resolved.secrets))

    def chart(self, component: Component) -> Chart:
        """Fetches a component's chart: exactly the locked one, where there is a lock."""
        from sparkrig.stack.lockfile import fetch_locked

        entry = self.stack_file.components.get(component.name)
        asked = self.stack_file.place("components", component.name, "version") if entry and entry.version else None
        return fetch_locked(self.lock, component, lambda ref, digest: self.charts.fetch(ref, digest=digest), asked)

    def rules(self, component: str) -> tuple[ReadinessRule, ...]:
        """The readiness rules of a component; none for one that left the catalogue."""
        known: Component | None = self.catalog.components.get(component)
        return known.readiness if known else ()

    def running_rules(self, component: str) -> tuple[RunningRule, ...]:
        """The rules of a component for custom resources at work; none for one that left the catalog."""
        known: Component | None = self.catalog.components.get(component)
        return known.running if known else ()

    def observe(self, stack: str) -> ObservedState:
        """What the cluster holds of a stack; four reads at once, then the live objects.

        Raises:
            ClusterUnreachable, AccessDenied: nothing could be read.
        """
        from sparkrig.commands.liveness import with_live
        from sparkrig.helm.storage.releases import list_releases
        from sparkrig.secrets.cluster import SecretBook

        self.api.version()  # one first contact, so that an unreachable server is waited for once
        with ThreadPoolExecutor(4) as pool:
            releases = pool.submit(list_releases, self.api)
            newest = pool.submit(self.history(stack).newest)
            namespaces = pool.submit(self._namespaces)
            secrets = pool.submit(SecretBook(stack, self.api).there)
            last, pending, _ = newest.result()
            states = last.after if last else ()
            observed = ObservedState(releases.result(), last, pending, namespaces.result(), secrets=secrets.result())
            if pending is not None:
                from sparkrig.history.lock import at_work

                observed = replace(observed, at_work=at_work(self.api, stack))
            if not any(state.crds for state in states):
                return with_live(self, observed)
            from sparkrig.apply.crds.drift import crd_drift, read_crds

            crds = pool.submit(read_crds, self.api)
            observed = with_live(self, observed)
            return replace(observed, crd_drift=crd_drift(self.api, states, crds.result()))

    def _namespaces(self) -> dict[str, dict[str, str]]:
        items: list[dict[str, Any]] = self.api.list("/api/v1/namespaces", metadata_only=True)
        return {item["metadata"]["name"]: item["metadata"].get("labels") or {} for item in items}

    def judge(self, state: ReleaseState) -> dict[ObjectRef, Judgement]:
        """The readiness of each object of a recorded release."""
        return self.waiter.judge_all(state.inventory, self.rules(state.component))

    def refuse_stand_ins(self) -> None:
        """Stand-ins are for test clusters only.

        Raises:
            Refused: the cluster is neither of provider sim nor marked as a test cluster.
        """
        if self.request.stand_ins and self.handle.provider != "sim" and not self.facts.test_cluster:
            raise Refused(
                f"--stand-ins {self.request.stand_ins} refused: {self.handle.name} is not marked as a test cluster",
                hint="leave --stand-ins out; or, if it really is for tests: sparkrig cluster mark --test",
            )
