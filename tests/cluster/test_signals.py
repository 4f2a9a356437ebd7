"""A run that is asked to end from outside: Ctrl-C, SIGTERM, a closed terminal, a reader that goes away."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.cluster.test_crash import all_end, children
from tests.inprocess import run_here
from tests.mini import AT_WORK, CONFIGMAP, World

from sparkrig.defaults import LEASE_RENEW_S
from sparkrig.errors import Locked
from sparkrig.helm.storage.releases import list_releases
from sparkrig.history.home import ensure_home
from sparkrig.history.lock import LEASES, Lock
from sparkrig.history.store import History
from sparkrig.kube.client import Conflict, KubeApi
from sparkrig.models.revision import Revision

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
BROKEN = """
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}", labels: {"not a label": "x"}}
"""
GATE = {
    "name": "never",
    "kind": "condition",
    "gate": True,
    "timeout": 60,
    "hint": "nothing makes it so",
    "with": {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "${release}",
        "ready": {"path": "data.text", "equals": ["something else"]},
    },
}


def two(world: World, text: str, *, seconds: int, second: str = CONFIGMAP) -> None:
    """``first`` has a hook of some seconds, ``second`` waits for it."""
    world.component("first", templates={"h.yaml": HOOK, "c.yaml": CONFIGMAP}, values={"seconds": seconds, "text": text})
    world.component("second", templates={"c.yaml": second}, values={"text": text}, needs=["first"])
    world.write_stack()


def lines_until(run: subprocess.Popen[str], *words: str) -> str:
    assert run.stderr is not None
    read = []
    for line in run.stderr:
        read.append(line)
        if all(word in line for word in words):
            return "".join(read)
    raise AssertionError(f"never said {words}: {''.join(read)}")


def at_work(run: subprocess.Popen[str], component: str) -> None:
    """Until helm runs for the component."""
    assert run.stderr is not None
    for line in run.stderr:
        if component in line and AT_WORK.search(line):
            break
    running(run)


def running(run: subprocess.Popen[str]) -> list[int]:
    """The processes below it, once there are some and they are helm itself, not what starts it."""
    deadline = time.monotonic() + 30
    while True:
        found = children(run.pid)
        names = [Path(f"/proc/{pid}/comm").read_text().strip() for pid in found if Path(f"/proc/{pid}").exists()]
        if names and set(names) <= {"helm"}:
            return found
        assert time.monotonic() < deadline, names
        time.sleep(0.02)


def statuses(world: World) -> list[str]:
    """Of the stack's revisions, newest first."""
    return [r["status"] for r in world.run("history", "--output", "json").json["revisions"]]


def lock_is_free(world: World, api: KubeApi) -> bool:
    lease = api.get(f"{LEASES}/sparkrig.{world.stack}")
    return lease is not None and not lease["spec"].get("holderIdentity")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_lets_running_changes_end(world: World, api: KubeApi, number: signal.Signals) -> None:
    two(world, "x", seconds=4)
    run = world.start("up", "--yes", "--on", world.target)
    at_work(run, "first")
    run.send_signal(number)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130, out + err
    assert "starting nothing more" in err
    assert "nothing was changed" not in out + err
    assert {r.name: r.status for r in list_releases(api).values() if r.stack == world.stack} == {"first": "deployed"}
    assert statuses(world) == ["failed"]
    assert lock_is_free(world, api)
    assert world.up().code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_second_signal_ends_helm(world: World, api: KubeApi, number: signal.Signals) -> None:
    two(world, "x", seconds=60)
    run = world.start("up", "--yes", "--on", world.target)
    at_work(run, "first")
    helms = running(run)
    run.send_signal(number)
    lines_until(run, "starting nothing more")
    began = time.monotonic()
    run.send_signal(number)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130, out + err
    assert time.monotonic() - began < 20
    assert all_end(helms, within_s=5)
    assert "nothing was changed" not in out + err
    assert statuses(world) == ["failed"]
    two(world, "x", seconds=0)
    assert world.up().code == 0


