"""The stack changes as one: rollback, automatic return, what is removed and comes back, pruning."""

from __future__ import annotations

from typing import Any

import pytest
from tests.mini import CONFIGMAP, DEPLOYMENT, World

from sparkrig.helm.storage.releases import list_revisions
from sparkrig.kube.client import KubeApi

SERVER_FIELDS = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation")
BREAKABLE = DEPLOYMENT.replace(
    "replicas: {{ .Values.replicas }}",
    "replicas: {{ if .Values.broken }}many{{ else }}{{ .Values.replicas }}{{ end }}",
)
VALUES = {"replicas": 1, "tag": "1", "text": "hello", "broken": False}


def specs(api: KubeApi, world: World) -> dict[str, Any]:
    """Every Deployment and ConfigMap of the stack as a person wrote it: metadata of the server's aside."""
    found = {}
    for path in ("/apis/apps/v1/deployments", "/api/v1/configmaps"):
        for item in api.list(path):
            metadata = item["metadata"]
            if not metadata["namespace"].startswith(f"{world.stack}-") or metadata["name"] == "kube-root-ca.crt":
                continue
            key = f"{item['kind']} {metadata['namespace']}/{metadata['name']}"
            annotations = dict(metadata.get("annotations") or {})
            annotations.pop("deployment.kubernetes.io/revision", None)
            found[key] = (item.get("spec"), item.get("data"), metadata.get("labels"), annotations)
    return found


def history(world: World) -> list[tuple[int, str]]:
    return [(r["number"], r["status"]) for r in world.run("history", "--output", "json").json["revisions"]]


def test_rollback_brings_every_object_back_and_is_a_revision_itself(world: World, api: KubeApi) -> None:
    world.component("a", templates={"d.yaml": DEPLOYMENT, "c.yaml": CONFIGMAP})
    world.component("b", needs=["a"])
    world.write_stack()
    assert world.up().code == 0
    before = specs(api, world)
    world.component("a", version="1.1.0")
    world.component("c", templates={"c.yaml": CONFIGMAP})
    world.write_stack(b={"values": {"replicas": 3, "tag": "2"}})
    assert world.up("--message", "a and b newer, c new").code == 0
    assert specs(api, world) != before
    done = world.run("rollback", "--yes")
    assert done.code == 0, done.err + done.out
    assert "1.1.0 -> 1.0.0" in done.err
    assert specs(api, world) == before
    assert history(world) == [(3, "deployed"), (2, "superseded"), (1, "superseded")]
    # The restored revision is what the next run compares with.
    world.component("a", templates={"d.yaml": DEPLOYMENT, "c.yaml": CONFIGMAP})
    world.write_stack(c={"enabled": False})
    assert world.run("plan", "--detailed-exitcode").code == 0
    # And forward again, by number.
    assert world.run("rollback", "2", "--yes").code == 0
    assert specs(api, world) != before
    assert history(world)[0] == (4, "deployed")


def test_a_removed_component_comes_back(world: World, api: KubeApi) -> None:
    world.component("a", templates={"d.yaml": DEPLOYMENT, "c.yaml": CONFIGMAP})
    world.component("b")
    world.write_stack()
    assert world.up().code == 0
    before = specs(api, world)
    world.write_stack(a={"enabled": False})
    assert world.up().code == 0
    assert len(specs(api, world)) == 1
    assert world.run("rollback", "1", "--yes").code == 0
    assert specs(api, world) == before
    assert world.run("down", "--yes").code == 0
    assert specs(api, world) == {}
    restored = world.run("rollback", "3", "--yes")
    assert restored.code == 0, restored.err
    assert specs(api, world) == before


def test_the_fifth_of_six_upgrades_fails_and_all_return(world: World, api: KubeApi) -> None:
    names = [f"r{number}" for number in range(6)]
    for number, name in enumerate(names):
        needs = [names[number - 1]] if number else []
        world.component(name, templates={"d.yaml": BREAKABLE, "c.yaml": CONFIGMAP}, values=VALUES, needs=needs)
    world.write_stack()
    assert world.up().code == 0
    before = specs(api, world)
    changed = {name: {"values": {"tag": "2", "text": "bye", "replicas": 2}} for name in names}
    changed["r4"]["values"]["broken"] = True
    world.write_stack(**changed)
    failed = world.up()
    assert failed.code == 6, failed.err + failed.out
    assert "restored revision 1" in failed.out
    assert specs(api, world) == before
    assert history(world) == [(2, "rolled-back"), (1, "deployed")]
    assert world.run("status").code == 0
    del changed["r4"]["values"]["broken"]
    world.write_stack(**changed)
    assert world.up().code == 0
    assert history(world)[0] == (3, "deployed")


def test_what_the_failed_revision_deleted_and_added_is_undone(world: World, api: KubeApi) -> None:
    world.component("gone", templates={"c.yaml": CONFIGMAP})
    world.component("bad", templates={"d.yaml": BREAKABLE, "c.yaml": CONFIGMAP}, values=VALUES)
    world.write_stack()
    assert world.up().code == 0
    before = specs(api, world)
    world.component("fresh", templates={"c.yaml": CONFIGMAP})
    # The upgrade of "bad" drops its ConfigMap, then fails.
    world.component("bad", templates={"d.yaml": BREAKABLE}, values=VALUES, uses=["fresh"], version="2.0.0")
    world.write_stack(gone={"enabled": False}, bad={"values": {"broken": True}})
    failed = world.up()
    assert failed.code == 6, failed.err + failed.out
    assert specs(api, world) == before
    releases = {secret.release for secret in list_revisions(api, world.stack)}
    assert "fresh" not in releases


