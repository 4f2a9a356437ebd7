"""kill -9 at any moment: the next up converges without a manual step."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import pytest
from tests.mini import CONFIGMAP, DEPLOYMENT, World

from sparkrig.helm.storage.releases import list_releases
from sparkrig.kube.client import KubeApi

SEED = 20261122
HOOK = """
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-hook
  annotations: {helm.sh/hook: "pre-install,pre-upgrade", helm.sh/hook-delete-policy: before-hook-creation}
spec:
  template:
    metadata: {annotations: {sim.sparkrig.dev/runs-for: "1s"}}
    spec:
      restartPolicy: Never
      containers: [{name: main, image: registry.example.org/hook}]
"""


def children(pid: int) -> list[int]:
    """Processes whose parent is ``pid``, and theirs."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found += [int(entry.name), *children(int(entry.name))]
    return found


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def all_end(pids: list[int], *, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while alive := [pid for pid in pids if (Path("/proc") / str(pid)).exists()]:
        if time.monotonic() > deadline:
            return not alive
        time.sleep(0.02)
    return True


def eight(world: World, text: str) -> None:
    for number in range(8):
        templates = {"c.yaml": CONFIGMAP, "d.yaml": DEPLOYMENT}
        if number % 4 == 0:
            templates["h.yaml"] = HOOK
        needs = [f"r{number - 3}"] if number >= 3 else []
        values = {"replicas": 1, "tag": "1", "text": text}
        world.component(f"r{number}", templates=templates, values=values, needs=needs)
    world.write_stack()


@pytest.mark.timeout(1200)
def test_twenty_random_kills_during_an_upgrade_all_converge(world: World, api: KubeApi) -> None:
    """Seeded: 20 kills of the installer, of its helm, or of both, at random moments of an upgrade of 8 releases."""
    dice = random.Random(SEED)
    eight(world, "start")
    assert world.up().code == 0
    for kills in range(20):
        text = f"round {kills}"
        eight(world, text)
        run = world.start("up", "--yes", "--on", world.target, "--on-failure", "stop")
        time.sleep(dice.uniform(0.3, 4.0))
        victim = dice.choice(["installer", "helm", "both"])
        helms = children(run.pid)
        if victim != "installer":
            for pid in helms:
                kill(pid)
        if victim != "helm":
            kill(run.pid)
        run.communicate(timeout=120)
        assert victim == "helm" or all_end(helms, within_s=5), "a helm outlived its installer"
        if kills % 4 == 3 or dice.random() < 0.3:
            mended = world.up("--wait-lock", "60s")
            assert mended.code == 0, f"seed {SEED}, kill {kills} of {victim}: {mended.err}{mended.out}"
            for number in range(8):
                config = api.get(f"/api/v1/namespaces/{world.stack}-r{number}/configmaps/r{number}")
                assert config is not None
                assert config["data"]["text"] == text
    assert world.up("--wait-lock", "60s").code == 0
    pending = [r for r in list_releases(api).values() if r.stack == world.stack and r.status != "deployed"]
    assert pending == []
    history = world.run("history", "--output", "json").json["revisions"]
    assert [r["status"] for r in history].count("deployed") == 1
    assert "pending" not in [r["status"] for r in history]


def test_a_kill_before_anything_was_written_leaves_nothing_to_mend(world: World) -> None:
    eight(world, "start")
    run = world.start("up", "--yes", "--on", world.target)
    time.sleep(0.1)
    kill(run.pid)
    run.communicate(timeout=10)
    assert world.up("--wait-lock", "60s").code == 0
