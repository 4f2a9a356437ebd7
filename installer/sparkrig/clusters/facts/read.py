"""Reads what the rest of sparkrig must know of a cluster, in a handful of requests at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from sparkrig.clusters.facts.gpu import distribution, gpu_count, gpu_facts, has_gpu, unique
from sparkrig.clusters.facts.installs import Objects, find_installs, owner_of
from sparkrig.clusters.mark import Mark, read_mark
from sparkrig.errors import AccessDenied
from sparkrig.helm.storage.releases import list_releases
from sparkrig.kube.client import KubeApi
from sparkrig.kube.errors import ApiError
from sparkrig.models.cluster import ClusterFacts, ClusterHandle
from sparkrig.models.component import DetectRule, Install
from sparkrig.models.json import JsonDict, JsonObject, annotations_of, dig, labels_of, mapping_at, name_of, text_at
from sparkrig.models.release import ObservedRelease

Object = JsonObject

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
DEFAULT_INGRESS_CLASS = "ingressclass.kubernetes.io/is-default-class"
HELM_CHARTS = "helmcharts.helm.cattle.io"
FAKE_NODE = "kwok.x-k8s.io/node"
CLOUD_PROVIDERS = frozenset(
    {"aws", "azure", "gce", "digitalocean", "openstack", "oci", "ibm", "linode", "hcloud", "vultr"}
)
"""Schemes of ``spec.providerID`` whose cloud controller gives a Service of type LoadBalancer an address."""


@dataclass(frozen=True, slots=True)
class _Answers:
    nodes: Sequence[Object]
    classes: Sequence[Object]
    services: Sequence[Object]
    mark: Mark
    deployments: Sequence[Object]
    daemon_sets: Sequence[Object]
    stateful_sets: Sequence[Object]
    crds: Sequence[Object]
    ingress_classes: Sequence[Object]
    api_services: Sequence[Object]
    denied: frozenset[str]
    releases: Mapping[tuple[str, str], ObservedRelease] = field(default_factory=dict)
    helm_charts: Sequence[Object] = ()


def read_facts(api: KubeApi, handle: ClusterHandle, detect: Sequence[DetectRule] = ()) -> ClusterFacts:
    """Return the facts. What we are not allowed to read is unknown (None, no key in ``values``), not an error.

    ``detect`` says how installations of others are found; ``ClusterFacts.installs`` is what was found.

    Raises:
        ClusterUnreachable: no answer at first contact.
        AccessDenied: the credentials are not accepted, or nothing at all may be read.
    """
    kubernetes = api.version()
    answers = _ask(api)
    may_nodes = "nodes" not in answers.denied
    gpu_nodes = [node for node in answers.nodes if has_gpu(node)]
    simulated = _simulated(handle, answers.nodes)
    default_class = _default_class(answers.classes)
    values: JsonDict = {"kubernetes.version": kubernetes, "cluster.simulated": simulated}
    if may_nodes:
        values |= gpu_facts(gpu_nodes, answers.daemon_sets) | _node_values(answers.nodes)
        values |= {"cluster.distribution": kind} if (kind := distribution(answers.nodes, kubernetes)) else {}
    if "classes" not in answers.denied:
        values["storage.default-class"] = default_class
        values["storage.default-class-present"] = default_class is not None
    if "crds" not in answers.denied:
        values |= {f"crd.{name_of(item)}": True for item in answers.crds}
    if not {"ingress_classes", "releases"} & answers.denied:
        values["ingress.default-class-present"] = _foreign_default_class(answers)
    installs = _installs(answers, detect)
    values |= _found(answers, detect, installs)
    balancer = _load_balancer(answers, kubernetes, handle)
    if balancer is not None:
        values["cluster.load-balancer"] = balancer
    return ClusterFacts(
        kubernetes=kubernetes or None,
        nodes=len(answers.nodes) if may_nodes else None,
        gpu_nodes=len(gpu_nodes) if may_nodes else None,
        gpus=sum(map(gpu_count, gpu_nodes)) if may_nodes else None,
        default_storage_class=default_class,
        simulated=simulated,
        test_cluster=answers.mark.test_cluster,
        values=values,
        installs=installs,
    )


def read_nodes(api: KubeApi, handle: ClusterHandle) -> ClusterFacts:
    """Return what the nodes alone tell, in one request: how many, their GPUs, whether they are simulated.

    Raises:
        ClusterUnreachable: no answer at first contact.
    """
    kubernetes = api.version()
    try:
        nodes = api.list("/api/v1/nodes")
    except AccessDenied:
        return ClusterFacts(kubernetes=kubernetes or None, simulated=handle.simulated)
    gpu_nodes = [node for node in nodes if has_gpu(node)]
    return ClusterFacts(
        kubernetes=kubernetes or None,
        nodes=len(nodes),
        gpu_nodes=len(gpu_nodes),
        gpus=sum(map(gpu_count, gpu_nodes)),
        simulated=_simulated(handle, nodes),
    )


def _simulated(handle: ClusterHandle, nodes: Sequence[Object]) -> bool:
    return handle.simulated or (bool(nodes) and all(_is_fake(node) for node in nodes))


def _ask(api: KubeApi) -> _Answers:
    questions: dict[str, Callable[[], list[JsonDict]]] = {
        "nodes": lambda: api.list("/api/v1/nodes"),
        "classes": lambda: api.list("/apis/storage.k8s.io/v1/storageclasses"),
        "services": lambda: api.list("/api/v1/services"),
        "deployments": lambda: api.list("/apis/apps/v1/deployments"),
        "daemon_sets": lambda: api.list("/apis/apps/v1/daemonsets"),
        "stateful_sets": lambda: api.list("/apis/apps/v1/statefulsets"),
        "crds": lambda: api.list("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", metadata_only=True),
        "ingress_classes": lambda: api.list("/apis/networking.k8s.io/v1/ingressclasses"),
        "api_services": lambda: api.list("/apis/apiregistration.k8s.io/v1/apiservices"),
    }
    answers: dict[str, list[JsonDict]] = {}
    denied: dict[str, AccessDenied] = {}
    mark: Mark | None = None
    releases: Mapping[tuple[str, str], ObservedRelease] | None = None
    with ThreadPoolExecutor(len(questions) + 2, "facts") as pool:
        marking, listing = pool.submit(read_mark, api), pool.submit(list_releases, api)
        for name, future in [(n, pool.submit(q)) for n, q in questions.items()]:
            try:
                answers[name] = future.result()
            except AccessDenied as error:
                denied[name] = error
        try:
            mark = marking.result()
        except AccessDenied as error:
            denied["mark"] = error
        try:
            releases = listing.result()
        except AccessDenied as error:
            denied["releases"] = error
    if not answers and mark is None and releases is None:
        raise denied["nodes"]
    return _Answers(
        mark=mark or Mark(),
        releases=releases or {},
        denied=frozenset(denied),
        helm_charts=_helm_charts(api, answers.get("crds", ())),
        **{name: answers.get(name, ()) for name in questions},
    )


def _helm_charts(api: KubeApi, crds: Sequence[Object]) -> Sequence[Object]:
    """The HelmCharts of K3s and RKE2; none on other clusters, which are not asked."""
    if not any(name_of(item) == HELM_CHARTS for item in crds):
        return ()
    plural, _, group = HELM_CHARTS.partition(".")
    try:
        return api.list(f"/apis/{group}/v1/{plural}")
    except (AccessDenied, ApiError):  # it serves to name an owner
        return ()


def _installs(answers: _Answers, detect: Sequence[DetectRule]) -> tuple[Install, ...]:
    """What the rules find; nothing where the releases cannot be read, for then ours would look like somebody's."""
    if "releases" in answers.denied:
        return ()
    objects = Objects(
        workloads=[*answers.deployments, *answers.daemon_sets, *answers.stateful_sets],
        crds=answers.crds,
        ingress_classes=answers.ingress_classes,
        api_services=answers.api_services,
        releases=answers.releases,
        helm_charts=answers.helm_charts,
    )
    return find_installs(detect, objects)


