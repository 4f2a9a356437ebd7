"""What others changed is shown with whose it is, and taken back by `up --repair`."""

from __future__ import annotations

from typing import Any

import pytest
from tests.mini import CONFIGMAP, DEPLOYMENT, World

from sparkrig.kube.client import KubeApi

pytestmark = pytest.mark.cluster

MERGE = "application/merge-patch+json"
LABEL = "pod-security.kubernetes.io/enforce"
ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: {{ .Release.Namespace }}}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
"""


def place(world: World) -> str:
    return f"/apis/apps/v1/namespaces/{world.stack}-a/deployments/a"


def scale(api: KubeApi, world: World, replicas: int, manager: str = "kubectl") -> None:
    """What kubectl scale does."""
    body = {"spec": {"replicas": replicas}}
    api.request("PATCH", f"{place(world)}/scale", body=body, params={"fieldManager": manager}, content_type=MERGE)


def live(api: KubeApi, path: str) -> dict[str, Any]:
    found = api.get(path)
    assert found is not None
    return found


def prepared(world: World) -> None:
    templates = {"d.yaml": DEPLOYMENT, "c.yaml": CONFIGMAP, "r.yaml": ROLE}
    world.component("a", templates=templates)
    world.component("b", templates={"c.yaml": CONFIGMAP})
    world.write_stack()
    assert world.up().code == 0


def test_repair_takes_a_scaled_deployment_back_and_says_whose_it_was(world: World, api: KubeApi) -> None:
    prepared(world)
    scale(api, world, 3)
    assert world.run("plan", "--detailed-exitcode").code == 0, "without --repair it is left alone"
    shown = world.run("plan", "--repair")
    said = " ".join(shown.out.split())
    assert "repair: 1 field was changed" in said
    assert f"Deployment {world.stack}-a/a: spec.replicas is 3, set by kubectl (scale)" in said
    assert "; goes back to 1" in said
    assert live(api, place(world))["spec"]["replicas"] == 3
    noted = world.run("rollback", "1", "--yes")
    assert noted.code == 0, noted.err
    assert "1 field was changed by others since (a); next: sparkrig up --repair" in noted.err
    done = world.up("--repair")
    assert done.code == 0, done.err + done.out
    assert live(api, place(world))["spec"]["replicas"] == 1
    assert world.run("plan", "--repair", "--detailed-exitcode").code == 0
    assert [r["number"] for r in world.run("history", "--output", "json").json["revisions"]] == [2, 1]


def test_repair_reaches_cluster_wide_objects_lists_and_deleted_fields(world: World, api: KubeApi) -> None:
    prepared(world)
    role = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{world.stack}-a"
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    api.request("PATCH", role, body={"rules": rules}, params={"fieldManager": "kubectl-edit"}, content_type=MERGE)
    config = f"/api/v1/namespaces/{world.stack}-a/configmaps/a"
    gone = {"data": {"text": None}}
    api.request("PATCH", config, body=gone, params={"fieldManager": "kubectl-edit"}, content_type=MERGE)
    api.delete(f"/api/v1/namespaces/{world.stack}-b/configmaps/b")
    shown = world.run("plan", "--repair")
    said = " ".join(shown.out.split())
    assert f"ClusterRole {world.stack}-a: rules" in said
    assert "set by kubectl-edit" in said
    assert f"ConfigMap {world.stack}-a/a: data is absent" in said
    assert "repair: 1 object is missing" in said
    done = world.up("--repair")
    assert done.code == 0, done.err + done.out
    assert live(api, role)["rules"][0]["resources"] == ["pods"]
    assert live(api, config)["data"]["text"] == "hello"
    assert live(api, f"/api/v1/namespaces/{world.stack}-b/configmaps/b")["data"]["text"] == "hello"


def test_repair_gives_a_namespace_its_labels_back(world: World, api: KubeApi) -> None:
    shared = f"{world.stack}-shared"
    release = {"namespace": shared}
    world.component("a", templates={"c.yaml": CONFIGMAP}, **release)
    world.component("b", templates={"c.yaml": CONFIGMAP}, **release)
    for name, labels in {"a": {LABEL: "privileged"}, "b": {"team": "b"}}.items():
        file = world.catalog / name / "component.yaml"
        text = "".join(f"    {key}: {value}\n" for key, value in labels.items())
        file.write_text(file.read_text().replace("release:\n", f"release:\n  namespaceLabels:\n{text}"))
    world.write_stack()
    assert world.up().code == 0
    path = f"/api/v1/namespaces/{shared}"
    assert live(api, path)["metadata"]["labels"]["team"] == "b"
    changed = {"metadata": {"labels": {LABEL: "restricted"}}}
    api.request("PATCH", path, body=changed, params={"fieldManager": "kubectl-label"}, content_type=MERGE)
    shown = " ".join(world.run("plan", "--repair").out.split())
    assert "repair: 1 label of its namespace was changed" in shown
    assert LABEL.replace(".", r"\.") in shown
    assert "is restricted, set by kubectl-label" in shown
    done = world.up("--repair")
    assert done.code == 0, done.err + done.out
    labels = live(api, path)["metadata"]["labels"]
    assert (labels[LABEL], labels["team"]) == ("privileged", "b"), "the other component's label stays"
    assert world.run("plan", "--repair", "--detailed-exitcode").code == 0


def test_what_the_clusters_own_controllers_set_is_left_alone(world: World, api: KubeApi) -> None:
    prepared(world)
    scale(api, world, 4, manager="kube-controller-manager")
    assert world.run("plan", "--repair", "--detailed-exitcode").code == 0
    assert live(api, place(world))["spec"]["replicas"] == 4
