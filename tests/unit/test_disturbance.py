"""Which running pods a plan disturbs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.records import desired, observed, release, revision, stack, state

from sparkrig.catalog.load import load_catalog
from sparkrig.model import Action, Component
from sparkrig.plan.build import plan_up
from sparkrig.plan.disturbance import disturbances, may_disturb, with_disturbances

CHARTS = Path(__file__).parents[2] / "charts"
DRIVER = replace(load_catalog([CHARTS]).components["gpu-operator"], name="driver", disturbs="restarts the driver")


def pod(name: str, *, namespace: str = "jobs", node: str = "n1", gpus: str | None = "1", phase: str = "Running") -> Any:
    resources = {"limits": {"nvidia.com/gpu": gpus}} if gpus is not None else {}
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"nodeName": node, "containers": [{"name": "c", "resources": resources}]},
        "status": {"phase": phase},
    }


def upgrade() -> Any:
    wanted = desired("driver")
    seen = observed(release(wanted), last=revision(1, state(wanted, digest="sha256:old")))
    return plan_up(stack(wanted), seen)


COMPONENTS: dict[str, Component] = {"driver": DRIVER}


def test_the_shipped_gpu_component_declares_what_it_reaches() -> None:
    assert DRIVER.disturbs_pods == "nvidia.com/gpu"


def test_running_gpu_pods_of_others_are_counted_with_their_nodes() -> None:
    pods = [
        pod("train-1"),
        pod("train-2", node="n2"),
        pod("train-3"),
        pod("web", gpus=None),
        pod("zero", gpus="0"),
        pod("done", phase="Succeeded"),
        pod("unscheduled", node=""),
        pod("operand", namespace="driver-ns"),
    ]
    plan = upgrade()
    assert may_disturb(plan, COMPONENTS)
    (found,) = disturbances(plan, COMPONENTS, pods)
    assert found.pods == ("jobs/train-1", "jobs/train-2", "jobs/train-3")
    assert found.nodes == ("n1", "n2")
    assert found.text == (
        "disturbs 3 running pods on 2 nodes (jobs/train-1, jobs/train-2, jobs/train-3): restarts the driver"
    )
    shown = with_disturbances(plan, [found])
    assert shown.changes[0].details[-1].endswith("needs --allow-disruption driver")


def test_an_install_or_another_component_disturbs_nobody() -> None:
    assert not may_disturb(plan_up(stack(desired("driver")), observed()), COMPONENTS)
    plan = upgrade()
    assert plan.operations[0].action is Action.UPGRADE
    assert not may_disturb(plan, {"driver": replace(DRIVER, disturbs_pods=None)})
    assert disturbances(plan, COMPONENTS, [pod("web", gpus=None)]) == ()
