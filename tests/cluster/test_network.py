"""The network between sparkrig and the API server is lost in the middle of a change; the API server lives on."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.test_crash import all_end, children
from tests.mini import AT_WORK, CONFIGMAP, DEPLOYMENT, Done, World
from tests.proxy import Mode, Proxy, proxied

from sparkrig.helm.storage.releases import list_releases
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
    metadata: {annotations: {sim.sparkrig.dev/runs-for: "{{ .Values.seconds }}s"}}
    spec:
      restartPolicy: Never
      containers: [{name: main, image: registry.example.org/hook}]
"""


@pytest.fixture
def network(sim: ClusterHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    assert sim.kubeconfig is not None
    with proxied(sim.kubeconfig, tmp_path) as proxy:
        monkeypatch.setenv("KUBECONFIG", str(proxy.kubeconfig))
        yield proxy


def four(world: World, text: str, *, seconds: int) -> None:
    """One with a hook that runs for ``seconds``, one that waits for it, two beside them."""
    for name in ("r0", "r1", "r2", "r3"):
        templates = {"c.yaml": CONFIGMAP, "d.yaml": DEPLOYMENT}
        if name == "r0":
            templates["h.yaml"] = HOOK
        values = {"replicas": 1, "tag": "1", "text": text, "seconds": seconds}
        needs = ["r0"] if name == "r1" else []
        world.component(name, templates=templates, values=values, needs=needs, timeout=180)
    world.write_stack()


def in_the_middle(world: World, sim: ClusterHandle) -> subprocess.Popen[str]:
    """An ``up`` through the proxy whose first helm waits for its hook."""
    run = world.start("up", "--yes", "--on", f"context:{sim.context}")
    assert run.stderr is not None
    for line in run.stderr:
        if "r0" in line and AT_WORK.search(line):
            break
    return run


def wait_for_hook(world: World, api: KubeApi) -> None:
    """Until the new hook runs, so that helm is past its first requests."""
    path = f"/api/v1/namespaces/{world.stack}-r0/pods"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        pods = api.list(path, label_selector="batch.kubernetes.io/job-name=r0-hook")
        if any(pod["status"].get("phase") == "Running" for pod in pods):
            return
        time.sleep(0.1)
    raise AssertionError("the hook never ran")


def ended(run: subprocess.Popen[str]) -> Done:
    out, err = run.communicate(timeout=240)
    assert "Traceback" not in err, err
    return Done(run.returncode, out, err)


def converges(world: World, api: KubeApi, text: str) -> list[str]:
    """The next up needs nothing from a person; returns the statuses in the history, newest first."""
    mended = world.up("--wait-lock", "60s")
    assert mended.code == 0, mended.err + mended.out
    for name in ("r0", "r1", "r2", "r3"):
        config = api.get(f"/api/v1/namespaces/{world.stack}-{name}/configmaps/{name}")
        assert config is not None
        assert config["data"]["text"] == text
    assert [r for r in list_releases(api).values() if r.stack == world.stack and r.status != "deployed"] == []
    assert world.run("status").code == 0
    return [r["status"] for r in world.run("history", "--output", "json").json["revisions"]]


def test_a_short_silence_is_waited_out(sim: ClusterHandle, api: KubeApi, world: World, network: Proxy) -> None:
    """Shorter than the lock's patience: nobody notices but the clock."""
    four(world, "start", seconds=1)
    assert world.up().code == 0
    four(world, "changed", seconds=10)
    run = in_the_middle(world, sim)
    wait_for_hook(world, api)
    network.become("black")
    time.sleep(6)
    network.become("open")
    done = ended(run)
    assert done.code == 0, done.err + done.out
    assert converges(world, api, "changed") == ["deployed", "superseded"]


@pytest.mark.parametrize("mode", ["black", "cut"])
def test_a_network_that_stays_away_ends_the_run_and_its_helm(
    sim: ClusterHandle, api: KubeApi, world: World, network: Proxy, mode: Mode
) -> None:
    """Before another run could take the lock over, helm is gone; what was done is shown, and the next run goes on."""
    four(world, "start", seconds=1)
    assert world.up().code == 0
    four(world, "changed", seconds=45)
    run = in_the_middle(world, sim)
    wait_for_hook(world, api)
    helms = children(run.pid)
    assert helms
    network.become(mode)
    lost = time.monotonic()
    assert all_end(helms, within_s=60), "helm outlives the lock"
    done = ended(run)
    took = time.monotonic() - lost
    assert done.code == 7, done.err + done.out
    assert took < 120, f"{took:.0f} s until the run gave up"
    assert "127.0.0.1" in done.err + done.out
    assert "could not be recorded" in done.out
    assert "next: sparkrig up" in done.out
    network.become("open")
    four(world, "changed", seconds=1)
    assert converges(world, api, "changed") == ["deployed", "failed", "superseded"]


def test_ten_seconds_of_refused_connections_are_waited_out(
    sim: ClusterHandle, api: KubeApi, world: World, network: Proxy
) -> None:
    """As while an API server restarts: helm fails at once and runs once more, everything else is sent again."""
    four(world, "start", seconds=1)
    assert world.up().code == 0
    four(world, "changed", seconds=4)
    run = in_the_middle(world, sim)
    wait_for_hook(world, api)
    network.become("cut")
    time.sleep(10)
    network.become("open")
    done = ended(run)
    assert done.code == 0, done.err + done.out
    assert converges(world, api, "changed") == ["deployed", "superseded"]


def test_a_network_that_resets_and_comes_back(sim: ClusterHandle, api: KubeApi, world: World, network: Proxy) -> None:
    """Whatever helm makes of it: the exit code says how it stands, and the next run converges."""
    four(world, "start", seconds=1)
    assert world.up().code == 0
    four(world, "changed", seconds=8)
    run = in_the_middle(world, sim)
    wait_for_hook(world, api)
    network.become("cut")
    time.sleep(3)
    network.become("open")
    done = ended(run)
    assert done.code in (0, 6), done.err + done.out
    statuses = world.run("history", "--output", "json").json["revisions"]
    assert statuses[0]["status"] == {0: "deployed", 6: "rolled-back"}[done.code]
    four(world, "changed", seconds=1)
    converges(world, api, "changed")


@pytest.mark.parametrize("mode", ["black", "cut"])
def test_a_cluster_that_is_silent_from_the_start_is_refused_in_seconds(
    sim: ClusterHandle, world: World, network: Proxy, mode: Mode
) -> None:
    four(world, "start", seconds=1)
    network.become(mode)
    began = time.monotonic()
    refused = world.run("up", "--yes", "--on", f"context:{sim.context}", on=False)
    assert refused.code == 4, refused.err + refused.out
    assert time.monotonic() - began < 30
    assert f"context {sim.context}" in refused.err
    assert "next:" in refused.err or "VPN" in refused.err
