"""What happens between us and an API server that falters: a loopback server plays the faults a real one has."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrig.defaults import API_CONNECTIONS, API_RETRIES
from sparkrig.errors import AccessDenied, ClusterUnreachable
from sparkrig.kube.client import ApiError, ConnectionLost, Gone, KubeApi, OutcomeUnknown
from sparkrig.kube.http import Rate
from sparkrig.models.cluster import ClusterHandle

Script = list[tuple[int, dict[str, str], Any]]
VERSION = (200, {}, {"gitVersion": "v1.36.3"})
HANG_UP = (0, {}, None)


class Faulty(http.server.ThreadingHTTPServer):
    """Answers GET /version, and everything else from a script, the last line again and again."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: Script = [(200, {}, {})]
        self.seen: list[str] = []
        self.version: tuple[int, dict[str, str], Any] = VERSION
        self.lock = threading.Lock()
        self.now = self.most = 0
        self.delay_s = 0.0

    def take(self, line: str) -> tuple[int, dict[str, str], Any]:
        with self.lock:
            self.seen.append(line)
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Faulty

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server = self.server
        status, headers, body = (
            server.version if self.path == "/version" else server.take(f"{self.command} {self.path}")
        )
        with server.lock:
            server.now += 1
            server.most = max(server.most, server.now)
        time.sleep(server.delay_s)
        with server.lock:
            server.now -= 1
        if status == 0:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = answer  # noqa: N815 - the names that http.server looks for

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def faulty() -> Iterator[Faulty]:
    server = Faulty()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def api(faulty: Faulty, tmp_path: Path) -> Iterator[KubeApi]:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{faulty.server_address[1]}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    api = KubeApi(ClusterHandle("context", "c", file, None))
    yield api
    api.close()


def status(code: int, reason: str = "", message: str = "") -> tuple[int, dict[str, str], Any]:
    return code, {}, {"kind": "Status", "code": code, "reason": reason, "message": message}


def test_a_passing_error_is_asked_again(faulty: Faulty, api: KubeApi) -> None:
    faulty.script = [status(503), HANG_UP, (200, {}, {"ok": True})]
    assert api.get("/x") == {"ok": True}
    assert faulty.seen == ["GET /x"] * 3


def test_too_many_requests_waits_as_long_as_the_server_says(faulty: Faulty, api: KubeApi) -> None:
    api.version()
    faulty.script = [(429, {"Retry-After": "1"}, {"message": "slow down"}), (201, {}, {"made": True})]
    began = time.monotonic()
    assert api.create("/x", {}) == {"made": True}
    assert time.monotonic() - began >= 1
    assert len(faulty.seen) == 2


