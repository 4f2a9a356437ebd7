"""How a stack stands: what is recorded of it, and how its objects are. Reads; writes nothing.

A module of its own, because ``status`` is to answer in half a second and imports none of what changes a cluster.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sparkrig.clusters.facts.read import read_nodes
from sparkrig.clusters.gpus import allocated_gpus
from sparkrig.commands.liveness import unready
from sparkrig.commands.session import Session
from sparkrig.defaults import API_CONNECTIONS
from sparkrig.errors import AccessDenied, NotFound
from sparkrig.kube.ingresses import routes, wanted_host
from sparkrig.models.cluster import ClusterFacts
from sparkrig.models.json import name_of, namespace_of
from sparkrig.models.objects import ObjectRef, Readiness
from sparkrig.models.release import ReleaseState
from sparkrig.models.state import ObservedState
from sparkrig.models.status import ComponentStatus, StackStatus
from sparkrig.tools import cache_dir

if TYPE_CHECKING:
    from sparkrig.plan.diff.revisions import ComponentChange, StackChange


WORTH_A_LIST = 4
"""ConfigMaps in one namespace from which on they are read together."""


def look(session: Session, stack: str, *, drift: bool) -> tuple[StackStatus, StackChange | None]:
    """One look at a stack: what is recorded, and how it is; with ``drift`` also how its objects differ from that."""
    session.api.version()  # one first contact, so that an unreachable server is waited for once
    with ThreadPoolExecutor(2) as pool:
        nodes, used = pool.submit(read_nodes, session.api, session.handle), pool.submit(allocated_gpus, session.api)
        observed = session.observe(stack)
        facts = nodes.result()
        allocated = used.result() if facts.gpus else None
    found = _status(session, stack, observed, facts, allocated)
    if not drift or not found.components:
        return found, None
    drifted = drift_of(session, stack, observed)
    return with_drift(found, drifted), drifted


def _status(
    session: Session, stack: str, observed: ObservedState, facts: ClusterFacts, allocated: int | None
) -> StackStatus:
    last = observed.pending or observed.last
    states = observed.last.after if observed.last else ()
    return StackStatus(
        stack=stack,
        revision=last.number if last else 0,
        status=last.status if last else "",
        interrupted=last.interrupted if last else False,
        when=(last.finished or last.started) if last else None,
        who=last.who if last else "",
        message=last.message if last else "",
        cluster=session.handle.name,
        kubernetes=facts.kubernetes,
        simulated=facts.simulated,
        components=tuple(_component_status(session, state, observed) for state in states),
        kept=_kept(observed, stack),
        reused=observed.last.reused if observed.last else (),
        gpus_allocated=allocated,
        gpus_allocatable=facts.gpus,
        gpu_nodes=facts.gpu_nodes,
        at_work=observed.at_work,
    )


def _kept(observed: ObservedState, stack: str) -> tuple[ReleaseState, ...]:
    if observed.last is None or not observed.last.kept:
        return ()
    from sparkrig.plan.keeping import still_kept  # few stacks have left something in place; the others do not pay

    return still_kept(observed, stack)


def _component_status(session: Session, state: ReleaseState, observed: ObservedState) -> ComponentStatus:
    verdicts = session.judge(state)
    bad = unready(session, state, verdicts)
    settled = (Readiness.READY, Readiness.NOT_JUDGED)
    extra = {ref: j for ref, j in verdicts.items() if j.readiness not in settled and ref not in bad}
    judged = [j for ref, j in verdicts.items() if j.readiness is not Readiness.NOT_JUDGED and ref not in extra]
    component = session.catalog.components.get(state.component)
    release = observed.releases.get((state.namespace, state.release))
    return ComponentStatus(
        component=state.component,
        version=state.version,
        stand_in=state.stand_in,
        ready=sum(j.readiness is Readiness.READY for j in judged),
        total=len(judged),
        missing=tuple(ref for ref in observed.missing.get(state.component, ()) if ref not in extra),
        problems=(
            *(j.message for j in observed.live.get(state.component, ())),
            *_crd_problems(state, observed),
            *_helm_problems(state, observed),
        ),
        namespace=state.namespace,
        url=_url(session, state, component.urls) if component else None,
        helm_revision=state.helm_revision,
        not_judged=sum(j.readiness is Readiness.NOT_JUDGED for j in verdicts.values()),
        notes=tuple(f"{ref}: {j.message} (optional)" for ref, j in extra.items()),
        changed=release.modified if release else None,
    )


def _helm_problems(state: ReleaseState, observed: ObservedState) -> tuple[str, ...]:
    """What somebody else did to the release with Helm; nothing while a run is at work, or after one that failed."""
    found = observed.releases.get((state.namespace, state.release))
    ended_well = observed.last is not None and observed.last.status in ("deployed", "rolled-back")
    if found is None or found.status == "uninstalled" or observed.pending is not None or not ended_well:
        return ()
    if found.status != "deployed":
        return (f"Helm says {found.status}", "next: sparkrig up")
    if found.revision != state.helm_revision:
        moved = f"Helm revision {state.helm_revision} -> {found.revision}"
        return (f"somebody else used Helm on it: {moved}", "next: sparkrig up")
    return ()


def _crd_problems(state: ReleaseState, observed: ObservedState) -> tuple[str, ...]:
    drift = observed.crd_drift.get(state.component, ())
    if not drift:
        return ()
    from sparkrig.plan.crds.drift import shown

    return (*shown(drift), "next: sparkrig up --repair")


def _url(session: Session, state: ReleaseState, urls: tuple[Mapping[str, Any], ...]) -> str | None:
    """The address that an Ingress of the release publishes; what its values merely ask for is none."""
    if not any("host" in url for url in urls):
        return None
    refs = [ref for ref in state.inventory if (ref.group, ref.kind) == ("networking.k8s.io", "Ingress")]
    ingresses = [found for ref in refs if (found := session.watch.get(ref)) is not None]
    for url in urls:
        if published := routes(ingresses, wanted_host(state.values, url)):
            return published[0].url(url)
    return None


def drift_of(session: Session, stack: str, observed: ObservedState | None = None) -> StackChange | None:
    """How the live objects differ from what the newest revision recorded; None where nothing is recorded.

    ``observed`` is what was read of the stack just now, where it was.
    """
    from sparkrig.commands import diff as comparing
    from sparkrig.commands.unchanged import Proven
    from sparkrig.plan.diff.revisions import Parts

    parts = Parts(values=False, charts=False, manifests=True)

    @functools.cache
    def config_maps() -> Mapping[ObjectRef, Mapping[str, Any]]:
        return _config_maps(session, observed) if observed else {}

    def seen(ref: ObjectRef) -> Mapping[str, Any] | None:
        return config_maps().get(ref) if _is_config_map(ref) else session.watch.whole(ref)

    proven = Proven(cache_dir() / "proven", session.api.server, stack, session.watch.get) if observed else None
    try:
        found = comparing.compare_with_cluster(session, stack, parts, seen, observed, proven)
    except NotFound:
        return None
    if proven is not None:
        proven.save()
    return found


def _config_maps(session: Session, observed: ObservedState) -> dict[ObjectRef, dict[str, Any]]:
    """The stack's ConfigMaps, of which the watch has the metadata, where one LIST is less than a GET of each.

    Grafana's dashboards are thirty in one namespace. Where others have more there, theirs are not read for ours.
    """
    states = observed.last.after if observed.last else ()
    ours = Counter(ref.namespace for state in states for ref in state.inventory if _is_config_map(ref))
    there = Counter(namespace_of(item) for item in session.watch.all_of("", "v1", "ConfigMap"))
    listed = [name for name, count in ours.items() if count >= WORTH_A_LIST and there[name] <= 2 * count]
    if not listed:
        return {}
    with ThreadPoolExecutor(API_CONNECTIONS, "config-maps") as pool:
        found = pool.map(lambda name: _list_config_maps(session, name), listed)
        return {ref: item for items in found for ref, item in items.items()}


def _list_config_maps(session: Session, namespace: str) -> dict[ObjectRef, dict[str, Any]]:
    try:
        items = session.api.list(f"/api/v1/namespaces/{namespace}/configmaps")
    except AccessDenied:  # who may not list may still read one by one
        return {}
    return {ObjectRef("", "v1", "ConfigMap", namespace, name_of(item)): item for item in items}


def _is_config_map(ref: ObjectRef) -> bool:
    return (ref.group, ref.kind) == ("", "ConfigMap")


def with_drift(found: StackStatus, drifted: StackChange | None) -> StackStatus:
    """The status with how many fields of each component somebody else changed; unknown where it was not looked."""
    changed = {component.component: component for component in drifted.components} if drifted else {}
    return replace(
        found, components=tuple(replace(one, drift=_fields(changed.get(one.component))) for one in found.components)
    )


def _fields(change: ComponentChange | None) -> int | None:
    """Changed fields; objects that are missing are counted elsewhere."""
    if change is None or any(one.change == "unknown" for one in change.objects):
        return None
    return sum(len(one.fields) for one in change.objects if one.change == "changed")
