"""Preflight of one session: what the cluster lacks, asked for ``doctor`` and at the start of every ``up``.

Reads the cluster and renders the charts; writes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sparkrig.commands.run_log import keep_findings
from sparkrig.commands.session import Session
from sparkrig.defaults import PROBE_TIMEOUT_S
from sparkrig.errors import Refused, SparkrigError
from sparkrig.helm.charts.archive import crds as chart_crds
from sparkrig.helm.charts.archive import read_chart
from sparkrig.helm.charts.probe import unreachable
from sparkrig.helm.errors import HelmError
from sparkrig.helm.size import estimate, mib
from sparkrig.helm.storage.releases import list_releases
from sparkrig.models.chart import Chart, ChartOrigin
from sparkrig.models.component import Component, CrdOwner, NodeStateRule
from sparkrig.models.operation import (
    ApplyCrds,
    ChangeRelease,
    InstallRelease,
    Operation,
    RepairRelease,
    UpgradeRelease,
)
from sparkrig.models.plan import Plan
from sparkrig.models.release import DesiredRelease, ResolvedStack
from sparkrig.models.state import ObservedState
from sparkrig.plan.diff.changes import GONE
from sparkrig.plan.graph import helm_s
from sparkrig.plan.server.changes import Rehearsal
from sparkrig.preflight.apis import suits
from sparkrig.preflight.collect import ask_rights, collect, confirm, learn, namespaces_of
from sparkrig.preflight.data import Case, Wanted
from sparkrig.preflight.dryrun.effects import effects_of_upgrade
from sparkrig.preflight.dryrun.findings import judged
from sparkrig.preflight.dryrun.one_way import one_way
from sparkrig.preflight.dryrun.rehearse import Release, rehearse
from sparkrig.preflight.examine import examine
from sparkrig.preflight.finding import Finding, Level, fail, in_order, ok, warn
from sparkrig.preflight.objects import crd_kinds, is_hook, kind_of, runs_now
from sparkrig.preflight.origin import origin
from sparkrig.preflight.releases import helms_at_work, release_findings
from sparkrig.preflight.rights import least_roles, missing, needed, rights_findings
from sparkrig.readiness import is_custom_group
from sparkrig.stack.manifests.crds import api_versions
from sparkrig.yaml.plain import objects


@dataclass(frozen=True, slots=True)
class Report:
    """What preflight says."""

    cluster: str
    kubernetes: str
    stack: str | None
    """None when only the cluster was looked at."""
    findings: tuple[Finding, ...]
    seconds: float
    simulated: bool = False

    @property
    def ok(self) -> bool:
        """True when nothing stands in the way of ``up``."""
        return not any(finding.level is Level.FAIL for finding in self.findings)


def diagnose(session: Session, *, with_stack: bool) -> Report:
    """Everything that can be said of the cluster, and of the stack on it.

    Raises:
        InvalidInput: the stack file is wrong.
        ClusterUnreachable, AccessDenied: nothing can be read at all.
    """
    started = time.monotonic()
    case, findings = _case(session) if with_stack else _bare(session)
    found = [*findings, *examine(case), *_rights(session, case), *_sources(session, case)]
    keep_findings(found)
    return Report(
        cluster=session.handle.name,
        kubernetes=case.survey.kubernetes,
        stack=case.stack or None,
        findings=in_order(found),
        seconds=time.monotonic() - started,
        simulated=session.facts.simulated,
    )


def roles(session: Session, *, with_stack: bool) -> tuple[dict[str, Any], ...]:
    """The least roles that suffice to bring the stack up, as objects."""
    case, _ = _case(session) if with_stack else _bare(session)
    return tuple(least_roles(case, f"sparkrig-{case.stack}" if case.stack else "sparkrig"))


def refuse_unfit(
    session: Session,
    resolved: ResolvedStack,
    observed: ObservedState,
    operations: Sequence[Operation],
    *,
    accept: Sequence[str] = (),
    note: Callable[[str], None] = lambda _line: None,
) -> tuple[Rehearsal, ...]:
    """Looks at the cluster before ``operations`` write anything.

    Returns what the API server said of the upgrades when it was asked by dry runs. ``accept`` names
    codes of findings that somebody takes the risk of.

    Raises:
        Refused: with every finding that stands in the way.
    """
    names = [operation.component for operation in operations if isinstance(operation, ChangeRelease)]
    wanted = [desired for desired in resolved.releases if desired.component in names]
    case, findings = _prepared(session, resolved, wanted, observed, _crds_alone(operations, names))
    findings = [*findings, *examine(case), *_rights(session, case)]
    rehearsed = _rehearse(session, case, operations)
    known = {(finding.code, finding.subject) for finding in findings}
    said = judged(session.api, rehearsed, {desired.component: desired for desired in wanted})
    found = in_order([*findings, *(f for f in said if f.code != "dead-webhook" or (f.code, f.subject) not in known)])
    keep_findings(found)
    for finding in found:
        if finding.level is Level.WARN or (finding.level is Level.FAIL and finding.code in accept):
            note(f"{finding.level}: {line(finding)}")
    failed = [finding for finding in found if finding.level is Level.FAIL and finding.code not in accept]
    if failed:
        count = "1 thing stands" if len(failed) == 1 else f"{len(failed)} things stand"
        raise Refused(
            f"{count} in the way on {session.handle.name}; nothing was changed",
            detail=[_told(session, finding) for finding in failed],
            hint=f"`sparkrig doctor` shows all that was looked at; --accept {failed[0].code} goes on all the same",
        )
    return rehearsed


def _told(session: Session, finding: Finding) -> str:
    """A finding that stands in the way, with where it comes from and what to do."""
    lines = [line(finding)]
    if at := origin(finding, session.stack_file.components.get(finding.subject)):
        lines.append(f"    {at}")
    if finding.hint:
        lines.append(f"    next: {finding.hint}")
    return "\n".join(lines)


def rehearsals(session: Session, resolved: ResolvedStack, observed: ObservedState, made: Plan) -> tuple[Rehearsal, ...]:
    """What the API server says of a plan's upgrades, and which charts refuse their values, for showing them."""
    upgrading = {one.component for one in made.operations if isinstance(one, UpgradeRelease | RepairRelease)}
    names = {one.component for one in made.operations if isinstance(one, InstallRelease)} | upgrading
    if not names:
        return ()
    wanted = [desired for desired in resolved.releases if desired.component in names]
    case, findings = _prepared(session, resolved, wanted, observed, _crds_alone(made.operations, [*names]))
    refused = {finding.subject: finding.message for finding in findings if finding.code == "render"}
    case = replace(case, wanted=[one for one in case.wanted if one.name in upgrading])
    said = {one.component: one for one in _rehearse(session, case, made.operations)}
    for name, message in refused.items():
        said[name] = replace(said.get(name, Rehearsal(name)), unrendered=message)
    return tuple(said.values())