def test_those_that_were_turned_away_together_come_back_apart(faulty: Faulty, api: KubeApi) -> None:
    api.version()
    away = (429, {"Retry-After": "1"}, {"message": "slow down"})
    faulty.script = [*[away] * API_CONNECTIONS, (200, {}, {})]
    back: list[float] = []

    def ask() -> None:
        api.get("/x")
        back.append(time.monotonic())

    threads = [threading.Thread(target=ask) for _ in range(API_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(faulty.seen) == 2 * API_CONNECTIONS
    assert max(back) - min(back) > 0.02  # of 0.2 s; that eight random numbers lie so close has odds of 1 : 10**6


def test_many_requests_are_spread_over_time(faulty: Faulty, api: KubeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparkrig.kube.http.API_RATE", 50.0)
    monkeypatch.setattr("sparkrig.kube.http.API_BURST", 5)
    api.version()  # the first of the five
    began = time.monotonic()
    for _ in range(4):
        api.get("/x")
    assert time.monotonic() - began < 0.2
    for _ in range(20):
        api.get("/x")
    assert 0.35 < time.monotonic() - began < 2.0


def test_a_burst_is_earned_anew_while_nothing_is_asked() -> None:
    rate = Rate(10.0, 3)
    assert [rate.pause_s(100.0) for _ in range(4)] == [0.0, 0.0, 0.0, pytest.approx(0.1)]
    assert [rate.pause_s(200.0) for _ in range(4)] == [0.0, 0.0, 0.0, pytest.approx(0.1)]


@pytest.mark.parametrize("fault", [status(503), status(500), status(504)])
def test_a_create_is_never_repeated_after_an_error(faulty: Faulty, api: KubeApi, fault: Any) -> None:
    faulty.script = [fault, (201, {}, {})]
    with pytest.raises(ApiError) as error:
        api.create("/x", {})
    assert error.value.status == fault[0]
    assert len(faulty.seen) == 1


def test_a_create_whose_answer_is_lost_is_never_repeated(faulty: Faulty, api: KubeApi) -> None:
    faulty.script = [HANG_UP, (201, {}, {})]
    with pytest.raises(OutcomeUnknown, match=r"POST /x: the API server at .* closed the connection without an answer"):
        api.create("/x", {})
    assert len(faulty.seen) == 1


def test_a_server_that_keeps_failing_is_given_up(faulty: Faulty, api: KubeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparkrig.kube.http.RETRY_FIRST_S", 0.01)
    faulty.script = [status(503, "ServiceUnavailable", "etcd is gone")]
    with pytest.raises(ApiError, match="GET /x: etcd is gone"):
        api.get("/x")
    assert len(faulty.seen) == API_RETRIES + 1


def test_a_dead_webhook_is_not_asked_again(faulty: Faulty, api: KubeApi) -> None:
    faulty.script = [status(500, "InternalError", 'failed calling webhook "a.b": context deadline exceeded')]
    with pytest.raises(ApiError, match="failed calling webhook"):
        api.request("PATCH", "/x", body={}, content_type="application/apply-patch+yaml")
    assert len(faulty.seen) == 1


def test_the_callers_limit_bounds_all_tries_together(faulty: Faulty, api: KubeApi) -> None:
    faulty.script = [(429, {"Retry-After": "20"}, {"message": "later"})]
    began = time.monotonic()
    with pytest.raises(ApiError, match="later"):
        api.request("GET", "/x", timeout_s=1)
    assert time.monotonic() - began < 1


def test_a_server_that_goes_away_is_not_the_same_as_one_never_reached(
    faulty: Faulty, api: KubeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparkrig.kube.http.API_OUTAGE_S", 1.0)
    api.version()
    faulty.script = [HANG_UP]
    with pytest.raises(ConnectionLost):
        api.get("/x")


@pytest.mark.parametrize(
    "fault",
    [HANG_UP, (502, {}, "<html>bad gateway</html>"), (503, {}, "no backend"), status(500, "", "etcdserver: no leader")],
)
def test_an_api_server_that_is_away_for_seconds_is_waited_for(faulty: Faulty, api: KubeApi, fault: Any) -> None:
    """Longer than four tries take; a load balancer says it in words of its own."""
    api.version()
    faulty.script = [fault]
    healed: Callable[[], None] = lambda: setattr(faulty, "script", [(200, {}, {"ok": True})])  # noqa: E731
    timer = threading.Timer(6.0, healed)
    timer.start()
    assert api.get("/api/v1/x") == {"ok": True}
    timer.join()
    assert len(faulty.seen) > API_RETRIES + 1


def test_a_server_behind_the_api_server_that_is_away_is_not_waited_for(faulty: Faulty, api: KubeApi) -> None:
    faulty.script = [status(503, "ServiceUnavailable", "the server is currently unable to handle the request")]
    with pytest.raises(ApiError, match="currently unable"):
        api.get("/apis/custom.metrics.k8s.io/v1/x")
    assert len(faulty.seen) == API_RETRIES + 1


NO_ROLE_YET = 'pods is forbidden: User "a" cannot list resource "pods" at the cluster scope: RBAC: not found'


def test_roles_that_are_not_known_yet_after_an_outage_are_waited_for(faulty: Faulty, api: KubeApi) -> None:
    api.version()
    faulty.script = [status(403, "Forbidden", NO_ROLE_YET), (200, {}, {})]
    with pytest.raises(AccessDenied):
        api.get("/x")
    faulty.script = [HANG_UP, status(403, "Forbidden", NO_ROLE_YET), status(401, "", "no key yet"), (200, {}, {})]
    assert api.get("/x") == {}


def test_a_list_that_took_too_long_begins_again_in_one_page(faulty: Faulty, api: KubeApi) -> None:
    a, b = ({"metadata": {"name": name}} for name in "ab")
    first = {"kind": "PodList", "apiVersion": "v1", "metadata": {"continue": "c"}, "items": [a]}
    whole = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [a, b]}
    faulty.script = [(200, {}, first), status(410, "Expired", "too old"), (200, {}, whole)]
    assert [item["metadata"]["name"] for item in api.list("/pods")] == ["a", "b"]
    assert [line.count("limit=") for line in faulty.seen] == [1, 1, 0]


def test_a_watch_from_a_version_that_is_too_old(faulty: Faulty, api: KubeApi) -> None:
    event = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}
    faulty.script = [(200, {}, json.dumps(event) + "\n")]
    with pytest.raises(Gone, match="too old"):
        list(api.watch("/pods", "1", 5))


def test_never_more_requests_at_once_than_connections(faulty: Faulty, api: KubeApi) -> None:
    api.version()
    faulty.delay_s = 0.05
    threads = [threading.Thread(target=api.get, args=("/x",)) for _ in range(3 * API_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(faulty.seen) == 3 * API_CONNECTIONS
    assert faulty.most <= API_CONNECTIONS


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, {}, "<html>hello</html>"), "answers, but not as a Kubernetes API server does"),
        (status(503, "", "starting"), "answers, but does not work: starting"),
    ],
)
def test_something_else_at_the_address(faulty: Faulty, api: KubeApi, answer: Any, words: str) -> None:
    faulty.version = answer
    began = time.monotonic()
    with pytest.raises(ClusterUnreachable, match=words):
        api.version()
    assert time.monotonic() - began < 5.5


def test_a_server_that_is_just_starting_is_waited_for(faulty: Faulty, api: KubeApi) -> None:
    faulty.version = status(503)
    healed: Callable[[], None] = lambda: setattr(faulty, "version", VERSION)  # noqa: E731
    timer = threading.Timer(0.5, healed)
    timer.start()
    assert api.version() == "1.36.3"
    timer.join()
