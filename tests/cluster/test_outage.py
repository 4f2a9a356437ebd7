"""The API server goes away in the middle of a change; the rights go away; the next up converges."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.mini import AT_WORK, CONFIGMAP, DEPLOYMENT, World

from sparkrig.clusters import sim as provider
from sparkrig.clusters.sim import processes, state
from sparkrig.kube.client import KubeApi
from sparkrig.models.cluster import ClusterHandle

HOOK = """
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-hook
  annotations: {helm.sh/hook: "pre-install,pre-upgrade", helm.sh/hook-delete-policy: before-hook-creation}
spec:
  template:
    metadata: {annotations: {sim.sparkrig.dev/runs-for: "2s"}}
    spec:
      restartPolicy: Never
      containers: [{name: main, image: registry.example.org/hook}]
"""


def six(world: World, text: str) -> None:
    for number in range(6):
        templates = {"c.yaml": CONFIGMAP, "d.yaml": DEPLOYMENT}
        if number % 2 == 0:
            templates["h.yaml"] = HOOK
        needs = [f"r{number - 2}"] if number >= 2 else []
        world.component(
            f"r{number}",
            templates=templates,
            values={"replicas": 1, "tag": "1", "text": text},
            needs=needs,
            timeout=180,  # a control plane that comes back may need a minute until its controllers ask again
        )
    world.write_stack()


def kill_api_server(name: str) -> None:
    for process in processes.running(state.cluster_dir(name)):
        if "apiserver" in process.component:
            os.kill(process.pid, signal.SIGKILL)


@pytest.mark.timeout(400)
def test_the_api_server_is_away_for_twenty_seconds(fresh_sim: Callable[..., ClusterHandle], tmp_path: Path) -> None:
    cluster = fresh_sim()
    world = World(tmp_path, f"sim:{cluster.name}")
    six(world, "start")
    assert world.up().code == 0
    six(world, "changed")
    run = world.start("up", "--yes", "--on", world.target)
    assert run.stderr is not None
    for line in run.stderr:
        if AT_WORK.search(line):
            break
    kill_api_server(cluster.name)

    def back() -> None:
        time.sleep(20)
        provider.start(cluster.name)

    thread = threading.Thread(target=back)
    thread.start()
    out, err = run.communicate(timeout=300)
    thread.join()
    assert "Traceback" not in err
    assert run.returncode in (0, 1, 4, 5, 6, 7), out + err
    mended = world.up("--wait-lock", "60s")
    assert mended.code == 0, mended.err + mended.out
    api = KubeApi(cluster)
    for number in range(6):
        config = api.get(f"/api/v1/namespaces/{world.stack}-r{number}/configmaps/r{number}")
        assert config is not None
        assert config["data"]["text"] == "changed"
    assert world.run("status").code == 0
    api.close()


@pytest.mark.timeout(400)
def test_ten_seconds_without_an_answer_are_waited_out(fresh_sim: Callable[..., ClusterHandle], tmp_path: Path) -> None:
    """helm, CRDs, waits, the lock and the record: the run ends as if nothing had been."""
    cluster = fresh_sim()
    world = World(tmp_path, f"sim:{cluster.name}")
    six(world, "start")
    run = world.start("up", "--yes", "--on", world.target)
    assert run.stderr is not None
    for line in run.stderr:
        if AT_WORK.search(line):
            break

    def away() -> None:
        (pid,) = [p.pid for p in processes.running(state.cluster_dir(cluster.name)) if "apiserver" in p.component]
        os.kill(pid, signal.SIGSTOP)
        time.sleep(10)
        os.kill(pid, signal.SIGCONT)

    thread = threading.Thread(target=away)
    thread.start()
    out, err = run.communicate(timeout=300)
    thread.join()
    assert run.returncode == 0, out + err
    assert "Traceback" not in err
    assert world.run("status").code == 0


def test_rights_that_end_in_the_middle_are_named_and_the_next_run_converges(
    sim: ClusterHandle, api: KubeApi, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service account that runs the installer is deleted while it works."""
    account = f"{world.stack}-installer"
    api.create(
        "/api/v1/namespaces/default/serviceaccounts",
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}},
    )
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": account},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "default"}],
    }
    api.apply(binding)
    token = api.request(
        "POST",
        f"/api/v1/namespaces/default/serviceaccounts/{account}/token",
        body={"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}},
    )["status"]["token"]
    assert sim.kubeconfig is not None
    admin = yaml.safe_load(sim.kubeconfig.read_text())
    document = {**admin, "users": [{"name": admin["users"][0]["name"], "user": {"token": token}}]}
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    monkeypatch.setenv("KUBECONFIG", str(path))
    six(world, "start")
    run = world.start("up", "--yes", "--on", f"context:{sim.context}")
    assert run.stderr is not None
    for line in run.stderr:
        if "✓ r0" in line and "installed" in line:
            break
    api.delete(f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{account}")
    api.delete(f"/api/v1/namespaces/default/serviceaccounts/{account}")
    out, err = run.communicate(timeout=200)
    assert run.returncode != 0
    assert "Traceback" not in err
    assert any(word in (out + err).lower() for word in ("forbidden", "unauthorized", "401", "403", "denied")), out + err
    mended = world.up("--wait-lock", "60s")
    assert mended.code == 0, mended.err + mended.out
