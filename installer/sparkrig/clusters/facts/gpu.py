"""What nodes say of their GPUs, and of what the GPUs need from the host. Pure: objects in, facts out.

Sources: labels of node feature discovery and GPU feature discovery, the labels and DaemonSets of NVIDIA's operator
(v26.7: assets/state-driver, assets/state-container-toolkit, controllers/state_manager.go), ``status.nodeInfo``.

A fact that switches something off must be the same after the switch: what an operator of ours does to a node must not
look like what was there before it. So the operator's own labels count only where its DaemonSet is seen as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sparkrig.models.json import JsonDict, JsonObject, labels_of, mapping_at

Object = JsonObject

GPU_RESOURCE: Final = "nvidia.com/gpu"
MIG_RESOURCE: Final = "nvidia.com/mig-"
PCI_LABELS: Final = (
    "feature.node.kubernetes.io/pci-10de.present",
    # With the class in between: display controller, 3D controller.
    "feature.node.kubernetes.io/pci-0300_10de.present",
    "feature.node.kubernetes.io/pci-0302_10de.present",
)
"""Set by node feature discovery where a PCI device of vendor 10de is."""
PRESENT_LABEL: Final = "nvidia.com/gpu.present"
MODEL_LABEL: Final = "nvidia.com/gpu.product"
MEMORY_LABEL: Final = "nvidia.com/gpu.memory"
MIG_LABEL: Final = "nvidia.com/mig.capable"
HOST_DRIVER_LABELS: Final = ("nvidia.com/cuda.driver.major", "nvidia.com/cuda.driver-version.major")
"""Set by GPU feature discovery, which finds them out by loading the driver."""
DRIVER_LABEL: Final = "nvidia.com/gpu.deploy.driver"
"""``pre-installed`` where a driver was found on the host, ``true`` where one may be deployed by an operator."""
DRIVER_PODS: Final = {"app": "nvidia-driver-daemonset", "app.kubernetes.io/component": "nvidia-driver"}
TOOLKIT_PODS: Final = {"app": "nvidia-container-toolkit-daemonset"}
"""Labels of the operator's DaemonSets; any one is enough."""
CDI_SINCE: Final[Mapping[str, tuple[int, int]]] = {"containerd": (1, 7), "cri-o": (1, 23), "docker": (25, 0)}
"""First version of a container runtime that knows the Container Device Interface."""


def has_gpu(node: Object) -> bool:
    """True when a node has a GPU: it offers one, or a label of its vendor or of its PCI class says so."""
    labels = labels_of(node)
    return (
        gpu_count(node) > 0
        or bool(_mig_resources(node))
        or any(labels.get(name) == "true" for name in (*PCI_LABELS, PRESENT_LABEL))
    )


def gpu_count(node: Object) -> int:
    """How many whole GPUs pods can ask a node for."""
    count = str(_allocatable(node).get(GPU_RESOURCE, "0"))
    return int(count) if count.isdigit() else 0


def gpu_facts(nodes: Sequence[Object], daemon_sets: Sequence[Object]) -> JsonDict:
    """Facts ``gpu.*`` of the nodes that have GPUs; one that nothing tells is left out."""
    runtimes = unique(_runtime(node) for node in nodes)
    names = unique(runtime.partition("://")[0] for runtime in runtimes)
    facts: JsonDict = {
        "gpu.nodes-present": bool(nodes),
        "gpu.count": sum(map(gpu_count, nodes)),
        "gpu.models": unique(labels_of(node).get(MODEL_LABEL) for node in nodes),
        "gpu.memory-mib": sorted({int(m) for n in nodes if (m := labels_of(n).get(MEMORY_LABEL, "")).isdigit()}),
        "gpu.driver-installed": _driver_installed(nodes, daemon_sets),
        "gpu.toolkit-installed": _toolkit_installed(nodes, daemon_sets),
        "gpu.container-runtime": names[0] if len(names) == 1 else None,
        "gpu.cdi-supported": _all_known([_knows_cdi(runtime) for runtime in runtimes]),
        "gpu.mig-capable": any(labels_of(node).get(MIG_LABEL) == "true" for node in nodes) if nodes else None,
        "gpu.mig-strategy": "mixed" if any(map(_mig_resources, nodes)) else None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def distribution(nodes: Sequence[Object], kubernetes: str) -> str | None:
    """The Kubernetes distribution, where it says so and keeps its container runtime in places of its own."""
    versions = [kubernetes, *(str(_info(node).get("kubeletVersion", "")) for node in nodes)]
    for name in ("rke2", "k3s", "k0s"):
        if any(re.search(rf"[+-]{name}", version) for version in versions):
            return name
    return "microk8s" if any("microk8s.io/cluster" in labels_of(node) for node in nodes) else None


def unique(values: Iterable[str | None]) -> list[str]:
    """The values that are there, sorted, each once."""
    return sorted({value for value in values if value})


def _info(node: Object) -> JsonObject:
    return mapping_at(node, "status", "nodeInfo")


def _runtime(node: Object) -> str:
    return str(_info(node).get("containerRuntimeVersion") or "")


def _allocatable(node: Object) -> JsonObject:
    return mapping_at(node, "status", "allocatable")


def _mig_resources(node: Object) -> list[str]:
    return [name for name, count in _allocatable(node).items() if name.startswith(MIG_RESOURCE) and str(count) != "0"]


def _deployed(daemon_sets: Sequence[Object], wanted: Mapping[str, str]) -> bool:
    """True when one of the DaemonSets carries one of the labels.

    On how many nodes it runs does not count: that is 0 for a moment behind every change.
    """
    return any(labels_of(item).get(key) == value for item in daemon_sets for key, value in wanted.items())


def _driver_installed(nodes: Sequence[Object], daemon_sets: Sequence[Object]) -> bool | None:
    """Whether the hosts carry a driver of their own: True, False, or None where nothing tells.

    A mixture counts as False: an operator that deploys the driver leaves the hosts that have one alone.
    """
    if not nodes:
        return None
    if _deployed(daemon_sets, DRIVER_PODS):
        return all(labels_of(node).get(DRIVER_LABEL) == "pre-installed" for node in nodes)
    return _all_known([_host_driver(node) for node in nodes])


def _host_driver(node: Object) -> bool | None:
    labels = labels_of(node)
    state = labels.get(DRIVER_LABEL)
    works = gpu_count(node) > 0 or bool(_mig_resources(node)) or any(name in labels for name in HOST_DRIVER_LABELS)
    if state == "pre-installed" or works:
        return True
    return False if state else None


def _toolkit_installed(nodes: Sequence[Object], daemon_sets: Sequence[Object]) -> bool | None:
    """Whether the hosts' container runtime hands GPUs over already: a device plugin that works proves it."""
    if not nodes or _deployed(daemon_sets, TOOLKIT_PODS):
        return False if nodes else None
    return True if all(gpu_count(node) > 0 or _mig_resources(node) for node in nodes) else None


def _all_known(answers: Sequence[bool | None]) -> bool | None:
    """False where one says so, None where one is unknown, else True."""
    if not answers or (None in answers and False not in answers):
        return None
    return all(answers)


def _knows_cdi(runtime: str) -> bool | None:
    name, _, version = runtime.partition("://")
    match = re.match(r"v?(\d+)\.(\d+)", version)
    if name not in CDI_SINCE or match is None:
        return None
    return (int(match[1]), int(match[2])) >= CDI_SINCE[name]
