"""A cluster: how it is reached, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from sparkrig.models.component import Install
from sparkrig.models.json import JsonObject


@dataclass(frozen=True, slots=True)
class ClusterHandle:
    """How to reach a cluster. The kubeconfig file may hold credentials: never log its text."""

    provider: Literal["context", "kind", "sim"]
    name: str
    kubeconfig: Path | None
    """None means kubectl's own rules (KUBECONFIG, ~/.kube/config)."""
    context: str | None
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What was read from the cluster. ``None`` means unknown, e.g. offline."""

    kubernetes: str | None = None
    nodes: int | None = None
    gpu_nodes: int | None = None
    gpus: int | None = None
    default_storage_class: str | None = None
    simulated: bool = False
    test_cluster: bool = False
    """Marked by us as a cluster for tests; stand-ins are allowed there."""
    values: JsonObject = field(default_factory=dict)
    """Dotted fact name -> value, what ``component.yaml`` refers to."""
    installs: tuple[Install, ...] = ()
    """What others installed, as the components' ``detect`` rules find it."""


FACTS: Final[Mapping[str, str]] = {
    "kubernetes.version": "version of the API server, e.g. 1.36.3",
    "cluster.simulated": "all nodes and pods are simulated",
    "cluster.load-balancer": "something gives a Service of type LoadBalancer an address",
    "cluster.distribution": "k3s, rke2, microk8s or k0s, where the nodes say so",
    "gpu.nodes-present": "at least one node has a GPU",
    "gpu.count": "GPUs that pods can ask for",
    "gpu.models": "names of the GPU models, sorted",
    "gpu.memory-mib": "memory of the GPU models, sorted",
    "gpu.driver-installed": "the GPU nodes carry a driver of their own",
    "gpu.toolkit-installed": "the GPU nodes' container runtime knows the GPUs already",
    "gpu.device-plugin-installed": "a device plugin for GPUs is there and not ours",
    "gpu.container-runtime": "the container runtime of the GPU nodes, where all have the same",
    "gpu.cdi-supported": "the GPU nodes' container runtime knows the Container Device Interface",
    "gpu.mig-capable": "a GPU can be cut into MIG slices",
    "gpu.mig-strategy": "mixed where nodes offer MIG slices by size, else single or none",
    "ingress.default-class-present": "there is a default IngressClass and it is not ours",
    "nfd.installed": "Node Feature Discovery is there and not ours",
    "node.architectures": "architectures of the nodes, sorted",
    "node.container-runtime": "the container runtime, where all nodes have the same",
    "node.container-runtimes": "container runtimes with versions, sorted",
    "storage.default-class": "name of the default StorageClass, or null",
    "storage.default-class-present": "there is a default StorageClass",
}
"""Facts that ``component.yaml`` can refer to, besides ``crd.NAME`` (see docs/components.md), and what each says."""
