"""plan --out and up FILE: exactly what was planned, or nothing, through the real command line."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.mini import CONFIGMAP, DEPLOYMENT, Done, World

from sparkrig.helm.storage import secret as release_secret
from sparkrig.history.home import ensure_home
from sparkrig.history.lock import Lock
from sparkrig.kube.client import KubeApi
from sparkrig.models.cluster import ClusterHandle

CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "drawings.saved-plans.example.org"},
    "spec": {
        "group": "saved-plans.example.org",
        "scope": "Namespaced",
        "names": {"kind": "Drawing", "plural": "drawings", "singular": "drawing", "listKind": "DrawingList"},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}},
        ],
    },
}


def two(world: World) -> None:
    world.component("a", templates={"c.yaml": CONFIGMAP})
    world.component("b", templates={"c.yaml": CONFIGMAP}, needs=["a"])
    world.write_stack()


def text_of(world: World, api: KubeApi, name: str) -> str | None:
    found = api.get(f"/api/v1/namespaces/{world.stack}-{name}/configmaps/{name}", missing_ok=True)
    return found["data"]["text"] if found else None


def carry_out(world: World, *arguments: str) -> Done:
    """Without --on: the file knows the cluster."""
    return world.run("up", "x.plan", "--yes", *arguments, on=False)


def refused(done: Done, *moved: str) -> None:
    assert done.code == 4, done.err + done.out
    for line in moved:
        assert line in done.err


def test_a_saved_plan_is_carried_out_once(world: World, api: KubeApi) -> None:
    two(world)
    (world.folder / "b.yaml").write_text("text: from a file\n")
    planned = world.run("plan", "--out", "x.plan", "--set", "a.text=from a flag", "--values", "b=b.yaml")
    assert planned.code == 0, planned.err
    assert "sparkrig up x.plan" in planned.err
    assert (world.folder / "x.plan").stat().st_mode & 0o777 == 0o600
    assert text_of(world, api, "a") is None
    done = carry_out(world, "--message", "as planned")
    assert done.code == 0, done.err
    assert (text_of(world, api, "a"), text_of(world, api, "b")) == ("from a flag", "from a file")
    (revision,) = world.run("history", "--output", "json").json["revisions"]
    assert revision["message"] == "as planned"
    refused(carry_out(world), "newest revision: 0 -> 1")
    assert len(world.run("history", "--output", "json").json["revisions"]) == 1


def test_it_is_refused_when_its_input_changed(world: World, api: KubeApi) -> None:
    two(world)
    (world.folder / "b.yaml").write_text("text: planned\n")
    world.write_stack(b={"valuesFiles": ["b.yaml"]})
    assert world.run("plan", "--out", "x.plan").code == 0
    (world.folder / "b.yaml").write_text("text: changed\n")
    refused(carry_out(world), "1 thing moved on", "b.yaml: changed", "sparkrig plan --out FILE")
    (world.folder / "b.yaml").write_text("text: planned\n")
    world.write_stack(a={"values": {"text": "changed"}}, b={"valuesFiles": ["b.yaml"]})
    refused(carry_out(world), "stack.yaml: changed")
    world.write_stack(b={"valuesFiles": ["b.yaml"]})
    world.component("a", templates={"c.yaml": CONFIGMAP + "# changed\n"})
    refused(carry_out(world), "chart of a: a 1.0.0 sha256:")
    world.component("a", templates={"c.yaml": CONFIGMAP}, timeout=77)
    refused(carry_out(world), "component a of the catalogue: changed")
    assert (text_of(world, api, "a"), text_of(world, api, "b")) == (None, None)
    two(world)
    world.write_stack(b={"valuesFiles": ["b.yaml"]})
    assert carry_out(world).code == 0
    assert text_of(world, api, "b") == "planned"


def test_it_is_refused_when_the_cluster_moved_on(world: World, api: KubeApi, helm: Path, sim: ClusterHandle) -> None:
    two(world)
    assert world.up().code == 0
    assert world.run("plan", "--out", "x.plan", "--set", "a.text=planned").code == 0
    by_hand(world, helm, sim, "text=by hand")
    refused(
        carry_out(world),
        f"release {world.stack}-b/b: Helm revision 1, deployed -> Helm revision 2, deployed",
    )
    assert world.run("plan", "--out", "x.plan", "--set", "a.text=planned").code == 0
    assert world.up("--set", "a.text=somebody else").code == 0
    refused(carry_out(world), "newest revision: 1 -> 2", f"release {world.stack}-a/a: Helm revision 1, deployed -> ")
    assert text_of(world, api, "a") == "somebody else"


def test_what_moves_while_it_waits_for_the_lock_is_noticed(
    world: World, api: KubeApi, helm: Path, sim: ClusterHandle
) -> None:
    two(world)
    assert world.up().code == 0
    assert world.run("plan", "--out", "x.plan", "--set", "a.text=planned").code == 0
    ensure_home(api)
    with Lock(api, world.stack) as lock:
        lock.acquire()
        process = world.start("up", "x.plan", "--yes", "--wait-lock", "60")
        assert process.stderr is not None
        for line in process.stderr:
            if "lock" in line:
                break
        by_hand(world, helm, sim, "text=by hand")
    out, err = process.communicate(timeout=60)
    refused(Done(process.returncode, out, err), f"release {world.stack}-b/b: Helm revision 1")
    assert text_of(world, api, "a") == "hello"
    assert len(world.run("history", "--output", "json").json["revisions"]) == 1


def test_another_cluster_is_noticed(world: World, api: KubeApi) -> None:
    two(world)
    assert world.run("plan", "--out", "x.plan").code == 0
    path = world.folder / "x.plan"
    document = json.loads(path.read_text())
    assert document["clusterId"]
    document["clusterId"] = "another"
    path.write_text(json.dumps(document))
    refused(carry_out(world), "the cluster is another one")
    assert text_of(world, api, "a") is None


def test_secrets_given_by_flags_are_not_in_the_file_and_are_given_again(world: World, api: KubeApi) -> None:
    template = CONFIGMAP.replace(".Values.text", ".Values.adminPassword")
    world.component("a", templates={"c.yaml": template}, values={"adminPassword": "none"})
    world.write_stack()
    secret = ("--set", "a.adminPassword=hunter2")
    assert world.run("plan", "--out", "x.plan", *secret).code == 0
    assert "hunter2" not in (world.folder / "x.plan").read_text()
    refused(carry_out(world), "--set a.adminPassword=…", "repeat every --set option of the plan")
    refused(carry_out(world, "--set", "a.adminPassword=other"), "install/a: digest changed")
    assert carry_out(world, *secret).code == 0
    assert text_of(world, api, "a") == "hunter2"
    changed = world.run("plan", "--set", "a.adminPassword=hunter3")
    assert "adminPassword" in changed.out
    assert "hunter" not in changed.out


def test_what_is_no_saved_plan(world: World) -> None:
    two(world)
    wrong = world.run("up", "stack.yaml", "--yes")
    assert (wrong.code, "stack.yaml:1:1" in wrong.err) == (3, True), wrong.err
    missing = carry_out(world)
    assert missing.code == 3
    assert "a stack file is given with -f FILE" in missing.err
    kept = (world.folder / "stack.yaml").read_text()
    assert world.run("plan", "--out", "stack.yaml").code == 1
    assert (world.folder / "stack.yaml").read_text() == kept


def by_hand(world: World, helm: Path, sim: ClusterHandle, value: str) -> None:
    environment = {**os.environ, "KUBECONFIG": str(sim.kubeconfig)}
    chart = ["b", str(world.catalog / "b"), "--namespace", f"{world.stack}-b"]
    subprocess.run([str(helm), "upgrade", *chart, "--set", value], env=environment, check=True, capture_output=True)


def carried_out_as_planned(world: World, actions: set[str], *arguments: str) -> None:
    """Saves a plan, looks that it has the actions, carries it out, and finds every operation of it done."""
    planned = world.run("plan", "--out", "x.plan", "--output", "json", *arguments)
    assert planned.code == 0, planned.err
    saved = json.loads((world.folder / "x.plan").read_text())["plan"]["operations"]
    assert actions <= {operation["action"] for operation in saved}, saved
    done = carry_out(world, "--output", "json")
    assert done.code == 0, done.err
    ended = {operation["id"]: operation["status"] for operation in done.json["operations"]}
    assert ended == dict.fromkeys([operation["id"] for operation in saved], "done")
    assert world.run("plan", "--detailed-exitcode").code == 0


def stored_as_pending(api: KubeApi, namespace: str, name: str) -> None:
    """The newest Helm revision of a release, as a helm that died would have left it."""
    secrets = api.list(f"/api/v1/namespaces/{namespace}/secrets", label_selector=f"owner=helm,name={name}")
    newest = max(secrets, key=lambda item: int(item["metadata"]["labels"]["version"]))
    stored = release_secret.decode(newest)
    stored["info"]["status"] = newest["metadata"]["labels"]["status"] = "pending-upgrade"
    body = {**newest, "data": {"release": release_secret.encode(stored)}}
    api.replace(f"/api/v1/namespaces/{namespace}/secrets/{newest['metadata']['name']}", body)


def test_every_kind_of_operation_is_carried_out_as_planned(
    world: World, api: KubeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Install, upgrade, recreate, restart for a Secret, remove, keep, repair, recover: file and run agree."""
    monkeypatch.setenv("DB_PASSWORD", "first")
    service = """
        apiVersion: v1
        kind: Service
        metadata: {name: svc}
        spec: {clusterIP: {{ .Values.address | quote }}, selector: {a: b}, ports: [{port: 80}]}
    """
    password = "[{name: PASSWORD, valueFrom: {secretKeyRef: {name: db, key: password}}}]"
    read = DEPLOYMENT.rstrip() + f"\n          env: {password}\n"
    world.component("a", templates={"d.yaml": read, "c.yaml": CONFIGMAP})
    world.component("b", templates={"c.yaml": CONFIGMAP}, needs=["a"], crds=[CRD])
    world.component("c", templates={"c.yaml": CONFIGMAP})
    world.component("s", templates={"s.yaml": service}, values={"address": ""})
    document: dict[str, Any] = {
        "apiVersion": "sparkrig.dev/v1",
        "kind": "Stack",
        "metadata": {"name": world.stack},
        "secrets": {"db": {"data": {"password": {"fromEnv": "DB_PASSWORD"}}, "components": ["a"]}},
        "components": {"s": {"immutable": "recreate"}},
    }

    def write() -> None:
        world.write_stack(json.dumps(document))

    write()
    carried_out_as_planned(world, {"namespace", "crds", "secrets", "install", "wait"})
    monkeypatch.setenv("DB_PASSWORD", "second")
    document["components"]["s"]["values"] = {"address": "None"}
    document["components"]["b"] = {"enabled": False}
    document["components"]["c"] = {"enabled": False}
    write()
    planned = world.run("plan", "--out", "x.plan", "--keep", "c")
    saved = json.loads((world.folder / "x.plan").read_text())["plan"]["operations"]
    assert planned.code == 0
    (upgrade,) = (operation for operation in saved if operation["id"] == "upgrade/s")
    assert len(upgrade["recreated"]) == 1, "what is made anew stands in the plan that is reviewed"
    # Another content than the one that was planned is another change.
    monkeypatch.setenv("DB_PASSWORD", "third")
    refused(carry_out(world), "content of secret db: changed")
    carried_out_as_planned(world, {"secrets", "roll", "upgrade", "uninstall", "keep"}, "--keep", "c")
    api.delete(f"/api/v1/namespaces/{world.stack}-a/configmaps/a")
    carried_out_as_planned(world, {"repair"}, "--repair")
    stored_as_pending(api, f"{world.stack}-a", "a")
    carried_out_as_planned(world, {"recover", "upgrade"})
    del document["components"]["c"]
    write()
    carried_out_as_planned(world, {"claim"})
