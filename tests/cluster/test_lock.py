"""One run at a time: the lock, its holder, its loss."""

from __future__ import annotations

import os
import signal
import time
import zlib

import pytest
from tests.mini import AT_WORK, CONFIGMAP, World

from sparkrig.errors import Locked
from sparkrig.history.home import ensure_home
from sparkrig.history.lock import LEASES, Lock, at_work, identity
from sparkrig.kube.client import Conflict, KubeApi

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
def stack(api: KubeApi, request: pytest.FixtureRequest) -> str:
    ensure_home(api)
    return f"lock-{zlib.crc32(request.node.name.encode())}"


def test_a_second_holder_is_refused_with_who_and_since_when(api: KubeApi, stack: str) -> None:
    with Lock(api, stack) as first:
        first.acquire()
        second = Lock(api, stack)
        second._holder = "ops@elsewhere pid 7"
        with pytest.raises(Locked, match=rf"stack {stack} is locked by .*pid {os.getpid()}, for \d+ s, last heard"):
            second.acquire()
        first.check()
    second.acquire()
    second.check()
    second.release()


def test_who_is_at_work_is_another_living_run(api: KubeApi, stack: str) -> None:
    path = f"{LEASES}/sparkrig.{stack}"
    assert at_work(api, stack) == ""
    with Lock(api, stack) as lock:
        lock.acquire()
        assert at_work(api, stack) == ""  # this process's own
        lock._mark = "another boot/1/2/3"
        lock._put(holder=lock._holder, renewed=lock._now())
        assert at_work(api, stack) == identity()
        lock._put(holder=lock._holder, renewed="2020-01-01T00:00:00.000000Z")
        assert at_work(api, stack) == ""  # nobody has heard of it for years
    assert (api.get(path) or {})["spec"]["holderIdentity"] == ""
    assert at_work(api, stack) == ""


def test_waiting_for_a_lock_takes_it_when_it_is_free(api: KubeApi, stack: str) -> None:
    first, second = Lock(api, stack), Lock(api, stack)
    second._holder = "ops@elsewhere pid 7"
    first.acquire()
    said: list[str] = []

    def free(message: str) -> None:
        said.append(message)
        first.release()

    second.acquire(wait_s=20, on_wait=free)
    assert "waiting for the lock held by" in said[0]
    second.release()


def test_a_dead_holders_lease_expires(api: KubeApi, stack: str) -> None:
    dead = Lock(api, stack, duration_s=2, renew_s=60)
    dead._holder = "ops@gone pid 7"
    dead.acquire()
    alive = Lock(api, stack)
    with pytest.raises(Locked):
        alive.acquire()
    alive.acquire(wait_s=20)
    with pytest.raises(Locked, match="lost the lock"):
        dead.check()
    dead.release()
    alive.check()  # the dead holder's release does not take it away
    alive.release()


def test_a_heartbeat_renews_and_notices_a_takeover(api: KubeApi, stack: str) -> None:
    lost: list[str] = []
    lock = Lock(api, stack, duration_s=3, renew_s=0.3, on_lost=lost.append)
    lock.acquire()
    time.sleep(3.5)
    lock.check()
    path = f"{LEASES}/sparkrig.{stack}"
    lease = api.get(path)
    assert lease is not None
    lease["spec"]["holderIdentity"] = "thief@elsewhere pid 1"
    while True:
        try:
            api.replace(path, lease)
            break
        except Conflict:  # the heartbeat was quicker; read again
            lease = {**(api.get(path) or {}), "spec": lease["spec"]}
    deadline = time.monotonic() + 5
    while not lost and time.monotonic() < deadline:
        time.sleep(0.05)
    assert lost == ["the lock was lost: another run took it over"]
    with pytest.raises(Locked, match="another run took it over"):
        lock.check()
    lock.release()
    held = api.get(path)
    assert held is not None
    assert held["spec"]["holderIdentity"] == "thief@elsewhere pid 1"


def test_a_renewal_whose_answer_was_lost_is_no_takeover(api: KubeApi, stack: str) -> None:
    """The Lease moved on, and still names this run: the write that moved it was this run's own."""
    lost: list[str] = []
    lock = Lock(api, stack, duration_s=6, renew_s=0.5, on_lost=lost.append)
    lock.acquire()
    path = f"{LEASES}/sparkrig.{stack}"
    for number in range(3):
        before = (api.get(path) or {})["spec"]["renewTime"]
        api.patch(path, {"metadata": {"annotations": {"moved": str(number)}}})
        deadline = time.monotonic() + 20
        while (api.get(path) or {})["spec"]["renewTime"] == before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert (api.get(path) or {})["spec"]["renewTime"] != before
    assert lost == []
    lock.check()
    lock.release()


