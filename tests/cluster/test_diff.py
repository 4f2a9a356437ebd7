"""diff: between revisions, and of what a person changed in the cluster, through the real command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from tests.cluster.conftest import NewSim
from tests.mini import CONFIGMAP, DEPLOYMENT, ROOT, World

from sparkrig.kube.client import KubeApi
from sparkrig.models.cluster import ClusterHandle

MADE_UP = """
{{- $password := randAlphaNum 20 }}
apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}}
stringData: {password: {{ $password }}, given: {{ .Values.given | quote }}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}}
      annotations: {checksum/secret: {{ $password | sha256sum }}}
    spec:
      containers:
        - name: main
          image: "registry.example.org/main:{{ .Values.tag }}"
          resources: {limits: {cpu: 1000m, memory: 1024Mi}}
"""
VALUES = {"replicas": 1, "tag": "1", "given": "g1ven"}


def fields(document: Mapping[str, Any]) -> list[tuple[str, str, str, Any, Any]]:
    return [
        (c["component"], o["kind"], f["path"], f.get("before"), f.get("after"))
        for c in document["components"]
        for o in c["objects"]
        for f in o["fields"]
    ]


def scale(api: KubeApi, path: str, replicas: int) -> None:
    api.request(
        "PATCH",
        f"{path}/scale",
        body={"spec": {"replicas": replicas}},
        params={"fieldManager": "kubectl"},
        content_type="application/merge-patch+json",
    )


def test_a_whole_stack_has_no_drift_after_up_and_then_exactly_what_was_changed(
    fresh_sim: NewSim, tmp_path: Path
) -> None:
    sim = fresh_sim()
    run = stand_in_stack(sim)
    done = run("up", "--yes", "--stand-ins", str(ROOT / "tests" / "charts"))
    assert done.returncode == 0, done.stdout + done.stderr
    clean = run("diff", "--output", "json", "--exit-code")
    document = yaml.safe_load(clean.stdout)
    assert (clean.returncode, document["different"], fields(document)) == (0, False, [])
    assert len(document["components"]) >= 7
    assert [note for c in document["components"] for note in c["notes"]] == []

    api = KubeApi(sim)
    reading = reader(api, sim, tmp_path)
    scale(api, "/apis/apps/v1/namespaces/traefik/deployments/traefik", 3)
    expected = [("traefik", "Deployment", "spec.replicas", 1, 3)]
    for what in (run, stand_in_stack(sim, kubeconfig=reading)):
        found = what("diff", "--output", "json", "--exit-code")
        assert found.returncode == 2, found.stderr
        assert fields(yaml.safe_load(found.stdout)) == expected
    assert "spec.replicas   1 -> 3   by kubectl (scale)" in run("diff").stdout
    # Whoever may not ask for a dry run gets the same answer for what is in order: nothing.
    scale(api, "/apis/apps/v1/namespaces/traefik/deployments/traefik", 1)
    quiet = stand_in_stack(sim, kubeconfig=reading)("diff", "--output", "json")
    assert fields(yaml.safe_load(quiet.stdout)) == []
    api.close()


def stand_in_stack(sim: ClusterHandle, kubeconfig: Path | None = None) -> Any:
    target = ["--on", f"sim:{sim.name}"] if kubeconfig is None else []
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "installer"), "PYTHONWARNINGS": "error"}
    if kubeconfig is not None:
        environment["KUBECONFIG"] = str(kubeconfig)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sparkrig", *arguments, "-f", str(ROOT / "examples" / "lab.yaml"), *target]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


def reader(api: KubeApi, sim: ClusterHandle, folder: Path) -> Path:
    """A kubeconfig of somebody who may read everything and write nothing."""
    metadata = {"name": "reader", "namespace": "default"}
    api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "reader"}}
    api.apply({**role, "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]})
    binding = {**role, "kind": "ClusterRoleBinding"}
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": "default"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"}
    api.apply({**binding, "roleRef": reference, "subjects": [subject]})
    answer = api.request("POST", "/api/v1/namespaces/default/serviceaccounts/reader/token", body={"spec": {}})
    assert sim.kubeconfig is not None
    document = yaml.safe_load(sim.kubeconfig.read_text())
    for user in document["users"]:
        user["user"] = {"token": answer["status"]["token"]}
    path = folder / "reader.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_two_revisions_without_what_the_chart_makes_up(world: World) -> None:
    world.component("a", templates={"t.yaml": MADE_UP}, values=VALUES)
    world.component("b", templates={"c.yaml": CONFIGMAP})
    world.write_stack()
    assert world.up().code == 0
    world.write_stack(a={"values": {"tag": "2", "given": "n3w"}}, b={"enabled": False})
    assert world.up().code == 0
    found = world.run("diff", "1", "2", "--output", "json", "--exit-code")
    assert found.code == 2
    assert [(c["component"], c["change"]) for c in found.json["components"]] == [("a", "changed"), ("b", "removed")]
    image = "registry.example.org/main:"
    assert fields(found.json) == [
        ("a", "Secret", "data.given", "<masked>", "<masked, changed>"),
        ("a", "Deployment", "spec.template.spec.containers[main].image", f"{image}1", f"{image}2"),
    ]
    (a, _) = found.json["components"]
    assert a["leftOut"] == [
        f"Secret {world.stack}-a/a: data.password",
        f"Deployment {world.stack}-a/a: spec.template.metadata.annotations.checksum/secret",
    ]
    assert [(v["path"], v.get("before"), v["after"]) for v in a["values"]] == [
        ("given", None, "n3w"),
        ("tag", None, "2"),
    ]
    text = world.run("diff", "1").out  # the newest is the other side
    assert "revision 1 -> revision 2" in text
    assert [line.split() for line in text.splitlines() if f"image: {image}" in line] == [
        ["-", "image:", f"{image}1"],
        ["+", "image:", f"{image}2"],
    ]
    assert "left out, because the chart makes it anew at each rendering" in text
    assert "g1ven" not in text + found.out
    only = world.run("diff", "1", "2", "--values", "--output", "json").json["components"][0]
    assert (bool(only["values"]), only["objects"]) == (True, [])
    # The same back: nothing differs, though Helm made another revision and another password.
    assert world.run("rollback", "1", "--yes").code == 0
    back = world.run("diff", "1", "3", "--exit-code")
    assert (back.code, "2 components unchanged" in back.out) == (0, True), back.out


def test_without_the_chart_it_says_what_it_could_not_judge(world: World) -> None:
    world.component("a", templates={"t.yaml": MADE_UP}, values=VALUES)
    world.write_stack()
    assert world.up().code == 0
    world.write_stack(a={"values": {"tag": "2"}})
    assert world.up().code == 0
    world.component("a", templates={"t.yaml": MADE_UP + "# another chart\n"}, values=VALUES)
    (a,) = world.run("diff", "1", "2", "--output", "json").json["components"]
    judged = {f["path"].rpartition(".")[2]: f["judged"] for o in a["objects"] for f in o["fields"]}
    assert judged == {"password": False, "checksum/secret": False, "image": True}
    assert "not judged: these may be made anew" in world.run("diff", "1", "2").out


def test_revisions_that_are_not_there(world: World) -> None:
    world.component("a", templates={"c.yaml": CONFIGMAP})
    world.write_stack()
    nothing = world.run("diff")
    assert (nothing.code, f"stack {world.stack} has no finished revision" in nothing.err) == (3, True)
    assert world.up().code == 0
    missing = world.run("diff", "1", "7")
    assert missing.code == 3
    assert f"stack {world.stack} has no finished revision 7" in missing.err
    assert "it has 1" in missing.err


def test_what_a_person_did_to_the_cluster(world: World, api: KubeApi, helm: Path, sim: ClusterHandle) -> None:
    world.component("a", templates={"t.yaml": MADE_UP}, values=VALUES)
    world.component("b", templates={"c.yaml": CONFIGMAP, "d.yaml": DEPLOYMENT})
    world.component("c", templates={"d.yaml": DEPLOYMENT})
    world.component("d", templates={"c.yaml": CONFIGMAP})
    world.write_stack()
    assert world.up().code == 0
    assert world.run("diff", "--exit-code").code == 0
    namespace = f"/api/v1/namespaces/{world.stack}"
    api.patch(f"{namespace}-a/secrets/a", {"stringData": {"given": "st0len"}})
    api.delete(f"{namespace}-b/configmaps/b")
    environment = {**os.environ, "KUBECONFIG": str(sim.kubeconfig)}
    by_hand = [str(helm), "upgrade", "c", str(world.catalog / "c"), "--namespace", f"{world.stack}-c", "--set", "tag=9"]
    subprocess.run(by_hand, env=environment, check=True, capture_output=True)
    gone = [str(helm), "uninstall", "d", "--namespace", f"{world.stack}-d"]
    subprocess.run(gone, env=environment, check=True, capture_output=True)
    found = world.run("diff", "--output", "json", "--exit-code")
    assert found.code == 2
    a, b, c, d = found.json["components"]
    assert fields({"components": [a]}) == [("a", "Secret", "data.given", "<masked>", "<masked, changed>")]
    assert a["objects"][0]["fields"][0]["manager"] == "sparkrig"
    assert [(o["kind"], o["change"]) for o in b["objects"]] == [("ConfigMap", "missing")]
    assert c["notes"] == ["somebody else used Helm on it: Helm revision 1 -> 2"]
    assert [(v["path"], v["after"]) for v in c["values"]] == [("tag", 9)]
    assert [f[2] for f in fields({"components": [c]})] == ["spec.template.spec.containers[main].image"]
    assert (d["change"], d["notes"][0]) == ("removed", "the release is gone from the cluster")
    assert "st0len" not in found.out


def test_the_labels_of_a_namespace_are_looked_at_too(world: World, api: KubeApi) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "privileged", "team": "data"}
    namespace = f"{world.stack}-a"
    world.component("a", release={"name": "a", "namespace": namespace, "namespaceLabels": labels})
    world.write_stack()
    assert world.up().code == 0
    assert world.run("diff", "--exit-code").code == 0
    assert world.run("status", "--output", "json").json["components"][0]["drift"] == 0
    changed = {"pod-security.kubernetes.io/enforce": "restricted", "team": None}
    api.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": changed}})
    found = world.run("diff", "--output", "json", "--exit-code")
    assert found.code == 2
    assert {(f[1], f[2], f[3]) for f in fields(found.json)} == {
        ("Namespace", "metadata.labels.pod-security\\.kubernetes\\.io/enforce", "privileged"),
        ("Namespace", "metadata.labels.team", "data"),
    }
    assert world.run("status", "--output", "json").json["components"][0]["drift"] == 2


def test_history_says_what_changed(world: World) -> None:
    world.component("a")
    world.component("b")
    world.write_stack()
    assert world.up().code == 0
    world.write_stack(a={"values": {"replicas": 2}}, b={"enabled": False})
    assert world.up("--message", "more load").code == 0
    newest, first = world.run("history", "--output", "json").json["revisions"]
    assert first["summary"] == "first install: a, b"
    assert (newest["summary"], newest["message"]) == ("a replicas 1 (chart default) -> 2, -b", "more load")
    assert "a replicas 1 (chart default) -> 2, -b" in world.run("history").out
