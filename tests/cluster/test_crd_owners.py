"""Who applies CRDs: us, Helm or a job of the chart. One field manager each, and a clean way from one to the other."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import yaml
from tests.cluster.test_crds import Kind, version
from tests.mini import CONFIGMAP, World

from sparkrig.kube.client import KubeApi

pytestmark = pytest.mark.cluster

KEEP = {"helm.sh/resource-policy": "keep"}
JOB = """
apiVersion: batch/v1
kind: Job
metadata:
  name: crds
  annotations: {helm.sh/hook: "pre-install,pre-upgrade", helm.sh/hook-delete-policy: before-hook-creation}
spec:
  suspend: true
  template:
    spec: {restartPolicy: Never, containers: [{name: main, image: "registry.example.org/kubectl:1"}]}
"""
"""Suspended, so that it ends only after the test has done what its container would do."""


@pytest.fixture
def kind(api: KubeApi, world: World) -> Iterator[Kind]:
    made = Kind(api, f"o{uuid.uuid4().hex[:6]}.example.org")
    yield made
    api.delete(made.path)


class Install:
    """Writes the stack's one component with another owner of its CRD each time."""

    def __init__(self, world: World, kind: Kind) -> None:
        self.world, self.kind, self.number = world, kind, 0

    def __call__(self, owner: str, *fields: str, annotations: Mapping[str, str] | None = None) -> None:
        self.number += 1
        crd = self.kind.crd(version(**dict.fromkeys(fields, "string")))
        crd["metadata"]["annotations"] = dict(annotations or {})
        templates = {"c.yaml": CONFIGMAP}
        if owner == "helm":
            templates["crd.yaml"] = yaml.safe_dump(crd)
        if owner == "hook":
            templates["job.yaml"] = JOB
        self.world.component(
            "a",
            templates=templates,
            crds=[crd] if owner in ("us", "hook") else (),
            crd_owner=owner,
            version=f"{self.number}.0.0",
            provides=[f"crd:{self.kind.name}"],
            checks=[{"name": "crds", "kind": "crds", "gate": True, "timeout": 30, "hint": "kubectl get crd"}],
        )
        self.world.write_stack()

    def up(self, owner: str, *fields: str, **options: Any) -> str:
        self(owner, *fields, **options)
        with job(self.world, self.kind, fields) if owner == "hook" else nothing():
            done = self.world.up()
        assert done.code == 0, done.err + done.out
        assert self.world.run("plan", "--detailed-exitcode").code == 0
        return " ".join(done.err.split())


@contextmanager
def nothing() -> Iterator[None]:
    yield


@contextmanager
def job(world: World, kind: Kind, fields: Sequence[str]) -> Iterator[None]:
    """Does what the container of the chart's Job does (``kubectl apply --server-side``), then lets the Job end."""
    ended, refused = threading.Event(), []
    path = f"/apis/batch/v1/namespaces/{world.stack}-a/jobs/crds"

    def work() -> None:
        while not ended.wait(0.1):
            found = kind.api.get(path, missing_ok=True)
            if found is None or not found["spec"].get("suspend"):
                continue
            try:
                kind.api.apply(kind.crd(version(**dict.fromkeys(fields, "string"))), field_manager="kubectl")
            except Exception as error:  # a conflict, of which the job would die
                refused.append(error)
            kind.api.patch(path, {"spec": {"suspend": False}})

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert refused == []


def fields_of(kind: Kind) -> set[str]:
    (only,) = kind.live()["spec"]["versions"]
    return set(only["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"])


@pytest.fixture
def install(world: World, kind: Kind) -> Install:
    return Install(world, kind)


def test_each_owner_is_the_only_field_manager_and_upgrades(install: Install, kind: Kind, world: World) -> None:
    for owner, manager in (("us", "sparkrig"), ("helm", "helm"), ("hook", "kubectl")):
        install.up(owner, "a", annotations=KEEP)
        assert kind.spec_managers() == {manager}, owner
        uid = kind.make("mine", {"a": "x"})["metadata"]["uid"]
        install.up(owner, "a", "b", annotations=KEEP)
        assert fields_of(kind) == {"a", "b"}, owner
        assert kind.spec_managers() == {manager}, owner
        assert [item["metadata"]["uid"] for item in kind.api.list(kind.collection())] == [uid]
        down = world.run("down", "--yes")
        assert down.code == 0, down.err + down.out
        assert "keeps 1 CRDs and their custom resources" in down.err
        assert [item["metadata"]["uid"] for item in kind.api.list(kind.collection())] == [uid]
        asked = world.run("down", "--purge", "all", "--yes")
        assert asked.code == 0, asked.err + asked.out
        assert f"{kind.name}: 1 custom resource" in asked.err
        assert kind.api.get(kind.path, missing_ok=True) is None, owner


