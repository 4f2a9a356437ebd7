"""Which running pods a plan disturbs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.records import desired, observed, release, revision, stack, state

from sparkrig.catalog.load import load_catalog
from sparkrig.models.component import Component, DisturbedPods
from sparkrig.models.operation import Action
from sparkrig.plan.build import plan_down, plan_up
from sparkrig.plan.disturbance import disturbances, may_disturb, use_claims, with_disturbances
from sparkrig.plan.effects import effects

CHARTS = Path(__file__).parents[3] / "charts"
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
    assert DRIVER.disturbs_pods is not None
    assert "nvidia.com/gpu" in DRIVER.disturbs_pods.resources


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


# ------------------------------------------------------------------ what a pod has


def holding(name: str, part: str, resource: str, amount: str = "1", *, initial: bool = False) -> Any:
    made = pod(name, gpus=None)
    container = {"name": "c", "resources": {part: {resource: amount}}}
    made["spec"]["initContainers" if initial else "containers"] = [container]
    return made


@pytest.mark.parametrize(
    "resource", ["nvidia.com/gpu", "nvidia.com/gpu.shared", "nvidia.com/mig-1g.5gb", "nvidia.com/mig-3g.40gb.shared"]
)
@pytest.mark.parametrize("part", ["limits", "requests"])
@pytest.mark.parametrize("initial", [False, True])
def test_slices_and_shared_gpus_are_reached_too(resource: str, part: str, initial: bool) -> None:
    plan = upgrade()
    (found,) = disturbances(plan, COMPONENTS, [holding("one", part, resource, initial=initial)])
    assert found.pods == ("jobs/one",)
    assert disturbances(plan, COMPONENTS, [holding("none", part, resource, "0", initial=initial)]) == ()
    assert disturbances(plan, COMPONENTS, [holding("other", part, "example.com/gpu", initial=initial)]) == ()


def with_claim(name: str, claim: str) -> Any:
    made = pod(name, gpus=None)
    made["spec"]["resourceClaims"] = [{"name": "gpu", "resourceClaimTemplateName": "one"}]
    made["status"]["resourceClaimStatuses"] = [{"name": "gpu", "resourceClaimName": claim}]
    return made


def claim(name: str, driver: str) -> Any:
    results = [{"driver": driver, "pool": "n1", "device": "gpu-0", "request": "gpu"}]
    return {
        "metadata": {"name": name, "namespace": "jobs"},
        "status": {"allocation": {"devices": {"results": results}}},
    }


def test_devices_of_resource_claims_are_reached_by_their_driver() -> None:
    plan = upgrade()
    pods = [with_claim("train", "train-gpu"), with_claim("nic", "nic-one"), pod("web", gpus=None)]
    direct = pod("direct", gpus=None)
    direct["spec"]["resourceClaims"] = [{"name": "gpu", "resourceClaimName": "train-gpu"}]
    assert use_claims(pods)
    assert not use_claims([pod("plain")])
    claims = [claim("train-gpu", "gpu.nvidia.com"), claim("nic-one", "nic.example.org")]
    (found,) = disturbances(plan, COMPONENTS, [*pods, direct], claims)
    assert found.pods == ("jobs/direct", "jobs/train")
    (unknown,) = disturbances(plan, COMPONENTS, pods, None)
    assert unknown.pods == ("jobs/nic", "jobs/train"), "claims that nobody may read count"


# ------------------------------------------------------------------ what really changes


def policy(**spec: Any) -> Any:
    return {
        "apiVersion": "nvidia.com/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "cluster-policy"},
        "spec": spec,
    }


def deployment(image: str, memory: str = "1Gi", args: tuple[str, ...] = ()) -> Any:
    container = {
        "name": "gpu-operator",
        "image": image,
        "args": list(args),
        "resources": {"limits": {"memory": memory}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "gpu-operator"},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }


BEFORE = [
    deployment("operator:1"),
    policy(driver={"version": "1", "upgradePolicy": {"maxParallelUpgrades": 1}}, toolkit={"version": "1"}),
]


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (BEFORE, ()),
        ([deployment("operator:1", memory="2Gi"), BEFORE[1]], ()),
        ([deployment("operator:1", args=("--zap-log-level=debug",)), BEFORE[1]], ()),
        ([BEFORE[0], policy(driver={"version": "1", "upgradePolicy": {"maxParallelUpgrades": 2}})], ()),
        ([BEFORE[0], policy(driver={"version": "1"}, toolkit={"version": "2"})], ()),
        ([BEFORE[0], policy(driver={"version": "2"})], ("settings of the driver",)),
        ([BEFORE[0], policy(driver={"version": "1"}, gdrcopy={"enabled": True})], ("settings of the driver",)),
        ([deployment("operator:2"), BEFORE[1]], ("new version of the operator",)),
        ([deployment("operator:2"), policy(driver={"version": "2"})], ("new version", "settings of the driver")),
        ([BEFORE[0]], ("settings of the driver",)),
    ],
)
def test_an_effect_is_what_changes_in_the_objects(after: list[Any], words: tuple[str, ...]) -> None:
    assert DRIVER.disturbs_pods is not None
    found = effects(DRIVER.disturbs_pods, BEFORE, after, [{}])
    assert len(found) == len(words), found
    assert all(word in sentence for word, sentence in zip(words, found, strict=True))
    without = {"driver": {"enabled": False}}
    assert effects(DRIVER.disturbs_pods, BEFORE, after, [without]) == (), "the nodes' own driver stays"
    assert effects(DRIVER.disturbs_pods, BEFORE, after, [without, {}]) == found


def test_a_change_without_effect_disturbs_nobody_and_one_with_says_which() -> None:
    plan = upgrade()
    change, *rest = plan.operations
    silent = replace(plan, operations=(replace(change, effects=()), *rest))
    assert not may_disturb(silent, COMPONENTS)
    assert disturbances(silent, COMPONENTS, [pod("train")]) == ()
    loud = replace(plan, operations=(replace(change, effects=("a", "b")), *rest))
    assert disturbances(loud, COMPONENTS, [pod("train")])[0].what == "a; b"


# ------------------------------------------------------------------ what goes anyway


def owned(name: str, namespace: str, kind: str, owner: str, hash_: str = "") -> Any:
    made = pod(name, namespace=namespace)
    group = "batch/v1" if kind == "Job" else "apps/v1"
    made["metadata"]["ownerReferences"] = [{"apiVersion": group, "kind": kind, "name": owner, "controller": True}]
    if hash_:
        made["metadata"]["labels"] = {"pod-template-hash": hash_}
    return made


def test_down_counts_only_the_pods_that_it_does_not_remove_itself() -> None:
    driver, server = desired("driver"), desired("server")
    states = [state(driver), state(server)]
    plan = plan_down("lab", observed(release(driver), release(server), last=revision(1, *states)))
    own = owned("server-77f-x", "server-ns", "ReplicaSet", "server-77f", "77f")
    assert disturbances(plan, COMPONENTS, [own]) == ()
    foreign = owned("train-0", "server-ns", "Job", "train")
    (found,) = disturbances(plan, COMPONENTS, [own, foreign, pod("notebook")])
    assert found.pods == ("jobs/notebook", "server-ns/train-0")
    assert "new driver" not in found.what
    assert "removed" in found.what


def test_an_upgrade_counts_pods_that_go_only_afterwards() -> None:
    driver, server = desired("driver"), desired("server")
    seen = observed(
        release(driver), release(server), last=revision(1, state(driver, digest="sha256:old"), state(server))
    )
    plan = plan_up(stack(driver), seen)
    assert [o.id for o in plan.operations if o.action is Action.UNINSTALL] == ["uninstall/server"]
    own = owned("server-77f-x", "server-ns", "ReplicaSet", "server-77f", "77f")
    (found,) = disturbances(plan, COMPONENTS, [own])
    assert found.pods == ("server-ns/server-77f-x",), "nothing says that it goes before the upgrade"
    waits = tuple(replace(o, needs=("uninstall/server",)) if o.action is Action.UPGRADE else o for o in plan.operations)
    assert disturbances(replace(plan, operations=waits), COMPONENTS, [own]) == ()


def test_a_component_that_names_one_resource_is_disturbed_by_any_change() -> None:
    plain = {"driver": replace(DRIVER, disturbs_pods=DisturbedPods(("nvidia.com/gpu",)))}
    (found,) = disturbances(upgrade(), plain, [pod("train")])
    assert found.what == "restarts the driver"
