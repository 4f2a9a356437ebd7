"""``sparkrig render``: what ``up`` installs, as objects, and which parts of it no two runs share.

Each chart is rendered twice. Where the two differ, the chart makes something up (a password, a
certificate, a checksum over them), and what ``up`` installs differs there too; those places are named.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sparkrig.apply.crds.apply import labelled
from sparkrig.commands.session import Session
from sparkrig.errors import NotFound
from sparkrig.helm.charts.archive import crds as chart_crds
from sparkrig.helm.client import HelmClient
from sparkrig.helm.errors import HelmError
from sparkrig.models.cluster import ClusterFacts
from sparkrig.models.component import CrdOwner
from sparkrig.models.release import DesiredRelease
from sparkrig.models.secret import DesiredSecret
from sparkrig.models.state import ObservedState
from sparkrig.stack.manifests.crds import api_versions
from sparkrig.yaml.nodes import Step, show_path
from sparkrig.yaml.plain import objects

_T = TypeVar("_T")

Object = dict[str, Any]
Key = tuple[str, str, str, str]
"""apiVersion, kind, namespace, name"""


@dataclass(frozen=True, slots=True)
class Varying:
    """A place that differs from one rendering to the next."""

    kind: str
    namespace: str
    name: str
    path: str
    """Dotted, as in ``data.password``; empty when the object itself comes and goes, or changes its name."""

    def __str__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {where}" + (f" {self.path}" if self.path else "")


@dataclass(frozen=True, slots=True)
class Rendering:
    """One component."""

    component: str
    namespace: str
    text: str
    """As helm prints it, in the order of installation, hooks last."""
    objects: tuple[Object, ...]
    varying: tuple[Varying, ...]
    crds: tuple[Object, ...] = ()
    """Applied by sparkrig before the chart."""


@dataclass(frozen=True, slots=True)
class RenderedStack:
    """All that was asked for, in the order of installation."""

    components: tuple[Rendering, ...]
    secrets: tuple[DesiredSecret, ...]
    """Applied by sparkrig from the stack file; without their contents."""


def render(session: Session, only: Sequence[str] = ()) -> RenderedStack:
    """Renders the stack, or some of its components. Writes nothing.

    With a cluster, charts see its version and what it serves, and a release that is deployed is
    rendered as an upgrade that may look things up there; without one, as a first install. Nothing can be
    looked up in the rendering of an upgrade that brings objects of kinds which the cluster does not serve yet.

    Raises:
        NotFound: ``only`` names a component that the stack does not have.
        HelmError: a chart refuses its values.
    """
    session.check()
    observed = session.observe(session.stack_file.name) if session.request.target else None
    facts = session.facts if observed is not None else ClusterFacts()
    latched = frozenset(s.component for s in observed.last.after) if observed and observed.last else frozenset()
    resolved = session.resolve(facts, session.chart, latched)
    known = {desired.component: desired for desired in resolved.releases}
    unknown = [name for name in only if name not in known]
    if unknown:
        raise NotFound(f"not in this stack: {', '.join(unknown)}", hint=f"it has {', '.join(known)}")
    served = session.api.served() if observed is not None else frozenset[str]()
    crds = {name: _crds(desired) for name, desired in known.items()}
    wanted = [desired for desired in resolved.releases if not only or desired.component in only]

    # As `up` has it: CRDs come before the releases that ask for them, whichever component of the stack brings them.
    kinds = served | {kind for brought in crds.values() for kind in api_versions(brought)}

    async def one(desired: DesiredRelease) -> Rendering:
        first, second = await _twice(session, desired, facts, kinds, served, observed, known)
        here, there = objects(first), objects(second)
        varying = tuple(_varying(here, there))
        return Rendering(
            desired.component, desired.namespace, first, tuple(here), varying, tuple(crds[desired.component])
        )

    async def all_of_them() -> list[Rendering]:
        return await _all([one(desired) for desired in wanted])

    spaces = {desired.namespace for desired in wanted}
    secrets = tuple(secret for secret in resolved.secrets if not only or spaces.intersection(secret.namespaces))
    return RenderedStack(tuple(asyncio.run(all_of_them())), secrets)


async def _all(work: Iterable[Awaitable[_T]]) -> list[_T]:
    """Everything's results; the first error only when all have ended, so that no helm outlives its event loop."""
    done = await asyncio.gather(*work, return_exceptions=True)
    results: list[_T] = []
    for result in done:
        if isinstance(result, BaseException):
            raise result
        results.append(result)
    return results