def test_an_owner_hands_over_to_another(install: Install, kind: Kind, world: World) -> None:
    install.up("us", "a")
    uid = kind.make("mine", {"a": "x"})["metadata"]["uid"]
    fields = ["a"]
    managers = {"us": "sparkrig", "helm": "helm", "hook": "kubectl"}
    before = "us"
    for owner in ("helm", "us", "hook", "us", "helm", "hook", "helm"):
        fields.append(f"f{len(fields)}")
        way = f"{before} -> {owner}"
        said = install.up(owner, *fields)
        assert kind.spec_managers() == {managers[owner]}, way
        assert fields_of(kind) == set(fields), way
        assert [item["metadata"]["uid"] for item in kind.api.list(kind.collection())] == [uid], way
        new = {"us": "takes CRD", "helm": "hands 1 CRDs over to Helm", "hook": "hands 1 CRDs over to the job"}[owner]
        assert new in said, way
        before = owner
    # Once more the same: nobody is taken over from, nothing is written.
    install.up("us", *fields)
    seen = kind.live()["metadata"]["resourceVersion"]
    assert "takes CRD" not in install.up("us", *fields)
    assert kind.live()["metadata"]["resourceVersion"] == seen


def test_a_way_back_over_a_handing_over_loses_no_custom_resource(install: Install, kind: Kind, world: World) -> None:
    install.up("helm", "a")
    uid = kind.make("mine", {"a": "x"})["metadata"]["uid"]
    install.up("us", "a", "b")
    for number, managers in ((1, {"helm"}), (2, {"sparkrig"}), (1, {"helm"})):
        back = world.run("rollback", str(number), "--yes")
        assert back.code == 0, back.err + back.out
        assert [item["metadata"]["uid"] for item in kind.api.list(kind.collection())] == [uid]
        assert kind.spec_managers() == managers, "whose CRD it was is part of what a revision recorded"
    install.up("us", "a", "b")
    assert kind.spec_managers() == {"sparkrig"}
    assert fields_of(kind) == {"a", "b"}


def test_crds_that_leave_a_manifest_stay(install: Install, kind: Kind, world: World) -> None:
    install.up("helm", "a")
    uid = kind.make("mine", {"a": "x"})["metadata"]["uid"]
    world.component("a", templates={"c.yaml": CONFIGMAP}, version="9.0.0")
    done = world.up()
    assert done.code == 0, done.err
    assert [item["metadata"]["uid"] for item in kind.api.list(kind.collection())] == [uid]


def test_crds_that_uninstalling_would_delete_are_refused(install: Install, kind: Kind, world: World) -> None:
    install.up("helm", "a")
    kind.make("mine", {"a": "x"})
    refused = world.run("down", "--yes")
    assert refused.code == 4, refused.err + refused.out
    assert f"a: CRD {kind.name} with 1 custom resource" in refused.err
    assert "helm.sh/resource-policy: keep" in refused.err
    assert "--purge crds" in refused.err
    assert len(kind.api.list(kind.collection())) == 1
    assert world.run("status").code == 0
    purged = world.run("down", "--purge", "crds", "--yes")
    assert purged.code == 0, purged.err + purged.out
    assert kind.api.get(kind.path, missing_ok=True) is None


def test_what_helm_or_a_job_would_do_to_crds_is_looked_at_too(install: Install, kind: Kind, world: World) -> None:
    for owner in ("helm", "hook"):
        install.up(owner, "a", "b", annotations=KEEP)
        kind.make("precious", {"b": "x"})
        before = kind.live()["metadata"]["generation"]
        install(owner, "a", annotations=KEEP)
        refused = world.up()
        assert refused.code == 4, refused.err
        assert (
            f"CRD {kind.name} (a): v1 spec.b: is no longer a field; its values would be lost; hurt: default/precious"
            in (refused.err)
        )
        assert kind.live()["metadata"]["generation"] == before
        with job(world, kind, ["a"]) if owner == "hook" else nothing():
            allowed = world.up("--allow-crd-change", kind.name)
        assert allowed.code == 0, allowed.err
        assert fields_of(kind) == {"a"}
        kind.api.delete(f"{kind.collection()}/precious")
