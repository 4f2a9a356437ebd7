"""`up --keep`: a component leaves the stack and stays in the cluster, untouched; and comes back."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.test_secrets import READER
from tests.mini import CONFIGMAP, DEPLOYMENT, World

from sparkrig.defaults import LABEL_FORMER, LABEL_STACK
from sparkrig.helm.storage.releases import list_releases
from sparkrig.kube.client import KubeApi
from sparkrig.models.cluster import ClusterHandle


@pytest.fixture
def stack(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """``app`` reads a Secret of the stack, and so does ``reader`` in a namespace that both share."""
    monkeypatch.setenv("NGC_API_KEY", "a-key")
    world.component("app", templates={"d.yaml": READER}, values={"tag": "1"})
    reader = READER.replace("name: other", "name: third").replace("app: other", "app: third")
    world.component("reader", templates={"d.yaml": reader}, values={"tag": "1"}, namespace=f"{world.stack}-app")
    world.component("web", templates={"d.yaml": DEPLOYMENT, "c.yaml": CONFIGMAP}, uses=["app"])
    write(world)
    assert world.up().code == 0
    return world


def write(world: World, *off: str, **values: Any) -> None:
    """The stack without the components in ``off``."""
    entries = {name: {"enabled": False} for name in off}
    entries |= {name: {"values": given} for name, given in values.items()}
    readers = [name for name in ("app", "reader") if name not in off]
    db = {"data": {"password": {"fromEnv": "NGC_API_KEY"}}, "components": readers}
    pull = {"registry": "nvcr.io", "username": "$oauthtoken", "password": {"fromEnv": "NGC_API_KEY"}}
    document = {
        "apiVersion": "sparkrig.dev/v1",
        "kind": "Stack",
        "metadata": {"name": world.stack},
        "global": {"imagePullSecrets": ["ngc"]},
        "secrets": {"ngc": {"dockerconfigjson": pull}, **({"db": db} if readers else {})},
        "components": entries,
    }
    world.write_stack(yaml.safe_dump(document, sort_keys=False))


def held(api: KubeApi, world: World) -> dict[str, tuple[str, Any, Any]]:
    """What is in the kept component's namespace: identity, content, and version of what nobody may write."""
    found = {}
    space = f"{world.stack}-app"
    for path in (f"/apis/apps/v1/namespaces/{space}/deployments", f"/api/v1/namespaces/{space}/secrets"):
        for item in api.list(path):
            name = f"{item['kind']} {item['metadata']['name']}"
            if not name.startswith("Secret sh.helm"):
                found[name] = (item["metadata"]["uid"], item.get("data"), item.get("spec"))
    return found


def owner(api: KubeApi, world: World, name: str) -> tuple[str | None, str | None]:
    found = list_releases(api)[f"{world.stack}-app", name]
    return found.stack, found.former


def by_hand(helm: Path, sim: ClusterHandle, *arguments: str) -> None:
    environment = {**os.environ, "KUBECONFIG": str(sim.kubeconfig)}
    subprocess.run([str(helm), *arguments], env=environment, check=True, capture_output=True)


