"""Shared watches against a real API server: what they see, what they survive, and how they end."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrig.clusters import sim as provider
from sparkrig.clusters.sim import processes, state
from sparkrig.errors import AccessDenied, SparkrigError
from sparkrig.kube.client import KubeApi
from sparkrig.kube.watch import ObjectWatch
from sparkrig.models.cluster import ClusterHandle
from sparkrig.models.objects import ObjectRef

pytestmark = pytest.mark.cluster


def service(namespace: str, name: str) -> ObjectRef:
    return ObjectRef("", "v1", "Service", namespace, name)


def make(api: KubeApi, ref: ObjectRef, **more: Any) -> None:
    spec = {"spec": {"ports": [{"port": 80}]}} if ref.kind == "Service" else {}
    metadata = {"name": ref.name, "namespace": ref.namespace}
    api.apply({"apiVersion": ref.api_version, "kind": ref.kind, "metadata": metadata, **spec, **more})


def until(what: Callable[[], Any], seconds: float = 15.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


@pytest.fixture
def watch(api: KubeApi) -> Iterator[ObjectWatch]:
    with ObjectWatch(api) as watch:
        yield watch


def test_objects_come_change_and_go(api: KubeApi, watch: ObjectWatch, namespace: str) -> None:
    there, later = service(namespace, "there"), service(namespace, "later")
    make(api, there)
    watch.ensure([there, later])
    found = watch.get(there)
    assert found is not None
    assert found["kind"] == "Service"
    assert "managedFields" not in found["metadata"]
    assert watch.get(later) is None
    assert watch.synced(later)
    assert watch.since(later) is None
    make(api, later)
    assert until(lambda: watch.get(later))
    made, listed = watch.since(later), watch.since(there)
    make(api, later, metadata={"name": "later", "namespace": namespace, "labels": {"a": "b"}})
    assert until(lambda: (watch.get(later) or {})["metadata"].get("labels") == {"a": "b"})
    changed = watch.since(later)
    assert made is not None
    assert changed is not None
    assert made < changed
    assert watch.since(there) == listed
    api.delete(api.path_of(there))
    assert until(lambda: watch.get(there) is None)
    assert watch.since(there) is None


def define_gadgets(api: KubeApi, group: str) -> ObjectRef:
    definition = ObjectRef("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "", f"gadgets.{group}")
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    names = {"plural": "gadgets", "kind": "Gadget"}
    api.apply(
        {
            "apiVersion": definition.api_version,
            "kind": definition.kind,
            "metadata": {"name": definition.name},
            "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
        }
    )
    return definition


def labelled(watch: ObjectWatch, ref: ObjectRef) -> Any:
    return ((watch.get(ref) or {}).get("metadata") or {}).get("labels")


def test_a_look_opens_no_watch_and_what_comes_after_it_is_not_lost(
    api: KubeApi, watch: ObjectWatch, namespace: str
) -> None:
    changed, gone, late = (service(namespace, name) for name in ("changed", "gone", "late"))
    make(api, changed)
    make(api, gone)
    watch.look([changed, gone, late])
    assert watch.connections == 0
    listed = watch.since(changed)
    assert watch.get(gone)
    make(api, changed, metadata={"name": "changed", "namespace": namespace, "labels": {"a": "b"}})
    api.delete(api.path_of(gone))
    make(api, late)
    time.sleep(0.2)
    assert labelled(watch, changed) is None  # nobody was asked to follow it
    watch.ensure([changed])
    assert watch.connections == 1
    assert labelled(watch, changed) == {"a": "b"}
    assert watch.get(late)
    assert watch.get(gone) is None
    seen = watch.since(changed)
    assert listed is not None
    assert seen is not None
    assert seen > listed


def test_a_second_look_is_not_older_than_itself(api: KubeApi, watch: ObjectWatch, namespace: str) -> None:
    ref = service(namespace, "again")
    watch.look([ref])
    make(api, ref)
    watch.look([ref])
    assert watch.get(ref)


def test_a_kind_that_was_not_served_at_a_look_is_there_for_who_waits(
    api: KubeApi, watch: ObjectWatch, namespace: str
) -> None:
    group = f"l{time.monotonic_ns()}.example.org"
    gadget = ObjectRef(group, "v1", "Gadget", namespace, "g")
    watch.look([gadget])
    assert watch.synced(gadget)
    definition = define_gadgets(api, group)
    assert until(lambda: made(api, gadget))
    watch.ensure([gadget])
    assert watch.get(gadget)
    api.delete(api.path_of(definition))


def made(api: KubeApi, ref: ObjectRef) -> bool:
    try:
        make(api, ref)
    except SparkrigError:  # its kind is not served yet
        return False
    return True


def test_a_thousand_objects_cost_as_many_watches_as_kinds(api: KubeApi, watch: ObjectWatch, namespace: str) -> None:
    kinds = (("", "v1", "Service"), ("apps", "v1", "Deployment"), ("", "v1", "ConfigMap"))
    refs = [ObjectRef(*kind, f"{namespace}-{n % 10}", f"o{n}") for kind in kinds for n in range(350)]
    watch.ensure(refs)
    assert watch.connections == len(kinds)
    assert all(watch.synced(ref) for ref in refs)


def test_secrets_are_watched_without_their_content_and_without_releases(
    api: KubeApi, watch: ObjectWatch, namespace: str
) -> None:
    plain = ObjectRef("", "v1", "Secret", namespace, "plain")
    release = ObjectRef("", "v1", "Secret", namespace, "sh.helm.release.v1.x.v1")
    make(api, plain, stringData={"password": "hidden"})
    make(api, release, type="helm.sh/release.v1", stringData={"release": "large"})
    watch.ensure([plain, release])
    late = ObjectRef("", "v1", "Secret", namespace, "late")
    make(api, late, stringData={"password": "hidden"})
    assert until(lambda: watch.get(late))
    for ref in (plain, late):
        found = watch.get(ref)
        assert found is not None
        assert (found["apiVersion"], found["kind"], "data" in found) == ("v1", "Secret", False)
    assert watch.get(release) is None
    assert [item["metadata"]["name"] for item in watch.all_of("", "v1", "Secret", namespace)] == ["plain", "late"]


def test_a_kind_is_found_when_its_crd_comes(api: KubeApi, watch: ObjectWatch, namespace: str) -> None:
    group = f"w{time.monotonic_ns()}.example.org"
    gadget = ObjectRef(group, "v1", "Gadget", namespace, "g")
    watch.ensure([gadget])
    assert watch.synced(gadget)
    assert watch.get(gadget) is None
    definition = define_gadgets(api, group)
    watch.ensure([definition])

    def established() -> bool:
        conditions = ((watch.get(definition) or {}).get("status") or {}).get("conditions") or ()
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

    assert until(established)
    make(api, gadget)
    assert until(lambda: watch.get(gadget))
    api.delete(api.path_of(definition))
    assert until(lambda: watch.get(gadget) is None)


@pytest.fixture
def limited(api: KubeApi, sim: ClusterHandle, namespace: str, tmp_path: Path) -> KubeApi:
    """The cluster for somebody with rights in one namespace only."""
    role = ObjectRef("rbac.authorization.k8s.io", "v1", "Role", namespace, "reader")
    make(api, role, rules=[{"apiGroups": [""], "resources": ["services"], "verbs": ["get", "list", "watch"]}])
    binding = ObjectRef("rbac.authorization.k8s.io", "v1", "RoleBinding", namespace, "reader")
    user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limited"}
    make(api, binding, roleRef={"apiGroup": role.group, "kind": "Role", "name": "reader"}, subjects=[user])
    assert sim.kubeconfig is not None
    document = yaml.safe_load(sim.kubeconfig.read_text(encoding="utf-8"))
    document["users"][0]["user"]["as"] = "limited"
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return KubeApi(ClusterHandle("context", "limited", file, sim.context))


def test_without_rights_in_the_cluster_it_watches_the_namespace(api: KubeApi, limited: KubeApi, namespace: str) -> None:
    mine = service(namespace, "mine")
    with ObjectWatch(limited) as watch:
        watch.ensure([mine])
        make(api, mine)
        assert until(lambda: watch.get(mine))
        with pytest.raises(AccessDenied, match='cannot list resource "services"'):
            watch.ensure([service("default", "kubernetes")])
        with pytest.raises(AccessDenied, match='cannot list resource "nodes"'):
            watch.ensure([ObjectRef("", "v1", "Node", "", "sim-cpu-0")])
        assert watch.get(mine)


def test_no_change_between_looking_and_waiting_is_lost(api: KubeApi, watch: ObjectWatch, namespace: str) -> None:
    ref = service(namespace, "s")
    watch.ensure([ref])

    async def scenario() -> None:
        assert await watch.wait_change(5)  # the first call never waits
        while await watch.wait_change(0.5):
            pass  # other tests' objects
        assert watch.get(ref) is None
        await asyncio.to_thread(make, api, ref)
        await asyncio.to_thread(until, lambda: watch.get(ref))
        began = time.monotonic()
        assert await watch.wait_change(5)  # the change came before this call
        assert time.monotonic() - began < 1
        threading.Timer(0.3, api.delete, (api.path_of(ref),)).start()
        while watch.get(ref) is not None:
            assert await watch.wait_change(5)

    asyncio.run(scenario())


def test_a_listener_hears_of_changes_until_it_leaves(api: KubeApi, watch: ObjectWatch, namespace: str) -> None:
    calls: list[bool] = []
    watch.ensure([service(namespace, "s")])
    leave = watch.subscribe(lambda: calls.append(True))
    make(api, service(namespace, "s"))
    assert until(lambda: calls)
    leave()
    leave()


def test_it_ends_at_once_and_leaves_no_thread(api: KubeApi, namespace: str) -> None:
    before = set(threading.enumerate())
    watch = ObjectWatch(api)
    kinds = ("Service", "ConfigMap", "Secret", "Pod", "ServiceAccount")
    watch.ensure([ObjectRef("", "v1", kind, namespace, "x") for kind in kinds])
    assert watch.connections == len(kinds)
    began = time.monotonic()
    watch.close()
    assert time.monotonic() - began < 1
    assert not [t for t in set(threading.enumerate()) - before if t.name.startswith("watch-")]


def test_it_survives_the_death_of_the_api_server(fresh_sim: Any) -> None:
    handle = fresh_sim(provider.SimOptions(cpu_nodes=1, gpu_nodes=0))
    api = KubeApi(handle)
    first, second = service("default", "first"), service("default", "second")
    make(api, first)
    with ObjectWatch(api) as watch:
        watch.ensure([first, second])
        server = next(p for p in processes.running(state.cluster_dir(handle.name)) if p.component == "kube-apiserver")
        os.kill(server.pid, signal.SIGKILL)
        time.sleep(0.5)
        assert watch.get(first)  # what was seen stands
        before = watch.since(first)
        provider.start(handle.name)
        make(api, second)
        assert until(lambda: watch.get(second))
        assert watch.get(first)
        assert watch.since(first) == before  # listed anew, and not written since
    api.close()
