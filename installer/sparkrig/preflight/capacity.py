"""CPU, memory, GPUs and pods: what the nodes have left against what the stack asks for, workload by workload."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from sparkrig.clusters.facts.gpu import GPU_RESOURCE
from sparkrig.models.json import dig, labels_of, mappings_at, name_of, namespace_of
from sparkrig.preflight.data import Case, Object
from sparkrig.preflight.finding import Finding, fail, listed, ok, warn
from sparkrig.preflight.fit import Pod, Room, is_ready, obstacle, put, requests_of, rooms
from sparkrig.preflight.objects import Workload, kind_of, namespace_in, workloads
from sparkrig.preflight.quantity import Amounts, amounts, shown, total
from sparkrig.readiness.nodes import is_cordoned, node_states

SHOWN = ("cpu", "memory", GPU_RESOURCE, "pods")
WORDS = {"cpu": "CPU", "memory": "memory", GPU_RESOURCE: "GPUs", "pods": "pods"}


def nodes(case: Case) -> Iterator[Finding]:
    """Nodes that take no pods, and GPUs that a component cannot do without."""
    if "nodes" in case.survey.denied:
        return
    if not case.survey.nodes:
        yield fail("no-nodes", "cluster", "this cluster has no node", "join one first")
    for node in case.survey.nodes:
        if not is_ready(node):
            yield warn("node-not-ready", f"node {name_of(node)}", "it is not ready", "kubectl describe node")
    yield from _worked_on(case)
    for wanted in case.wanted:
        if wanted.component.requires.get("gpuNodes") and case.facts.values.get("gpu.nodes-present") is False:
            message = "it needs a node with a GPU, and no node has one by its labels or resources"
            hint = "label the node, e.g. nvidia.com/gpu.present=true, where nothing discovers its devices"
            yield fail("no-gpu-nodes", wanted.name, message, hint)


def _worked_on(case: Case) -> Iterator[Finding]:
    """Nodes with which a controller has not ended, and nodes that somebody cordoned."""
    states = node_states(case.survey.nodes, case.node_states)
    for state in states:
        subject = f"node {state.node}"
        hint = f"kubectl describe node {state.node}; kubectl get pods -A --field-selector spec.nodeName={state.node}"
        yield warn("node-state", subject, state.text.removeprefix(f"{subject}: "), hint)
    busy = {state.node for state in states}
    for name in sorted(name_of(n) for n in case.survey.nodes if is_cordoned(n)):
        if name not in busy:
            yield warn("node-cordoned", f"node {name}", "it is cordoned: no new pod is placed there",
                       f"kubectl uncordon {name}, when it is mended")  # fmt: skip


def capacity(case: Case) -> Iterator[Finding]:
    """Workloads for whose pods there is no room; and the sums."""
    if {"nodes", "pods"} & case.survey.denied.keys() or not case.survey.nodes:
        return
    everything = [w for w in workloads(case) if w.spec]
    # What a workload runs now makes room for what it will run.
    running = [pod for pod in case.survey.pods if not _replaced(pod, everything)]
    space = rooms(case.survey.nodes, running, gpu_provided=case.gpu_provided)
    before = _free(space)
    defaults = limit_defaults(case)
    lasting = [w for w in everything if not w.hook]
    daemons = [w for w in lasting if w.kind == "DaemonSet"]
    for workload in [*daemons, *(w for w in lasting if w.kind != "DaemonSet")]:
        yield from _place(workload, space, _pod(workload, defaults))
    for workload in everything:
        if workload.hook and (reasons := _nowhere(space, _pod(workload, defaults))):
            yield _unschedulable(workload, 1, 1, reasons)
    asked = total(_asked(workload, space, defaults) for workload in lasting)
    if asked:
        yield from _sums(asked, before)


def limit_defaults(case: Case) -> dict[str, Amounts]:
    """Namespace -> what a container without requests gets there from LimitRanges, rendered ones included."""
    ranges = [(namespace_of(item), item) for item in case.survey.limit_ranges]
    for wanted in case.wanted:
        limits = [item for item in wanted.objects if kind_of(item) == ("", "v1", "LimitRange")]
        ranges += [(namespace_in(item, wanted), item) for item in limits]
    found: dict[str, Amounts] = {}
    for namespace, item in ranges:
        for limit in mappings_at(item, "spec", "limits"):
            if limit.get("type") == "Container":
                given = {**amounts(limit, "default"), **amounts(limit, "defaultRequest")}
                found.setdefault(namespace, {}).update(given)
    return found


def _replaced(pod: Object, everything: Sequence[Workload]) -> bool:
    labels = labels_of(pod)
    return any(
        w.selector
        and not w.fresh
        and w.namespace == namespace_of(pod)
        and all(labels.get(key) == value for key, value in w.selector.items())
        for w in everything
    )


def _pod(workload: Workload, defaults: Mapping[str, Amounts]) -> Pod:
    needs = requests_of(workload.spec, defaults.get(workload.namespace))
    return Pod(workload.namespace, workload.labels, workload.spec, needs, daemon=workload.kind == "DaemonSet")


def _place(workload: Workload, space: Sequence[Room], pod: Pod) -> Iterator[Finding]:
    if workload.kind == "DaemonSet":
        yield from _everywhere(workload, space, pod)
        return
    for placed in range(workload.replicas):
        # The fullest node first leaves large holes for large pods.
        fitting = next((room for room in sorted(space, key=_fullness) if not obstacle(room, pod)), None)
        if fitting is None:
            yield _unschedulable(workload, workload.replicas - placed, workload.replicas, _nowhere(space, pod))
            return
        put(fitting, pod)


def _everywhere(workload: Workload, space: Sequence[Room], pod: Pod) -> Iterator[Finding]:
    """A DaemonSet goes where selector and taints let it; there, resources must suffice."""
    light = Pod(pod.namespace, pod.labels, {k: v for k, v in pod.spec.items() if k != "containers"}, {}, daemon=True)
    meant = [room for room in space if not obstacle(room, light)]
    blocked = {room.name: why for room in meant if (why := obstacle(room, pod))}
    for room in meant:
        if room.name not in blocked:
            put(room, pod)
    if blocked:
        reasons = list(blocked.values())
        where = f"no room on {len(blocked)} of the {_nodes(len(meant))} that it is for"
        yield _no_room(workload, f"{where}: {_counted(reasons)}", reasons)


def _nowhere(space: Sequence[Room], pod: Pod) -> list[str]:
    """Why no node takes the pod; empty where one does."""
    reasons = [obstacle(room, pod) for room in space]
    return reasons if all(reasons) else []


def _unschedulable(workload: Workload, missing: int, wanted: int, reasons: Sequence[str]) -> Finding:
    pods = "its pod fits" if wanted == 1 else f"{missing} of {wanted} pods fit"
    return _no_room(workload, f"{pods} on no node; of {_nodes(len(reasons))}, {_counted(reasons)}", reasons)


def _no_room(workload: Workload, message: str, reasons: Sequence[str]) -> Finding:
    hint = "free or add capacity, or lower its requests and replicas in the component's values"
    if all(reason.startswith("offers no ") for reason in reasons):
        hint = "add a node that offers it, or switch it off in the component's values"
    elif all(reason.startswith("has taint ") for reason in reasons):
        hint = "set tolerations in the component's values, or remove the taint"
    return fail("unschedulable", workload.component, f"{workload.title}: {message}", hint)


def _counted(reasons: Sequence[str]) -> str:
    """``2 are cordoned, 1 has taint x``, the most frequent first."""
    counted = Counter(reasons).most_common()
    return listed((f"{count} {_plural(reason) if count > 1 else reason}" for reason, count in counted), 4)


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"


def _plural(reason: str) -> str:
    verb, _, rest = reason.partition(" ")
    plural = {"is": "are", "does": "do", "has": "have", "offers": "offer", "runs": "run"}
    return f"{plural.get(verb, verb)} {rest}"


def _fullness(room: Room) -> tuple[Decimal, Decimal, Decimal]:
    zero = Decimal(0)
    return (room.free.get(GPU_RESOURCE, zero), room.free.get("cpu", zero), room.free.get("memory", zero))


def _free(space: Sequence[Room]) -> Amounts:
    usable = [r for r in space if is_ready(r.node) and not dig(r.node, "spec", "unschedulable")]
    return total({k: max(v, Decimal(0)) for k, v in room.free.items()} for room in usable)


def _asked(workload: Workload, space: Sequence[Room], defaults: Mapping[str, Amounts]) -> Amounts:
    pod = _pod(workload, defaults)
    if workload.kind == "DaemonSet":
        light = Pod(
            pod.namespace, pod.labels, {k: v for k, v in pod.spec.items() if k != "containers"}, {}, daemon=True
        )
        count = sum(not obstacle(room, light) for room in space)
    else:
        count = workload.replicas
    return {name: amount * count for name, amount in pod.needs.items()}


def _sums(asked: Amounts, free: Amounts) -> Iterator[Finding]:
    parts, short = [], []
    for name in SHOWN:
        if not asked.get(name):
            continue
        left = free.get(name, Decimal(0))
        parts.append(f"{shown(name, asked[name])} of {shown(name, left)} {WORDS[name]}")
        if asked[name] > left:
            short.append(f"{shown(name, asked[name])} {WORDS[name]} asked for, {shown(name, left)} free")
    if short:
        message = f"the stack does not fit: {'; '.join(short)}"
        yield fail("capacity", "cluster", message, "add nodes, or switch components off")
    else:
        yield ok("capacity", "cluster", f"the stack asks for {', '.join(parts)} that are free")
