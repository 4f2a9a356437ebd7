"""The pure parts of tests/controllers: recipes, the Stage that holds pods back, files and environment, routing."""

from __future__ import annotations

import base64
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.controllers import recipes, router
from tests.controllers.files import NotYet, PodFiles, expand
from tests.controllers.kubelet import stages
from tests.controllers.recipes import GIVEN, BadRecipe, NoProgram

from sparkrig.clusters.sim import config, state
from sparkrig.kube.errors import NotFoundApi

POD = {
    "metadata": {"name": "p-1", "namespace": "n", "uid": "u", "labels": {"app": "x"}},
    "spec": {
        "serviceAccountName": "robot",
        "volumes": [
            {"name": "certs", "secret": {"secretName": "certs", "items": [{"key": "a", "path": "deep/a"}]}},
            {"name": "scratch", "emptyDir": {}},
            {"name": "later", "configMap": {"name": "none", "optional": True}},
            {
                "name": "account",
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"path": "token"}},
                        {"configMap": {"name": "ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                        {"downwardAPI": {"items": [{"path": "ns", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
                    ]
                },
            },
        ],
    },
}


class Api:
    """The few objects that the pod above uses."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    def get(self, path: str) -> dict[str, Any]:
        secret = {key: base64.b64encode(value).decode() for key, value in {"a": b"\x00A", "b": b"B"}.items()}
        found: dict[str, Any] = {"secrets/certs": {"data": secret}, "configmaps/ca": {"data": {"ca.crt": "CA"}}}
        key = path.removeprefix("/api/v1/namespaces/n/")
        if key not in found:
            raise NotFoundApi(f"{key} not found")
        return dict(found[key])

    def create(self, path: str, body: Any) -> dict[str, Any]:
        self.requests.append((path, body))
        return {"status": {"token": "TOKEN"}}


def files(api: Api) -> PodFiles:
    return PodFiles(api, POD, "198.18.200.1")  # type: ignore[arg-type]


def test_every_shipped_recipe_is_whole() -> None:
    found = {recipe.name: recipe for recipe in recipes.load()}
    assert {"prometheus-operator", "cert-manager-webhook", "spark-operator", "gpu-operator"} <= set(found)
    for recipe in found.values():
        if "folder" in recipe.program:
            text = (recipes.ROOT / recipe.program["folder"] / "tool.yaml").read_text(encoding="utf-8")
            assert f"\n  {recipe.program['binary']}:" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[{name: a, image: x}]", "a: expected name, image, program"),
        ("[{name: a, image: x, color: red, program: {given: a}}]", "a: expected name, image, program"),
        ("[{name: a, image: x, program: {folder: b}}]", "a: program has folder and binary, or given"),
        ("[{name: a, image: '(', program: {given: a}}]", "a: '\\(' is not a regular expression"),
    ],
)
def test_a_wrong_recipe_is_named(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "recipes.yaml").write_text(text)
    with pytest.raises(BadRecipe, match=expected):
        recipes.load(tmp_path / "recipes.yaml")


def test_a_binary_that_was_built_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (recipe,) = (r for r in recipes.load() if r.name == "gpu-operator")
    operator = {"name": "gpu-operator", "image": "nvcr.io/nvidia/gpu-operator:v9.9.9"}
    assert recipe.matches(operator)
    assert not recipe.matches({**operator, "name": "toolkit-validation"})
    monkeypatch.delenv(GIVEN, raising=False)
    assert "SPARKRIG_CONTROLLERS names no folder" in recipe.unavailable()
    monkeypatch.setenv(GIVEN, str(tmp_path))
    assert "there is no gpu-operator-*" in recipe.unavailable()
    (tmp_path / "gpu-operator-v9.9.9").touch(mode=0o755)
    assert recipe.unavailable() == ""
    with pytest.raises(NoProgram, match=r"gpu-operator-v9\.9\.9-assets is not there"):
        recipe.find(operator)
    (tmp_path / "gpu-operator-v9.9.9-assets").mkdir()
    assert recipe.find(operator).files == {"/opt/gpu-operator": tmp_path / "gpu-operator-v9.9.9-assets"}
    with pytest.raises(NoProgram, match=r"gpu-operator-v1 is not there"):
        recipe.find({**operator, "image": "nvcr.io/nvidia/gpu-operator:v1"})


def test_the_stage_holds_pods_of_recipes_only() -> None:
    stage = json.loads(stages(recipes.load()))
    assert stage["spec"]["weight"] == 1
    (expression,) = stage["spec"]["selector"]["matchExpressions"]
    assert expression["key"].startswith("[.spec.containers[] | ")
    assert expression["values"] == ["true"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--ns=$(NS)", "--ns=here"),
        ("$(NONE)", "$(NONE)"),
        ("$$(NS)", "$(NS)"),
        ("a$b", "a$b"),
        ("$(NS)$(NS)", "herehere"),
    ],
)
def test_variables_in_arguments(text: str, expected: str) -> None:
    assert expand(text, {"NS": "here"}) == expected


def test_the_environment_is_resolved() -> None:
    container = {
        "name": "c",
        "envFrom": [{"configMapRef": {"name": "none", "optional": True}}],
        "env": [
            {"name": "NS", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "B", "valueFrom": {"secretKeyRef": {"name": "certs", "key": "b"}}},
            {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "certs", "key": "z", "optional": True}}},
            {"name": "BOTH", "value": "$(NS)/$(B)"},
        ],
    }
    made = files(Api()).environment(container, 443)
    assert {key: made.get(key) for key in ("NS", "APP", "IP", "B", "NONE", "BOTH", "HOSTNAME")} == {
        "NS": "n",
        "APP": "x",
        "IP": "198.18.200.1",
        "B": "B",
        "NONE": None,
        "BOTH": "n/B",
        "HOSTNAME": "p-1",
    }


def test_a_variable_of_a_missing_secret_is_waited_for() -> None:
    container = {"name": "c", "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "none", "key": "x"}}}]}
    with pytest.raises(NotYet, match="secrets n/none is not there"):
        files(Api()).environment(container, 443)


def test_volumes_are_written_below_the_root(tmp_path: Path) -> None:
    api = Api()
    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    mounts = [
        {"name": "certs", "mountPath": "/certs"},
        {"name": "scratch", "mountPath": "/scratch"},
        {"name": "later", "mountPath": "/later"},
        {"name": "account", "mountPath": account},
    ]
    files(api).write({"name": "c", "volumeMounts": mounts}, tmp_path)
    written = {str(f.relative_to(tmp_path)): f.read_bytes() for f in tmp_path.rglob("*") if f.is_file()}
    inner = account.lstrip("/")
    assert written == {
        "certs/deep/a": b"\x00A",
        f"{inner}/token": b"TOKEN",
        f"{inner}/ca.crt": b"CA",
        f"{inner}/ns": b"n",
    }
    assert (tmp_path / "scratch").is_dir()
    assert (tmp_path / "later").is_dir()
    ((path, body),) = api.requests
    assert path == "/api/v1/namespaces/n/serviceaccounts/robot/token"
    assert body["spec"]["boundObjectRef"] == {"kind": "Pod", "apiVersion": "v1", "name": "p-1", "uid": "u"}


class Cluster:
    """One Service with two ports, one of two endpoints ready."""

    def list(self, path: str, **_: Any) -> list[dict[str, Any]]:
        if path.endswith("/services"):
            ports = [{"name": "https", "port": 443}, {"name": "metrics", "port": 80}]
            return [{"metadata": {"name": "hook", "namespace": "n"}, "spec": {"clusterIP": "10.0.0.9", "ports": ports}}]
        ready = {"addresses": ["198.18.200.1"], "conditions": {"ready": True}}
        not_ready = {"addresses": ["198.18.200.2"], "conditions": {"ready": False}}
        ports = [{"name": "https", "port": 9443}, {"name": "metrics", "port": 8080}]
        return [{"endpoints": [ready, not_ready], "ports": ports}]


def connect(path: Path, target: str) -> tuple[bytes, socket.socket]:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(10)
    client.connect(str(path))
    client.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += client.recv(4096)
    return answer, client


def test_the_proxy_routes_a_service_to_a_ready_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dialed: list[tuple[str, int]] = []

    def dial(address: str, port: int) -> socket.socket:
        dialed.append((address, port))
        here, there = socket.socketpair()
        there.sendall(b"hello")
        there.close()
        return here

    monkeypatch.chdir(tmp_path)  # the path of a Unix socket must be short
    server = router.egress(Path("egress"), Cluster, dial)  # type: ignore[arg-type]
    answer, client = connect(Path("egress"), "10.0.0.9:443")
    assert answer.startswith(b"HTTP/1.1 200 ")
    rest = answer.partition(b"\r\n\r\n")[2] or client.recv(10)
    assert rest == b"hello"
    assert dialed == [("198.18.200.1", 9443)]
    client.close()
    server.close()


def test_the_proxy_refuses_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dial(address: str, port: int) -> socket.socket:
        raise ConnectionRefusedError(f"nobody listens at {address}:{port}")

    monkeypatch.chdir(tmp_path)
    server = router.egress(Path("egress"), Cluster, dial)  # type: ignore[arg-type]
    answer, client = connect(Path("egress"), "10.0.0.9:443")
    assert answer.startswith(b"HTTP/1.1 502 nobody listens at 198.18.200.1:9443")
    client.close()
    server.close()


def test_the_api_server_is_told_of_the_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARKRIG_STATE_DIR", str(tmp_path))
    names = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
    ports, binaries = dict.fromkeys(state.PORT_NAMES, 1), dict.fromkeys(names, "/b")

    def flags(options: state.SimOptions) -> dict[str, str]:
        record = state.Record("x", "ready", options, "1.36.3", ports, binaries)
        state.write_record(record)
        assert state.read_record("x") == record
        document = json.loads(config.kwokctl_config(record, "true").split("\n---\n")[0])
        (patch,) = (p for p in document["componentsPatches"] if p["name"] == "kube-apiserver")
        return {pair["key"]: pair["value"] for pair in patch["extraArgs"]}

    assert "egress-selector-config-file" not in flags(state.SimOptions())
    with_proxy = flags(state.SimOptions(egress=tmp_path / "socket"))
    assert with_proxy["egress-selector-config-file"].endswith("/records/x.egress.json")
    (selection,) = json.loads(config.egress_config(tmp_path / "socket"))["egressSelections"]
    assert selection["connection"]["transport"]["uds"]["udsName"] == str(tmp_path / "socket")
