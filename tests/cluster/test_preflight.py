"""doctor, and preflight at the start of up: whole commands against a real API server."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.mini import CONFIGMAP, DEPLOYMENT, World

from sparkrig.kube.client import KubeApi
from sparkrig.models.cluster import ClusterHandle

pytestmark = pytest.mark.cluster

EXPECTED = yaml.safe_load(
    (Path(__file__).parents[1] / "cases" / "preflight" / "everything-wrong.yaml").read_text(encoding="utf-8")
)
NewSim = Callable[..., ClusterHandle]


@pytest.fixture
def world(fresh_sim: NewSim, tmp_path: Path) -> World:
    """A cluster of the test's own: what is wrong with it must not meet other tests."""
    return World(tmp_path, f"sim:{fresh_sim().name}", stack="mini")


@pytest.fixture
def cluster(world: World) -> KubeApi:
    from sparkrig.clusters import sim

    return KubeApi(sim.handle(world.target.removeprefix("sim:")))


def pod(**changes: Any) -> str:
    """A Deployment whose pod has these fields."""
    container = {"name": "main", "image": "example.org/a:1", **changes.pop("container", {})}
    kind = changes.pop("kind", "Deployment")
    labels = {"app": "{{ .Release.Name }}"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], **changes}}
    spec: dict[str, Any] = {"selector": {"matchLabels": labels}, "template": template}
    return yaml.safe_dump(
        {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "{{ .Release.Name }}"}, "spec": spec}
    )


def claim(storage_class: str, mode: str) -> str:
    spec = {"storageClassName": storage_class, "accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}}
    return yaml.safe_dump(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "{{ .Release.Name }}"}, "spec": spec}
    )


def helm_install(helm: Path, api: KubeApi, name: str, namespace: str, chart: Path, *arguments: str) -> None:
    """Plain helm, as a person or another tool would run it."""
    assert api.handle.kubeconfig is not None
    place = ("--kubeconfig", str(api.handle.kubeconfig), "--namespace", namespace, "--create-namespace")
    command = [str(helm), "upgrade", "--install", name, str(chart), *place, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def everything(api: KubeApi) -> dict[str, str]:
    """Every object that can be listed, with its resource version; what the control plane renews by itself left out."""
    api.resource_of("", "v1", "Namespace")
    found = {}
    for key in sorted(api.discovery.served()):
        info = api.resource_of(*key)
        if info.kind in ("Event", "Lease", "ComponentStatus", "Node") or info.group == "metrics.k8s.io":
            continue
        try:
            items = api.list(info.collection(), metadata_only=True)
        except Exception:
            continue
        for item in items:
            metadata = item["metadata"]
            if "ending" in (metadata.get("namespace"), metadata["name"]):
                continue  # on its way out, at its own pace
            place = f"{info.collection()}/{metadata.get('namespace', '')}/{metadata['name']}"
            found[place] = metadata.get("resourceVersion", "")
    return found


def settled(api: KubeApi) -> dict[str, str]:
    """The objects, once controllers have nothing more to do."""
    deadline = time.monotonic() + 30
    before = everything(api)
    while True:
        time.sleep(0.5)
        now = everything(api)
        if now == before or time.monotonic() > deadline:
            return now
        before = now


def namespace(api: KubeApi, name: str, **labels: str) -> None:
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})