def _rehearse(session: Session, case: Case, operations: Sequence[Operation]) -> tuple[Rehearsal, ...]:
    changing = {operation.component: operation for operation in operations if isinstance(operation, ChangeRelease)}
    releases = [
        Release(
            component=wanted.name,
            release=wanted.desired.release,
            namespace=wanted.desired.namespace,
            objects=wanted.objects,
            revision=None if wanted.fresh else operation.helm_revision,
            forced=isinstance(operation, RepairRelease) or (wanted.desired.adopt and operation.state is None),
            crds=frozenset(operation.state.crds if operation.state else ()),
        )
        for wanted in case.wanted
        if (operation := changing.get(wanted.name)) is not None
    ]
    said = {one.component: one for one in rehearse(session.api, releases)}
    components = session.catalog.components
    return tuple(
        replace(
            said.get(release.component, Rehearsal(release.component)),
            weight_s=_weight_s(release.objects),
            effects=effects_of_upgrade(
                session.api, components.get(release.component), changing[release.component], release.objects
            ),
            one_way=one_way(session.api, components.get(release.component), changing[release.component]),
        )
        for release in releases
    )


def _weight_s(manifest: Sequence[Mapping[str, Any]]) -> float:
    hooks = sum(map(is_hook, manifest))
    return helm_s(len(manifest) - hooks, hooks)


