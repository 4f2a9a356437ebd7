"""What a ``down`` has to know of the cluster: what is in a namespace, whose custom resources and webhooks there are.

Reads metadata only where that is enough. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sparkrig.apply.crds.apply import KEEP, KEPT
from sparkrig.apply.crds.sharing import crds_of, shared
from sparkrig.apply.removal.claims import claims_of, finished_pods
from sparkrig.apply.removal.stuck import API_SERVICES
from sparkrig.defaults import API_CONNECTIONS, SYSTEM_NAMESPACE
from sparkrig.errors import AccessDenied, Refused, SparkrigError
from sparkrig.helm.storage.releases import read_release
from sparkrig.history.store import History
from sparkrig.kube.client import KubeApi, ResourceInfo
from sparkrig.kube.errors import ApiError, NotFoundApi
from sparkrig.models.component import RunningRule
from sparkrig.models.json import dig, mapping_at, mappings_at, name_of, namespace_of
from sparkrig.models.objects import ObjectRef
from sparkrig.models.release import ReleaseState
from sparkrig.models.state import ObservedState
from sparkrig.plan.diff.changes import GONE
from sparkrig.plan.held import dead_apis
from sparkrig.plan.keeping import stays
from sparkrig.plan.removal import made_by
from sparkrig.plan.running import Running, at_work
from sparkrig.plan.survey import CRD, Content, Survey

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_METHOD_NOT_ALLOWED = 405
CONTENTS_S = 10.0
"""For one kind in one namespace; milliseconds, where nothing is dead."""


Items = Sequence[Mapping[str, Any]]
RunningRules = Callable[[str], tuple[RunningRule, ...]]
"""Component -> its rules for what is at work."""


def survey(
    api: KubeApi,
    stack: str,
    observed: ObservedState,
    purge: Collection[str],
    rules: RunningRules = lambda _component: (),
) -> Survey:
    """Reads what ``plan_removal`` needs; with a purge more than without.

    Raises:
        Refused: uninstalling a release would delete CRDs, with their custom resources, that are not purged.
    """
    stored = _stored(api, stack, observed)
    if "crds" not in purge:
        refuse_exposed(api, stored)
    states = recorded(api, stack, observed) if purge else (observed.last.after if observed.last else ())
    states = tuple(s for s in states if not stays(s, stack, observed))
    owners = {crd: state.component for state in reversed(states) for crd in crds_of(state)}
    users = sorted({ref.name for s in states for ref in s.inventory if (ref.group, ref.kind) == ("", "Namespace")})
    users = [name for name in users if name in observed.namespaces]
    spaces = {name for name, labels in observed.namespaces.items() if made_by(stack, labels)} - {SYSTEM_NAMESPACE}
    looked_at = sorted(spaces | set(users) if {"namespaces", "claims"} & set(purge) else spaces)
    contents = {name: contents_of(api, name) for name in looked_at}
    resources = custom_resources(api, owners) if "crds" in purge else {}
    services = _api_services(api)
    claims = claims_of(api, stack, states, contents) if "claims" in purge else ()
    return Survey(
        custom_resources={crd: tuple(content.ref for content in found) for crd, found in resources.items()},
        crd_owners=owners,
        finalizers={
            content.ref: tuple(content.metadata.get("finalizers") or ())
            for found in resources.values()
            for content in found
        },
        dead_apis=dead_apis(services),
        shared_crds=shared(api, stack, observed, resources),
        callbacks=_callbacks_seen(api, services),
        hooks=_hooks(stored),
        contents=contents,
        claims=claims,
        finished=finished_pods(api, claims),
        users=tuple(users),
        revisions=len(History(api, stack).infos()) if "history" in purge else 0,
        running=running(api, {state.component for state in states}, rules),
    )


def running(api: KubeApi, components: Iterable[str], rules: RunningRules) -> dict[str, tuple[Running, ...]]:
    """Component -> its custom resources that are at work, in all namespaces."""
    wanted = {name: rules(name) for name in sorted(components)}
    if not any(wanted.values()):
        return {}
    served = {(info.group, info.kind): info for info in resources(api).values()}
    return {
        name: tuple(
            _running(api, served[rule.group, rule.kind], rule) for rule in known if (rule.group, rule.kind) in served
        )
        for name, known in wanted.items()
        if known
    }


def _running(api: KubeApi, info: ResourceInfo, rule: RunningRule) -> Running:
    crd = f"{info.plural}.{info.group}"
    try:
        items = api.list(info.collection(), timeout_s=CONTENTS_S)
    except SparkrigError as error:  # it serves to warn, and must not be a reason to remove nothing
        return Running(info.kind, (), rule.without, crd, error.message)
    refs = (
        ObjectRef(info.group, info.version, info.kind, namespace_of(i), name_of(i))
        for i in items
        if at_work(i, rule) and not dig(i, "metadata", "deletionTimestamp")
    )
    return Running(info.kind, tuple(sorted(refs)), rule.without, crd)


def recorded(api: KubeApi, stack: str, observed: ObservedState) -> tuple[ReleaseState, ...]:
    """Every release that a recorded revision knew, as the newest of them knew it: also of a stack that is down."""
    found: dict[tuple[str, str], ReleaseState] = {}
    newest = (observed.last,) if observed.last else ()
    for revision in (*newest, *reversed(History(api, stack).all())):
        for state in (*revision.after, *revision.before):
            found.setdefault((state.namespace, state.release), state)
    return tuple(found.values())


def contents_of(api: KubeApi, namespace: str) -> tuple[Content, ...]:
    """Everything in a namespace, by its metadata; a kind that cannot be listed shows as one object named ``?``.

    That is so where rights are missing, and where the webhook that converts a kind's objects is dead: of whomever
    it is, it must not hold up a run, and nothing is known of what is there.
    """

    def read(info: ResourceInfo) -> list[Content]:
        unknown = [Content(ObjectRef(info.group, info.version, info.kind, namespace, "?"), {})]
        try:
            items = api.list(info.collection(namespace), metadata_only=True, timeout_s=CONTENTS_S)
        except AccessDenied:
            return unknown
        except NotFoundApi:
            return []
        except ApiError as error:  # 405: made by POST only, such as an access review
            return [] if error.status == _METHOD_NOT_ALLOWED else unknown
        return [
            Content(ObjectRef(info.group, info.version, info.kind, namespace, name_of(i)), mapping_at(i, "metadata"))
            for i in items
        ]

    kinds = [info for info in resources(api).values() if info.namespaced]
    with ThreadPoolExecutor(API_CONNECTIONS) as pool:
        return tuple(content for found in pool.map(read, kinds) for content in found)


def resources(api: KubeApi) -> dict[tuple[str, str], ResourceInfo]:
    """(group, plural) -> one version of each resource that the API server serves, read anew."""
    found: dict[tuple[str, str], ResourceInfo] = {}
    for info in api.discovery.fresh():
        found.setdefault((info.group, info.plural), info)
    return found


def custom_resources(api: KubeApi, crds: Iterable[str], *, if_readable: bool = False) -> dict[str, tuple[Content, ...]]:
    """CRD that is there -> its custom resources, in all namespaces.

    ``if_readable`` leaves out those that cannot be read within ``CONTENTS_S``: for what only warns.
    """
    served = resources(api)
    found = {}
    for name in sorted(set(crds)):
        plural, _, group = name.partition(".")
        info = served.get((group, plural))
        if info is None:
            continue
        try:
            items = api.list(info.collection(), metadata_only=True, timeout_s=CONTENTS_S if if_readable else None)
        except SparkrigError:
            if if_readable:
                continue
            raise
        found[name] = tuple(
            Content(
                ObjectRef(group, info.version, info.kind, namespace_of(item), name_of(item)),
                mapping_at(item, "metadata"),
            )
            for item in items
        )
    return found


def _api_services(api: KubeApi) -> list[dict[str, Any]]:
    try:
        return api.list(API_SERVICES)
    except AccessDenied:  # who may not look at them may not remove them either
        return []


def _callbacks_seen(api: KubeApi, services: Items) -> dict[ObjectRef, frozenset[tuple[str, str]]]:
    """As ``_callbacks``; who may not look at them may not remove them either."""
    try:
        return _callbacks(api, services)
    except AccessDenied:
        return {}


def _callbacks(api: KubeApi, api_services: Items) -> dict[ObjectRef, frozenset[tuple[str, str]]]:
    """Webhook configurations and APIServices, with the Services that they call."""
    found = {}
    for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"):
        for item in api.list(f"{ADMISSION}/{kind.lower()}s"):
            services = [mapping_at(hook, "clientConfig", "service") for hook in mappings_at(item, "webhooks")]
            ref = ObjectRef("admissionregistration.k8s.io", "v1", kind, "", name_of(item))
            found[ref] = _named(services)
    for service in api_services:
        ref = ObjectRef("apiregistration.k8s.io", "v1", "APIService", "", name_of(service))
        found[ref] = _named([(service.get("spec") or {}).get("service")])
    return found


def _named(services: Iterable[Mapping[str, Any] | None]) -> frozenset[tuple[str, str]]:
    """The Services; none at all where one of them is none (a URL), so that the whole is left alone."""
    listed = list(services)
    if not all(listed):
        return frozenset()
    return frozenset((str(s["namespace"]), str(s["name"])) for s in listed if s)


Stored = Mapping[tuple[str, str], Mapping[str, Any]]
"""(namespace, release) -> the newest Helm revision of it, as Helm keeps it."""


def _stored(api: KubeApi, stack: str, observed: ObservedState) -> Stored:
    return {
        (namespace, name): read_release(api, namespace, name, release.revision)
        for (namespace, name), release in sorted(observed.releases.items())
        if release.stack == stack and release.status not in GONE
    }


def refuse_exposed(api: KubeApi, stored: Stored) -> None:
    """Refuses to uninstall CRDs that lie in a manifest without Helm's keep annotation.

    Helm reads the annotation in the manifest that it stored, so that no patch of the live CRD would help.

    Raises:
        Refused: names each CRD and how many custom resources would go with it.
    """
    exposed = {name: release for (_, release), held in stored.items() for name in _exposed(str(held.get("manifest")))}
    resources = custom_resources(api, exposed)
    if not resources:
        return
    lines = [
        f"{exposed[name]}: CRD {name} with {len(found)} custom resource{'s' if len(found) != 1 else ''}"
        for name, found in resources.items()
    ]
    raise Refused(
        "uninstalling would delete CRDs that Helm applied, with all of their custom resources; nothing was changed",
        detail=lines,
        hint="give them the annotation helm.sh/resource-policy: keep by the chart's values and run up first; "
        "or have them removed: --purge crds",
    )


def _exposed(manifest: str) -> list[str]:
    from sparkrig.yaml.plain import objects

    if f"kind: {CRD[2]}" not in manifest:
        return []
    crds = [item for item in objects(manifest) if item.get("kind") == CRD[2]]
    return [name_of(i) for i in crds if dig(i, "metadata", "annotations", KEEP) != KEPT]


def _hooks(stored: Stored) -> tuple[ObjectRef, ...]:
    """What hooks of the stack's newest Helm revisions made."""
    found = []
    for (namespace, _), held in stored.items():
        found += [_hook_ref(hook, namespace) for hook in held.get("hooks") or ()]
    return tuple(sorted({ref for ref in found if ref is not None}))


def _hook_ref(hook: Mapping[str, Any], namespace: str) -> ObjectRef | None:
    from sparkrig.yaml.plain import load_plain_all

    for item in load_plain_all(str(hook.get("manifest") or ""), "hook"):
        if isinstance(item, Mapping) and item.get("kind"):
            group, _, version = str(item.get("apiVersion", "")).rpartition("/")
            return ObjectRef(group, version, str(item["kind"]), namespace_of(item) or namespace, name_of(item))
    return None
