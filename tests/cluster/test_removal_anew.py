"""down against makers that are still at work: what comes back under its old name, and what no release contains."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.test_removal import CRD, GROUP, exists
from tests.mini import CONFIGMAP, DEPLOYMENT, World

from sparkrig.apply.removal.delete import delete_all
from sparkrig.errors import OperationError, SparkrigError
from sparkrig.kube.client import KubeApi
from sparkrig.models.objects import ObjectRef

MAKER = "made-elsewhere"


def service(name: str, **labels: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {"clusterIP": "None", "ports": [{"port": 10250}]},
    }


@contextmanager
def made_anew(api: KubeApi, collection: str, body: dict[str, object]) -> Iterator[list[str]]:
    """Somebody who makes an object again each time it is gone; gives the UIDs of what he made."""
    end, uids = threading.Event(), list[str]()

    def run() -> None:
        while not end.wait(0.05):
            try:
                uids.append(api.create(collection, body)["metadata"]["uid"])
            except SparkrigError:  # there already, or its kind or namespace is on its way out
                continue

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield uids
    finally:
        end.set()
        thread.join()


def until_made(uids: list[str]) -> None:
    deadline = time.monotonic() + 30
    while not uids:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_is_made_anew_is_not_waited_for(api: KubeApi, namespace: str) -> None:
    body: dict[str, object] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "again"}}
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    ref = ObjectRef("", "v1", "ConfigMap", namespace, "again")
    said: list[str] = []
    with made_anew(api, path, body) as uids:
        until_made(uids)
        began = time.monotonic()
        delete_all(api, [ref], timeout_s=30.0, say=said.append, owner=lambda _ref: "")
        assert time.monotonic() - began < 25
    # Either it was looked at between two lives, or the new one was told from the old one by its UID.
    assert len(uids) > 1 or not exists(api, f"{path}/again")
    api.delete(f"{path}/again")


def test_what_comes_back_while_its_old_life_is_held_is_told_apart(api: KubeApi, namespace: str) -> None:
    """The old object has a finalizer: as long as it is there it is waited for, and not a moment longer."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    body: dict[str, object] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held"}}
    ref = ObjectRef("", "v1", "ConfigMap", namespace, "held")
    held = {**body, "metadata": {"name": "held", "finalizers": ["example.org/wait"]}}
    first = api.create(path, held)["metadata"]["uid"]
    said: list[str] = []
    waited = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        if text.startswith("waiting"):
            waited.set()

    failed: list[Exception] = []

    def delete() -> None:
        try:
            delete_all(api, [ref], timeout_s=60.0, say=say, owner=lambda _ref: "")
        except OperationError as error:
            failed.append(error)

    thread = threading.Thread(target=delete)
    thread.start()
    assert waited.wait(30)
    with made_anew(api, path, body) as uids:
        api.patch(f"{path}/held", {"metadata": {"finalizers": None}})
        thread.join(30)
        assert not thread.is_alive()
    assert not failed
    assert first not in uids
    api.delete(f"{path}/held")


def test_a_purged_custom_resource_that_comes_back_goes_with_its_crd(world: World, api: KubeApi) -> None:
    """As cert-manager makes a purged Certificate again for an Ingress that still asks for it."""
    world.component("a", templates={"c.yaml": CONFIGMAP}, crds=[CRD])
    world.write_stack()
    assert world.up().code == 0
    body: dict[str, object] = {"apiVersion": f"{GROUP}/v1", "kind": "Part", "metadata": {"name": "again"}}
    with made_anew(api, f"/apis/{GROUP}/v1/namespaces/default/parts", body) as uids:
        until_made(uids)
        began = time.monotonic()
        done = world.run("down", "--purge", "all", "--yes")
        assert done.code == 0, done.err
        assert time.monotonic() - began < 100  # 120 s were waited for the name
    assert len(uids) > 1
    assert not exists(api, f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/parts.{GROUP}")


def test_what_a_program_makes_elsewhere_goes_behind_its_release(world: World, api: KubeApi) -> None:
    """By its name, from the values of the release; what else has been made there stays."""
    place = "/api/v1/namespaces/kube-system/services"
    leaves = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "namespace": "${values.target.namespace:-kube-system}",
            "name": f"${{values.target.name:-{world.stack}-none}}",
            "reason": "the operator makes it",
        }
    ]
    values = {"target": {"namespace": "", "name": ""}}
    world.component("op", templates={"c.yaml": CONFIGMAP}, values=values, leaves=leaves)
    world.component("other", templates={"c.yaml": CONFIGMAP})
    name = f"{world.stack}-kubelet"
    world.write_stack(op={"values": {"target": {"name": name}}})
    assert world.up().code == 0
    for made in (name, f"{world.stack}-none"):
        api.create(place, service(made))
    try:
        planned = world.run("down")
        text = " ".join(planned.err.split())
        assert f"takes Service kube-system/{name} with it, made by its programs" in text
        assert exists(api, f"{place}/{name}")
        # A component that is taken out of the stack takes it along; so does the rollback that takes it out.
        world.write_stack(op={"enabled": False})
        assert world.up().code == 0
        assert not exists(api, f"{place}/{name}")
        assert world.run("rollback", "--yes").code == 0
        api.create(place, service(name))
        done = world.run("down", "--yes")
        assert done.code == 0, done.err
        assert not exists(api, f"{place}/{name}")
        assert exists(api, f"{place}/{world.stack}-none")
    finally:
        for made in (name, f"{world.stack}-none"):
            api.delete(f"{place}/{made}")


