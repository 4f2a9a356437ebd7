"""verify, the gate behind a change, status and open, through the real command line."""

from __future__ import annotations

import signal
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.mini import CONFIGMAP, DEPLOYMENT, World

from sparkrig.kube.client import KubeApi
from sparkrig.models.cluster import ClusterHandle

pytestmark = pytest.mark.cluster

WORKLOADS = {"name": "workloads", "kind": "workloads"}
PAGE = {"name": "page", "kind": "http", "hint": "look at ${release} in ${namespace}",
        "with": {"service": "${release}", "port": 80}}  # fmt: skip
GOOD = {
    "name": "text",
    "kind": "condition",
    "timeout": 1,
    "hint": "write good into ${release}",
    "with": {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "${release}",
        "ready": {"path": "data.text", "equals": ["good"]},
    },
}
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}}
spec:
  type: {{ .Values.type }}
  selector: {app: {{ .Release.Name }}}
  ports: [{name: http, port: 80}]
"""
INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: {{ .Release.Name }}}
spec:
  rules:
    - host: {{ .Values.host }}
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: {{ .Release.Name }}, port: {number: 80}}}}]}
"""
VALUES = {"replicas": 1, "tag": "1", "text": "good", "type": "ClusterIP", "host": "web.example.org"}


@pytest.fixture
def world(sim: ClusterHandle, api: KubeApi, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """A stack of its own in the shared cluster, removed behind the test."""
    made = World(tmp_path, f"sim:{sim.name}", stack=f"v{zlib.crc32(request.node.name.encode())}")
    yield made
    made.run("down", "--yes")
    for item in api.list("/api/v1/namespaces", metadata_only=True):
        if item["metadata"]["name"].startswith(made.stack):
            api.delete(f"/api/v1/namespaces/{item['metadata']['name']}")


def test_what_is_simulated_is_said_in_every_form(world: World) -> None:
    world.component("web", templates={"d.yaml": DEPLOYMENT, "s.yaml": SERVICE}, values=VALUES,
                    checks=[WORKLOADS, PAGE])  # fmt: skip
    world.write_stack()
    nothing = world.run("verify")
    assert nothing.code == 3
    assert "is not installed" in nothing.err
    done = world.up()
    assert done.code == 0, done.err + done.out
    assert "checks: 1 pass, 1 skip" in done.err
    text = world.run("verify")
    assert text.code == 0, text.out + text.err
    assert "2/2 objects ready" in text.out
    assert "skipped: needs real pods, and this cluster is simulated" in text.out
    assert "✓ 1 pass, 1 skip" in text.out
    as_json = world.run("verify", "--output", "json").json
    assert (as_json["kind"], as_json["ok"], as_json["simulated"]) == ("VerifyResult", True, True)
    assert [(c["name"], c["status"], c["simulated"]) for c in as_json["checks"]] == [
        ("workloads", "pass", True),
        ("page", "skip", True),
    ]
    suites = ElementTree.fromstring(world.run("verify", "--output", "junit").out)
    assert (suites.attrib["tests"], suites.attrib["skipped"], suites.attrib["failures"]) == ("2", "1", "0")
    assert suites.find(".//property[@name='simulated']").attrib["value"] == "true"  # type: ignore[union-attr]


def test_what_is_required_must_not_be_skipped(world: World) -> None:
    world.component("web", templates={"d.yaml": DEPLOYMENT, "s.yaml": SERVICE}, values=VALUES,
                    checks=[WORKLOADS, PAGE])  # fmt: skip
    world.write_stack()
    assert world.up().code == 0
    for word in ("all", "page", "http", "web", "web/page"):
        assert world.run("verify", "--require", word).code == 1, word
    assert world.run("verify", "--require", "workloads").code == 0
    failed = world.run("verify", "--require", "all", "--output", "junit")
    failure = ElementTree.fromstring(failed.out).find(".//failure")
    assert failure is not None
    assert failure.attrib["message"].startswith("skipped, though it was expected: needs real pods")
    assert world.run("verify", "--fast", "--output", "json").json["leftOut"] == 1
    only = world.run("verify", "--only", "web/workloads", "--output", "json").json
    assert [c["name"] for c in only["checks"]] == ["workloads"]
    unknown = world.run("verify", "--only", "pgae")
    assert unknown.code == 3
    assert "did you mean 'page'?" in unknown.err
    assert world.run("verify", "--fast", "--deep").code == 64


def test_what_is_gone_fails_and_says_what_to_do(world: World, api: KubeApi) -> None:
    world.component("web", values=VALUES, checks=[{**WORKLOADS, "hint": "kubectl -n ${namespace} get pods"}])
    world.write_stack()
    assert world.up().code == 0
    api.delete(f"/apis/apps/v1/namespaces/{world.stack}-web/deployments/web", propagation="Foreground")
    failed = world.run("verify")
    assert failed.code == 1
    assert f"Deployment {world.stack}-web/web does not exist" in failed.out
    assert f"next: kubectl -n {world.stack}-web get pods" in failed.out


def test_a_gate_check_that_fails_is_a_change_that_fails(world: World) -> None:
    def component(text: str) -> None:
        world.component("web", templates={"c.yaml": CONFIGMAP}, values={**VALUES, "text": text}, checks=[GOOD])

    component("bad")
    world.write_stack()
    first = world.up()
    assert first.code == 1, first.err + first.out
    assert "operation check/web" in first.out
    assert "check text: ConfigMap web: data.text is bad" in first.out
    assert "next: write good into web" in first.out
    again = world.up()  # nothing to change, and still not good
    assert again.code == 1, again.err + again.out
    component("good")
    mended = world.up()
    assert mended.code == 0, mended.err + mended.out
    component("bad")
    returned = world.up()
    assert returned.code == 6, returned.err + returned.out
    assert world.run("verify").code == 0
    history = world.run("history", "--output", "json").json["revisions"]
    assert [r["status"] for r in history][:2] == ["rolled-back", "deployed"]
    assert any(o["id"] == "check/web" and o["status"] == "failed" for o in history[0]["operations"])


def test_a_check_that_is_no_gate_stands_in_nobodys_way(world: World) -> None:
    world.component("web", templates={"c.yaml": CONFIGMAP}, values={**VALUES, "text": "bad"},
                    checks=[{**GOOD, "gate": False}])  # fmt: skip
    world.write_stack()
    assert world.up().code == 0
    assert world.run("verify").code == 1


def test_watching_goes_on_until_ctrl_c(world: World) -> None:
    world.component("web", values=VALUES, checks=[WORKLOADS])
    world.write_stack()
    assert world.up().code == 0
    for command in ("verify", "status"):
        process = world.start(command, "--watch", "--on", world.target)
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith(world.stack)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
        assert process.returncode == 0, command


def test_an_optional_object_is_a_note_and_no_problem(world: World, api: KubeApi) -> None:
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{world.stack}.example.org"},
        "spec": {
            "group": f"{world.stack}.example.org",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                }
            ],
        },
    }
    thing = f"apiVersion: {world.stack}.example.org/v1\nkind: Thing\nmetadata: {{name: it}}\n"
    rule = {"group": f"{world.stack}.example.org", "kind": "Thing", "ready": {"condition": "Ready"}, "optional": True}
    world.component("web", templates={"t.yaml": thing, "d.yaml": DEPLOYMENT}, values=VALUES, crds=[crd],
                    readiness=[rule], checks=[WORKLOADS])  # fmt: skip
    world.write_stack()
    assert world.up().code == 0
    status = world.run("status", "--output", "json")
    assert status.code == 0, status.out
    (component,) = status.json["components"]
    assert (component["ready"], component["total"], component["problems"]) == (1, 1, [])
    assert component["notes"] == [f"Thing {world.stack}-web/it: condition Ready is not reported yet (optional)"]
    assert component["changed"].endswith("Z")
    assert "1/1 objects ready, 1 optional not ready" in world.run("verify").out  # one count: what status says too
    api.delete(f"/apis/{world.stack}.example.org/v1/namespaces/{world.stack}-web/things/it")
    gone = world.run("status", "--output", "json")
    assert gone.code == 0
    assert gone.json["components"][0]["missing"] == []
    api.delete(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd['metadata']['name']}")


