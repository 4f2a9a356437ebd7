"""Requests, discovery, watches and credentials against a real API server."""

from __future__ import annotations

import base64
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrig.defaults import API_FIRST_CONTACT_S
from sparkrig.errors import AccessDenied, ClusterUnreachable, NotFound, OperationError
from sparkrig.kube import client as api_module
from sparkrig.kube.client import AlreadyExists, Conflict, Invalid, KindNotServed, KubeApi, NotFoundApi
from sparkrig.kube.discovery import ResourceInfo
from sparkrig.models.cluster import ClusterHandle
from sparkrig.models.objects import ObjectRef

pytestmark = pytest.mark.cluster

Edit = Callable[[dict[str, Any]], None]


def config_map(namespace: str, name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def path(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps" + (f"/{name}" if name else "")


@pytest.fixture
def edited(sim: ClusterHandle, tmp_path: Path) -> Callable[[Edit], ClusterHandle]:
    """The shared cluster by a kubeconfig that was changed."""

    def change(edit: Edit) -> ClusterHandle:
        assert sim.kubeconfig is not None
        document = yaml.safe_load(sim.kubeconfig.read_text(encoding="utf-8"))
        edit(document)
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
        return ClusterHandle("context", "edited", file, sim.context)

    return change


@pytest.fixture
def widgets(api: KubeApi) -> Iterator[ObjectRef]:
    """A CRD that nobody else knows, gone behind the test."""
    group = f"t{time.monotonic_ns()}.example.org"
    manifest = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
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
    with pytest.raises(KindNotServed):
        api.resource_of(group, "v1", "Widget")
    api.apply(manifest)
    yield ObjectRef(group, "v1", "Widget", "", "w")
    api.delete(api.path_of(ObjectRef("apiextensions.k8s.io", "v1", manifest["kind"], "", f"widgets.{group}")))


def test_an_object_from_apply_to_delete(api: KubeApi, namespace: str) -> None:
    assert api.get(path(namespace, "a"), missing_ok=True) is None
    with pytest.raises(NotFoundApi, match='configmaps "a" not found'):
        api.get(path(namespace, "a"))
    dry = api.server_dry_run(config_map(namespace, "a", key="1"))
    assert dry["data"] == {"key": "1"}
    assert api.get(path(namespace, "a"), missing_ok=True) is None

    made = api.apply(config_map(namespace, "a", key="1"))
    assert made["metadata"]["managedFields"][0]["manager"] == "sparkrig"
    with pytest.raises(AlreadyExists) as taken:
        api.create(path(namespace), config_map(namespace, "a"))
    assert (taken.value.status, taken.value.reason) == (409, "AlreadyExists")
    with pytest.raises(Conflict, match="key"):
        api.apply(config_map(namespace, "a", key="2"), force=False, field_manager="somebody")
    assert api.apply(config_map(namespace, "a", key="2"), field_manager="somebody")["data"] == {"key": "2"}
    assert api.patch(path(namespace, "a"), {"data": {"key": None, "more": "x"}})["data"] == {"more": "x"}
    with pytest.raises(Conflict):
        api.replace(path(namespace, "a"), {**made, "data": {}})
    with pytest.raises(Invalid, match=r"metadata\.name: Invalid value"):
        api.apply(config_map(namespace, "B_A_D"))

    assert api.delete(path(namespace, "a")) != {}
    assert api.delete(path(namespace, "a")) == {}
    with pytest.raises(NotFoundApi):
        api.delete(path(namespace, "a"), missing_ok=False)


def test_a_list_reads_all_pages_and_names_kinds(api: KubeApi, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "LIST_PAGE", 2)
    for number in range(5):
        manifest = config_map(namespace, f"n{number}", key="value")
        manifest["metadata"]["labels"] = {"parity": "odd" if number % 2 else "even"}
        api.apply(manifest)
    all_of_them = [item for item in api.list(path(namespace)) if item["metadata"]["name"] != "kube-root-ca.crt"]
    assert [item["metadata"]["name"] for item in all_of_them] == ["n0", "n1", "n2", "n3", "n4"]
    assert {(item["apiVersion"], item["kind"]) for item in all_of_them} == {("v1", "ConfigMap")}
    odd = api.list(path(namespace), label_selector="parity=odd", metadata_only=True)
    assert [item["metadata"]["name"] for item in odd] == ["n1", "n3"]
    assert all("data" not in item for item in odd)
    assert len(api.list(path(namespace), field_selector="metadata.name=n4")) == 1


def test_paths_follow_discovery(api: KubeApi, widgets: ObjectRef) -> None:
    assert api.resource_of("apps", "v1", "Deployment") == ResourceInfo("apps", "v1", "Deployment", "deployments", True)
    assert api.path_of(ObjectRef("", "v1", "Pod", "a", "b")) == "/api/v1/namespaces/a/pods/b"
    # Charts give cluster-scoped objects a namespace now and then.
    assert api.path_of(ObjectRef("", "v1", "Namespace", "a", "b")) == "/api/v1/namespaces/b"
    rule = ObjectRef("rbac.authorization.k8s.io", "v1", "ClusterRole", "", "system:x")
    assert api.path_of(rule) == "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Ax"
    with pytest.raises(Invalid, match="Pod b lives in a namespace, and none is given"):
        api.path_of(ObjectRef("", "v1", "Pod", "", "b"))
    with pytest.raises(KindNotServed, match=r"the API server does not serve Nothing in example\.org/v9"):
        api.path_of(ObjectRef("example.org", "v9", "Nothing", "", "b"))
    # A kind that came after discovery is found without a new client.
    deadline = time.monotonic() + 10
    while True:
        try:
            found = api.resource_of(widgets.group, "v1", "Widget")
            break
        except KindNotServed:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert found.collection("ns") == f"/apis/{widgets.group}/v1/namespaces/ns/widgets"


def test_a_watch_tells_changes_and_ends_when_closed_from_another_thread(api: KubeApi, namespace: str) -> None:
    _, version = api.list_with_version(path(namespace))
    stream = api.watch(path(namespace), version, 60)
    seen: list[tuple[str, str]] = []
    arrived = threading.Event()

    def read() -> None:
        for event in stream:
            seen.append((event["type"], event["object"]["metadata"].get("name", "")))
            if event["type"] == "DELETED":
                arrived.set()

    reader = threading.Thread(target=read)
    reader.start()
    api.apply(config_map(namespace, "w", key="1"))
    api.apply(config_map(namespace, "w", key="2"))
    api.delete(path(namespace, "w"))
    assert arrived.wait(10)
    closed = time.monotonic()
    stream.close()
    reader.join(5)
    assert not reader.is_alive()
    assert time.monotonic() - closed < 1
    mine = [event for event in seen if event[1] == "w"]
    assert mine == [("ADDED", "w"), ("MODIFIED", "w"), ("DELETED", "w")]


def test_a_user_without_rights_gets_the_servers_words(edited: Callable[[Edit], ClusterHandle]) -> None:
    def nobody(document: dict[str, Any]) -> None:
        document["users"][0]["user"]["as"] = "nobody"

    with pytest.raises(AccessDenied) as denied:
        KubeApi(edited(nobody)).list("/api/v1/secrets")
    assert denied.value.message.startswith('not allowed: secrets is forbidden: User "nobody" cannot list resource')
    assert "GET /api/v1/secrets" in str(denied.value.hint)


def test_credentials_that_are_not_accepted(edited: Callable[[Edit], ClusterHandle]) -> None:
    def stranger(document: dict[str, Any]) -> None:
        document["users"][0]["user"] = {"token": "not-a-token"}

    with pytest.raises(AccessDenied, match="does not accept the credentials"):
        KubeApi(edited(stranger)).version()


def test_certificates_inside_the_kubeconfig(api: KubeApi, edited: Callable[[Edit], ClusterHandle]) -> None:
    def inline(document: dict[str, Any]) -> None:
        for entry in (document["users"][0]["user"], document["clusters"][0]["cluster"]):
            for key in [k for k in entry if k in ("client-certificate", "client-key", "certificate-authority")]:
                entry[f"{key}-data"] = base64.b64encode(Path(entry.pop(key)).read_bytes()).decode()

    own = KubeApi(edited(inline))
    assert own.version() == api.version()
    assert own.list("/api/v1/nodes")


def test_a_service_account_token_in_a_file(
    api: KubeApi, namespace: str, edited: Callable[[Edit], ClusterHandle], tmp_path: Path, caplog: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "t", "namespace": namespace}}
    api.apply(account)
    answer = api.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/t/token", body={"spec": {}})
    token = answer["status"]["token"]
    (tmp_path / "token").write_text(token + "\n", encoding="utf-8")

    def by_file(document: dict[str, Any]) -> None:
        document["users"][0]["user"] = {"tokenFile": "token"}  # relative to the kubeconfig

    own = KubeApi(edited(by_file))
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    user = own.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=review)["status"]["userInfo"]
    assert user["username"] == f"system:serviceaccount:{namespace}:t"
    with pytest.raises(AccessDenied) as denied:
        own.list("/api/v1/secrets")
    assert token not in caplog.text
    assert token not in repr(own.transport().endpoint) + str(denied.value) + repr(denied.value)


