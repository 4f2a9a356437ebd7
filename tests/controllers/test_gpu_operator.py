"""NVIDIA's own GPU operator with its own chart, as a process: needs a binary and charts that somebody made."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.controllers.given import need
from tests.controllers.site import Site
from tests.controllers.stacks import Stack

need("gpu-operator")

RECIPES = ("gpu-operator",)
NAMESPACE = "gpu-operator"
POLICY = "/apis/nvidia.com/v1/clusterpolicies/cluster-policy"
DAEMON_SETS = f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets"


def driver(version: str) -> dict[str, Any]:
    return {"gpu-operator": {"driver": {"enabled": True, "version": version}}}


@pytest.fixture(scope="module", autouse=True)
def installed(stack: Stack) -> None:
    stack.write(driver("580.65.06"))
    stack.up()


def policy(site: Site) -> dict[str, Any]:
    found = site.api.get(POLICY)
    assert found is not None
    return found


def test_up_waits_until_the_cluster_policy_is_ready(site: Site) -> None:
    assert policy(site)["status"]["state"] == "ready"
    names = {item["metadata"]["name"] for item in site.api.list(DAEMON_SETS)}
    assert {"nvidia-driver-daemonset", "nvidia-device-plugin-daemonset", "nvidia-operator-validator"} <= names


def test_up_again_changes_nothing(stack: Stack) -> None:
    done = stack.up()
    assert "nothing to do" in done.out + done.err


def test_another_driver_reaches_the_daemon_set(site: Site, stack: Stack) -> None:
    """The operator, and nobody else, turns the value into the DaemonSet's image."""
    stack.write(driver("580.82.07"))
    stack.up("--allow-disruption", "gpu-operator")
    assert policy(site)["spec"]["driver"]["version"] == "580.82.07"
    deadline = time.monotonic() + 60
    while "580.82.07" not in str((site.api.get(f"{DAEMON_SETS}/nvidia-driver-daemonset") or {})["spec"]["template"]):
        assert time.monotonic() < deadline, site.logs()
        time.sleep(0.2)


def test_down_leaves_nothing(site: Site, stack: Stack) -> None:
    stack.good("down", "--yes", "--purge", "all")
    assert not site.kubelet.named("gpu-operator")
    assert site.api.get(f"/api/v1/namespaces/{NAMESPACE}", missing_ok=True) is None