def test_a_reader_that_goes_away_is_a_request_to_end(world: World, api: KubeApi) -> None:
    """``sparkrig up 2>&1 | head -1``: in order, as for SIGTERM; nothing is pending after it."""
    two(world, "x", seconds=4)
    assert world.up().code == 0
    two(world, "y", seconds=4)
    read, write = os.pipe()
    run = subprocess.Popen(
        world.command("up", "--yes", "--on", world.target),
        cwd=world.folder,
        env=world.environment,
        stdin=subprocess.DEVNULL,
        stdout=write,
        stderr=write,
    )
    os.close(write)
    with os.fdopen(read, "rb", buffering=0) as reader:
        said = b""
        while not AT_WORK.search(said.decode(errors="replace")):
            said += reader.read(4096)
    assert run.wait(60) == 130
    assert statuses(world) == ["failed", "superseded"] or statuses(world) == ["failed", "deployed"]
    assert [r.name for r in list_releases(api).values() if r.stack == world.stack and r.status != "deployed"] == []
    assert lock_is_free(world, api)
    config = api.get(f"/api/v1/namespaces/{world.stack}-second/configmaps/second")
    assert config is not None
    assert config["data"]["text"] == "x"
    assert world.up().code == 0


def test_a_reader_that_is_gone_before_anything_was_done(world: World, api: KubeApi) -> None:
    two(world, "x", seconds=1)
    read, write = os.pipe()
    os.close(read)
    run = subprocess.run(
        world.command("up", "--yes", "--on", world.target),
        cwd=world.folder,
        env=world.environment,
        stdin=subprocess.DEVNULL,
        stdout=write,
        stderr=write,
        timeout=60,
    )
    os.close(write)
    assert run.returncode == 130
    assert not [r for r in list_releases(api).values() if r.stack == world.stack]


def test_an_interrupt_during_the_way_back(world: World, api: KubeApi) -> None:
    """Nobody says that nothing was changed, and the revision is closed."""
    two(world, "x", seconds=0)
    assert world.up().code == 0
    two(world, "y", seconds=0, second=BROKEN)
    run = world.start("up", "--yes", "--on", world.target)
    lines_until(run, "returning to revision 1")
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert run.returncode in (6, 7), out + err
    assert "nothing was changed" not in out + err
    assert statuses(world)[0] == {6: "rolled-back", 7: "failed"}[run.returncode]
    assert lock_is_free(world, api)
    two(world, "z", seconds=0)
    assert world.up().code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_during_the_checks(world: World, api: KubeApi, number: signal.Signals) -> None:
    """The changes are made; the check that would decide is given up, and that is recorded."""
    world.component("first", templates={"c.yaml": CONFIGMAP}, values={"text": "x"}, checks=[GATE])
    world.write_stack()
    run = world.start("up", "--yes", "--on", world.target)
    lines_until(run, "checking what was changed")
    time.sleep(1.0)
    run.send_signal(number)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130, out + err
    assert "nothing was changed" not in out + err
    assert statuses(world) == ["failed"]
    assert lock_is_free(world, api)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_waiting_for_the_lock_changes_nothing_and_says_so(
    world: World, api: KubeApi, number: signal.Signals
) -> None:
    two(world, "x", seconds=0)
    ensure_home(api)
    with Lock(api, world.stack) as other:
        other.acquire()
        run = world.start("up", "--yes", "--on", world.target, "--wait-lock", "60s")
        lines_until(run, "waiting for the lock")
        run.send_signal(number)
        out, err = run.communicate(timeout=60)
    assert run.returncode == 130, out + err
    assert f"interrupted by {number.name}" in err
    assert "nothing was changed" in err
    assert not [r for r in list_releases(api).values() if r.stack == world.stack]


