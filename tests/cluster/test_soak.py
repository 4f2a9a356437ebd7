"""Random operations and faults from a printed seed; what must always hold is checked after each.

`make soak` runs ten minutes, `make test` two (SOAK_SECONDS, SOAK_SEED). The seed and each step are printed,
so that a failure can be played again.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tests.mini import CONFIGMAP, DEPLOYMENT, Done, World

from sparkrig.helm.storage.releases import list_releases
from sparkrig.kube.client import KubeApi
from sparkrig.models.cluster import ClusterHandle

SECONDS = float(os.environ.get("SOAK_SECONDS", "120"))
SEED = int(os.environ.get("SOAK_SEED", "20261122"))
NAMES = ("base", "left", "right", "top")
NEEDS = {"left": ["base"], "right": ["base"], "top": ["left", "right"]}
BREAKABLE = DEPLOYMENT.replace(
    "replicas: {{ .Values.replicas }}",
    "replicas: {{ if .Values.broken }}many{{ else }}{{ .Values.replicas }}{{ end }}",
)
CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, annotations: {helm.sh/resource-policy: keep}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
"""
FINISHED = {"deployed", "failed", "rolled-back", "superseded", "removed"}


class Soak:
    """One random walk over a stack, beside another stack that nobody touches."""

    def __init__(self, world: World, other: World, api: KubeApi, dice: random.Random) -> None:
        self.world = world
        self.other = other
        self.api = api
        self.dice = dice
        self.version = 0
        self.off: set[str] = set()
        self.text = dict.fromkeys(NAMES, "start")
        self.broken: str | None = None
        self.killed = False
        self.claim = ""
        self.watched = self.of_others()

    def write(self) -> None:
        for name in NAMES:
            templates = {"d.yaml": BREAKABLE, "c.yaml": CONFIGMAP}
            spec: dict[str, Any] = {"needs": NEEDS.get(name, [])}
            if name == "base":
                templates["p.yaml"] = CLAIM
                spec["keep"] = ["PersistentVolumeClaim"]
            values = {"replicas": 1, "tag": "1", "text": "hello", "broken": False}
            self.world.component(name, templates=templates, values=values, version=f"1.{self.version}.0", **spec)
        entries = {
            name: {"enabled": False}
            if name in self.off
            else {"values": {"text": self.text[name], "broken": name == self.broken}}
            for name in NAMES
        }
        self.world.write_stack(**entries)

    def step(self) -> str:
        """One random operation; returns what was done, for the log."""
        actions = [
            self.change_value, self.change_value, self.new_versions, self.switch, self.break_one, self.rollback,
            self.kill, self.kill, self.two_at_once, self.delete_by_hand, self.scale_by_hand, self.down,
        ]  # fmt: skip
        return self.dice.choice(actions)()

    # ------------------------------------------------------------------ operations

    def up(self, *arguments: str) -> Done:
        self.write()
        return self.world.up("--wait-lock", "60s", *arguments)

    def change_value(self) -> str:
        name = self.dice.choice(NAMES)
        self.text[name] = f"text {self.dice.randrange(10**6)}"
        return self.expect(self.up(), {0}, f"value of {name}")

    def new_versions(self) -> str:
        self.version += 1
        return self.expect(self.up(), {0}, f"charts 1.{self.version}.0")

    def switch(self) -> str:
        if self.off:
            self.off.clear()
        else:
            self.off = {"top"} if self.dice.random() < 0.6 else {"left", "top"}
        return self.expect(self.up(), {0}, f"off: {sorted(self.off)}")

    def break_one(self) -> str:
        on = [name for name in NAMES if name not in self.off]
        self.broken = self.dice.choice(on)
        self.text[self.broken] = f"broken {self.dice.randrange(10**6)}"
        done = self.up()
        # 1: nothing good to return to (after a down, or a first install that failed)
        self.expect(done, {6, 1}, f"broken {self.broken}")
        self.broken = None
        return self.expect(self.up(), {0}, f"broken, returned with {done.code}, mended")

    def rollback(self) -> str:
        good = [r["number"] for r in self.history()[1:] if r["status"] in ("superseded", "deployed")]
        if not good:
            return "rollback: nothing to return to"
        number = self.dice.choice(good)
        done = self.world.run("rollback", str(number), "--yes", "--wait-lock", "60s")
        self.expect(done, {0}, f"rollback {number}")
        return self.expect(self.up(), {0}, f"rollback {number} and up again")

    def kill(self) -> str:
        name = self.dice.choice(NAMES)
        self.text[name] = f"text {self.dice.randrange(10**6)}"
        self.version += self.dice.randrange(2)
        self.write()
        run = self.world.start("up", "--yes", "--on", self.world.target, "--wait-lock", "60s")
        after = self.dice.uniform(0.2, 3.5)
        time.sleep(after)
        os.kill(run.pid, signal.SIGKILL)
        run.communicate(timeout=60)
        self.killed = True
        return self.expect(self.up(), {0}, f"killed after {after:.2f} s, then up")

    def two_at_once(self) -> str:
        self.text["base"] = f"text {self.dice.randrange(10**6)}"
        self.write()
        first = self.world.start("up", "--yes", "--on", self.world.target, "--wait-lock", "60s")
        second = self.world.start("up", "--yes", "--on", self.world.target)
        outs = [run.communicate(timeout=180) for run in (first, second)]
        codes = sorted((first.returncode, second.returncode))
        assert codes in ([0, 0], [0, 5]), f"two at once: {codes} {outs}"
        return f"two at once: {codes}"

    def delete_by_hand(self) -> str:
        self.expect(self.up(), {0}, "before deleting")
        self.api.delete(f"/api/v1/namespaces/{self.world.stack}-base/configmaps/base")
        self.expect(self.up(), {1}, "an object is missing")
        return self.expect(self.up("--repair"), {0}, "deleted by hand and repaired")

    def scale_by_hand(self) -> str:
        self.expect(self.up(), {0}, "before scaling")
        path = f"/apis/apps/v1/namespaces/{self.world.stack}-base/deployments/base"
        self.api.patch(path, {"spec": {"replicas": 3}}, subresource="scale")
        self.text["base"] = f"text {self.dice.randrange(10**6)}"
        self.expect(self.up(), {4}, "scaled by hand")
        # Gone on with all the same, the upgrade meets the field and is returned from, which takes it back.
        done = self.expect(self.up("--accept", "conflict"), {6}, "scaled by hand, accepted")
        return self.expect(self.up(), {0}, f"{done}, up again")

    def down(self) -> str:
        done = self.world.run("down", "--yes", "--wait-lock", "60s")
        self.expect(done, {0}, "down")
        return self.expect(self.up(), {0}, "down and up")

    # ------------------------------------------------------------------ what must hold

    def expect(self, done: Done, codes: set[int], what: str) -> str:
        assert done.code in codes, f"{what}: exit {done.code}\n{done.err}\n{done.out}"
        self.check(what)
        return what

    def history(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.world.run("history", "--output", "json").json["revisions"]
        return found

    def check(self, what: str) -> None:
        releases = [r for r in list_releases(self.api).values() if r.stack == self.world.stack]
        stuck = [f"{r.name} {r.status}" for r in releases if r.status.startswith("pending")]
        assert not stuck, f"{what}: releases without a live holder are pending: {stuck}"
        revisions = self.history()
        numbers = [r["number"] for r in revisions]
        assert numbers == sorted(set(numbers), reverse=True), f"{what}: {numbers}"
        statuses = [r["status"] for r in revisions]
        assert statuses.count("deployed") <= 1, f"{what}: {statuses}"
        assert set(statuses) <= FINISHED, f"{what}: {statuses}"
        claim = self.api.get(f"/api/v1/namespaces/{self.world.stack}-base/persistentvolumeclaims/data")
        assert claim is not None, f"{what}: the volume claim is lost"
        self.claim = self.claim or claim["metadata"]["uid"]
        assert claim["metadata"]["uid"] == self.claim, f"{what}: the volume claim was made anew"
        assert self.of_others() == self.watched, f"{what}: another stack was touched"

    def of_others(self) -> dict[str, Any]:
        """Identity and content of the other stack's objects."""
        namespace = f"{self.other.stack}-quiet"
        found = {}
        for path in (f"/apis/apps/v1/namespaces/{namespace}/deployments", f"/api/v1/namespaces/{namespace}/configmaps"):
            for item in self.api.list(path):
                found[item["metadata"]["name"] + item["kind"]] = (item["metadata"]["uid"], item.get("data"))
        secrets = self.api.list(f"/api/v1/namespaces/{namespace}/secrets", metadata_only=True)
        found["secrets"] = sorted(item["metadata"]["name"] for item in secrets)
        return found


@pytest.mark.slow
@pytest.mark.timeout(SECONDS * 3 + 600)
def test_soak(sim: ClusterHandle, api: KubeApi, tmp_path: Path) -> None:
    """Walks for SOAK_SECONDS."""
    target = f"sim:{sim.name}"
    other = World(tmp_path / "other", target, stack="soakother")
    other.component("quiet", templates={"d.yaml": DEPLOYMENT, "c.yaml": CONFIGMAP})
    other.write_stack()
    assert other.up().code == 0
    soak = Soak(World(tmp_path / "soak", target, stack="soak"), other, api, random.Random(SEED))
    soak.expect(soak.up(), {0}, "first install")
    print(f"seed {SEED}, {SECONDS:.0f} s")
    ends = time.monotonic() + SECONDS
    steps = 0
    while time.monotonic() < ends:
        steps += 1
        print(f"{steps}: {soak.step()}", flush=True)
    assert steps >= 3
    assert other.run("status").code == 0
    for world in (soak.world, other):
        assert world.run("down", "--yes").code == 0
