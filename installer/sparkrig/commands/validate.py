"""``validate``: the whole input, and what it would become, without changing anything.

First everything that can be said of the text and the values; where that is right, the charts are
rendered and each object is held against the API's schemas, and a complaint led back to its value.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import sparkrig
from sparkrig.cache import prune, used
from sparkrig.commands.session import Session
from sparkrig.defaults import WORKERS
from sparkrig.errors import AccessDenied, InvalidInput, SparkrigError, ToolMissing
from sparkrig.helm.errors import HelmError
from sparkrig.models.chart import Chart, ChartOrigin
from sparkrig.models.cluster import ClusterFacts
from sparkrig.models.component import Component
from sparkrig.models.problem import Problem, Severity
from sparkrig.models.release import DesiredRelease, ResolvedStack
from sparkrig.secrets.cluster import lacking
from sparkrig.stack.lint.checks import user_values
from sparkrig.stack.manifests.api import ApiSchemas, load
from sparkrig.stack.resolve import Prepared, prepare
from sparkrig.tools import cache_dir
from sparkrig.yaml.plain import objects

Objects = list[dict[str, Any]]

MAX_RENDERINGS: Final = 24
"""Renderings that one run spends on finding causes; each takes a tenth of a second to one."""
GET_HELM: Final = "`sparkrig tools install helm` makes helm ready, SPARKRIG_HELM names one that is there"
_VALUE_PATH = re.compile(r"\.Values((?:\.[A-Za-z_]\w*)+)")


@dataclass(frozen=True, slots=True)
class Validation:
    """What ``validate`` found."""

    name: str
    components: tuple[str, ...]
    problems: tuple[Problem, ...]
    unseen: tuple[str, ...]
    """What could not be looked at, in a person's words."""
    seconds: float = 0.0
    rendered: int = 0
    """Components whose objects were looked at."""
    without_chart: Mapping[str, str] = field(default_factory=dict)
    """Component -> why its chart is not available, so that its own schema and templates were not checked."""

    without_helm: str = ""
    """Why no chart could be rendered; empty where that was possible or not asked for."""

    @property
    def partial(self) -> bool:
        """True when something of a component's values could not be checked."""
        return bool(self.without_chart or self.without_helm)

    @property
    def ok(self) -> bool:
        """True when no problem is an error."""
        return not any(problem.severity is Severity.ERROR for problem in self.problems)

    def strict(self) -> Validation:
        """The same with every warning, and everything that could not be checked, as an error."""
        found = tuple(replace(problem, severity=Severity.ERROR) for problem in self.problems)
        return replace(self, problems=found).complete()

    def complete(self) -> Validation:
        """The same with everything that could not be checked as an error."""
        found = [*self.problems]
        if self.without_helm:
            message = f"the charts were not rendered: {self.without_helm}"
            found.append(Problem(Severity.ERROR, "not-rendered", message, hint=GET_HELM))
        found += [
            Problem(
                Severity.ERROR,
                "chart-unavailable",
                f"{name}: its chart is not available, so its schema and templates were not checked: {why}",
                hint="fetch the charts first (sparkrig lock), give them with --chart-mirror DIR, or leave --strict out",
            )
            for name, why in self.without_chart.items()
        ]
        return replace(self, problems=tuple(found))


def validate(session: Session, *, render: bool = True, kubernetes: str | None = None) -> Validation:
    """Checks the whole input; with ``--on`` against that cluster's facts, else without one.

    Works without the charts too: what needs one that cannot be had is left out and named.
    ``kubernetes`` is the version to check for, where it is not the cluster's. Raises only what is
    no problem of the input, e.g. an unreachable cluster that was asked for.
    """
    started = time.monotonic()
    unseen: list[str] = []
    without: dict[str, str] = {}

    def chart(component: Component) -> Chart:
        try:
            return session.chart(component)
        except InvalidInput:
            raise  # a lock that does not fit is a mistake, not a chart out of reach
        except SparkrigError as error:
            without[component.name] = error.message
            ref = component.chart
            return Chart(ref.name, ref.version, "", "", Path(), ChartOrigin.REPOSITORY)

    try:
        session.check()
        facts = session.facts if session.request.target else ClusterFacts()
        resolved = session.resolve(facts, chart)
    except InvalidInput as error:
        if render:
            unseen.append("rendered objects: the values have errors")
        took = time.monotonic() - started
        return Validation(_name(session), (), tuple(error.problems), tuple(unseen), took, without_chart=without)
    if session.request.target is None:
        unseen.append("the cluster: none was given (--on), so what depends on its facts was taken as unknown")
    problems = list(resolved.problems)
    # Another machine may have what this one lacks: up makes errors of these.
    missing = lacking(secret.spec for secret in resolved.secrets)
    problems += [replace(problem, severity=Severity.WARNING) for problem in missing]
    rendered = 0
    without_helm = _without_helm(session) if render else ""
    if render and not without_helm:
        check = _Rendering(
            session, resolved, facts, kubernetes or facts.kubernetes, upgrades=_installed(session, resolved)
        )
        problems += check.problems()
        unseen += check.unseen
        rendered = check.rendered
    names = tuple(desired.component for desired in resolved.releases)
    return Validation(
        resolved.name,
        names,
        tuple(problems),
        tuple(unseen),
        time.monotonic() - started,
        rendered,
        without,
        without_helm,
    )