def test_what_a_leader_makes_goes_after_its_pods_have_ended(world: World, api: KubeApi) -> None:
    """A leader that is asked to end makes the Lease again that was deleted; its workload is gone before it is."""
    namespace = f"{world.stack}-op"
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    pods = f"/api/v1/namespaces/{namespace}/pods"
    hold = "example.org/ends-slowly"
    slow = DEPLOYMENT.replace("metadata: {labels:", f"metadata: {{finalizers: [{hold}], labels:")
    assert hold in slow
    lease: dict[str, object] = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "op-lock"},
    }
    leaves = [{**lease, "namespace": "${namespace}", "name": "${release}-lock", "reason": "its leader makes it"}]
    leaves[0].pop("metadata")
    world.component("op", templates={"deployment.yaml": slow}, leaves=leaves)
    world.component("keeper", templates={"c.yaml": CONFIGMAP}, namespace=namespace)  # so that the namespace stays
    world.write_stack(op={}, keeper={})
    assert world.up().code == 0
    with made_anew(api, leases, lease) as uids:
        until_made(uids)
        world.write_stack(op={"enabled": False}, keeper={})
        process = world.start("up", "--yes", "--on", world.target)
        deadline = time.monotonic() + 60
        while not any(pod["metadata"].get("deletionTimestamp") for pod in api.list(pods)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(3.0)
        assert process.poll() is None  # it waits for the pod
    for pod in api.list(pods):
        api.patch(f"{pods}/{pod['metadata']['name']}", {"metadata": {"finalizers": None}})
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert not exists(api, f"{leases}/op-lock")


def test_custom_resources_at_work_are_named_in_the_plan(world: World, api: KubeApi, namespace: str) -> None:
    """With what becomes of them: they stay without their controller, or go with their CRD."""
    rule = {
        "group": GROUP,
        "kind": "Part",
        "rests": [{"path": "status.state", "equals": ["DONE"]}],
        "without": "nobody looks after it",
    }
    world.component("op", templates={"c.yaml": CONFIGMAP}, crds=[CRD], running=[rule])
    world.write_stack(op={})
    assert world.up().code == 0
    place = f"/apis/{GROUP}/v1/namespaces/{namespace}/parts"
    for name, state in (("busy", "RUNNING"), ("new", ""), ("old", "DONE")):
        body = {"apiVersion": f"{GROUP}/v1", "kind": "Part", "metadata": {"name": name}, "status": {"state": state}}
        api.create(place, body)
    named = f"2 running Parts ({namespace}/busy, {namespace}/new)"
    kept = " ".join(world.run("down").err.split())
    assert f"leaves {named} without a controller: nobody looks after it" in kept
    purged = " ".join(world.run("down", "--purge", "crds").err.split())
    assert f"deletes {named}" in purged
    assert "leaves 2 running" not in purged
    for name in ("busy", "new"):
        api.patch(f"{place}/{name}", {"status": {"state": "DONE"}})
    assert "running Part" not in world.run("down").err
    assert world.run("down", "--yes", "--purge", "all").code == 0