def pem(user: dict[str, Any], field: str) -> str:
    inline = user.get(f"{field}-data")
    return base64.b64decode(inline).decode() if inline else Path(user[field]).read_text(encoding="ascii")


@pytest.fixture
def plugin(sim: ClusterHandle, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """An exec plugin that hands out the cluster's own client certificate."""
    assert sim.kubeconfig is not None
    user = yaml.safe_load(sim.kubeconfig.read_text(encoding="utf-8"))["users"][0]["user"]
    fields = {"clientCertificateData": "client-certificate", "clientKeyData": "client-key"}
    status = {key: pem(user, field) for key, field in fields.items()}
    version = "client.authentication.k8s.io/v1"
    answer = json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status})
    script = tmp_path / "plugin"
    script.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n", encoding="utf-8")
    script.chmod(0o700)
    return script, {"exec": {"apiVersion": version, "command": str(script), "interactiveMode": "Never"}}


def test_an_exec_plugin(plugin: tuple[Path, dict[str, Any]], edited: Callable[[Edit], ClusterHandle]) -> None:
    def by_plugin(document: dict[str, Any]) -> None:
        document["users"][0]["user"] = plugin[1]

    own = KubeApi(edited(by_plugin))
    assert own.list("/api/v1/nodes")
    own.close()


