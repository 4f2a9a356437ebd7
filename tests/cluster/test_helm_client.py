"""HelmClient against a real API server: results, and errors in a person's words."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from sparkrig.commands.session import Request, Session
from sparkrig.errors import OperationError, ToolError
from sparkrig.helm.client import HelmClient, validates_fields
from sparkrig.helm.errors import HelmError
from sparkrig.helm.storage.recovery import newest_revision
from sparkrig.kube.client import KubeApi
from sparkrig.models.chart import Chart, ChartOrigin
from sparkrig.models.cluster import ClusterHandle
from sparkrig.models.component import CrdOwner
from sparkrig.models.release import DesiredRelease
from sparkrig.yaml.plain import load_plain, objects

pytestmark = pytest.mark.cluster

CHARTS = Path(__file__).parents[1] / "cases" / "helm" / "charts"
T = TypeVar("T")


def wanted(
    namespace: str, values: dict[str, Any], *, chart: str = "hooked", owner: CrdOwner = CrdOwner.NONE
) -> DesiredRelease:
    return DesiredRelease(
        component="part",
        release="demo",
        namespace=namespace,
        namespace_labels={},
        chart=Chart(chart, "1.0.0", "", "sha256:0", CHARTS / chart, ChartOrigin.LOCAL),
        values=values,
        needs=(),
        crd_needs=(),
        crd_owner=owner,
        crd_labels={},
        rollback="reversible",
        keep=(),
        timeout_s=60.0,
        digest="sha256:0",
    )


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


@pytest.fixture
def client(sim: ClusterHandle, helm: Path) -> Iterator[HelmClient]:
    client = HelmClient(helm, sim)
    yield client
    client.close()


def configmap(api: KubeApi, namespace: str) -> dict[str, Any] | None:
    return api.get(f"/api/v1/namespaces/{namespace}/configmaps/demo", missing_ok=True)


def error_of(work: Coroutine[Any, Any, object]) -> HelmError:
    with pytest.raises(HelmError) as caught:
        run(work)
    assert "Usage:" not in caught.value.message
    return caught.value


def test_install_upgrade_rollback_uninstall(client: HelmClient, api: KubeApi, namespace: str) -> None:
    first = run(client.install_or_upgrade(wanted(namespace, {"text": "one"}), stack="lab"))
    assert (first.revision, first.status) == (1, "deployed")
    assert [(item["kind"], item["metadata"]["name"]) for item in objects(first.manifest)] == [("ConfigMap", "demo")]
    assert client.processes == 1
    run(client.install_or_upgrade(wanted(namespace, {"text": "two"}), stack="lab"))
    run(client.rollback("demo", namespace, 1))
    back = run(client.status("demo", namespace))
    assert (back.revision, back.manifest) == (3, first.manifest)
    assert newest_revision(api, "demo", namespace) == 3
    # From any that was the newest before, also from one that is not there.
    assert [newest_revision(api, "demo", namespace, after=after) for after in range(6)] == [3] * 6
    history = run(client.history("demo", namespace))
    assert [(line.revision, line.status) for line in history] == [
        (1, "superseded"),
        (2, "superseded"),
        (3, "deployed"),
    ]
    assert client.stored_manifest(api, "demo", namespace, 2) != objects(first.manifest)
    assert client.stored_manifest(api, "demo", namespace, 3) == objects(first.manifest)
    run(client.uninstall("demo", namespace, keep_history=True))
    assert configmap(api, namespace) is None
    run(client.rollback("demo", namespace, 3))
    assert newest_revision(api, "demo", namespace) == 4
    found = configmap(api, namespace)
    assert found is not None
    assert found["data"]["text"] == "one"
    run(client.uninstall("demo", namespace))
    assert error_of(client.history("demo", namespace)).code == "not-found"
    assert newest_revision(api, "demo", namespace) == 0


def test_releases_carry_stack_and_component(client: HelmClient, api: KubeApi, namespace: str) -> None:
    run(client.install_or_upgrade(wanted(namespace, {}), stack="lab"))
    run(client.install_or_upgrade(wanted(namespace, {"text": "two"}), stack="lab"))
    run(client.rollback("demo", namespace, 1))
    secrets = api.list(f"/api/v1/namespaces/{namespace}/secrets", label_selector="sparkrig.dev/stack=lab")
    assert [item["metadata"]["labels"]["sparkrig.dev/component"] for item in secrets] == ["part"] * 3


def test_conflict_names_manager_and_fields(client: HelmClient, api: KubeApi, namespace: str) -> None:
    run(client.install_or_upgrade(wanted(namespace, {"text": "one"}), stack="lab"))
    theirs = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "demo", "namespace": namespace},
        "data": {"text": "theirs"},
    }
    api.apply(theirs, field_manager="somebody", force=True)
    desired = wanted(namespace, {"text": "two"})
    error = error_of(client.install_or_upgrade(desired, stack="lab"))
    assert error.code == "conflict"
    assert error.message == "upgrade of demo: conflict with another field manager: somebody owns .data.text"
    assert any(line.startswith("Error: UPGRADE FAILED") for line in error.detail)
    run(client.install_or_upgrade(desired, stack="lab", force_conflicts=True))
    found = configmap(api, namespace)
    assert found is not None
    assert found["data"]["text"] == "two"
    api.apply(theirs, field_manager="somebody", force=True)
    assert error_of(client.rollback("demo", namespace, 1)).code == "conflict"
    run(client.rollback("demo", namespace, 1, force_conflicts=True))


@pytest.mark.parametrize("server_validates", [False, True])
def test_fields_that_do_not_exist_are_refused_whoever_looks_first(
    client: HelmClient, namespace: str, server_validates: bool, tmp_path: Path
) -> None:
    chart = tmp_path / "odd"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: odd\nversion: 1.0.0\n")
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: odd}\nspec: {ports: [{port: 80}], selectr: {a: b}}\n"
    (chart / "templates" / "service.yaml").write_text(service)
    desired = dataclasses.replace(
        wanted(namespace, {}), chart=Chart("odd", "1.0.0", "", "sha256:0", chart, ChartOrigin.LOCAL)
    )
    error = error_of(client.install_or_upgrade(desired, stack="lab", server_validates=server_validates))
    assert ".spec.selectr" in "\n".join((error.message, *error.detail))


@pytest.mark.parametrize(
    ("version", "expected"), [("1.26.15", False), ("1.27.0", True), ("v1.36.3", True), ("2.0", True), ("", False)]
)
def test_which_servers_check_fields_themselves(version: str, expected: bool) -> None:
    assert validates_fields(version) is expected


def test_object_of_somebody_else(client: HelmClient, api: KubeApi, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    api.create(path, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "demo"}})
    error = error_of(client.install_or_upgrade(wanted(namespace, {}), stack="lab"))
    assert error.code == "exists"
    assert error.message.startswith(
        f'upgrade of demo: unable to continue with install: ConfigMap "demo" in namespace "{namespace}" exists'
    )
    assert run(client.install_or_upgrade(wanted(namespace, {}), stack="lab", take_ownership=True)).revision == 1


def test_namespace_is_not_made_by_helm(client: HelmClient) -> None:
    error = error_of(client.install_or_upgrade(wanted("not-there", {}), stack="lab"))
    assert error.message == 'upgrade of demo: create: failed to create: namespaces "not-there" not found'


def test_crds_are_left_to_their_owner(client: HelmClient, api: KubeApi, namespace: str) -> None:
    crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/tops.test.sparkrig.dev"
    run(client.install_or_upgrade(wanted(namespace, {}, chart="parent", owner=CrdOwner.US), stack="lab"))
    assert api.get(crd, missing_ok=True) is None


def test_unreachable_cluster(helm: Path, sim: ClusterHandle, tmp_path: Path) -> None:
    assert sim.kubeconfig is not None
    document = load_plain(sim.kubeconfig.read_text())
    for cluster in document["clusters"]:
        cluster["cluster"]["server"] = "https://127.0.0.1:1"
    dead = tmp_path / "kubeconfig"
    dead.write_text(json.dumps(document))
    client = HelmClient(helm, dataclasses.replace(sim, kubeconfig=dead))
    error = error_of(client.status("demo", "default"))
    assert error.code == "connection"
    assert "connection refused" in error.message
    client.close()


def test_rendering_needs_no_cluster(helm: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    client = HelmClient(helm)
    values = {"hook": {"events": "pre-install"}, "text": "1e3"}
    text = run(client.template(wanted("there", values), kube_version="1.36.3"))
    kinds = sorted(item["kind"] for item in objects(text))
    assert kinds == ["ConfigMap", "Secret"]
    assert next(item for item in objects(text) if item["kind"] == "ConfigMap")["data"]["text"] == "1e3"
    refused = error_of(client.template(wanted("there", {"hook": "x"})))
    assert refused.code == "render"
    assert refused.message.splitlines() == [
        "rendering demo: hooked/templates/hook.yaml:1:16",
        '  executing "hooked/templates/hook.yaml" at <.Values.hook.events>:',
        "    can't evaluate field events in type interface {}",
    ]
    client.close()


def test_a_helm_that_is_set_is_asked_for_its_version_once(
    sim: ClusterHandle, helm: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shim, starts = tmp_path / "helm", tmp_path / "starts"
    shim.write_text(f'#!/bin/sh\necho "$1" >> {starts}\nexec {helm} "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("SPARKRIG_HELM", str(shim))
    with Session(Request(target=f"sim:{sim.name}")) as session:
        for client in (session.offline_helm, session.helm):
            run(client.template(wanted("x", {"text": "one"})))
    assert starts.read_text().split() == ["version", "template", "template"]


def test_helm_that_cannot_be_started(tmp_path: Path) -> None:
    client = HelmClient(tmp_path / "no-helm")
    with pytest.raises(ToolError, match="helm could not be started: No such file or directory"):
        run(client.template(wanted("there", {})))
    client.close()


def test_values_that_are_no_json(helm: Path) -> None:
    client = HelmClient(helm)
    with pytest.raises(OperationError, match="values of demo cannot be handed to helm"):
        run(client.template(wanted("there", {"text": {1, 2}})))
    client.close()


def test_private_homes_go_with_the_client(helm: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    client = HelmClient(helm)
    run(client.template(wanted("there", {})))
    assert list(tmp_path.glob("sparkrig-helm-*"))
    client.close()
    assert not list(tmp_path.glob("sparkrig-helm-*"))
