"""up, plan, status, down against a real API server, through the real command line."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

from tests.mini import CONFIGMAP, DEPLOYMENT, World

from sparkrig.kube.client import KubeApi

CRD = {
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
WIDGET = """
apiVersion: mini.example.org/v1
kind: Widget
metadata: {name: {{ .Release.Name }}}
spec: {size: 1}
"""


def test_a_stack_comes_up_once_and_then_there_is_nothing_to_do(world: World) -> None:
    world.component("a", crds=[CRD], provides=["crd:widgets.mini.example.org"])
    world.component("b", templates={"w.yaml": WIDGET, "d.yaml": DEPLOYMENT}, needs=["a"])
    world.component("c", templates={"c.yaml": CONFIGMAP}, uses=["b"])
    world.write_stack()
    first = world.up()
    assert first.code == 0, first.err
    assert "3 components ready" in first.out
    lines = first.err.splitlines()

    def first_line(*words: str) -> int:
        return next(i for i, line in enumerate(lines) if all(word in line for word in words))

    # Each begins once the one before it is ready; that it stays so is watched meanwhile.
    for before, after in ("ab", "bc"):
        assert first_line(f"… {before} ", "installing") < first_line(f"… {after} ", "installing")
    assert all(first_line(f"✓ {name} ", "ready after") for name in "abc")
    again = world.up("--output", "json")
    assert again.code == 0
    assert again.json["operations"] == []
    assert world.run("plan", "--detailed-exitcode").code == 0
    status = world.run("status", "--output", "json")
    assert status.code == 0
    assert [c["component"] for c in status.json["components"]] == ["a", "b", "c"]
    widget = next(c for c in status.json["components"] if c["component"] == "b")
    assert widget["notJudged"] == 1  # a custom resource without a rule


def test_a_change_upgrades_what_it_touches_and_nothing_else(world: World) -> None:
    world.component("a")
    world.component("b")
    world.write_stack()
    assert world.up().code == 0
    changed = world.run("plan", "--set", "b.replicas=2", "--detailed-exitcode", "--output", "json")
    assert changed.code == 2
    assert [o["id"] for o in changed.json["operations"]] == ["upgrade/b", "wait/b"]
    assert world.up("--set", "b.replicas=2").code == 0
    history = world.run("history", "--output", "json").json["revisions"]
    assert [(r["number"], r["status"]) for r in history] == [(2, "deployed"), (1, "superseded")]


def test_what_was_deleted_by_hand_is_reported_and_repaired(world: World, api: KubeApi) -> None:
    world.component("a")
    world.write_stack()
    assert world.up().code == 0
    path = f"/apis/apps/v1/namespaces/{world.stack}-a/deployments/a"
    api.delete(path, propagation="Foreground")
    found = world.up()
    assert found.code == 1
    assert f"Deployment {world.stack}-a/a" in found.err
    assert "sparkrig up --repair" in found.err
    assert world.run("status").code == 1
    assert world.up("--repair").code == 0
    assert api.get(path) is not None


def test_switching_off_removes_and_dependents_must_follow(world: World, api: KubeApi) -> None:
    world.component("a")
    world.component("b", needs=["a"])
    world.write_stack()
    assert world.up().code == 0
    world.write_stack(a={"enabled": False})
    refused = world.up()
    assert refused.code == 3
    assert "b needs a" in refused.err
    world.write_stack(a={"enabled": False}, b={"enabled": False})
    assert world.up().code == 0
    for name in "ab":
        assert api.get(f"/apis/apps/v1/namespaces/{world.stack}-{name}/deployments/{name}", missing_ok=True) is None


def test_down_keeps_what_holds_data(world: World, api: KubeApi) -> None:
    kept = """
    apiVersion: v1
    kind: Namespace
    metadata: {name: "{{ .Release.Namespace }}-jobs", annotations: {helm.sh/resource-policy: keep}}
    """
    world.component("a", templates={"n.yaml": kept, "d.yaml": DEPLOYMENT}, keep=["Namespace"], crds=[CRD])
    world.write_stack()
    assert world.up().code == 0
    done = world.run("down", "--yes")
    assert done.code == 0
    assert "keeps Namespace" in done.err
    assert "CRDs" in done.err
    assert api.get(f"/apis/apps/v1/namespaces/{world.stack}-a/deployments/a", missing_ok=True) is None
    assert api.get(f"/api/v1/namespaces/{world.stack}-a-jobs") is not None
    assert api.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.mini.example.org") is not None
    assert world.run("down", "--yes").code == 0


def test_data_without_the_keep_annotation_is_not_deleted(world: World, api: KubeApi) -> None:
    claim = """
    apiVersion: v1
    kind: PersistentVolumeClaim
    metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
    """
    world.component("a", templates={"p.yaml": claim}, keep=["PersistentVolumeClaim"])
    world.write_stack()
    assert world.up().code == 0
    refused = world.run("down", "--yes")
    assert refused.code == 1
    assert "holds data that uninstalling would delete" in refused.out + refused.err
    assert api.get(f"/api/v1/namespaces/{world.stack}-a/persistentvolumeclaims/data") is not None


def test_releases_of_others_are_refused_before_anything_is_written(world: World, api: KubeApi, helm: Path) -> None:
    world.component("a")
    world.component("b")
    world.write_stack()
    assert world.up().code == 0
    other = World(world.folder, world.target, stack="other")
    other.write_stack()
    refused = other.run("up", "--yes")
    assert refused.code == 4
    assert f"release {world.stack}-a/a, wanted for a, belongs to stack {world.stack}" in refused.err
    assert f"release {world.stack}-b/b, wanted for b, belongs to stack {world.stack}" in refused.err
    written = [item["metadata"]["name"] for item in api.list("/api/v1/secrets", metadata_only=True)]
    assert [name for name in written if name.startswith("sparkrig.other")] == []
    world.write_stack()


def test_a_failed_first_install_stops_says_why_and_is_mended_by_the_next(world: World) -> None:
    broken = DEPLOYMENT.replace("replicas: {{ .Values.replicas }}", "replicas: {{ .Values.replicas | quote }}")
    world.component("a")
    world.component("b", templates={"d.yaml": broken}, needs=["a"])
    world.component("c", needs=["b"])
    world.write_stack()
    failed = world.up()
    assert failed.code == 1
    assert "replicas" in failed.out
    history = world.run("history", "--output", "json").json["revisions"]
    assert history[0]["status"] == "failed"
    world.component("b", needs=["a"])
    mended = world.up()
    assert mended.code == 0, mended.err + mended.out
    assert world.run("status").code == 0


def test_ctrl_c_stops_in_order_and_the_next_run_picks_up(world: World) -> None:
    never = """
    apiVersion: v1
    kind: PersistentVolumeClaim
    metadata: {name: never}
    spec: {storageClassName: none, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
    """
    world.component("a")
    world.component("b", templates={"p.yaml": never}, needs=["a"])
    world.component("c", needs=["b"])
    world.write_stack()
    process = world.start("up", "--yes", "--accept", "storage-class", "--on", world.target)
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if "never" in line and "waiting" in line:
            break
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - started < 10
    assert process.returncode == 130, "".join(seen) + err + out
    assert re.search(r"not finished +b, c", out)
    world.component("b", needs=["a"])
    mended = world.up()
    assert mended.code == 0, mended.out + mended.err


def test_nobody_is_asked_without_a_terminal(world: World, api: KubeApi) -> None:
    world.component("a")
    world.write_stack()
    done = world.run("up")
    assert done.code == 64
    assert "--yes" in done.err
    assert api.get(f"/api/v1/namespaces/{world.stack}-a", missing_ok=True) is None


def test_a_component_is_a_folder_and_nothing_else(world: World, tmp_path: Path) -> None:
    world.component("a")
    world.write_stack()
    extra = World(tmp_path / "more", world.target, stack=world.stack)
    extra.component("extra", needs=["a"], templates={"c.yaml": CONFIGMAP})
    done = world.up("--catalog", str(extra.catalog))
    assert done.code == 0, done.err
    assert "2 components ready" in done.out


def test_render_is_what_up_installs(world: World, api: KubeApi) -> None:
    world.component("a", templates={"d.yaml": DEPLOYMENT, "c.yaml": CONFIGMAP})
    world.write_stack()
    rendered = world.run("render", "--output", "json").json["components"][0]["objects"]
    assert world.up().code == 0
    for item in rendered:
        group, _, version = item["apiVersion"].rpartition("/")
        prefix = f"/apis/{group}/{version}" if group else f"/api/{version}"
        live = api.get(f"{prefix}/namespaces/{world.stack}-a/{item['kind'].lower()}s/{item['metadata']['name']}")
        assert live is not None
        for key, value in item.get("data", {}).items():
            assert live["data"][key] == value
