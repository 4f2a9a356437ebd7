"""A removal names what nobody will let go of before it begins, and does not wait two minutes for it."""

from __future__ import annotations

import time

import pytest
from tests.cluster.conftest import NewSim
from tests.cluster.test_removal import CRD, FINALIZER, GROUP
from tests.mini import CONFIGMAP, DEPLOYMENT, World

from sparkrig.kube.client import KubeApi
from sparkrig.plan.held import HELD_S

pytestmark = pytest.mark.cluster


@pytest.fixture
def place(fresh_sim: NewSim, tmp_path_factory: pytest.TempPathFactory) -> tuple[World, KubeApi]:
    handle = fresh_sim()
    return World(tmp_path_factory.mktemp("held"), f"sim:{handle.name}", stack="held"), KubeApi(handle)


def test_finalizers_without_a_controller_and_a_dead_api_are_named_first(place: tuple[World, KubeApi]) -> None:
    world, api = place
    world.component("op", templates={"d.yaml": DEPLOYMENT}, crds=[CRD], provides=[f"crd:parts.{GROUP}"])
    world.component("data", templates={"c.yaml": CONFIGMAP})
    world.write_stack()
    assert world.up().code == 0
    api.discovery.fresh()
    parts = f"/apis/{GROUP}/v1/namespaces/held-op/parts"
    part = {"apiVersion": f"{GROUP}/v1", "kind": "Part", "metadata": {"name": "kept", "finalizers": [FINALIZER]}}
    api.create(parts, part)
    api.delete("/apis/apps/v1/namespaces/held-op/deployments/op")
    spec = {"group": "gone.example.org", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "service": {"namespace": "default", "name": "gone"}, "insecureSkipTLSVerify": True}  # fmt: skip
    service = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "spec": spec}
    api.create("/apis/apiregistration.k8s.io/v1/apiservices", {**service, "metadata": {"name": "v1.gone.example.org"}})
    dead = "/apis/apiregistration.k8s.io/v1/apiservices/v1.gone.example.org"
    while "'Available'" not in str(api.get(dead)):
        time.sleep(0.2)

    began = time.monotonic()
    refused = world.run("down", "--yes", "--purge", "crds", "--purge", "namespaces")
    assert refused.code == 1, refused.err
    assert time.monotonic() - began < HELD_S + 40
    plan = " ".join(refused.err.partition("waiting")[0].split())
    assert "1 custom resource will not go, nobody takes its finalizers off: Deployment held-op/op is missing" in plan
    assert f"Part held-op/kept: {FINALIZER}" in plan
    assert "APIService v1.gone.example.org" in plan
    api.patch(f"{parts}/kept", {"metadata": {"finalizers": None}})

    began = time.monotonic()
    waited = world.run("down", "--yes", "--purge", "namespaces")
    assert waited.code == 1, waited.err
    assert time.monotonic() - began < HELD_S + 60
    assert "APIService v1.gone.example.org: " in waited.out, waited
    api.delete(dead)
    done = world.run("down", "--yes", "--purge", "all")
    assert done.code == 0, done.err
    api.close()