def line(finding: Finding) -> str:
    """``code  subject: message``."""
    return f"[{finding.code}] {finding.subject}: {finding.message}"


# --------------------------------------------------------------------------- cases


def _bare(session: Session) -> tuple[Case, list[Finding]]:
    survey = collect(session.api)
    return Case(survey=survey, facts=session.facts, node_states=_node_states(session)), []


def _node_states(session: Session) -> tuple[NodeStateRule, ...]:
    return tuple(rule for component in session.catalog.components.values() for rule in component.node_states)


def _case(session: Session) -> tuple[Case, list[Finding]]:
    """The whole stack, as if all of it were to change; charts that cannot be had are findings."""
    session.refuse_stand_ins()
    stack = session.stack_file.name
    findings: list[Finding] = []

    def chart(component: Component) -> Chart:
        try:
            return session.chart(component)
        except SparkrigError as error:
            hint = "\n".join([*error.detail, *([error.hint] if error.hint else [])])
            findings.append(fail("chart", component.name, error.message, hint))
            ref = component.chart
            return Chart(ref.name, ref.version, "", "", _NO_CHART, ChartOrigin.REPOSITORY)

    last, pending, _ = session.history(stack).newest()
    installed = frozenset(state.component for state in last.after) if last else frozenset()
    resolved = session.resolve(session.facts, chart, installed)
    case, more = _prepared(
        session, resolved, resolved.releases, ObservedState(list_releases(session.api), last, pending)
    )
    return case, [*findings, *more]


_NO_CHART: Any = None
"""Path of a chart that could not be had; such a release is looked at without its objects."""


def _prepared(
    session: Session,
    resolved: ResolvedStack,
    releases: Sequence[DesiredRelease],
    observed: ObservedState,
    crds_alone: Sequence[DesiredRelease] = (),
) -> tuple[Case, list[Finding]]:
    """The releases as preflight judges them; of ``crds_alone`` the run applies the CRDs and nothing else."""
    there, busy = observed.releases, helms_at_work(resolved.name, observed)
    own = frozenset(key for key, found in there.items() if found.stack == resolved.name)
    components = session.catalog.components
    wanted = [
        Wanted(
            desired,
            components[desired.component],
            crds=_crds(desired),
            fresh=(found := there.get((desired.namespace, desired.release))) is None or found.status in GONE,
        )
        for desired in releases
    ]
    survey = collect(session.api)
    offers = [desired.component for desired in resolved.releases] + list(resolved.reused)
    case = Case(
        survey=survey,
        facts=session.facts,
        stack=resolved.name,
        wanted=wanted,
        reused={name: components[name] for name in resolved.reused},
        releases=own,
        busy=busy,
        gpu_provided=any("gpu" in components[name].provides for name in offers),
        crds=[crd for desired in crds_alone for crd in _crds(desired)],
        node_states=_node_states(session),
    )
    rendered, findings = _rendered(session, case)
    kinds = {kind_of(item) for w in rendered for item in w.objects}
    ours = {kind for crds in (case.crds, *(w.crds for w in rendered)) for crd in crds for kind, _, _ in crd_kinds(crd)}
    if "kinds" not in survey.denied:
        survey = replace(survey, kinds=learn(session.api, survey, kinds - ours))
    findings += release_findings(resolved, observed, busy)
    session.crd_review.rendered = {
        w.name: [o for o in w.objects if o.get("kind") == "CustomResourceDefinition"] for w in rendered
    }
    return replace(case, wanted=rendered, survey=survey), findings


def _crds_alone(operations: Sequence[Operation], changing: Sequence[str]) -> list[DesiredRelease]:
    """The components whose CRDs are applied again though nothing else of them changes."""
    return [o.desired for o in operations if isinstance(o, ApplyCrds) and o.component not in changing]


def _crds(desired: DesiredRelease) -> list[dict[str, Any]]:
    if desired.crd_owner is not CrdOwner.US or desired.chart.path is _NO_CHART:
        return []
    return chart_crds(desired.chart.path, desired.values)


