"""The clean-up script with its own account and its own roles, on a real API server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.own_charts import ROOT, render

from sparkrig.errors import SparkrigError
from sparkrig.kube.client import KubeApi
from sparkrig.models.cluster import ClusterHandle

pytestmark = pytest.mark.cluster

CHART = ROOT / "charts" / "spark-platform"
CRD = ROOT / "tests" / "charts" / "spark-operator" / "crds" / "sparkoperator.k8s.io_sparkapplications.yaml"
GROUP = "/apis/sparkoperator.k8s.io/v1beta2"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
KIND = {"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication"}
NOW = datetime.now(UTC)


def ago(**since: float) -> str:
    return (NOW - timedelta(**since)).strftime("%Y-%m-%dT%H:%M:%SZ")


class DriverPage(BaseHTTPRequestHandler):
    """What a driver's page says of its jobs."""

    jobs: tuple[dict[str, Any], ...] = ()

    def do_GET(self) -> None:
        body: Any = [{"id": "app-1", "attempts": [{"startTime": ago(days=2).replace("Z", ".000GMT")}]}]
        if self.path.endswith("/jobs"):
            body = list(self.jobs)
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@dataclass
class Place:
    """A job namespace, and the script's files and rights in it."""

    api: KubeApi
    handle: ClusterHandle
    namespace: str
    folder: Path
    port: int = 9
    settings: dict[str, Any] = field(default_factory=dict)

    def application(self, name: str, state: str, ended: str | None = None, **more: Any) -> dict[str, Any]:
        meta = {"name": name, "namespace": self.namespace, **more.pop("metadata", {})}
        body = {**KIND, "metadata": meta, "spec": more}
        path = f"{GROUP}/namespaces/{self.namespace}/sparkapplications"
        made = self.api.create(path, body)
        status = {"applicationState": {"state": state}, "terminationTime": ended}
        self.api.patch(f"{path}/{name}/status", {"status": status})
        return made

    def driver(self, name: str, phase: str, ended: str | None = None, owner: dict[str, Any] | None = None) -> None:
        labels = {"spark-role": "driver"}
        meta: dict[str, Any] = {"name": name, "namespace": self.namespace, "labels": labels}
        if owner is not None:
            reference = {"kind": "SparkApplication", "apiVersion": owner["apiVersion"]}
            meta["ownerReferences"] = [
                {**reference, "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
            ]
        # No node has that name, so that nobody but this test says what the pod does.
        spec = {"containers": [{"name": "spark", "image": "example.org/spark:1"}], "schedulerName": "nobody"}
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        self.api.create(path, {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
        terminated = {"exitCode": 0, "finishedAt": ended}
        statuses = [
            {"name": "spark", "image": "", "imageID": "", "ready": False, "restartCount": 0}
            | {"state": {"terminated": terminated} if ended else {"running": {}}}
        ]
        status = {"phase": phase, "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}], "containerStatuses": statuses}
        self.api.patch(f"{path}/{name}/status", {"status": status})

    def run(self, **settings: Any) -> list[dict[str, Any]]:
        """What it said, line by line; it must end well."""
        done = self.started(**settings)
        assert done.returncode == 0, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def started(self, **settings: Any) -> subprocess.CompletedProcess[str]:
        given = {"namespaces": [self.namespace], "completedHours": 72, "failedHours": 168, "idleMinutes": 0}
        (self.folder / "settings.json").write_text(json.dumps({**given, "dryRun": False, **settings}))
        assert self.handle.kubeconfig is not None
        cluster = yaml.safe_load(self.handle.kubeconfig.read_text())["clusters"][0]["cluster"]
        _, _, address = cluster["server"].rpartition("/")
        host, _, port = address.rpartition(":")
        environment = {
            "PATH": os.environ["PATH"],
            "KUBERNETES_SERVICE_HOST": host,
            "KUBERNETES_SERVICE_PORT": port,
            "ACCOUNT_DIR": str(self.folder),
            "DRIVER_UI_PORT": str(self.port),
            "no_proxy": "*",
        }
        script = [str(CHART / "files" / "cleanup.py"), str(self.folder / "settings.json")]
        return subprocess.run(
            [sys.executable, "-B", *script], capture_output=True, text=True, timeout=120, env=environment
        )

    def left(self) -> set[str]:
        """Names of what is not deleted."""
        paths = (f"{GROUP}/namespaces/{self.namespace}/sparkapplications", f"/api/v1/namespaces/{self.namespace}/pods")
        items = [item for path in paths for item in (self.api.get(path) or {})["items"]]
        return {item["metadata"]["name"] for item in items if "deletionTimestamp" not in item["metadata"]}


@pytest.fixture(scope="module")
def crd(api: KubeApi) -> Iterator[None]:
    """SparkApplications are served while this module's tests run; nobody after them finds a trace of an operator."""
    crd = yaml.safe_load(CRD.read_text())
    path = f"{CRDS}/{crd['metadata']['name']}"
    made = api.create(CRDS, crd)
    until(api, made, lambda event: "Established" in conditions(event))
    yield
    before = api.get(path)
    assert before is not None
    api.delete(path)
    until(api, before, lambda event: event["type"] == "DELETED")


def until(api: KubeApi, crd: dict[str, Any], reached: Callable[[Any], bool]) -> None:
    """Until an event about the CRD is the one that is waited for."""
    meta = crd["metadata"]
    for event in api.watch(CRDS, meta["resourceVersion"], timeout_s=120):
        if event["object"]["metadata"]["name"] == meta["name"] and reached(event):
            return
    pytest.fail(f"nothing more was heard of {meta['name']}")


def conditions(event: Any) -> set[str]:
    return {c["type"] for c in event["object"].get("status", {}).get("conditions", []) if c["status"] == "True"}


@pytest.fixture
def place(api: KubeApi, sim: ClusterHandle, namespace: str, crd: None, tmp_path: Path) -> Place:
    """The account and the roles are those of the chart; the token is one that the API server made."""
    account = "spark-platform-cleanup"
    for item in render(CHART, {"jobNamespaces": [{"name": namespace}]}):
        meta = item["metadata"]
        if item["kind"] == "ServiceAccount" and meta["name"] == account:
            api.create(
                f"/api/v1/namespaces/{namespace}/serviceaccounts",
                {**item, "metadata": {**meta, "namespace": namespace}},
            )
        elif item["kind"] in ("Role", "RoleBinding") and meta["name"] == "spark-cleanup":
            for subject in item.get("subjects", []):
                subject["namespace"] = namespace
            kind = f"{item['kind'].lower()}s"
            api.create(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/{kind}", item)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": {}}
    answer = api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token", request)
    (tmp_path / "token").write_text(answer["status"]["token"])
    assert sim.kubeconfig is not None
    cluster = yaml.safe_load(sim.kubeconfig.read_text())["clusters"][0]["cluster"]
    (tmp_path / "ca.crt").write_bytes(ca_of(cluster))
    return Place(api, sim, namespace, tmp_path)


def ca_of(cluster: dict[str, Any]) -> bytes:
    import base64

    if "certificate-authority-data" in cluster:
        return base64.b64decode(cluster["certificate-authority-data"])
    return Path(cluster["certificate-authority"]).read_bytes()


@pytest.fixture
def page() -> Iterator[type[DriverPage]]:
    """A driver's page on loopback; its port is in ``port``."""
    handler = type("Page", (DriverPage,), {"jobs": ()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.port = server.server_port  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


def test_finished_applications_go_when_their_time_has_come(place: Place) -> None:
    place.application("old", "COMPLETED", ago(hours=73))
    place.application("young", "COMPLETED", ago(hours=71))
    place.application("failed-old", "FAILED", ago(hours=169))
    place.application("failed-young", "FAILED", ago(hours=100))
    place.application("refused", "SUBMISSION_FAILED", ago(hours=200))
    place.application("running", "RUNNING")
    place.application("kept", "COMPLETED", ago(days=99), metadata={"labels": {"sparkrig.dev/keep": "true"}})
    place.application("by-the-operator", "COMPLETED", ago(days=99), timeToLiveSeconds=10**8)
    owner = {"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "ScheduledSparkApplication", "name": "s", "uid": "1"}
    place.application("of-a-schedule", "COMPLETED", ago(days=99), metadata={"ownerReferences": [owner]})
    said = place.run()
    gone = {"old", "failed-old", "refused"}
    assert {(line["kind"], line["name"]) for line in said} == {("SparkApplication", name) for name in gone}
    assert all(line["deleted"] for line in said)
    left = place.left()
    assert not left & gone
    # The garbage collector takes what is of an owner that does not exist.
    assert {"young", "failed-young", "running", "kept", "by-the-operator"} <= left
    assert place.run() == []


def test_drivers_of_spark_submit_go_and_those_of_an_application_stay_with_it(place: Place) -> None:
    application = place.application("young", "COMPLETED", ago(hours=1))
    place.driver("young-driver", "Succeeded", ago(days=30), application)
    place.driver("submitted", "Succeeded", ago(hours=80))
    place.driver("submitted-failed", "Failed", ago(hours=80))
    place.driver("submitted-young", "Succeeded", ago(hours=2))
    assert [(line["kind"], line["name"]) for line in place.run()] == [("Pod", "submitted")]
    assert {"young", "young-driver", "submitted-failed", "submitted-young"} <= place.left()


def test_a_dry_run_and_zero_hours_delete_nothing(place: Place) -> None:
    place.application("old", "COMPLETED", ago(days=30))
    assert place.run(completedHours=0) == []
    (line,) = place.run(dryRun=True)
    assert (line["name"], line["deleted"]) == ("old", False)
    assert place.left() == {"old"}


@pytest.mark.parametrize(
    ("jobs", "ended"),
    [
        ((), True),
        (({"status": "SUCCEEDED", "completionTime": ago(hours=3).replace("Z", ".123GMT")},), True),
        (({"status": "SUCCEEDED", "completionTime": ago(minutes=5).replace("Z", ".123GMT")},), False),
        (({"status": "RUNNING"}, {"status": "SUCCEEDED", "completionTime": ago(hours=3).replace("Z", ".1GMT")}), False),
    ],
    ids=["never a job", "long ago", "just now", "one is running"],
)
def test_an_idle_application_is_ended(jobs: tuple[dict[str, Any], ...], ended: bool, place: Place, page: Any) -> None:
    page.jobs, place.port = jobs, page.port
    application = place.application("notebook", "RUNNING")
    place.driver("notebook-driver", "Running", None, application)
    said = place.run(idleMinutes=60)
    assert [(line["kind"], line["name"]) for line in said] == ([("SparkApplication", "notebook")] if ended else [])
    assert ("notebook" in place.left()) is not ended
    assert place.run(idleMinutes=0) == []


def test_a_driver_that_does_not_answer_is_left_and_said(place: Place) -> None:
    place.driver("deaf", "Running")
    (line,) = place.run(idleMinutes=1)
    assert (line["name"], line["deleted"]) == ("deaf", False)
    assert "not asked" in line["why"]


def test_it_may_nothing_elsewhere_and_says_so(place: Place) -> None:
    place.application("old", "COMPLETED", ago(days=30))
    done = place.started(namespaces=["default", place.namespace])
    assert done.returncode == 1
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert (first["namespace"], "403" in first["why"]) == ("default", True)
    assert second["name"] == "old"
    assert place.left() == set()
    with pytest.raises(SparkrigError):
        place.api.get(f"{GROUP}/namespaces/{place.namespace}/sparkapplications/old")