def statuses(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.run("history", "--output", "json").json["revisions"]
    return found


def test_a_component_that_is_kept_stays_as_it_is_and_belongs_to_nobody(stack: World, api: KubeApi) -> None:
    before = held(api, stack)
    write(stack, "app", "reader")
    planned = stack.run("plan", "--keep", "app", "--keep", "reader", "--output", "json")
    assert planned.code == 0, planned.err
    assert {c["component"]: c["change"] for c in planned.json["changes"]}["app"] == "kept"
    shown = stack.run("plan", "--keep", "app", "--keep", "reader").out
    assert "left in place, no more of this stack" in shown
    assert "2 to leave in place" in shown
    done = stack.up("--keep", "app", "--keep", "reader")
    assert done.code == 0, done.err + done.out
    assert held(api, stack) == before
    assert owner(api, stack, "app") == (None, stack.stack)
    newest, first = statuses(stack)
    assert [r["component"] for r in newest["kept"]] == ["app", "reader"]
    assert newest["summary"] == "app left in place, reader left in place"
    assert [r["component"] for r in newest["releases"]] == ["web"]
    assert first["kept"] == []
    status = stack.run("status", "--output", "json").json
    assert [r["component"] for r in status["kept"]] == ["app", "reader"]
    assert f"left in place, no more of this stack: app 1.0.0 ({stack.stack}-app/app)" in stack.run("status").out
    # Later changes carry it on, and a down leaves it alone, whatever it purges.
    write(stack, "app", "reader", web={"text": "changed"})
    assert stack.up().code == 0
    assert [r["component"] for r in statuses(stack)[0]["kept"]] == ["app", "reader"]
    gone = stack.run("down", "--yes", "--purge", "crds,claims,namespaces")
    assert gone.code == 0, gone.err
    assert held(api, stack) == before
    assert (f"{stack.stack}-web", "web") not in {k for k, r in list_releases(api).items() if r.status == "deployed"}
    assert [r["component"] for r in stack.run("status", "--output", "json").json["kept"]] == ["app", "reader"]


def test_a_secret_that_the_stack_still_needs_goes_over_when_it_does_not_any_more(stack: World, api: KubeApi) -> None:
    before = held(api, stack)
    write(stack, "app")
    assert stack.up("--keep", "app").code == 0
    path = f"/api/v1/namespaces/{stack.stack}-app/secrets/ngc"
    labels = (api.get(path) or {})["metadata"]["labels"]
    assert labels[LABEL_STACK] == stack.stack, "the reader in the same namespace needs it"
    write(stack, "app", "reader")
    done = stack.up()
    assert done.code == 0, done.err
    labels = (api.get(path) or {})["metadata"]["labels"]
    assert (labels.get(LABEL_STACK), labels.get(LABEL_FORMER)) == (None, stack.stack)
    after = held(api, stack)
    reader = {"Deployment reader", "Deployment third"}
    assert after == {name: value for name, value in before.items() if name not in reader}
    assert stack.run("down", "--yes").code == 0
    assert held(api, stack) == after


def test_rollback_takes_it_back(stack: World, api: KubeApi) -> None:
    before = held(api, stack)
    write(stack, "app", "reader")
    assert stack.up("--keep", "app", "--keep", "reader").code == 0
    plan = stack.run("rollback", "1", "--yes")
    assert plan.code == 0, plan.err + plan.out
    assert "taken back as it is" in plan.err
    assert held(api, stack) == before
    assert owner(api, stack, "app") == (stack.stack, None)
    newest = statuses(stack)[0]
    assert newest["kept"] == []
    assert sorted(r["component"] for r in newest["releases"]) == ["app", "reader", "web"]
    # It is the stack's again in everything: nothing to do, and a down removes it.
    write(stack)
    assert stack.run("plan", "--detailed-exitcode").code == 0
    assert stack.run("down", "--yes").code == 0
    assert "Deployment app" not in held(api, stack)


def test_rollback_takes_back_what_a_person_upgraded_meanwhile(
    stack: World, api: KubeApi, helm: Path, sim: ClusterHandle
) -> None:
    """Helm carries the labels on, so that it is still known whose the release was."""
    before = held(api, stack)
    write(stack, "app", "reader")
    assert stack.up("--keep", "app", "--keep", "reader").code == 0
    by_hand(
        helm, sim, "upgrade", "app", str(stack.catalog / "app"), "--set", "tag=9", "--namespace", f"{stack.stack}-app"
    )
    assert held(api, stack) != before
    assert owner(api, stack, "app") == (None, stack.stack)
    done = stack.run("rollback", "1", "--yes")
    assert done.code == 0, done.err + done.out
    assert held(api, stack) == before
    assert owner(api, stack, "app") == (stack.stack, None)


def test_the_stack_file_takes_it_back_too_with_what_changed(stack: World, api: KubeApi) -> None:
    write(stack, "app", "reader")
    assert stack.up("--keep", "app", "--keep", "reader").code == 0
    write(stack, app={"tag": "2"})
    done = stack.up()
    assert done.code == 0, done.err + done.out
    found = api.get(f"/apis/apps/v1/namespaces/{stack.stack}-app/deployments/app")
    assert found is not None
    assert found["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":2")
    assert owner(api, stack, "app") == (stack.stack, None)
    assert owner(api, stack, "reader") == (stack.stack, None)
    assert statuses(stack)[0]["kept"] == []
    assert stack.run("plan", "--detailed-exitcode").code == 0


def test_rollback_says_what_is_somebody_elses_by_now(
    stack: World, api: KubeApi, helm: Path, sim: ClusterHandle
) -> None:
    write(stack, "app", "reader")
    assert stack.up("--keep", "app", "--keep", "reader").code == 0
    space = ["--namespace", f"{stack.stack}-app"]
    by_hand(helm, sim, "uninstall", "app", *space)
    by_hand(helm, sim, "install", "app", str(stack.catalog / "app"), *space)
    before = held(api, stack)
    refused = stack.run("rollback", "1", "--yes")
    assert refused.code == 4, refused.err
    assert f"app: release {stack.stack}-app/app is a person's or another tool's by now" in refused.err
    assert "reader:" not in refused.err
    write(stack)
    refused = stack.up()
    assert refused.code == 4
    assert "belongs to no stack" in refused.err
    assert held(api, stack) == before
    assert [r["component"] for r in stack.run("status", "--output", "json").json["kept"]] == ["reader"]


def test_a_failed_upgrade_gives_nothing_up(stack: World, api: KubeApi) -> None:
    """Giving up comes last: what fails before it has given up nothing."""
    before = held(api, stack)
    write(stack, "app", "reader", web={"replicas": "many"})
    failed = stack.up("--keep", "app", "--keep", "reader")
    assert failed.code == 6, failed.err + failed.out
    assert held(api, stack) == before
    assert owner(api, stack, "app") == (stack.stack, None)
    assert statuses(stack)[0]["kept"] == []


def test_a_taking_back_that_fails_leaves_it_as_it_was(stack: World, api: KubeApi) -> None:
    """The way back from it is to give it up again, and never to uninstall it."""
    before = held(api, stack)
    write(stack, "app", "reader")
    assert stack.up("--keep", "app", "--keep", "reader").code == 0
    write(stack, app={"tag": "2"}, web={"replicas": "many"})
    failed = stack.up()
    assert failed.code == 6, failed.err + failed.out
    assert held(api, stack).keys() == before.keys()
    uids = {name: found[0] for name, found in held(api, stack).items()}
    assert uids == {name: found[0] for name, found in before.items()}
    spec = held(api, stack)["Deployment app"][2]
    assert spec["template"]["spec"]["containers"][0]["image"].endswith(":1")
    assert owner(api, stack, "app") == (None, stack.stack)
    assert owner(api, stack, "reader") == (None, stack.stack)
    assert [r["component"] for r in statuses(stack)[0]["kept"]] == ["app", "reader"]


def test_names_that_cannot_be_kept(stack: World) -> None:
    refused = stack.up("--keep", "app", "--keep", "nothing")
    assert refused.code == 3
    assert "app is in the stack: switch it off in stack.yaml first" in refused.err
    assert "nothing is not installed by stack" in refused.err
    write(stack, "app")
    assert "no more in the stack and still installed: app" in stack.up("--keep", "nothing").err


def test_a_saved_plan_keeps_it_too(stack: World, api: KubeApi) -> None:
    before = held(api, stack)
    write(stack, "app", "reader")
    assert stack.run("plan", "--keep", "app", "--keep", "reader", "--out", "x.plan").code == 0
    done = stack.run("up", "x.plan", "--yes", on=False)
    assert done.code == 0, done.err
    assert held(api, stack) == before
    assert owner(api, stack, "app") == (None, stack.stack)