def _rendered(session: Session, case: Case) -> tuple[list[Wanted], list[Finding]]:
    """Every release with its objects; one that cannot be rendered is a finding and stays without."""
    import asyncio  # an `up` that changes nothing renders nothing

    versions = _api_versions(case)
    todo = [w for w in case.wanted if w.desired.chart.path is not _NO_CHART and suits(case, w)]

    async def all_of_them(some: Sequence[Wanted], served: Sequence[str]) -> dict[str, str | BaseException]:
        calls = [
            session.offline_helm.template(
                w.desired, kube_version=case.survey.kubernetes or None, api_versions=served, is_upgrade=not w.fresh
            )
            for w in some
        ]
        done = await asyncio.gather(*calls, return_exceptions=True)
        return dict(zip((w.name for w in some), done, strict=True))

    texts = asyncio.run(all_of_them(todo, versions)) if todo else {}
    if refused := [w for w in todo if isinstance(texts[w.name], HelmError)]:
        # A chart may ask for what another one of this run has among its templates, which is known only now.
        there = [item for text in texts.values() if isinstance(text, str) for item in objects(text)]
        if more := set(api_versions(there)) - set(versions):
            texts |= asyncio.run(all_of_them(refused, sorted({*versions, *more})))
    findings, wanted = [], []
    for one in case.wanted:
        text = texts.get(one.name)
        found: list[dict[str, Any]] = []
        if isinstance(text, HelmError):
            findings.append(fail("render", one.name, text.message, text.hint or "sparkrig render shows it alone"))
        elif isinstance(text, BaseException):
            raise text
        elif text:
            found = objects(text)
            findings += _too_large(one.desired, text)
        wanted.append(replace(one, objects=[item for item in found if runs_now(item)]))
    return wanted, findings


def _too_large(desired: DesiredRelease, manifest: str) -> list[Finding]:
    """A release that does not fit into its Secret would fail after its objects were made."""
    size = estimate(read_chart(desired.chart.path), desired.values, manifest)
    if size.fits:
        return []
    hint = "move large files out of the chart or its values, e.g. into a ConfigMap of your own; largest: "
    parts = ", ".join(f"{name} {mib(length)}" for name, length in size.parts[:3])
    message = f"release {desired.release} would take {mib(size.total)} in its Secret, the API server takes 1 MiB"
    return [fail("release-size", desired.component, message, hint + parts)]


def _api_versions(case: Case) -> list[str]:
    """What charts may ask ``.Capabilities.APIVersions`` for, beyond what helm knows of Kubernetes itself."""
    kinds = [kind for kind in case.survey.kinds if is_custom_group(kind[0])]
    brought = [*case.crds, *(crd for one in case.wanted for crd in one.crds)]
    kinds += [kind for crd in brought for kind, _, _ in crd_kinds(crd)]
    return sorted({text for g, v, k in kinds for text in (f"{g}/{v}", f"{g}/{v}/{k}")})


# --------------------------------------------------------------------------- rights and sources


def _rights(session: Session, case: Case) -> list[Finding]:
    try:
        rights = ask_rights(session.api, namespaces_of(needed(case)))
        lacking = missing(case, rights)
        if lacking and not rights.complete:
            lacking = confirm(session.api, lacking)
    except SparkrigError:
        return list(rights_findings(case, {}, known=False))
    return list(rights_findings(case, lacking, known=True))


def _sources(session: Session, case: Case) -> list[Finding]:
    """Whether the chart repositories answer; a chart that is in the cache or a mirror does not need them."""
    request = session.request
    if request.chart_mirror or request.stand_ins:
        return []
    components = [w.component for w in case.wanted] or list(session.catalog.components.values())
    references = [component.chart for component in components]
    silent = unreachable(references, PROBE_TIMEOUT_S)
    hint = "check proxy and network, or take charts from a folder: --chart-mirror DIR"
    found = [
        warn("chart-source", "this machine", f"the chart repository {address} does not answer", hint)
        for address in silent
    ]
    asked = {ref.repository for ref in references if ref.repository and ref.path is None}
    if asked and not found:
        found.append(ok("chart-source", "this machine", f"{len(asked)} chart repositories answer"))
    return found
