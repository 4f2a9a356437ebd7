"""``status`` as a whole command: drift, what it imports, ``--watch`` on a terminal and in a pipe."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.cluster.answering import until
from tests.mini import CONFIGMAP, DEPLOYMENT, World

from sparkrig.kube.client import KubeApi

pytestmark = pytest.mark.cluster

PATIENCE_S = 60.0
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: hidden}\nstringData: {word: hunter2}\n"


@pytest.fixture
def up(world: World) -> World:
    world.component("web", templates={"d.yaml": DEPLOYMENT, "c.yaml": CONFIGMAP, "s.yaml": SECRET})
    world.component("other")
    world.write_stack()
    assert world.up().code == 0
    return world


def drift(world: World, *arguments: str) -> dict[str, int | None]:
    done = world.run("status", "--output", "json", *arguments)
    assert done.code == 0, done.out + done.err
    return {each["component"]: each["drift"] for each in done.json["components"]}


def test_drift_is_counted_field_by_field(up: World, api: KubeApi) -> None:
    assert drift(up) == {"web": 0, "other": 0}
    assert drift(up, "--no-drift") == {"web": None, "other": None}
    namespace = f"{up.stack}-web"
    # Of three kinds: one that is watched whole, two of which only the metadata is.
    api.patch(f"/apis/apps/v1/namespaces/{namespace}/deployments/web", {"spec": {"template": {"spec": {
        "containers": [{"name": "main", "image": "registry.example.org/other:1"}]}}}})  # fmt: skip
    api.patch(f"/api/v1/namespaces/{namespace}/configmaps/web", {"data": {"text": None}})
    api.patch(f"/api/v1/namespaces/{namespace}/secrets/hidden", {"stringData": {"word": "another"}})
    assert drift(up) == {"web": 3, "other": 0}

    def line(*arguments: str) -> str:
        return next(text for text in up.run("status", *arguments).out.splitlines() if " web " in text)

    assert "3 fields" in line()
    assert "field" not in line("--no-drift")
    told = up.run("status", "--drift").out
    assert "registry.example.org/web:1" in told
    assert "registry.example.org/other:1" in told
    assert "hunter2" not in told
    assert "another" not in told


def test_drift_of_many_config_maps_in_one_namespace(world: World, api: KubeApi) -> None:
    """They are read by one LIST, unless others have more there."""
    text = "".join(
        f"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m{n}}}\ndata: {{first: x, second: z}}\n"
        for n in range(6)
    )
    world.component("web", templates={"many.yaml": text})
    world.write_stack()
    assert world.up().code == 0
    place = f"/api/v1/namespaces/{world.stack}-web/configmaps"
    assert drift(world) == {"web": 0}
    api.patch(f"{place}/m3", {"data": {"first": "other", "second": None, "third": "nobody asked for it"}})
    assert drift(world) == {"web": 2}
    for n in range(20):
        api.create(place, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"of-others-{n}"}})
    assert drift(world) == {"web": 2}
    api.delete(f"{place}/m3")
    done = world.run("status", "--output", "json")
    assert done.code == 1
    assert [len(each["missing"]) for each in done.json["components"]] == [1]


def test_a_stack_at_rest_is_compared_without_its_releases(up: World, api: KubeApi) -> None:
    """What was proven holds while nothing changes, and only then (sparkrig/commands/unchanged.py)."""
    namespace = f"{up.stack}-web"
    assert drift(up) == {"web": 0, "other": 0}
    assert release_reads(up) == 0
    api.patch(f"/api/v1/namespaces/{namespace}/secrets/hidden", {"stringData": {"word": "another"}})
    assert drift(up) == {"web": 1, "other": 0}
    assert release_reads(up) == 1  # what differs is looked at each time
    api.patch(f"/api/v1/namespaces/{namespace}/secrets/hidden", {"stringData": {"word": "hunter2"}})
    assert drift(up) == {"web": 0, "other": 0}
    assert release_reads(up) == 0


def release_reads(world: World) -> int:
    """How many whole releases of Helm a ``status`` reads."""
    code = (
        "import sys\nfrom sparkrig.commands import diff\nfrom sparkrig.cli.app import run\n"
        "reads, read = [], diff._read\n"
        "diff._read = lambda *of: reads.append(1) or read(*of)\n"
        f"run(['status', '-o', 'json', '--on', {world.target!r}])\nsys.stderr.write(str(len(reads)))"
    )
    return int(said_by(world, code))


def said_by(world: World, code: str) -> str:
    """What a Python program writes to stderr that runs a command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=world.folder,
        env=world.environment,
        check=True,
    )
    return done.stderr


