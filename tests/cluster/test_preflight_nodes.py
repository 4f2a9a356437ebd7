"""Nodes of every runtime and GPU situation, put into a real API server: facts, and the values that follow.

Input and expected output are in tests/cases/preflight/nodes.yaml.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from sparkrig.catalog.load import load_catalog
from sparkrig.clusters import sim as provider
from sparkrig.clusters.facts.read import read_facts
from sparkrig.kube.client import KubeApi
from sparkrig.models.cluster import FACTS, ClusterHandle
from sparkrig.stack.file import load_stack_file
from sparkrig.stack.resolve import prepare
from sparkrig.yaml.nodes import find, parse_path, to_python

pytestmark = pytest.mark.cluster

ROOT: Final = Path(__file__).parents[2]
CASES: Final = yaml.safe_load((ROOT / "tests" / "cases" / "preflight" / "nodes.yaml").read_text(encoding="utf-8"))
CATALOG: Final = load_catalog((ROOT / "charts",))
GPU: Final = next(c for c in CATALOG.components.values() if "gpu" in c.provides)


@pytest.fixture(scope="module")
def cluster(environment: Path) -> Iterator[KubeApi]:
    """A cluster whose nodes are the test's alone."""
    name = "preflight-nodes"
    handle = provider.create(name, provider.SimOptions(cpu_nodes=1, gpu_nodes=0))
    api = KubeApi(ClusterHandle("context", name, handle.kubeconfig, handle.context))
    api.delete("/api/v1/nodes/sim-cpu-0")
    yield api
    api.close()
    provider.delete(name)


@pytest.fixture
def found(cluster: KubeApi, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    case = request.param
    made: list[str] = []
    try:
        made.extend(itertools.chain(_nodes(cluster, case), _daemon_sets(cluster, case)))
        rules = [rule for component in CATALOG.components.values() for rule in component.detect]
        yield {"case": case, "facts": read_facts(cluster, cluster.handle, rules)}
    finally:
        for path in made:
            cluster.delete(path)


def _nodes(api: KubeApi, case: dict[str, Any]) -> Iterator[str]:
    for number, node in enumerate(case["nodes"]):
        name = f"node-{number}"
        metadata = {"name": name, "labels": node.get("labels", {})}
        info = {
            "architecture": "amd64", "operatingSystem": "linux", "osImage": "a", "kernelVersion": "6", "bootID": "",
            "machineID": "", "systemUUID": "", "kubeProxyVersion": "",
            "kubeletVersion": node.get("kubelet", "v1.36.3"), "containerRuntimeVersion": node["runtime"],
        }  # fmt: skip
        resources = node.get("allocatable", {})
        # Ready from the first moment, as a kubelet registers itself: nodes that are not are played by the simulation.
        ready = {"type": "Ready", "status": "True", "reason": "a", "message": "a"}
        status = {"nodeInfo": info, "allocatable": resources, "capacity": resources, "conditions": [ready]}
        spec = {"taints": node.get("taints", [])}
        body = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec, "status": status}
        api.create("/api/v1/nodes", body)
        yield f"/api/v1/nodes/{name}"


def _daemon_sets(api: KubeApi, case: dict[str, Any]) -> Iterator[str]:
    for item in case.get("daemonSets", ()):
        name, labels, notes = item["name"], {"app": item["name"], **item.get("labels", {})}, {}
        if "helm" in item:
            namespace, _, release = item["helm"].partition("/")
            labels["app.kubernetes.io/managed-by"] = "Helm"
            notes = {"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace}
        owner = {**item.get("owner", {}), "uid": "00000000-0000-0000-0000-000000000001", "controller": True}
        metadata = {"name": name, "namespace": "default", "labels": labels, "annotations": notes}
        # Owners that do not exist would be the garbage collector's business; an owner is only read here.
        metadata |= {"ownerReferences": [owner]} if "owner" in item else {}
        pod = {
            "metadata": {"labels": {"app": labels["app"]}},
            "spec": {"containers": [{"name": "a", "image": item["image"]}]},
        }
        spec = {"selector": {"matchLabels": {"app": labels["app"]}}, "template": pod}
        api.create(
            "/apis/apps/v1/namespaces/default/daemonsets",
            {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec},
        )
        yield f"/apis/apps/v1/namespaces/default/daemonsets/{name}"


@pytest.mark.parametrize("found", [pytest.param(c, id=c["name"]) for c in CASES], indirect=True)
def test_nodes(found: dict[str, Any], tmp_path: Path) -> None:
    case, facts = found["case"], found["facts"]
    assert {name: facts.values.get(name) for name in case["facts"]} == case["facts"]
    assert all(name in FACTS for name in case["facts"])
    stack = tmp_path / "stack.yaml"
    head = "apiVersion: sparkrig.dev/v1\nkind: Stack\nmetadata: {name: a}\n"
    stack.write_text(f"{head}components: {{{GPU.name}: {{enabled: true}}}}\n", encoding="utf-8")
    prepared = prepare(load_stack_file(stack), CATALOG, facts)
    assert prepared.errors == ()
    layers = [layer for layer in prepared.values[GPU.name].layers if layer.name.startswith("fact ")]
    derived = {
        path: to_python(node)
        for layer in layers
        for rule in GPU.facts
        for path in rule.set
        if layer.root is not None and (node := find(layer.root, parse_path(path))) is not None
    }
    assert derived == case["values"]
    for layer in layers:
        # explain shows the line of component.yaml that holds the reason.
        rule = next(r for r in GPU.facts if f"fact {r.fact}" == layer.name and r.equals == facts.values[r.fact])
        assert rule.reason
        assert layer.root is not None
        assert "component.yaml" in str(layer.root.position)


def test_facts_do_not_change_by_what_they_switch_off() -> None:
    """Every case's derived values must lead to the same facts: each situation names the operator's own traces."""
    named = {name for case in CASES for name in case["facts"]}
    assert {rule.fact for rule in GPU.facts} <= named
