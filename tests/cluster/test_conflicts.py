"""Fields that somebody else owns: found before anything is written, refused or taken, no obstacle on the way back."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.mini import DEPLOYMENT, World

from sparkrig.kube.client import KubeApi

pytestmark = pytest.mark.cluster

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


def path(world: World, name: str) -> str:
    return f"/apis/apps/v1/namespaces/{world.stack}-{name}/deployments/{name}"


def scale(api: KubeApi, world: World, name: str, replicas: int) -> None:
    """What kubectl scale does."""
    api.request(
        "PATCH",
        f"{path(world, name)}/scale",
        body={"spec": {"replicas": replicas}},
        params={"fieldManager": "kubectl"},
        content_type=MERGE,
    )


def set_image(api: KubeApi, world: World, name: str, image: str) -> None:
    """What kubectl set image does."""
    body = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}}
    api.request("PATCH", path(world, name), body=body, params={"fieldManager": "kubectl-set"}, content_type=STRATEGIC)


def live(api: KubeApi, world: World, name: str) -> dict[str, Any]:
    found = api.get(path(world, name))
    assert found is not None
    return found


def revisions(world: World) -> list[int]:
    return [r["number"] for r in world.run("history", "--output", "json").json["revisions"]]


def two_with_conflicts(world: World, api: KubeApi) -> None:
    for name in "abc":
        world.component(name)
    world.write_stack()
    assert world.up().code == 0
    scale(api, world, "a", 3)
    set_image(api, world, "b", "registry.example.org/b:hot-fix")
    changed = {"values": {"replicas": 2, "tag": "2"}}
    world.write_stack(a=changed, b=changed, c=changed)


def test_every_conflict_is_named_at_once_and_nothing_is_written(world: World, api: KubeApi) -> None:
    two_with_conflicts(world, api)
    before = [live(api, world, name)["spec"] for name in "abc"]
    refused = world.run("up", "--yes", "--output", "json")
    assert refused.code == 4, refused.out + refused.err
    said = refused.json["detail"]
    assert len(said) == 2
    place = f"{world.stack}-a/a"
    assert (
        f"[conflict] a: Deployment {place}: spec.replicas is 3, set by kubectl (scale); the chart says 2\n" in said[0]
    )
    assert "next: let the stack file say what is there, or take it back: components.a.conflicts: take" in said[0]
    image = "spec.template.spec.containers[main].image is registry.example.org/b:hot-fix, set by kubectl-set since 20"
    assert f"[conflict] b: Deployment {world.stack}-b/b: {image}" in said[1]
    assert "; the chart says registry.example.org/b:2\n" in said[1]
    assert revisions(world) == [1]
    assert [live(api, world, name)["spec"] for name in "abc"] == before


def test_the_plan_shows_them_and_writes_nothing(world: World, api: KubeApi) -> None:
    two_with_conflicts(world, api)
    before = live(api, world, "a")["spec"]
    shown = world.run("plan")
    assert shown.code == 0, shown.err
    assert "! conflict: Deployment" in shown.out
    assert "spec.replicas is 3, set by kubectl (scale)" in " ".join(shown.out.split())
    assert live(api, world, "a")["spec"] == before


def test_drift_is_shown_beside_the_plan_and_the_status(world: World, api: KubeApi) -> None:
    world.component("a")
    world.write_stack()
    first = world.run("plan", "--drift", "--output", "json")
    assert first.json["drift"] is None
    assert world.up().code == 0
    scale(api, world, "a", 3)
    for command in ("plan", "status"):
        shown = world.run(command, "--drift")
        assert shown.code == 0, shown.err
        assert f"Deployment {world.stack}-a/a" in shown.out
        assert "kubectl (scale)" in shown.out
        found = world.run(command, "--drift", "--output", "json").json["drift"]
        (drifted,) = found["components"][0]["objects"]
        assert [(field["path"], field["before"], field["after"]) for field in drifted["fields"]] == [
            ("spec.replicas", 1, 3)
        ]
        assert "drift" not in world.run(command, "--output", "json").json


def test_take_takes_the_field_back_of_that_component_alone(world: World, api: KubeApi) -> None:
    two_with_conflicts(world, api)
    changed = {"values": {"replicas": 2, "tag": "2"}}
    world.write_stack(a={**changed, "conflicts": "take"}, b=changed, c=changed)
    refused = world.run("up", "--yes", "--output", "json")
    assert refused.code == 4
    assert ["[conflict] b" in line for line in refused.json["detail"]] == [True]
    taking = {**changed, "conflicts": "take"}
    world.write_stack(a=taking, b=taking, c=changed)
    shown = world.run("plan")
    assert "takes back Deployment" in shown.out
    done = world.up()
    assert done.code == 0, done.err
    assert live(api, world, "a")["spec"]["replicas"] == 2
    assert live(api, world, "b")["spec"]["template"]["spec"]["containers"][0]["image"].endswith("/b:2")
    managers = {
        entry["manager"] for entry in live(api, world, "a")["metadata"]["managedFields"] if "scale" in str(entry)
    }
    assert "kubectl" not in managers, "the field has one owner again"


def test_a_value_that_is_what_they_set_is_no_conflict(world: World, api: KubeApi) -> None:
    world.component("a")
    world.write_stack()
    assert world.up().code == 0
    scale(api, world, "a", 3)
    world.write_stack(a={"values": {"replicas": 3, "tag": "2"}})
    done = world.up()
    assert done.code == 0, done.err


def test_a_policy_alone_changes_nothing(world: World) -> None:
    world.component("a")
    world.write_stack()
    assert world.up().code == 0
    world.write_stack(a={"conflicts": "take", "immutable": "recreate"})
    assert world.run("plan", "--detailed-exitcode").code == 0
    world.write_stack(a={"conflicts": "keep"})
    assert world.run("plan").code == 3


def test_a_rollback_takes_fields_back(world: World, api: KubeApi) -> None:
    world.component("a")
    world.write_stack()
    assert world.up().code == 0
    world.write_stack(a={"values": {"replicas": 2, "tag": "2"}})
    assert world.up().code == 0
    scale(api, world, "a", 5)
    set_image(api, world, "a", "registry.example.org/a:hot-fix")
    done = world.run("rollback", "--yes")
    assert done.code == 0, done.err + done.out
    assert live(api, world, "a")["spec"]["replicas"] == 1
    assert live(api, world, "a")["spec"]["template"]["spec"]["containers"][0]["image"].endswith("/a:1")


def test_a_secret_is_not_shown(world: World, api: KubeApi) -> None:
    secret = """
    apiVersion: v1
    kind: Secret
    metadata: {name: {{ .Release.Name }}}
    data: {password: {{ .Values.password | b64enc }}}
    """
    world.component("a", templates={"s.yaml": secret}, values={"password": "f1rst"})
    world.write_stack()
    assert world.up().code == 0
    place = f"/api/v1/namespaces/{world.stack}-a/secrets/a"
    theirs = {"data": {"password": base64.b64encode(b"pl4nted").decode()}}
    api.request("PATCH", place, body=theirs, params={"fieldManager": "somebody"}, content_type=MERGE)
    world.write_stack(a={"values": {"password": "s3cond"}})
    refused = world.run("up", "--yes", "--output", "json")
    assert refused.code == 4, refused.err
    assert "data.password is <masked, changed>, set by somebody" in refused.json["detail"][0]
    shown = world.run("plan")
    for hidden in (b"pl4nted", b"s3cond"):
        for text in (hidden.decode(), base64.b64encode(hidden).decode()):
            assert text not in refused.out + refused.err + shown.out + shown.err


def test_a_release_that_helm_patches_itself_has_no_conflicts(world: World, api: KubeApi, helm: Path) -> None:
    """A release of Helm 3's days stays with client-side apply, which overwrites what it meets."""
    world.component("a", templates={"d.yaml": DEPLOYMENT})
    world.write_stack()
    assert api.handle.kubeconfig is not None
    labels = f"sparkrig.dev/stack={world.stack},sparkrig.dev/component=a"
    command = [str(helm), "upgrade", "--install", "a", str(world.catalog / "a"), "--server-side=false"]
    command += ["--kubeconfig", str(api.handle.kubeconfig), "-n", f"{world.stack}-a", "--create-namespace"]
    done = subprocess.run([*command, "--labels", labels], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    scale(api, world, "a", 3)
    up = world.up()
    assert up.code == 0, up.err


def test_a_field_that_a_manifest_in_history_lacks_falls_back_to_the_default(world: World, api: KubeApi) -> None:
    """Why no policy keeps others' values by leaving fields out of the manifest (docs/adr/0012)."""
    left_out = DEPLOYMENT.replace("  replicas: {{ .Values.replicas }}\n", "")
    world.component("a")
    world.write_stack()
    assert world.up().code == 0
    scale(api, world, "a", 5)
    # What a post-renderer would store that drops the fields of others. The upgrade itself keeps the value.
    world.component("a", templates={"deployment.yaml": left_out}, version="1.1.0")
    assert world.up().code == 0
    assert live(api, world, "a")["spec"]["replicas"] == 5
    # The autoscaler goes; Helm gets the field back with what is there now, or anything else.
    world.component("a", version="1.2.0")
    world.write_stack(a={"values": {"replicas": 4}, "conflicts": "take"})
    assert world.up().code == 0
    assert live(api, world, "a")["spec"]["replicas"] == 4
    done = world.run("rollback", "2", "--yes")
    assert done.code == 0, done.err
    assert live(api, world, "a")["spec"]["replicas"] == 1, "five when it was recorded, four when it was left, one now"