def test_nohup_is_respected(world: World) -> None:
    two(world, "x", seconds=3)
    run = world.start(
        "up", "--yes", "--on", world.target, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    at_work(run, "first")
    run.send_signal(signal.SIGHUP)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 0, out + err


def test_a_lock_that_is_lost_during_the_way_back_ends_it(world: World, api: KubeApi) -> None:
    """The return is held by the same lock as the change: helm ends, and nothing is written once another run has it."""
    slow = HOOK.replace("pre-install,pre-upgrade", "pre-rollback")
    templates = {"h.yaml": slow, "c.yaml": CONFIGMAP}
    for text, second in (("x", CONFIGMAP), ("y", BROKEN)):
        world.component("first", templates=templates, values={"seconds": 60, "text": text})
        world.component("second", templates={"c.yaml": second}, values={"text": text}, needs=["first"])
        world.write_stack()
        if text == "x":
            assert world.up().code == 0
    run = world.start("up", "--yes", "--on", world.target)
    lines_until(run, "first", "rolling back")
    helms = running(run)
    path = f"{LEASES}/sparkrig.{world.stack}"
    while True:
        lease = api.get(path)
        assert lease is not None
        lease["spec"]["holderIdentity"] = "other@elsewhere pid 1"
        try:
            api.replace(path, lease)
            break
        except Conflict:  # the heartbeat was quicker; read again
            continue
    assert all_end(helms, within_s=40), "helm outlives the lock"
    out, err = run.communicate(timeout=60)
    assert run.returncode == 7, out + err
    assert "another run took it over" in out + err
    lease = api.get(path)
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == "other@elsewhere pid 1"
    api.patch(path, {"spec": {"holderIdentity": ""}})


def test_a_lock_that_is_lost_before_anything_was_changed(
    world: World, api: KubeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 5 of a run that another one may repeat, not 7 of a stack that is half changed."""
    two(world, "x", seconds=0)
    assert world.up().code == 0
    two(world, "y", seconds=0)
    path = f"{LEASES}/sparkrig.{world.stack}"
    real = History.begin

    def stolen(self: History, revision: Revision) -> None:
        real(self, revision)
        while (lease := api.get(path)) is not None:
            lease["spec"]["holderIdentity"] = "other@elsewhere pid 1"
            try:
                api.replace(path, lease)
                break
            except Conflict:
                continue
        time.sleep(LEASE_RENEW_S + 2)  # a heartbeat notices

    monkeypatch.setattr(History, "begin", stolen)
    done = run_here(world, "up", "--yes", "--on", world.target)
    assert done.code == 5, done.err + done.out
    assert "before it changed anything" in done.err
    config = api.get(f"/api/v1/namespaces/{world.stack}-first/configmaps/first")
    assert config is not None
    assert config["data"]["text"] == "x"
    api.patch(path, {"spec": {"holderIdentity": ""}})


def test_two_runs_of_one_host_and_pid_do_not_share_a_lock(api: KubeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two containers: one host name, pid 1 in both, and no /proc that tells them apart."""
    monkeypatch.setattr("sparkrig.history.lock.identity", lambda: "root@runner pid 1")
    monkeypatch.setattr("sparkrig.history.process.mark", lambda: "")
    ensure_home(api)
    first, second = Lock(api, "twins"), Lock(api, "twins")
    first.acquire()
    with pytest.raises(Locked, match=r"locked by root@runner pid 1, for"):
        second.acquire()
    first.check()
    first.release()
    second.acquire()
    second.release()


def test_leftovers_of_a_kill_are_ended_too(world: World) -> None:
    two(world, "x", seconds=60)
    run = world.start("up", "--yes", "--on", world.target)
    at_work(run, "first")
    helms = running(run)
    assert helms
    run.kill()
    run.communicate(timeout=10)
    assert all_end(helms, within_s=5)
    assert not [pid for pid in helms if Path(f"/proc/{pid}").exists()]