async def _twice(
    session: Session,
    desired: DesiredRelease,
    facts: ClusterFacts,
    kinds: frozenset[str],
    served: frozenset[str],
    observed: ObservedState | None,
    known: Mapping[str, DesiredRelease],
) -> list[str]:
    """Two renderings. A chart that refuses because an API is missing is asked again with what other charts define.

    That is needed for CRDs among the templates of another chart only, so the others are rendered only then.
    """

    def twice(kinds: frozenset[str]) -> Awaitable[list[str]]:
        return _all([_text(session, desired, facts, kinds, served, observed) for _ in range(2)])

    try:
        return await twice(kinds)
    except HelmError as error:
        others = [other for other in known.values() if other is not desired and other.crd_owner is CrdOwner.HELM]
        texts = (_text(session, other, facts, kinds, served, observed) for other in others)
        there = await asyncio.gather(*texts, return_exceptions=True)
        more = frozenset(v for text in there if isinstance(text, str) for v in api_versions(objects(text)))
        if more <= kinds:
            raise error from None
        return await twice(kinds | more)


async def _text(
    session: Session,
    desired: DesiredRelease,
    facts: ClusterFacts,
    kinds: frozenset[str],
    served: frozenset[str],
    observed: ObservedState | None,
) -> str:
    found = observed.releases.get((desired.namespace, desired.release)) if observed else None
    upgrade = found is not None and found.deployed_revision is not None

    async def text(*, server: bool) -> str:
        helm: HelmClient = session.helm if server else session.offline_helm
        return await helm.template(
            desired, kube_version=facts.kubernetes, api_versions=sorted(kinds), is_upgrade=upgrade, server=server
        )

    # Against a server helm shows charts what is served now, and refuses objects of kinds that the run brings first.
    if upgrade and kinds - served:
        offline = await text(server=False)
        if any(_kind_text(item) in kinds - served for item in objects(offline)):
            return offline
    return await text(server=upgrade)


def _kind_text(item: Object) -> str:
    return f"{item.get('apiVersion')}/{item.get('kind')}"


def _crds(desired: DesiredRelease) -> list[Object]:
    if desired.crd_owner is not CrdOwner.US:
        return []
    found = chart_crds(desired.chart.path, desired.values)
    return [labelled(crd, desired.component, desired.crd_labels) for crd in found]


# ------------------------------------------------------------------ what varies


def _varying(one: Sequence[Object], other: Sequence[Object]) -> Iterator[Varying]:
    here, there = _by_key(one), _by_key(other)
    for key in {**here, **there}:
        _, kind, namespace, name = key
        if key not in here or key not in there:
            yield Varying(kind, namespace, name, "")
            continue
        for path in differences(here[key], there[key]):
            yield Varying(kind, namespace, name, show_path(path))


def _by_key(items: Iterable[Object]) -> dict[Key, Object]:
    return {key_of(item): item for item in items}


def key_of(item: Object) -> Key:
    """What identifies an object."""
    metadata = item.get("metadata") or {}
    return (
        str(item.get("apiVersion", "")),
        str(item.get("kind", "")),
        str(metadata.get("namespace") or ""),
        str(metadata.get("name") or metadata.get("generateName") or ""),
    )


def differences(one: Any, other: Any, path: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    """The paths of the smallest parts that differ; lists of another length differ as a whole."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            if key in one and key in other:
                yield from differences(one[key], other[key], (*path, key))
            else:
                yield (*path, key)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differences(left, right, (*path, index))
    elif type(one) is not type(other) or one != other:
        yield path