def test_status_counts_the_gpus_that_pods_have(world: World) -> None:
    asks = DEPLOYMENT.rstrip() + "\n          resources: {limits: {nvidia.com/gpu: 3}}\n"
    world.component("web", templates={"d.yaml": asks}, values={**VALUES, "replicas": 2})
    world.write_stack()
    before = world.run("status", "--output", "json").json["gpus"]
    assert world.up().code == 0
    after = world.run("status", "--output", "json").json["gpus"]
    assert (after["allocated"] - before["allocated"], after["allocatable"], after["nodes"]) == (6, 16, 2)
    assert f"GPUs {after['allocated']} of 16 allocated on 2 nodes" in world.run("status").out


def test_open_prints_the_address_from_outside(world: World) -> None:
    url = {"name": "web", "host": "host", "service": "${release}"}
    both = {"d.yaml": DEPLOYMENT, "s.yaml": SERVICE, "i.yaml": INGRESS}
    world.component("door", templates={"s.yaml": SERVICE}, values={**VALUES, "type": "LoadBalancer"},
                    provides=["ingress-class"])  # fmt: skip
    world.component("web", templates=both, values=VALUES, urls=[url])
    world.component("near", templates=both, values={**VALUES, "host": "near.localhost", "type": "NodePort"}, urls=[url])
    world.component("inside", templates={"d.yaml": DEPLOYMENT, "s.yaml": SERVICE}, values=VALUES, urls=[url])
    world.component("silent", templates={"c.yaml": CONFIGMAP}, values=VALUES)
    world.write_stack(inside={"values": {"host": "in.example.org"}})
    assert world.up().code == 0
    web = world.run("open", "web")
    assert (web.code, web.out) == (0, "http://web.example.org/\n")
    assert "web.example.org must resolve to 192.0.2." in web.err
    assert "simulated" in web.err
    near = world.run("open", "near", "--output", "json").json
    assert near["how"] == "NodePort"  # the name is this machine's, whatever the Ingress says
    assert near["url"].startswith("http://198.18.0.")
    door = world.run("open", "door")
    assert door.out.startswith("http://192.0.2.")
    inside = world.run("open", "inside")
    assert inside.code == 4
    assert "a simulated pod serves nothing" in inside.err
    assert "host is in.example.org and its release has no Ingress" in inside.err
    shown = {c["component"]: c["url"] for c in world.run("status", "--output", "json").json["components"]}
    assert (shown["web"], shown["inside"]) == ("http://web.example.org/", None)
    assert world.run("open", "silent").code == 3
    unknown = world.run("open", "nope")
    assert unknown.code == 3
    assert "deployed: " in unknown.err


def test_open_shows_credentials_on_request_only(world: World) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: first}\nstringData: {user: admin, word: hunter2}\n"
    url = {
        "name": "web",
        "service": "${release}",
        "credentials": {"secret": "first", "username": "user", "password": "word"},
    }
    world.component("web", templates={"s.yaml": SERVICE, "x.yaml": secret}, values={**VALUES, "type": "LoadBalancer"},
                    urls=[url])  # fmt: skip
    world.component("bare", templates={"s.yaml": SERVICE}, values={**VALUES, "type": "LoadBalancer"})
    world.write_stack()
    assert world.up().code == 0
    assert "hunter2" not in world.run("open", "web").out
    shown = world.run("open", "web", "--credentials")
    assert shown.out.splitlines()[1:] == ["username admin", "password hunter2"]
    assert world.run("open", "bare", "--credentials").code == 3