@pytest.mark.parametrize(("policy", "left"), [("stop", "1"), ("continue", "2")])
def test_on_failure_stop_and_continue(world: World, api: KubeApi, policy: str, left: str) -> None:
    world.component("bad", templates={"d.yaml": BREAKABLE}, values=VALUES)
    world.component("after", needs=["bad"])
    world.component("free", uses=["slow"])
    world.component("slow", uses=["slower"])
    world.component("slower")
    world.write_stack()
    assert world.up().code == 0
    changed = {"values": {"tag": "2"}}
    world.write_stack(bad={"values": {"broken": True}}, after=changed, free=changed, slow=changed, slower=changed)
    failed = world.up("--on-failure", policy)
    assert failed.code == 1
    assert f"--on-failure {policy}" in failed.out
    deployment = api.get(f"/apis/apps/v1/namespaces/{world.stack}-free/deployments/free")
    assert deployment is not None
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image.endswith(f":{left}"), failed.err
    assert history(world)[0] == (2, "failed")


def test_a_forward_only_component_stops_and_says_what_to_decide(world: World) -> None:
    world.component("db", templates={"d.yaml": BREAKABLE}, values=VALUES, rollback="forward-only")
    world.write_stack()
    assert world.up().code == 0
    world.write_stack(db={"values": {"broken": True}})
    failed = world.up()
    assert failed.code == 1
    assert "db cannot go back by itself" in failed.out
    assert history(world)[0] == (2, "failed")


def test_a_workload_scaled_by_hand_does_not_block_the_return(world: World, api: KubeApi) -> None:
    world.component("a", templates={"d.yaml": BREAKABLE}, values=VALUES)
    world.component("b", templates={"d.yaml": BREAKABLE}, values=VALUES, needs=["a"])
    world.write_stack()
    assert world.up().code == 0
    world.write_stack(a={"values": {"tag": "2"}}, b={"values": {"broken": True}})
    path = f"/apis/apps/v1/namespaces/{world.stack}-a/deployments/a"
    api.request(
        "PATCH",
        f"{path}/scale",
        body={"spec": {"replicas": 4}},
        params={"fieldManager": "kubectl"},
        content_type="application/merge-patch+json",
    )
    failed = world.up("--accept", "conflict")
    # Whether the upgrade of a meets the conflict or that of b its own fault: the way back works.
    assert failed.code == 6, failed.err + failed.out
    deployment = api.get(path)
    assert deployment is not None
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":1")


def test_history_and_helm_are_pruned_together(world: World, api: KubeApi) -> None:
    world.component("a", templates={"c.yaml": CONFIGMAP})
    world.component("b", templates={"c.yaml": CONFIGMAP})
    world.write_stack()
    assert world.up().code == 0
    for number in range(5):
        off = {"enabled": False} if number == 0 else {"values": {"text": f"b{number}"}}
        world.write_stack(a={"values": {"text": str(number)}}, b=off)
        assert world.up("--history-max", "3").code == 0
    assert history(world) == [(6, "deployed"), (5, "superseded"), (4, "superseded")]
    numbers = sorted(s.revision for s in list_revisions(api, world.stack) if s.release == "a")
    assert numbers[0] >= 3
    for revision in (5, 4):
        done = world.run("rollback", str(revision), "--yes", "--history-max", "10")
        assert done.code == 0, done.err
        config = api.get(f"/api/v1/namespaces/{world.stack}-a/configmaps/a")
        assert config is not None
        assert config["data"]["text"] == str(revision - 2)
    assert world.run("rollback", "1", "--yes").code == 3


def test_a_release_with_many_revisions_comes_back_after_a_down(world: World, api: KubeApi) -> None:
    """From ten revisions on, helm takes the last one by name (v9) for the newest."""
    world.component("a", templates={"c.yaml": CONFIGMAP})
    for number in range(11):
        world.write_stack(a={"values": {"text": str(number)}})
        assert world.up("--history-max", "20").code == 0
    assert world.run("down", "--yes").code == 0
    done = world.up()
    assert done.code == 0, done.err + done.out
    assert world.run("down", "--yes").code == 0
    assert world.run("rollback", "11", "--yes").code == 0
    config = api.get(f"/api/v1/namespaces/{world.stack}-a/configmaps/a")
    assert config is not None
    assert config["data"]["text"] == "10"


def test_a_purged_release_is_gone_when_no_revision_needs_it(world: World, api: KubeApi) -> None:
    world.component("a", templates={"c.yaml": CONFIGMAP})
    world.component("b", templates={"c.yaml": CONFIGMAP})
    world.write_stack()
    assert world.up().code == 0
    world.write_stack(b={"enabled": False})
    assert world.up().code == 0
    assert {s.release for s in list_revisions(api, world.stack)} == {"a", "b"}
    world.write_stack(b={"enabled": False}, a={"values": {"text": "x"}})
    assert world.up("--history-max", "1").code == 0
    assert {s.release for s in list_revisions(api, world.stack)} == {"a"}