@pytest.mark.parametrize("arguments", [("--no-drift", "-o", "json"), ()])
def test_a_whole_status_imports_nothing_that_changes_a_cluster(up: World, arguments: tuple[str, ...]) -> None:
    """What its half second is made of; tests/unit/cli/test_startup.py says the same of what comes before a request."""
    ours = ["apply.executor", "apply.operations", "checks", "commands.doctor", "commands.transaction"]
    ours += ["commands.workflows", "helm.client", "plan.build", "preflight"]
    ours += ["commands.diff", "helm.process", "plan"] if "--no-drift" in arguments else []
    loaded = modules_of(up, "status", *arguments) & (HEAVY | {f"sparkrig.{name}" for name in ours})
    assert not loaded


def test_an_up_with_nothing_to_do_imports_nothing_that_does_it(up: World) -> None:
    ours = ["apply.crds.review", "apply.executor", "apply.operations", "checks.kinds", "commands.doctor"]
    ours += ["commands.plan_file", "helm.process"]
    loaded = modules_of(up, "up", "-o", "json") & (HEAVY | {f"sparkrig.{name}" for name in ours})
    assert not loaded


HEAVY = {"asyncio", "httpx", "kubernetes", "pyhelm3", "rich"}


def modules_of(world: World, *command: str) -> set[str]:
    """Every module that a command imports which ends well."""
    code = (
        "import json, sys\nfrom sparkrig.cli.app import run\n"
        f"code = run([*{command}, '--on', {world.target!r}])\n"
        "sys.stderr.write('\\n' + json.dumps([code, sorted(sys.modules)]))"
    )
    ended, modules = json.loads(said_by(world, code).splitlines()[-1])
    assert ended == 0
    return set(modules)


@contextmanager
def watching(world: World, *arguments: str, terminal: bool) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """``status --watch``, and where its output can be read."""
    leader, follower = pty.openpty() if terminal else os.pipe()
    command = world.command("status", "--watch", "--on", world.target, *arguments)
    process = subprocess.Popen(
        command,
        cwd=world.folder,
        env={**world.environment, "TERM": "xterm", "COLUMNS": "120"},
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(follower)
    try:
        yield process, leader
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
        os.close(leader)


def read_until(source: int, text: str) -> str:
    """What comes, up to and with ``text``."""
    got, deadline = b"", time.monotonic() + PATIENCE_S
    while text.encode() not in got:
        assert time.monotonic() < deadline, got.decode()
        if select.select([source], [], [], 1.0)[0]:
            got += os.read(source, 65536)
    return got.decode()


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in err
    return process.returncode, err


def test_watch_in_a_pipe_speaks_when_something_changed(up: World, api: KubeApi) -> None:
    path = f"/apis/apps/v1/namespaces/{up.stack}-web/deployments/web"
    with watching(up, terminal=False) as (process, source):
        first = read_until(source, "simulated: pods")
        assert "1/1" in first or "3/3" in first
        api.patch(path, {"spec": {"replicas": 2}})
        assert "1 field" in read_until(source, "1 field")
        api.patch(path, {"spec": {"replicas": 1}})
        until(lambda: drift(up)["web"] == 0)
        assert end(process)[0] == 0


def test_watch_on_a_terminal_paints_over_the_last_one(up: World) -> None:
    with watching(up, terminal=True) as (process, source):
        read_until(source, "simulated: pods")
        again = read_until(source, "\x1b[H\x1b[J")
        assert f"{up.stack}" in again + read_until(source, "simulated: pods")
        assert end(process)[0] == 0


def test_watch_ends_with_what_it_last_saw(up: World, api: KubeApi) -> None:
    api.delete(f"/api/v1/namespaces/{up.stack}-web/configmaps/web")
    with watching(up, "--output", "json", terminal=False) as (process, source):
        assert '"ok": false' in read_until(source, '"ok": false')
        assert end(process)[0] == 1
