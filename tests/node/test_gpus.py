"""Pretend GPUs the real way: kubelet's interface, the scheduler, quota, and sparkrig's own reading of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.node import gpus
from tests.node.kubectl import Kubectl, pod, toolbox, until
from tests.node.settings import HOST_NAME, Node

pytestmark = pytest.mark.core


@pytest.fixture(autouse=True)
def plugged(node: Node) -> Iterator[None]:
    """Every device is plugged in again behind the test."""
    yield
    for device in gpus.read(node):
        gpus.set_health(node, device, healthy=True)


def asks_for(count: int) -> dict:
    return {"resources": {"limits": {"nvidia.com/gpu": str(count)}}}


def counts(kubectl: Kubectl) -> tuple[str, str]:
    status = kubectl.get("node", HOST_NAME)["status"]
    return status["capacity"]["nvidia.com/gpu"], status["allocatable"]["nvidia.com/gpu"]


def phase(kubectl: Kubectl, name: str) -> str:
    return str(kubectl.get("pod", name)["status"]["phase"])


def test_a_pod_gets_the_devices_it_asks_for(kubectl: Kubectl, node: Node) -> None:
    kubectl.apply(pod("both", toolbox("both", asks_for(2))))
    kubectl("wait", "--for=condition=Ready", "pod/both", "--timeout=300s")
    seen = kubectl("exec", "both", "--", "printenv", "NVIDIA_VISIBLE_DEVICES").strip().split(",")
    assert sorted(seen) == sorted(gpus.read(node))
    assert gpus.read(node) == {"GPU-0": "Healthy", "GPU-1": "Healthy"}


def test_a_pod_for_which_none_is_free_waits_until_one_is(kubectl: Kubectl) -> None:
    kubectl.apply(pod("first", toolbox("first", asks_for(2))))
    kubectl("wait", "--for=condition=Ready", "pod/first", "--timeout=300s")
    kubectl.apply(pod("second", toolbox("second", asks_for(1))))

    def refused() -> bool:
        conditions = kubectl.get("pod", "second")["status"].get("conditions", [])
        return any("Insufficient nvidia.com/gpu" in c.get("message", "") for c in conditions)

    until("the scheduler says why it waits", refused)
    assert phase(kubectl, "second") == "Pending"
    kubectl("delete", "pod", "first")
    kubectl("wait", "--for=condition=Ready", "pod/second", "--timeout=300s")


def test_an_unplugged_device_is_not_offered(kubectl: Kubectl, node: Node) -> None:
    assert until("both are offered", lambda: counts(kubectl) == ("2", "2"))
    command = [sys.executable, "-m", "tests.node", "gpu", "unplug", "GPU-1", "--name", node.name]
    subprocess.run(command, check=True)
    until("one is offered", lambda: counts(kubectl) == ("2", "1"))
    kubectl.apply(pod("too-many", toolbox("too-many", asks_for(2))))
    until("it is not scheduled", lambda: kubectl.get("pod", "too-many")["status"].get("conditions"))
    assert phase(kubectl, "too-many") == "Pending"
    command[4] = "plug"
    subprocess.run(command, check=True)
    kubectl("wait", "--for=condition=Ready", "pod/too-many", "--timeout=300s")


def test_a_quota_counts_them(kubectl: Kubectl) -> None:
    spec = {"hard": {"requests.nvidia.com/gpu": "1"}}
    kubectl.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "gpus"}, "spec": spec})
    until("the quota is counted", lambda: kubectl.get("resourcequota", "gpus").get("status", {}).get("used"))
    with pytest.raises(AssertionError, match="exceeded quota"):
        kubectl.apply(pod("greedy", toolbox("greedy", asks_for(2))))


def test_an_unknown_device_is_refused(node: Node) -> None:
    command = [sys.executable, "-m", "tests.node", "gpu", "unplug", "GPU-7", "--name", node.name]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, "has no GPU-7" in done.stderr, "GPU-0, GPU-1" in done.stderr) == (1, True, True)