def _without_helm(session: Session) -> str:
    """Why charts cannot be rendered here: helm is not on this machine. None is fetched for a check.

    Raises:
        ToolError: a setting names a helm that does not fit.
    """
    try:
        session.helm_tool  # noqa: B018 - looked for on first use
    except ToolMissing as error:
        return error.message
    return ""


def _installed(session: Session, resolved: ResolvedStack) -> frozenset[str]:
    """The components whose release is in the cluster; none where there is none, or its releases may not be read."""
    if session.request.target is None:
        return frozenset()
    from sparkrig.helm.storage.releases import list_releases
    from sparkrig.plan.diff.changes import GONE

    try:
        there = list_releases(session.api)
    except AccessDenied:
        return frozenset()
    found = {(d.namespace, d.release): d.component for d in resolved.releases}
    return frozenset(found[key] for key, release in there.items() if key in found and release.status not in GONE)


def _name(session: Session) -> str:
    try:
        return session.stack_file.name
    except InvalidInput:
        return ""


@dataclass
class _Rendering:
    """The rendered half of one validation."""

    session: Session
    resolved: ResolvedStack
    facts: ClusterFacts
    kubernetes: str | None
    unseen: list[str] = field(default_factory=list)
    rendered: int = 0
    left: int = MAX_RENDERINGS
    prepared: Prepared | None = None
    upgrades: frozenset[str] = frozenset()
    """Components that are installed there: their charts are rendered as an upgrade, as ``up`` has it."""
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(WORKERS))

    def problems(self) -> list[Problem]:
        """Renders what was not rendered before, or was not good then."""
        api = load(self.kubernetes)
        if api is None:
            self.unseen.append(
                "rendered objects: the schemas of Kubernetes' own kinds are missing; pip install kubernetes-validate"
            )
        elif self.kubernetes is not None and not _same_minor(api.version, self.kubernetes):
            self.unseen.append(
                f"Kubernetes {self.kubernetes}: the newest schemas there are, of {api.version}, were used"
            )
        there = [desired for desired in self.resolved.releases if desired.chart.digest]
        marks = {desired.component: self.mark(desired, there, api) for desired in there}
        fresh = [desired for desired in there if not marks[desired.component].exists()]
        for mark in marks.values():
            used(mark)
        self.rendered = len(there)
        if not fresh:
            return []
        return asyncio.run(self.check(fresh, there, api, marks))

    async def check(
        self, fresh: Sequence[DesiredRelease], there: Sequence[DesiredRelease], api: ApiSchemas | None,
        marks: Mapping[str, Path],
    ) -> list[Problem]:  # fmt: skip
        """Renders ``fresh``, all at once; ``there`` are those whose CRDs count."""
        from sparkrig.helm.charts.archive import read_chart
        from sparkrig.stack.manifests.check import check_objects
        from sparkrig.stack.manifests.crds import CrdSchemas, api_versions, crds_of

        texts = [crd for desired in there for crd in crds_of(read_chart(desired.chart.path))]
        served = self.session.api.served() if self.session.request.target is not None else frozenset[str]()
        versions = tuple(dict.fromkeys((*(text for crd in texts for text in crd.api_versions), *sorted(served))))
        done = await asyncio.gather(*(self.render(desired, versions) for desired in fresh), return_exceptions=True)
        everything = [item for result in done if isinstance(result, list) for item in result]
        # A chart may ask for what another one has among its templates, which is known only now.
        more = tuple(dict.fromkeys((*versions, *api_versions(everything))))
        if more != versions and any(isinstance(result, HelmError) for result in done):
            failed = [desired for desired, result in zip(fresh, done, strict=True) if isinstance(result, HelmError)]
            again = iter(await asyncio.gather(*(self.render(one, more) for one in failed), return_exceptions=True))
            done = [next(again) if isinstance(result, HelmError) else result for result in done]
            versions = more
        crds = CrdSchemas(texts, everything)
        found: list[Problem] = []
        for desired, result in zip(fresh, done, strict=True):
            if isinstance(result, HelmError):
                found.append(self.refused(desired, result))
            elif isinstance(result, BaseException):
                raise result
            else:
                complaints = check_objects(result, api, crds, self.kubernetes or (api.version if api else None))
                led = (self.led_back(desired, complaint, result, versions) for complaint in complaints)
                found += await asyncio.gather(*led)
                numbers = list(self.numbers(desired, result))
                found += numbers
                if not complaints and not numbers and api is not None:
                    _touch(marks[desired.component])
        return found

    async def render(self, desired: DesiredRelease, versions: Sequence[str]) -> Objects:
        """The objects of one component, hooks included."""
        async with self.places:
            text = await self.session.offline_helm.template(
                desired,
                kube_version=self.kubernetes,
                api_versions=versions,
                is_upgrade=desired.component in self.upgrades,
            )
        return objects(text)

    def mark(self, desired: DesiredRelease, there: Sequence[DesiredRelease], api: ApiSchemas | None) -> Path:
        """A file that is there when exactly this was rendered and found good before. It holds nothing."""
        told = {
            "sparkrig": sparkrig.__version__,
            "schemas": f"{api.package} {api.version}" if api is not None else None,
            "kubernetes": self.kubernetes,
            "release": [desired.release, desired.namespace, desired.chart.digest],
            "values": desired.values,
            "charts": sorted(other.chart.digest for other in there),
            "on": self.session.request.target,
            "upgrade": desired.component in self.upgrades,
        }
        text = json.dumps(told, sort_keys=True, ensure_ascii=True)
        return cache_dir() / "validated" / hashlib.sha256(text.encode()).hexdigest()

    # -- where it comes from

    def refused(self, desired: DesiredRelease, error: HelmError) -> Problem:
        """A template that fails, at the value that it speaks of where that is the person's."""
        from sparkrig.yaml.nodes import find, place

        message = error.message.removeprefix(f"rendering {desired.release}: ")
        users, _ = self.trees(desired.component)
        for match in _VALUE_PATH.finditer(" ".join((message, *error.detail))):
            path = tuple(match[1].split(".")[1:])
            while path and find(users, path) is None:
                path = path[:-1]
            if path:
                position = place(users, path)
                return Problem(Severity.ERROR, "render", f"{desired.component}: {message}", position)
        return self.at_component(desired, "render", f"{desired.component}: {message}", None)

    async def led_back(
        self, desired: DesiredRelease, complaint: Any, before: Objects, versions: Sequence[str]
    ) -> Problem:
        from sparkrig.stack.manifests.cause import changed, moved, suspects
        from sparkrig.yaml.nodes import ScalarNode, find, place, to_python
        from sparkrig.yaml.phrases import path_text

        users, everything = self.trees(desired.component)
        message = complaint.message if complaint.no_api else f"{complaint.subject}: {complaint.message}"
        code = "removed-api" if complaint.no_api else "refused-object"
        for path in suspects(complaint, users, everything):
            if self.left <= 0:
                break
            self.left -= 1
            node = find(everything, path)
            values = changed(desired.values, path, to_python(node) if node is not None else None)
            if moved(complaint, before, await self.rendered_with(desired, values, versions)):
                position = place(everything, path)
                if complaint.key is None and isinstance(node, ScalarNode):
                    position = node.position
                name = path_text(desired.component, path)
                return Problem(
                    Severity.ERROR, code, message, position, None, f"{name} becomes this field", _hint(desired)
                )
        return self.at_component(desired, code, message, _hint(desired))

    def numbers(self, desired: DesiredRelease, result: Objects) -> Iterator[Problem]:
        """Whole numbers that the chart writes with an exponent, at the value."""
        from sparkrig.stack.manifests.numbers import rounded
        from sparkrig.yaml.phrases import path_text

        _, everything = self.trees(desired.component)
        for one in rounded(result, everything):
            message = f"{path_text(desired.component, one.path)} is {one.value}, and its chart writes {one.text} into "
            hint = f"Helm holds numbers as floats: write '{one.value}' in quotes, if the chart takes a text there"
            yield Problem(Severity.WARNING, "number-form", f"{message}{one.where}", one.node.position, hint=hint)

    async def rendered_with(
        self, desired: DesiredRelease, values: Mapping[str, Any], versions: Sequence[str]
    ) -> Objects | None:
        try:
            return await self.render(replace(desired, values=values), versions)
        except SparkrigError:
            return None

    def trees(self, component: str) -> tuple[Any, Any]:
        """What the person wrote, and all layers, with their places."""
        if self.prepared is None:
            self.prepared = prepare(
                self.session.stack_file,
                self.session.catalog,
                self.facts,
                overrides=self.session.request.overrides,
                sources=self.session.sources,
            )
        values = self.prepared.values[component]
        return user_values(values.layers), values.root

    def at_component(self, desired: DesiredRelease, code: str, message: str, hint: str | None) -> Problem:
        entry = self.session.stack_file.components.get(desired.component)
        where = None if entry else f"component {desired.component}"
        return Problem(Severity.ERROR, code, message, entry.position if entry else None, where, hint=hint)


def _hint(desired: DesiredRelease) -> str:
    return f"rendered from chart {desired.chart.name} {desired.chart.version}; sparkrig render shows the object"


def _same_minor(version: str, asked: str) -> bool:
    return version.lstrip("v").split(".")[:2] == asked.lstrip("v").split(".")[:2]


def _touch(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        prune(path.parent)
    except OSError:
        pass  # a cache that cannot be written costs time only


def counted_files(session: Session) -> int:
    """How many files of the person's were read."""
    return sum(1 for _ in _own_files(session))


def _own_files(session: Session) -> Iterator[str]:
    for name in session.sources:
        if Path(name).is_file() and not name.startswith("charts/"):
            yield name
