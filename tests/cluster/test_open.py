"""``open`` through a port-forward that it holds: a whole command, a real API server, a real server behind the pod.

The pods are KWOK's; their ports lead to a server of the test on loopback (tests/cluster/answering.py). A node that is
no fake makes the cluster one that is not simulated, so that the command goes all the way.
"""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.answering import HTTP_PORT, Site, answering, until
from tests.mini import DEPLOYMENT, World

pytestmark = pytest.mark.cluster

SERVICE = f"""
apiVersion: v1
kind: Service
metadata: {{name: "{{{{ .Release.Name }}}}"}}
spec:
  selector: {{app: "{{{{ .Release.Name }}}}"}}
  ports: [{{name: http, port: 80, targetPort: {HTTP_PORT}}}]
"""
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: first}\nstringData: {user: admin, word: hunter2}\n"
LOGIN = {"secret": "first", "username": "user", "password": "word"}
CHECK = {"name": "page", "kind": "http", "with": {"service": "${release}", "port": 80, "path": "/hello"}}
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, environment: Path) -> Iterator[Site]:
    with answering(tmp_path_factory.mktemp("open"), "") as site:
        site.api.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "no-fake"}})
        yield site


@pytest.fixture(scope="module")
def shared(cluster: Site, tmp_path_factory: pytest.TempPathFactory) -> World:
    """One stack for all tests: a component behind a port-forward only."""
    world = World(tmp_path_factory.mktemp("world"), "context", stack="opened")
    url = {"name": "web", "service": "${release}", "path": "/hello", "credentials": LOGIN}
    templates = {"d.yaml": DEPLOYMENT, "s.yaml": SERVICE, "x.yaml": SECRET}
    world.component("web", templates=templates, urls=[url], checks=[CHECK])
    world.write_stack()
    cluster.says("/hello", b"it answers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(cluster.handle.kubeconfig))
        done = world.up()
    assert done.code == 0, done.out + done.err
    assert "checks: 1 pass" in done.err  # the page of the check came through a port-forward too
    return world


@pytest.fixture
def world(shared: World, cluster: Site, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("KUBECONFIG", str(cluster.handle.kubeconfig))
    cluster.reset()
    cluster.says("/hello", b"it answers")
    return shared


class Held:
    """A running ``open``; what it printed first is read."""

    def __init__(self, world: World, *arguments: str) -> None:
        self.process = world.start("open", "web", "--on", world.target, *arguments)
        assert self.process.stdout is not None
        watchdog = threading.Timer(PATIENCE_S, self.process.kill)
        watchdog.start()
        self.url = self.process.stdout.readline().strip()
        watchdog.cancel()

    def end(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        """Exit code, the rest of stdout, stderr."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        # Not communicate(), which would lose what came together with the first line.
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        with self.process.stdout as stdout, self.process.stderr as stderr:
            out, err = stdout.read(), stderr.read()
        assert "Traceback" not in err
        return code, out, err


@pytest.fixture
def hold(world: World) -> Iterator[Any]:
    """Starts ``open``; whatever a test leaves behind is killed."""
    made: list[Held] = []

    def start(*arguments: str) -> Held:
        made.append(Held(world, *arguments))
        return made[-1]

    yield start
    for held in made:
        if held.process.poll() is None:
            held.process.kill()
            held.end()


def body(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return str(answer.read().decode())


def listens(url: str) -> bool:
    host, port = url.removeprefix("http://").partition("/")[0].split(":")
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex((host, int(port))) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_port_forward_is_held_until_it_is_ended(hold: Any, cluster: Site, number: int) -> None:
    held = hold("--print")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/hello", held.url), held.process.communicate()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(body, [held.url] * 8)) == ["it answers"] * 8
    assert len(cluster.seen) == 8
    code, out, err = held.end(number)
    assert (code, out) == (0, "")
    assert err == "forwarding to Service opened-web/web; Ctrl-C ends it\n"
    assert not listens(held.url)


def test_an_open_connection_does_not_keep_it_from_ending(hold: Any, cluster: Site) -> None:
    held = hold("--print")
    host, port = held.url.removeprefix("http://").partition("/")[0].split(":")
    with socket.create_connection((host, int(port)), timeout=20) as idle:
        idle.sendall(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
        assert idle.recv(15) == b"HTTP/1.1 200 OK"  # the server keeps the connection for more
        began = time.monotonic()
        assert held.end()[0] == 0
        assert time.monotonic() - began < 20
        while idle.recv(4096):
            pass


def test_the_pod_may_be_another_one_meanwhile(hold: Any, cluster: Site) -> None:
    held = hold("--print")
    assert body(held.url) == "it answers"
    path = "/api/v1/namespaces/opened-web/pods"
    (old,) = [pod["metadata"]["name"] for pod in cluster.api.list(path)]
    cluster.api.delete(f"{path}/{old}")

    def again() -> str:
        try:
            return body(held.url) if old not in {p["metadata"]["name"] for p in cluster.api.list(path)} else ""
        except (OSError, urllib.error.URLError):
            return ""

    assert until(again, PATIENCE_S) == "it answers"
    assert held.end()[0] == 0


def test_what_goes_wrong_meanwhile_is_said_and_does_not_end_it(hold: Any, cluster: Site) -> None:
    held = hold("--print")
    path = "/apis/apps/v1/namespaces/opened-web/deployments/web"
    cluster.api.patch(path, {"spec": {"replicas": 0}})
    until(lambda: not cluster.api.list("/api/v1/namespaces/opened-web/pods"), PATIENCE_S)

    def refused() -> bool:
        try:
            body(held.url)
        except OSError:
            return True
        return False

    until(refused, PATIENCE_S)
    cluster.api.patch(path, {"spec": {"replicas": 1}})
    until(lambda: not refused(), PATIENCE_S)
    code, _, err = held.end()
    assert code == 0
    assert "port-forward: Service opened-web/web: no" in err


def test_a_certain_local_port_and_one_that_is_taken(hold: Any, world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        taken = world.run("open", "web", "--print", "--port", str(port))
        assert taken.code == 1
        assert f"port {port} of this machine cannot be had" in taken.err
        assert "name another with --port" in taken.err
    held = hold("--print", "--port", str(port))
    assert held.url == f"http://127.0.0.1:{port}/hello"
    assert held.end()[0] == 0


def test_credentials_are_printed_on_request_only(hold: Any) -> None:
    held = hold("--print")
    assert "hunter2" not in "".join(held.end()[1:])
    asked = hold("--print", "--credentials")
    assert asked.end()[1] == "username admin\npassword hunter2\n"


def test_json_for_programs(hold: Any) -> None:
    held = hold("--print", "--output", "json")
    rest = held.end()[1]
    assert held.url == "{"
    assert '"how": "port-forward"' in rest
    assert '"password"' not in rest


def test_a_terminal_gets_a_browser(world: World, tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.new && mv {opened}.new {opened}\n')
    browser.chmod(0o755)
    leader, follower = pty.openpty()
    environment = {**world.environment, "BROWSER": f"{browser} %s", "TERM": "xterm"}
    command = world.command("open", "web", "--on", world.target)
    process = subprocess.Popen(
        command, cwd=world.folder, env=environment, stdin=follower, stdout=follower, stderr=subprocess.PIPE, text=True
    )
    os.close(follower)
    try:
        url = until(lambda: opened.exists() and opened.read_text().strip(), PATIENCE_S)
        assert body(url) == "it answers"
        assert select.select([leader], [], [], 20)[0]
        assert url in os.read(leader, 4096).decode()
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
        os.close(leader)
    assert process.returncode == 0, err
