"""Would a pod find a node? The scheduler's hard rules, without its preferences. Pure.

Looked at: readiness and cordons, node selector, required node affinity, taints, host ports, requests, required
anti-affinity by host name. Not looked at: volumes bound to a zone, topology spread, priorities and preemption.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from sparkrig.clusters.facts.gpu import GPU_RESOURCE, gpu_count, has_gpu
from sparkrig.models.json import (
    JsonObject,
    conditions_of,
    dig,
    labels_of,
    mapping_at,
    mappings_at,
    name_of,
    namespace_of,
    number_at,
    text_at,
    texts_at,
)
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
        return name_of(self.node)


@dataclass(frozen=True, slots=True)
class Pod:
    """What matters of a pod for finding it a node."""

    namespace: str
    labels: Mapping[str, str]
    spec: JsonObject
    needs: Amounts
    daemon: bool = False


def requests_of(spec: JsonObject, defaults: Amounts | None = None) -> Amounts:
    """What a pod asks for: the sum of its containers (sidecars too) or the largest init container, plus overhead."""
    running = [_container(c, defaults) for c in mappings_at(spec, "containers")]
    starting: list[Amounts] = []
    for container in mappings_at(spec, "initContainers"):
        if container.get("restartPolicy") == "Always":
            running.append(_container(container, defaults))
        else:
            starting.append(_container(container, defaults))
    return total([highest([total(running), *starting]), amounts(spec, "overhead"), {"pods": Decimal(1)}])


def _container(container: JsonObject, defaults: Amounts | None) -> Amounts:
    limits, requests = amounts(container, "resources", "limits"), amounts(container, "resources", "requests")
    return {**(defaults or {}), **limits, **requests}


def rooms(nodes: Sequence[Object], pods: Sequence[Object], *, gpu_provided: bool) -> list[Room]:
    """What each node has left beside the pods it runs.

    ``gpu_provided``: a node with GPUs that nobody offers yet counts with those its label says, one where none does.
    """
    made = {name_of(node): Room(node, _capacity(node, gpu_provided)) for node in nodes}
    for item in pods:
        spec = mapping_at(item, "spec")
        room = made.get(text_at(spec, "nodeName"))
        if room is None or dig(item, "status", "phase") in ("Succeeded", "Failed"):
            continue
        put(room, Pod(namespace_of(item), labels_of(item), spec, requests_of(spec)))
    return list(made.values())


def _capacity(node: Object, gpu_provided: bool) -> Amounts:
    free = amounts(node, "status", "allocatable")
    if gpu_provided and has_gpu(node) and gpu_count(node) == 0:
        labelled = labels_of(node).get(GPU_COUNT_LABEL, "1")
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
    if not pod.daemon and dig(room.node, "spec", "unschedulable"):
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
    if name not in mapping_at(room.node, "status", "allocatable") and name not in room.free:
        return f"offers no {name}"
    what = {"cpu": "CPU"}.get(name, name)
    if name == "pods":
        return "has its number of pods"
    return f"has {shown(name, left)} of {shown(name, amount)} {what} free"


def is_ready(node: Object) -> bool:
    """The Ready condition; a node that says nothing counts as ready."""
    for condition in conditions_of(node):
        if condition.get("type") == "Ready":
            return bool(condition.get("status") == "True")
    return True


def _selected(node: Object, spec: JsonObject) -> bool:
    labels = labels_of(node)
    if any(labels.get(key) != value for key, value in mapping_at(spec, "nodeSelector").items()):
        return False
    if spec.get("nodeName") not in (None, name_of(node)):
        return False
    required = dig(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    fields = {"metadata.name": name_of(node)}
    return any(
        _holds(mappings_at(term, "matchExpressions"), labels) and _holds(mappings_at(term, "matchFields"), fields)
        for term in mappings_at(required, "nodeSelectorTerms")
        if term.get("matchExpressions") or term.get("matchFields")
    )


def _holds(expressions: Sequence[JsonObject], labels: Mapping[str, str]) -> bool:
    return all(
        expression_holds(labels, str(e.get("key")), str(e.get("operator")), texts_at(e, "values")) for e in expressions
    )


def _repelling(node: Object, pod: Pod) -> Iterator[str]:
    for taint in mappings_at(node, "spec", "taints"):
        key = text_at(taint, "key")
        if taint.get("effect") == "PreferNoSchedule" or key in NOT_OURS:
            continue
        if pod.daemon and key.startswith(DAEMON_TOLERATES):
            continue
        if not any(_tolerates(toleration, taint) for toleration in mappings_at(pod.spec, "tolerations")):
            value = f"={taint['value']}" if taint.get("value") else ""
            yield f"{key}{value}:{taint.get('effect')}"


def _tolerates(toleration: JsonObject, taint: JsonObject) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return toleration.get("key") in (None, "", taint.get("key"))
    return toleration.get("key") == taint.get("key") and (toleration.get("value") or "") == (taint.get("value") or "")


def _ports(spec: JsonObject) -> set[tuple[int, str]]:
    return {
        (number_at(port, "hostPort"), text_at(port, "protocol", default="TCP"))
        for container in mappings_at(spec, "containers")
        for port in mappings_at(container, "ports")
        if port.get("hostPort")
    }


def _repelled_by_pods(room: Room, pod: Pod) -> bool:
    terms = mappings_at(pod.spec, "affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    for term in terms:
        if term.get("topologyKey") != HOST or term.get("namespaceSelector"):
            continue
        places = texts_at(term, "namespaces") or (pod.namespace,)
        for namespace, labels in room.pods:
            if namespace in places and selector_matches(mapping_at(term, "labelSelector"), labels):
                return True
    return False