def test_a_cluster_with_everything_wrong_is_told_so_at_once_and_nothing_is_written(
    world: World, cluster: KubeApi, helm: Path
) -> None:
    world.component("old", requires={"kubernetes": ">=9.9"})
    removed = CONFIGMAP.replace("apiVersion: v1", "apiVersion: batch/v1beta1").replace("ConfigMap", "CronJob")
    world.component("removed", templates={"c.yaml": removed})
    world.component("stray", templates={"c.yaml": CONFIGMAP.replace("metadata: {", "metadata: {namespace: absent, ")})
    world.component("ending", templates={"c.yaml": CONFIGMAP}, namespace="ending")
    world.component("unnamed", templates={"p.yaml": claim("nowhere", "ReadWriteOnce")})
    world.component("shared", templates={"p.yaml": claim("local", "ReadWriteMany")})
    level = {"pod-security.kubernetes.io/enforce": "restricted"}
    world.component("privileged", templates={"d.yaml": pod(hostNetwork=True)})
    document = world.catalog / "privileged" / "component.yaml"
    described = yaml.safe_load(document.read_text())
    described["release"]["namespaceLabels"] = level
    document.write_text(yaml.safe_dump(described))
    world.component("huge", templates={"d.yaml": pod(container={"resources": {"requests": {"cpu": "1000"}}})})
    world.component("picky", templates={"d.yaml": pod(nodeSelector={"disk": "gold"})})
    world.component("fpga", templates={"d.yaml": pod(container={"resources": {"limits": {"example.org/fpga": "1"}}})})
    world.component("capped", templates={"d.yaml": DEPLOYMENT}, namespace="capped", values={"replicas": 3, "tag": "1"})
    world.component("double", detect=[{"name": "the double", "image": "example.org/double:"}])
    world.component("taken", namespace="taken")
    world.write_stack()

    namespace(cluster, "ending")
    held = {"name": "held", "namespace": "ending", "finalizers": ["example.org/forever"]}
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": held})
    cluster.delete("/api/v1/namespaces/ending")
    local = {"metadata": {"name": "local"}, "provisioner": "rancher.io/local-path"}
    cluster.apply({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", **local})
    namespace(cluster, "capped")
    quota = {"metadata": {"name": "two", "namespace": "capped"}, "spec": {"hard": {"pods": "2"}}}
    cluster.apply({"apiVersion": "v1", "kind": "ResourceQuota", **quota})
    workload = yaml.safe_load(pod(container={"image": "example.org/double:7"}).replace("{{ .Release.Name }}", "theirs"))
    cluster.apply({**workload, "metadata": {"name": "theirs", "namespace": "default"}})
    webhook = {
        "name": "guard.example.org",
        "clientConfig": {"service": {"namespace": "default", "name": "gone"}},
        "rules": [{"apiGroups": ["apps"], "apiVersions": ["*"], "operations": ["*"], "resources": ["deployments"]}],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    cluster.apply(
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "guard"},
            "webhooks": [webhook],
        }
    )
    helm_install(helm, cluster, "taken", "taken", world.catalog / "taken")
    before = settled(cluster)
    deadline = time.monotonic() + 30
    while "finalizers remaining" not in str(cluster.get("/api/v1/namespaces/ending")):
        assert time.monotonic() < deadline
        time.sleep(0.2)

    refused = world.run("up", "--yes", "--output", "json")
    assert refused.code == 4, refused.out + refused.err
    assert settled(cluster) == before
    assert refused.json["message"].startswith("15 things stand in the way on ")
    said = "\n".join(refused.json["detail"])
    since = cluster.get("/api/v1/namespaces/ending")["metadata"]["deletionTimestamp"]  # type: ignore[index]
    for line in EXPECTED:
        text = line.format(since=since, version=cluster.version())
        assert text in said, said
    assert all("next: " in line for line in refused.json["detail"])

    told = world.run("doctor", "--output", "json")
    assert told.code == 1
    codes = [finding["code"] for finding in told.json["findings"] if finding["level"] == "fail"]
    assert len(codes) == len(refused.json["detail"])
    assert settled(cluster) == before

    accepted = world.run("up", *(f"--accept={code}" for code in dict.fromkeys(codes)))
    assert accepted.code in (4, 64), accepted.err  # past preflight: the release is refused, or nobody can be asked
    assert "things stand in the way" not in accepted.err


def test_doctor_needs_no_stack_file(world: World) -> None:
    world.component("a", detect=[{"name": "something", "image": "nothing"}])
    bare = world.run("doctor", "--output", "json")
    assert bare.code == 0, bare.err
    assert bare.json["stack"] is None
    assert bare.json["simulated"] is True
    assert {f["code"] for f in bare.json["findings"]} >= {"kubernetes-version", "default-storage-class"}
    world.write_stack()
    full = world.run("doctor")
    assert full.code == 0, full.err
    assert "stack mini on " in full.out
    assert "you may do all that the stack needs" in full.out
    wrong = world.run("doctor", "-f", "other.yaml")
    assert wrong.code == 3
    assert "no stack file at other.yaml" in wrong.err


def test_a_stack_that_is_up_stays_fit_for_itself(world: World) -> None:
    rules = [{"name": "a", "image": "registry.example.org/a:"}]
    world.component("a", detect=rules, values={"replicas": 100, "tag": "1"})
    world.write_stack()
    assert world.up().code == 0
    done = world.run("doctor", "--output", "json")
    assert done.code == 0, done.out
    assert not [f for f in done.json["findings"] if f["code"] == "existing"]
    assert world.up("--set", "a.tag=2").code == 0
    again = world.up("--set", "a.tag=2", "--output", "json")
    assert (again.code, again.json["operations"]) == (0, [])


# --------------------------------------------------------------------------- what others installed

WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.mini.example.org"},
    "spec": {
        "group": "mini.example.org",
        "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
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
WIDGET = "apiVersion: mini.example.org/v1\nkind: Widget\nmetadata: {name: mine}\n"
IS_WIDGET = {"group": "mini.example.org", "kind": "Widget", "ready": {"path": "kind", "equals": ["Widget"]}}


@pytest.fixture
def widgets(world: World) -> World:
    """``maker`` brings Widgets and what looks after them, ``user`` needs both."""
    detect = [{"name": "the maker", "crds": ["widgets.mini.example.org"], "image": "example.org/maker:"}]
    crd = "crd:widgets.mini.example.org"
    image = 'image: "registry.example.org/{{ .Release.Name }}:'
    maker = {"d.yaml": DEPLOYMENT.replace(image, 'image: "registry.example.org/maker:')}
    world.component("maker", templates=maker, crds=[WIDGETS], provides=[crd], detect=detect, namespace="maker")
    world.component("user", templates={"w.yaml": WIDGET}, needs=["maker", crd], readiness=[IS_WIDGET])
    world.write_stack()
    return world


def releases(api: KubeApi) -> set[str]:
    items = api.list("/api/v1/secrets", label_selector="owner=helm", metadata_only=True)
    return {f"{item['metadata']['namespace']}/{item['metadata']['labels']['name']}" for item in items}


def test_a_helm_release_of_another_name_is_refused_or_reused(widgets: World, cluster: KubeApi, helm: Path) -> None:
    helm_install(helm, cluster, "other", "elsewhere", widgets.catalog / "maker", "--set", "tag=9")
    refused = widgets.up()
    assert refused.code == 4
    assert (
        "[existing] maker: the maker 9 is there already (Deployment elsewhere/other), installed by Helm release "
        "elsewhere/other; a second copy would fight with it" in refused.err
    )
    assert "components.maker.existing" in refused.err
    assert releases(cluster) == {"elsewhere/other"}

    widgets.write_stack(maker={"existing": "reuse"})
    done = widgets.up()
    assert done.code == 0, done.err + done.out
    assert releases(cluster) == {"elsewhere/other", "mini-user/user"}
    assert cluster.get("/apis/mini.example.org/v1/namespaces/mini-user/widgets/mine") is not None
    told = widgets.run("doctor")
    assert "it is reused" in told.out
    assert widgets.run("status", "--output", "json").json["reused"] == ["maker"]
    again = widgets.up("--output", "json")
    assert (again.code, again.json["operations"]) == (0, [])

    assert widgets.run("down", "--yes").code == 0
    assert releases(cluster) >= {"elsewhere/other"}
    assert cluster.get("/apis/apps/v1/namespaces/elsewhere/deployments/other") is not None


def test_nothing_there_to_reuse(widgets: World, cluster: KubeApi) -> None:
    widgets.write_stack(maker={"existing": "reuse"})
    refused = widgets.up()
    assert refused.code == 4
    assert "[existing] maker: maker is to be reused, and nothing of it was found in this cluster" in refused.err
    assert releases(cluster) == set()


def test_what_is_reused_must_have_the_crds(widgets: World, cluster: KubeApi, helm: Path) -> None:
    helm_install(helm, cluster, "other", "elsewhere", widgets.catalog / "maker", "--skip-crds")
    widgets.write_stack(maker={"existing": "reuse"})
    refused = widgets.up()
    assert refused.code == 4
    assert (
        "[existing] maker: maker is to be reused, but what is there lacks CRD widgets.mini.example.org" in refused.err
    )


def test_plain_manifests_are_adopted_where_the_names_agree(widgets: World, cluster: KubeApi, helm: Path) -> None:
    """kubectl apply of the rendered chart, and sparkrig goes on from there."""
    namespace(cluster, "maker")
    command = [str(helm), "template", "maker", str(widgets.catalog / "maker"), "--namespace", "maker"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for manifest in yaml.safe_load_all(text):
        made = {**manifest, "metadata": {**manifest["metadata"], "namespace": "maker"}}
        cluster.apply(made, field_manager="kubectl-client-side-apply")
    deployment = "/apis/apps/v1/namespaces/maker/deployments/maker"
    uid = (cluster.get(deployment) or {})["metadata"]["uid"]

    refused = widgets.up()
    assert refused.code == 4
    assert "(Deployment maker/maker), installed by plain manifests" in refused.err

    widgets.write_stack(maker={"existing": "adopt", "values": {"tag": "2"}})
    done = widgets.up()
    assert done.code == 0, done.err + done.out
    after = cluster.get(deployment) or {}
    assert after["metadata"]["uid"] == uid
    assert after["metadata"]["annotations"]["meta.helm.sh/release-name"] == "maker"
    assert after["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":2")
    assert len(cluster.list("/apis/apps/v1/namespaces/maker/deployments")) == 1
    assert widgets.up("--output", "json").json["operations"] == []


def test_a_helm_release_of_the_same_name_is_adopted(widgets: World, cluster: KubeApi, helm: Path) -> None:
    helm_install(helm, cluster, "maker", "maker", widgets.catalog / "maker")
    refused = widgets.up()
    assert refused.code == 4
    assert "belongs to no stack" in refused.err
    widgets.write_stack(maker={"existing": "adopt"})
    secret = cluster.list("/api/v1/namespaces/maker/secrets", label_selector="owner=helm,name=maker")[0]
    at = f"/api/v1/namespaces/maker/secrets/{secret['metadata']['name']}"
    cluster.patch(at, {"metadata": {"labels": {"status": "pending-upgrade"}}})
    told = widgets.run("doctor")  # what somebody's helm is at work on: one answer everywhere
    assert told.code == 1
    assert "release maker/maker is pending-upgrade since" in told.out
    assert "it is taken over" not in told.out
    for command in (("plan",), ("up", "--yes")):
        refused = widgets.run(*command)
        assert refused.code == 4, refused
        assert "release maker/maker is pending-upgrade since" in refused.err
    cluster.patch(at, {"metadata": {"labels": {"status": "deployed"}}})
    done = widgets.up()
    assert done.code == 0, done.err + done.out
    assert releases(cluster) == {"maker/maker", "mini-user/user"}
    found = cluster.list("/api/v1/secrets", label_selector="owner=helm,name=maker,sparkrig.dev/stack=mini")
    assert len(found) == 1


def test_what_would_leave_a_second_copy_is_not_adopted(widgets: World, cluster: KubeApi, helm: Path) -> None:
    helm_install(helm, cluster, "other", "elsewhere", widgets.catalog / "maker")
    widgets.write_stack(maker={"existing": "adopt"})
    refused = widgets.up()
    assert refused.code == 4
    assert "it cannot be adopted: the chart has no Deployment elsewhere/other to take over" in refused.err
    assert releases(cluster) == {"elsewhere/other"}


def test_what_another_stack_has_is_not_brought_again(widgets: World, cluster: KubeApi) -> None:
    assert widgets.up().code == 0
    second = World(widgets.folder, widgets.target, stack="second")
    second.write_stack(maker={"namespace": "second"}, user={"enabled": False})
    refused = second.up()
    assert refused.code == 4
    assert "(Deployment maker/maker), installed by stack mini; a second copy would fight with it" in refused.err
    second.write_stack(maker={"existing": "reuse"}, user={"namespace": "second-user"})
    done = second.up()
    assert done.code == 0, done.err + done.out


def test_crds_alone_are_no_installation(widgets: World, cluster: KubeApi) -> None:
    cluster.apply(WIDGETS, field_manager="kubectl-client-side-apply")
    done = widgets.up()
    assert done.code == 0, done.err
    assert "CRDs of the maker are there already (widgets.mini.example.org)" in done.err


def test_parts_that_are_there_are_left_out_and_other_traces_count(world: World, cluster: KubeApi) -> None:
    """A fact instead of a refusal; an IngressClass and an APIService are traces too; who manages them is said."""
    part = {"name": "a part", "image": "example.org/part:", "fact": "nfd.installed"}
    world.component(
        "whole",
        detect=[part],
        facts=[{"fact": "nfd.installed", "equals": True, "set": {"replicas": 0}, "reason": "it is there"}],
    )
    world.component("way-in", detect=[{"name": "another way in", "ingressController": ".", "standsIn": True}])
    world.component("numbers", detect=[{"name": "the numbers", "apiService": "v1.numbers.example.org"}])
    world.write_stack()
    theirs = yaml.safe_load(pod(container={"image": "example.org/part:3"}).replace("{{ .Release.Name }}", "part"))
    managed = {"kubernetes.azure.com/managedby": "aks"}
    cluster.apply({**theirs, "metadata": {"name": "part", "namespace": "kube-system", "labels": managed}})
    spec = {"controller": "example.org/way-in"}
    cluster.apply(
        {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "theirs"}, "spec": spec}
    )
    served = {
        "group": "numbers.example.org",
        "version": "v1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "service": {"namespace": "kube-system", "name": "numbers"},
        "insecureSkipTLSVerify": True,
    }
    name = {"name": "v1.numbers.example.org"}
    cluster.apply({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": name, "spec": served})
    found = {
        f["subject"]: f for f in world.run("doctor", "--output", "json").json["findings"] if f["code"] == "existing"
    }
    assert found["whole"]["level"] == "ok"
    assert found["whole"]["message"] == (
        "a part 3 is there already (Deployment kube-system/part), installed by a managed add-on of AKS; "
        "that part of the component is left out"
    )
    assert found["way-in"]["level"] == "warn"
    assert found["way-in"]["message"] == (
        "another way in is there already (IngressClass theirs), installed by plain manifests; "
        "the component would stand beside it"
    )
    assert found["numbers"]["level"] == "fail"
    assert "(APIService v1.numbers.example.org)" in found["numbers"]["message"]
    done = world.run("up", "--yes", "--accept", "existing")
    assert done.code == 0, done.err + done.out
    whole = cluster.get("/apis/apps/v1/namespaces/mini-whole/deployments/whole") or {}
    assert whole["spec"]["replicas"] == 0
    again = world.up("--accept", "existing", "--output", "json")
    assert (again.code, again.json["operations"]) == (0, [])


# --------------------------------------------------------------------------- rights

RIGHTS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: {{ .Release.Name }}}
rules: [{apiGroups: [""], resources: [pods, pods/log], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: {{ .Release.Name }}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ .Release.Name }}}
subjects: [{kind: ServiceAccount, name: default, namespace: {{ .Release.Namespace }}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: {{ .Release.Name }}-widgets}
rules: [{apiGroups: [mini.example.org], resources: [widgets, widgets/status], verbs: ["*"]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: {{ .Release.Name }}-view}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: default, namespace: {{ .Release.Namespace }}}]
---
apiVersion: v1
kind: Namespace
metadata: {name: mini-late}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: late, namespace: mini-late}
"""


def bind(api: KubeApi, role: dict[str, Any], user: str) -> None:
    kind = "ClusterRoleBinding" if role["kind"] == "ClusterRole" else "RoleBinding"
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": role["metadata"]["name"]}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    api.apply(role)
    rest = {"apiVersion": role["apiVersion"], "metadata": role["metadata"]}
    api.apply({**rest, "kind": kind, "roleRef": reference, "subjects": [subject]})


def test_the_printed_roles_suffice_and_nothing_less_is_said_to(
    widgets: World, cluster: KubeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    widgets.component("rights", templates={"r.yaml": RIGHTS, "d.yaml": DEPLOYMENT})
    widgets.write_stack()
    printed = widgets.run("doctor", "--rbac")
    assert printed.code == 0, printed.err
    roles = list(yaml.safe_load_all(printed.out))
    assert {(r["kind"], r["metadata"].get("namespace")) for r in roles} >= {
        ("ClusterRole", None), ("Role", "maker"), ("Role", "mini-user"), ("Role", "sparkrig-system")
    }  # fmt: skip
    assert "mini-late" not in {r["metadata"].get("namespace") for r in roles}
    rules = [rule for role in roles for rule in role["rules"]]
    assert not any({"*"} & {*rule.get("resources", ()), *rule.get("apiGroups", ())} for rule in rules)
    assert not any({"escalate"} & set(rule["verbs"]) for rule in rules)

    assert cluster.handle.kubeconfig is not None
    config = yaml.safe_load(cluster.handle.kubeconfig.read_text())
    config["users"][0]["user"]["as"] = "installer"
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    restricted = World(widgets.folder, f"context:{config['current-context']}", stack="mini")

    nothing = restricted.up()
    assert nothing.code == 4
    least, *others = roles
    for role in others:
        namespace(cluster, role["metadata"]["namespace"])
    bind(cluster, least, "installer")
    for role in others:
        if role["metadata"]["namespace"] != "mini-rights":
            bind(cluster, role, "installer")
    before = settled(cluster)
    refused = restricted.up("--output", "json")
    assert refused.code == 4
    said = "\n".join(refused.json["detail"])
    assert (
        "[rights] cluster: you may not create, delete, patch, update deployments.apps in namespace mini-rights, "
        "which rights needs" in said
    ), said
    assert "rolebindings.rbac.authorization.k8s.io in namespace mini-rights" in said
    assert "pods/log in namespace mini-rights, which rights needs" in said
    assert settled(cluster) == before

    bind(cluster, next(r for r in others if r["metadata"]["namespace"] == "mini-rights"), "installer")
    done = restricted.up()
    assert done.code == 0, done.err + done.out
    assert "3 components ready" in done.out
    assert restricted.run("down", "--yes").code == 0


def test_preflight_of_the_default_stack_takes_under_ten_seconds(fresh_sim: NewSim, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    world = World(tmp_path, f"sim:{fresh_sim().name}")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "charts").symlink_to(root / "charts")
    stand_ins = ("--stand-ins", str(root / "tests" / "charts"))
    done = world.run("doctor", "-f", str(root / "examples" / "lab.yaml"), *stand_ins, "--output", "json")
    assert done.code == 0, done.out + done.err
    assert done.json["seconds"] < 10, json.dumps(done.json)
    assert [f["code"] for f in done.json["findings"] if f["level"] != "ok"] == []


def test_a_claim_that_its_class_cannot_expand_is_refused_before_anything_is_written(
    world: World, cluster: KubeApi
) -> None:
    """Admission answers 403, as a missing right does: who sends it does not matter here."""
    claim = """
        apiVersion: v1
        kind: PersistentVolumeClaim
        metadata: {name: data}
        spec:
          accessModes: [ReadWriteOnce]
          resources: {requests: {storage: "{{ .Values.size }}"}}
        """
    world.component("a", templates={"claim.yaml": claim}, values={"size": "1Gi"})
    world.write_stack()
    assert world.run("up", "--yes").code == 0
    world.write_stack(a={"values": {"size": "2Gi"}})
    grown = world.run("up", "--yes")
    assert grown.code == 4, grown.err
    assert "[refused-object] a: PersistentVolumeClaim" in grown.err
    assert "must support resize" in " ".join(grown.err.split())
    assert re.search(r"component a at stack\.yaml:\d+:\d+\n", grown.err)
    assert "right" not in grown.err
    assert cluster.get(f"/api/v1/namespaces/{world.stack}-a/persistentvolumeclaims/data")["spec"]["resources"] == {
        "requests": {"storage": "1Gi"}
    }