def test_a_history_is_not_purged_under_another_runs_hands(world: World, api: KubeApi) -> None:
    world.component("a", templates={"c.yaml": CONFIGMAP})
    world.write_stack()
    assert world.up().code == 0
    assert world.run("down", "--yes").code == 0
    with Lock(api, world.stack) as other:
        other.acquire()
        refused = world.run("down", "--yes", "--purge", "history")
        assert refused.code == 5, refused.err
    assert len(world.run("history", "--output", "json").json["revisions"]) == 2
    assert world.run("down", "--yes", "--purge", "history").code == 0
    assert world.run("history", "--output", "json").json["revisions"] == []
    assert api.get(f"{LEASES}/sparkrig.{world.stack}", missing_ok=True) is None


def test_two_runs_at_once_one_proceeds(world: World, api: KubeApi) -> None:
    # Three commands have to meet the first run, on a machine with other work to do.
    world.component("slow", templates={"h.yaml": HOOK, "c.yaml": CONFIGMAP}, values={"seconds": 20, "text": "x"})
    world.write_stack()
    first = world.start("up", "--yes", "--on", world.target)
    begun, deadline = f"/api/v1/namespaces/{world.stack}-slow/secrets", time.monotonic() + 60
    while not api.list(begun, label_selector="owner=helm,status=pending-install", metadata_only=True):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    planned = world.run("plan")
    assert f"helm is at work on it in the run of {identity().rpartition(' ')[0]} {first.pid}" in planned.out, planned
    assert f"pid {first.pid} is at work on it" in world.run("status").out
    second = world.up()
    assert second.code == 5, second.err
    assert f"pid {first.pid}" in second.err
    waiting = world.up("--wait-lock", "60s")
    assert waiting.code == 0, waiting.err
    assert waiting.err.count("waiting for the lock held by") == 1
    first.communicate(timeout=60)
    assert first.returncode == 0


def test_a_paused_run_that_lost_its_lock_starts_nothing_and_ends_its_helm(world: World, api: KubeApi) -> None:
    world.component("slow", templates={"h.yaml": HOOK, "c.yaml": CONFIGMAP}, values={"seconds": 25, "text": "x"})
    world.component("next", templates={"c.yaml": CONFIGMAP}, needs=["slow"])
    world.write_stack()
    run = world.start("up", "--yes", "--on", world.target)
    assert run.stderr is not None
    for line in run.stderr:
        if AT_WORK.search(line):
            break
    os.kill(run.pid, signal.SIGSTOP)
    path = f"{LEASES}/sparkrig.{world.stack}"
    lease = api.get(path)
    assert lease is not None
    lease["spec"]["holderIdentity"] = "other@elsewhere pid 1"
    api.replace(path, lease)
    os.kill(run.pid, signal.SIGCONT)
    out, err = run.communicate(timeout=60)
    assert run.returncode in (1, 5), out + err
    assert "lost the lock" in out + err or "the lock was lost" in out + err
    assert api.get(f"/api/v1/namespaces/{world.stack}-next/configmaps/next", missing_ok=True) is None
    lease = api.get(path)
    assert lease is not None
    lease["spec"]["holderIdentity"] = ""
    api.replace(path, lease)
    world.component("slow", templates={"c.yaml": CONFIGMAP}, values={"text": "x"})
    mended = world.up()
    assert mended.code == 0, mended.err + mended.out


def test_a_holder_that_was_killed_on_this_machine_is_known_dead_at_once(world: World) -> None:
    world.component("slow", templates={"h.yaml": HOOK, "c.yaml": CONFIGMAP}, values={"seconds": 60, "text": "x"})
    world.write_stack()
    run = world.start("up", "--yes", "--on", world.target)
    assert run.stderr is not None
    for line in run.stderr:
        if AT_WORK.search(line):
            break
    assert world.up().code == 5
    os.kill(run.pid, signal.SIGKILL)
    run.communicate(timeout=10)
    world.component("slow", templates={"c.yaml": CONFIGMAP}, values={"text": "x"})
    started = time.monotonic()
    mended = world.up()
    assert mended.code == 0, mended.err
    assert time.monotonic() - started < 25