def test_an_exec_plugin_that_fails_says_why(
    plugin: tuple[Path, dict[str, Any]],
    edited: Callable[[Edit], ClusterHandle],
    capfd: pytest.CaptureFixture[str],
) -> None:
    plugin[0].write_text("#!/bin/sh\necho the session has expired >&2\nexit 3\n", encoding="utf-8")

    def by_plugin(document: dict[str, Any]) -> None:
        document["users"][0]["user"] = plugin[1]

    with pytest.raises(OperationError, match=r"plugin .* failed: exec: process returned 3\. the session has"):
        KubeApi(edited(by_plugin)).version()
    assert capfd.readouterr().err == ""


def test_connections_at_once_change_nothing_of_their_tls_context(
    sim: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python lets other threads run while OpenSSL copies the protocols: to set them again then is a use after free."""
    api = KubeApi(sim)
    endpoint = api.transport().endpoint
    touched: list[object] = []
    real = ssl.SSLContext.set_alpn_protocols
    monkeypatch.setattr(
        ssl.SSLContext, "set_alpn_protocols", lambda self, names: (touched.append(names), real(self, names))
    )

    def ask(_number: int) -> str | None:
        connection: Any = endpoint.pool.connection_from_url(endpoint.server)._new_conn()
        try:
            connection.connect()
            return connection.sock.selected_alpn_protocol()  # type: ignore[no-any-return]
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(40))) == {"http/1.1"}
    assert touched == []
    api.close()


def test_a_server_of_another_ca_is_not_trusted(edited: Callable[[Edit], ClusterHandle], tmp_path: Path) -> None:
    def without_ca(document: dict[str, Any]) -> None:
        for key in ("certificate-authority", "certificate-authority-data"):
            document["clusters"][0]["cluster"].pop(key, None)

    with pytest.raises(ClusterUnreachable, match="cannot be trusted: certificate verify failed"):
        KubeApi(edited(without_ca)).version()


def server_at(port: int) -> Edit:
    def edit(document: dict[str, Any]) -> None:
        document["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"

    return edit


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_dead_simulated_cluster_says_how_to_start_it(edited: Callable[[Edit], ClusterHandle]) -> None:
    port = free_port()
    handle = edited(server_at(port))
    began = time.monotonic()
    with pytest.raises(ClusterUnreachable) as dead:
        KubeApi(ClusterHandle("sim", "lab", handle.kubeconfig, handle.context, True)).version()
    assert time.monotonic() - began < API_FIRST_CONTACT_S
    assert dead.value.message == (
        f"the API server at https://127.0.0.1:{port} (context {handle.context}) refuses the connection"
    )
    assert dead.value.hint == "start it again: sparkrig cluster create --on sim:lab"


def test_a_server_that_says_nothing_is_given_up_in_time(edited: Callable[[Edit], ClusterHandle]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        with pytest.raises(ClusterUnreachable, match=r"127\.0\.0\.1.* does not answer in"):
            KubeApi(edited(server_at(silent.getsockname()[1]))).version()
        assert time.monotonic() - began < API_FIRST_CONTACT_S + 0.5


def test_a_context_that_is_not_there(edited: Callable[[Edit], ClusterHandle]) -> None:
    handle = edited(lambda document: None)
    with pytest.raises(NotFound) as missing:
        KubeApi(ClusterHandle("context", "x", handle.kubeconfig, f"{handle.context}x")).version()
    assert missing.value.hint == f"did you mean {handle.context!r}?"
