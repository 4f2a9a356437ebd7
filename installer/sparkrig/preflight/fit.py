"""Would a pod find a node? The scheduler's hard rules, without its preferences. Pure.

Looked at: readiness and cordons, node selector, required node affinity, taints, host ports, requests, required
anti-affinity by host name. Not looked at: volumes bound to a zone, topology spread, priorities and preemption.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from sparkrig.clusters.facts.gpu import GPU_RESOURCE, gpu_count, has_gpu
from sparkrig.plan.server.webhooks import selector_matches
from sparkrig.preflight.data import Object
from sparkrig.preflight.places import expression_holds
from sparkrig.preflight.quantity import Amounts, amounts, highest, parse, shown, total

HOST: Final = "kubernetes.io/hostname"
GPU_COUNT_LABEL: Final = "nvidia.com/gpu.count"
NOT_OURS: Final = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable", "node.kubernetes.io/unschedulable")
"""Taints that the control plane sets itself; said in words of their own."""
DAEMON_TOLERATES: Final = "node.kubernetes.io/"
"""A DaemonSet's pods tolerate the control plane's own taints."""


@dataclass
class Room:
    """What is left on one node; shrinks as pods are put on it."""

    node: Object
    free: Amounts
    ports: set[tuple[int, str]] = field(default_factory=set)
    pods: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    """(namespace, labels) of the pods there, as far as anti-affinity needs them."""

    @property
    def name(self) -> str:
        """The node's name."""
        return str(self.node["metadata"]["name"])


@dataclass(frozen=True, slots=True)
class Pod:
    """What matters of a pod for finding it a node."""

    namespace: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]
    needs: Amounts
    daemon: bool = False


def requests_of(spec: Mapping[str, Any], defaults: Amounts | None = None) -> Amounts:
    """What a pod asks for: the sum of its containers (sidecars too) or the largest init container, plus overhead."""
    running = [_container(c, defaults) for c in spec.get("containers") or ()]
    starting: list[Amounts] = []
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            running.append(_container(container, defaults))
        else:
            starting.append(_container(container, defaults))
    return total([highest([total(running), *starting]), amounts(spec.get("overhead")), {"pods": Decimal(1)}])


def _container(container: Mapping[str, Any], defaults: Amounts | None) -> Amounts:
    resources = container.get("resources") or {}
    return {**(defaults or {}), **amounts(resources.get("limits")), **amounts(resources.get("requests"))}


def rooms(nodes: Sequence[Object], pods: Sequence[Object], *, gpu_provided: bool) -> list[Room]:
    """What each node has left beside the pods it runs.

    ``gpu_provided``: a node with GPUs that nobody offers yet counts with those its label says, one where none does.
    """
    made = {str(node["metadata"]["name"]): Room(node, _capacity(node, gpu_provided)) for node in nodes}
    for item in pods:
        spec, status = item.get("spec") or {}, item.get("status") or {}
        room = made.get(str(spec.get("nodeName")))
        if room is None or status.get("phase") in ("Succeeded", "Failed"):
            continue
        metadata = item["metadata"]
        put(room, Pod(metadata.get("namespace", ""), metadata.get("labels") or {}, spec, requests_of(spec)))
    return list(made.values())


def _capacity(node: Object, gpu_provided: bool) -> Amounts:
    free = amounts((node.get("status") or {}).get("allocatable"))
    if gpu_provided and has_gpu(node) and gpu_count(node) == 0:
        labelled = (node["metadata"].get("labels") or {}).get(GPU_COUNT_LABEL, "1")
        free[GPU_RESOURCE] = max(parse(labelled), Decimal(1))
    return free


def put(room: Room, pod: Pod) -> None:
    """Let a pod take its share of a node."""
    for name, amount in pod.needs.items():
        room.free[name] = room.free.get(name, Decimal(0)) - amount
    room.ports |= _ports(pod.spec)
    room.pods.append((pod.namespace, pod.labels))


def obstacle(room: Room, pod: Pod) -> str:
    """Why a pod cannot run on a node, in a person's words; empty when it can."""
    return next(_obstacles(room, pod), "")


def _obstacles(room: Room, pod: Pod) -> Iterator[str]:
    if not pod.daemon and (room.node.get("spec") or {}).get("unschedulable"):
        yield "is cordoned"
    if not pod.daemon and not is_ready(room.node):
        yield "is not ready"
    if not _selected(room.node, pod.spec):
        yield "does not match the node selector"
    yield from (f"has taint {taint}" for taint in _repelling(room.node, pod))
    if _ports(pod.spec) & room.ports:
        yield "has the host port taken"
    for name, amount in pod.needs.items():
        left = room.free.get(name, Decimal(0))
        if amount > left and amount > 0:
            yield _lacking(name, max(left, Decimal(0)), amount, room)
    if _repelled_by_pods(room, pod):
        yield "runs another pod that it must not share a node with"


def _lacking(name: str, left: Decimal, amount: Decimal, room: Room) -> str:
    if name not in ((room.node.get("status") or {}).get("allocatable") or {}) and name not in room.free:
        return f"offers no {name}"
    what = {"cpu": "CPU"}.get(name, name)
    if name == "pods":
        return "has its number of pods"
    return f"has {shown(name, left)} of {shown(name, amount)} {what} free"


def is_ready(node: Object) -> bool:
    """The Ready condition; a node that says nothing counts as ready."""
    for condition in (node.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Ready":
            return bool(condition.get("status") == "True")
    return True


def _selected(node: Object, spec: Mapping[str, Any]) -> bool:
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    if spec.get("nodeName") not in (None, node["metadata"]["name"]):
        return False
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if not required:
        return True
    fields = {"metadata.name": node["metadata"]["name"]}
    return any(
        _holds(term.get("matchExpressions"), labels) and _holds(term.get("matchFields"), fields)
        for term in required.get("nodeSelectorTerms") or ()
        if term.get("matchExpressions") or term.get("matchFields")
    )


def _holds(expressions: Sequence[Mapping[str, Any]] | None, labels: Mapping[str, str]) -> bool:
    return all(
        expression_holds(labels, str(e.get("key")), str(e.get("operator")), e.get("values") or ())
        for e in expressions or ()
    )


def _repelling(node: Object, pod: Pod) -> Iterator[str]:
    for taint in (node.get("spec") or {}).get("taints") or ():
        key = str(taint.get("key"))
        if taint.get("effect") == "PreferNoSchedule" or key in NOT_OURS:
            continue
        if pod.daemon and key.startswith(DAEMON_TOLERATES):
            continue
        if not any(_tolerates(toleration, taint) for toleration in pod.spec.get("tolerations") or ()):
            value = f"={taint['value']}" if taint.get("value") else ""
            yield f"{key}{value}:{taint.get('effect')}"


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return toleration.get("key") in (None, "", taint.get("key"))
    return toleration.get("key") == taint.get("key") and (toleration.get("value") or "") == (taint.get("value") or "")


def _ports(spec: Mapping[str, Any]) -> set[tuple[int, str]]:
    return {
        (int(port["hostPort"]), str(port.get("protocol", "TCP")))
        for container in spec.get("containers") or ()
        for port in container.get("ports") or ()
        if port.get("hostPort")
    }


def _repelled_by_pods(room: Room, pod: Pod) -> bool:
    terms = ((pod.spec.get("affinity") or {}).get("podAntiAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or ()
    for term in terms:
        if term.get("topologyKey") != HOST or term.get("namespaceSelector"):
            continue
        places = term.get("namespaces") or (pod.namespace,)
        for namespace, labels in room.pods:
            if namespace in places and selector_matches(term.get("labelSelector"), labels):
                return True
    return False
