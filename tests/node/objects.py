"""The first objects of a node's cluster: DNS, volumes, the mark of a test cluster, the labels of GPU nodes."""

from __future__ import annotations

import time

from tests.node import config, controlplane
from tests.node.settings import HOST_NAME, POLL_S, READY_TIMEOUT_S, Node

from sparkrig.clusters.mark import write_mark
from sparkrig.clusters.sim.config import GPU_LABELS
from sparkrig.errors import OperationError
from sparkrig.kube.client import KubeApi
from sparkrig.kube.errors import ApiError

FILES = ("coredns.yaml", "volumes.yaml")
NODE_PATH = f"/api/v1/nodes/{HOST_NAME}"
DEPLOYMENTS = (
    "/apis/apps/v1/namespaces/kube-system/deployments/coredns",
    "/apis/apps/v1/namespaces/local-path-storage/deployments/local-path-provisioner",
)


def furnish(node: Node) -> None:
    """Apply the first objects; the same again changes nothing."""
    api = controlplane.api_of(node)
    try:
        for file in FILES:
            for manifest in config.manifests(node, file):
                api.apply(manifest)
        write_mark(api, test_cluster=True)
    finally:
        api.close()


def wait_until_ready(node: Node) -> None:
    """Wait until the node takes pods, offers its GPUs, and DNS and volumes are served.

    Raises:
        OperationError: the time is over; names what is not ready and why.
    """
    api = controlplane.api_of(node)
    deadline = time.monotonic() + READY_TIMEOUT_S
    try:
        while waiting := _waits_for(api, node):
            if time.monotonic() > deadline:
                raise OperationError(f"node {node.name} is not ready: {waiting} (logs: {node.logs})")
            time.sleep(POLL_S)
    finally:
        api.close()


def _waits_for(api: KubeApi, node: Node) -> str:
    """What is not ready yet, in a person's words; empty when all is."""
    try:
        return _node_waits(api, node) or next(
            (why for path in DEPLOYMENTS if (why := _deployment_waits(api, path))), ""
        )
    except ApiError as error:
        return str(error)


def _node_waits(api: KubeApi, node: Node) -> str:
    found = api.get(NODE_PATH, missing_ok=True)
    if found is None:
        return "kubelet has not registered the node"
    if node.gpus and found["metadata"].get("labels", {}).get("nvidia.com/gpu.present") is None:
        # kubelet makes the node, so that its labels can only come behind it.
        labels = {**GPU_LABELS, "nvidia.com/gpu.machine": "pretended", "nvidia.com/gpu.count": str(node.gpus)}
        api.patch(NODE_PATH, {"metadata": {"labels": labels}})
    conditions = {c["type"]: c for c in found["status"].get("conditions", [])}
    ready = conditions.get("Ready", {})
    if ready.get("status") != "True" or found["spec"].get("taints"):
        return f"the node: {ready.get('message', 'no condition yet')}"
    if found["status"]["allocatable"].get("nvidia.com/gpu", "0") == "0" and node.gpus:
        return "kubelet does not offer the GPUs yet"
    return ""


def _deployment_waits(api: KubeApi, path: str) -> str:
    found = api.get(path)
    assert found is not None
    wanted, ready = found["spec"].get("replicas", 1), found.get("status", {}).get("readyReplicas", 0)
    behind = found.get("status", {}).get("observedGeneration", 0) < found["metadata"]["generation"]
    return f"Deployment {found['metadata']['name']}: {ready} of {wanted} ready" if behind or ready < wanted else ""
