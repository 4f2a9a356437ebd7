"""The simulated cluster lives, dies and goes as it says; its nodes, volumes, pods and load balancers answer."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrig.clusters import Target, connect, list_clusters, sim
from sparkrig.clusters.mark import read_mark
from sparkrig.clusters.sim import processes, state
from sparkrig.errors import ClusterUnreachable, InvalidInput, NotFound
from sparkrig.kube.client import KubeApi
from sparkrig.models.cluster import ClusterHandle

pytestmark = pytest.mark.cluster

WORKLOADS = Path(__file__).parents[1] / "cases" / "tools" / "workloads.yaml"


def until(what: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def pids(name: str) -> dict[str, int]:
    return {p.component: p.pid for p in processes.running(state.cluster_dir(name))}


def test_life_of_a_cluster(fresh_sim: Any) -> None:
    handle = fresh_sim(sim.SimOptions(cpu_nodes=1, gpu_nodes=0))
    name = handle.name
    assert handle == ClusterHandle("sim", name, state.kubeconfig_file(name), f"sim-{name}", simulated=True)
    assert state.kubeconfig_file(name).stat().st_mode & 0o077 == 0
    first = pids(name)
    assert set(first) == set(processes.COMPONENTS)

    # A second creation changes nothing, whether or not it repeats the options.
    assert sim.create(name) == handle
    assert sim.create(name, sim.SimOptions(cpu_nodes=1, gpu_nodes=0)) == handle
    assert pids(name) == first
    with pytest.raises(InvalidInput) as refused:
        sim.create(name, sim.SimOptions(cpu_nodes=3, gpu_nodes=0))
    assert [p.message for p in refused.value.problems] == [f"sim:{name} exists with cpu_nodes=1, asked for 3"]

    (info,) = [c for c in list_clusters() if c.name == name]
    assert (info.provider, info.state, info.nodes, info.message) == ("sim", "running", 1, "")

    # A dead API server is noticed, and the message says what starts it again.
    os.kill(first["kube-apiserver"], signal.SIGKILL)
    assert until(lambda: "kube-apiserver" not in pids(name))
    with pytest.raises(ClusterUnreachable) as dead:
        connect(Target("sim", name))
    assert dead.value.message == f"the control plane of sim:{name} is incomplete: kube-apiserver ended"
    assert dead.value.hint == f"start it again: sparkrig cluster create --on sim:{name}"
    (info,) = [c for c in list_clusters() if c.name == name]
    assert info.state == "broken"
    said: list[str] = []
    assert sim.create(name, on_progress=said.append) == handle
    assert said == [f"sim:{name}: starting it again"]
    # Nor are controllers left that would look for their API server once a minute; etcd is the one that was there.
    assert {c for c, pid in pids(name).items() if first[c] == pid} == {"etcd"}
    api = KubeApi(handle)
    assert [n["metadata"]["name"] for n in api.list("/api/v1/nodes")] == ["sim-cpu-0"]
    api.close()

    # All of it stopped, and a pid file that names an innocent process (a reboot): started, the process left alone.
    processes.kill_all(state.cluster_dir(name))
    assert [c.state for c in list_clusters() if c.name == name] == ["stopped"]
    (state.cluster_dir(name) / "pids" / "etcd.pid").write_text(str(os.getpid()))
    assert sim.start(name) == handle
    assert sim.health(name).ok
    # It works too: the kwok that was started plays the nodes of the one before, at once.
    api = KubeApi(handle)
    pods = "/api/v1/namespaces/default/pods"
    spec = {"containers": [{"name": "main", "image": "registry.example.org/x"}]}
    api.create(pods, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "later"}, "spec": spec})
    assert until(lambda: (api.get(f"{pods}/later") or {})["status"].get("phase") == "Running", 30)
    api.close()

    # Nothing of it is left behind.
    last = pids(name)
    assert sim.delete(name) is True
    assert pids(name) == {}
    assert [pid for pid in last.values() if Path(f"/proc/{pid}/cmdline").exists() and _alive(pid)] == []
    assert not state.cluster_dir(name).exists()
    assert not state.kubeconfig_file(name).exists()
    assert not list((state.home() / "records").glob(f"{name}*"))
    assert sim.delete(name) is False
    with pytest.raises(NotFound, match="there is no simulated cluster"):
        connect(Target("sim", name))


def test_a_creation_that_was_cut_off_is_made_anew(fresh_sim: Any) -> None:
    handle = fresh_sim(sim.SimOptions(cpu_nodes=1, gpu_nodes=0))
    record = state.read_record(handle.name)
    assert record is not None
    state.write_record(replace(record, status="creating"))
    before = pids(handle.name)
    assert not sim.exists(handle.name)
    assert [c.state for c in list_clusters() if c.name == handle.name] == ["unfinished"]
    assert sim.create(handle.name, sim.SimOptions(cpu_nodes=2, gpu_nodes=0)) == handle
    assert not set(before.values()) & set(pids(handle.name).values())


def test_nodes_look_like_a_gpu_cluster(sim: ClusterHandle, api: KubeApi) -> None:
    nodes = {n["metadata"]["name"]: n for n in api.list("/api/v1/nodes")}
    assert sorted(nodes) == ["sim-cpu-0", "sim-cpu-1", "sim-gpu-0", "sim-gpu-1"]
    gpu, cpu = nodes["sim-gpu-0"], nodes["sim-cpu-0"]
    assert gpu["status"]["allocatable"]["nvidia.com/gpu"] == "8"
    assert "nvidia.com/gpu" not in cpu["status"]["allocatable"]
    labels = gpu["metadata"]["labels"]
    assert labels["nvidia.com/gpu.count"] == "8"
    assert labels["feature.node.kubernetes.io/pci-10de.present"] == "true"
    assert not [key for key in cpu["metadata"]["labels"] if "nvidia" in key or "pci-10de" in key]
    assert gpu["status"]["nodeInfo"]["kubeletVersion"] == f"v{api.version().removeprefix('v')}"
    assert "taints" not in gpu["spec"]
    assert read_mark(api).test_cluster is True
    (storage,) = api.list("/apis/storage.k8s.io/v1/storageclasses")
    assert storage["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true"


def test_workloads_play_their_parts(api: KubeApi, namespace: str) -> None:
    for manifest in yaml.safe_load_all(WORKLOADS.read_text()):
        manifest["metadata"]["namespace"] = namespace
        api.apply(manifest)

    def status(path: str) -> dict[str, Any]:
        found = api.get(path.replace("NS", f"namespaces/{namespace}"))
        assert found is not None
        return dict(found["status"])

    assert until(lambda: status("/apis/apps/v1/NS/statefulsets/database").get("readyReplicas") == 2)
    assert until(lambda: status("/apis/apps/v1/NS/daemonsets/agent").get("numberReady") == 4)
    assert until(lambda: status("/apis/batch/v1/NS/jobs/good").get("succeeded") == 1)
    assert until(lambda: status("/apis/batch/v1/NS/jobs/bad").get("failed") == 1)
    assert until(lambda: status("/api/v1/NS/services/front").get("loadBalancer"))
    (ingress,) = status("/api/v1/NS/services/front")["loadBalancer"]["ingress"]
    assert ingress["ip"].startswith("192.0.2.")
    assert until(lambda: status("/apis/apps/v1/NS/deployments/slow").get("readyReplicas") == 1)

    pods = {p["metadata"]["labels"]["app"]: p for p in api.list(f"/api/v1/namespaces/{namespace}/pods")}
    (container,) = pods["stuck"]["status"]["containerStatuses"]
    assert container["state"]["waiting"]["reason"] == "ImagePullBackOff"
    created = pods["slow"]["metadata"]["creationTimestamp"]
    (ready,) = [c["lastTransitionTime"] for c in pods["slow"]["status"]["conditions"] if c["type"] == "Ready"]
    assert ready > created, "it was held back for two seconds"


def test_volumes_bind_and_leave_nothing_on_the_disk(api: KubeApi, namespace: str) -> None:
    claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    api.create(claims, claim)
    assert until(lambda: (api.get(f"{claims}/data") or {})["status"]["phase"] == "Bound")
    volume = (api.get(f"{claims}/data") or {})["spec"]["volumeName"]
    path = (api.get(f"/api/v1/persistentvolumes/{volume}") or {})["spec"]["hostPath"]["path"]
    assert path == f"/simulated/{namespace}/data"
    assert not Path(path).exists()
    api.delete(f"{claims}/data")
    assert until(lambda: api.get(f"/api/v1/persistentvolumes/{volume}", missing_ok=True) is None)


def test_stages_of_the_user_are_preferred(fresh_sim: Any, tmp_path: Path) -> None:
    stage = tmp_path / "stages.yaml"
    stage.write_text(
        """
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: nothing-fits}
spec:
  weight: 1
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
      - jq: {key: .status.phase, operator: In, values: [Pending]}
  steps:
    - patch: {root: status, subresource: status, template: "{phase: Failed, reason: Evicted}"}
"""
    )
    handle = fresh_sim(sim.SimOptions(cpu_nodes=1, gpu_nodes=0, stages=(stage,)))
    api = KubeApi(handle)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {"containers": [{"name": "a", "image": "example.org/a:1"}]},
    }
    api.apply(pod)
    path = "/api/v1/namespaces/default/pods/p"
    assert until(lambda: (api.get(path) or {})["status"].get("reason") == "Evicted")
    api.close()


def test_names_and_options_are_checked_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot name a cluster"):
        sim.create("Lab/1")
    with pytest.raises(InvalidInput) as refused:
        sim.create("lab", sim.SimOptions(cpu_nodes=-1, stages=(tmp_path / "none.yaml",)))
    assert [p.code for p in refused.value.problems] == ["out-of-range", "missing-file"]
    assert not sim.exists("lab")


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