def _found(answers: _Answers, detect: Sequence[DetectRule], installs: Sequence[Install]) -> dict[str, bool]:
    """The facts that rules name: true where something of others is there, unknown where nobody could look."""
    if {"releases", "deployments", "daemon_sets"} & answers.denied:
        return {}
    found = {i.fact for i in installs if i.fact is not None and i.stack is None and not i.crds_only}
    return {rule.fact: rule.fact in found for rule in detect if rule.fact is not None}


def _foreign_default_class(answers: _Answers) -> bool:
    return any(
        dig(item, "metadata", "annotations", DEFAULT_INGRESS_CLASS) == "true"
        and owner_of(item, answers.releases).stack is None
        for item in answers.ingress_classes
    )


def _is_fake(node: Object) -> bool:
    annotations = annotations_of(node)
    return annotations.get(FAKE_NODE) == "fake" or labels_of(node).get("type") == "kwok"


def _node_values(nodes: Sequence[Object]) -> JsonDict:
    info = [mapping_at(node, "status", "nodeInfo") for node in nodes]
    runtimes = unique(text_at(i, "containerRuntimeVersion") for i in info)
    names = unique(r.partition("://")[0] for r in runtimes)
    values: JsonDict = {
        "node.container-runtimes": runtimes,
        "node.architectures": unique(text_at(i, "architecture") for i in info),
    }
    if len(names) == 1:
        values["node.container-runtime"] = names[0]
    return values


def _default_class(classes: Sequence[Object]) -> str | None:
    """Return the default StorageClass; of several the newest, as the API server's admission takes it."""
    marked = [c for c in classes if dig(c, "metadata", "annotations", DEFAULT_CLASS) == "true"]
    marked.sort(key=name_of)
    newest = max(marked, key=lambda c: text_at(c, "metadata", "creationTimestamp"), default=None)
    return name_of(newest) if newest else None


def _load_balancer(answers: _Answers, kubernetes: str, handle: ClusterHandle) -> bool | None:
    """Whether something gives a Service of type LoadBalancer an address; None where nothing tells.

    A Service that has none yet proves nothing; taking it for proof would make the answer depend on our own Services.
    """
    if any(dig(s, "status", "loadBalancer", "ingress") for s in answers.services):
        return True
    providers = {text_at(n, "spec", "providerID").partition("://")[0] for n in answers.nodes}
    if handle.provider == "sim" or providers & CLOUD_PROVIDERS or "+k3s" in kubernetes:
        return True
    return False if handle.provider == "kind" or "kind" in providers else None
