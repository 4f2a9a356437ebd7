"""The roles that docs/preflight.md prints suffice for a stack of one namespace; without Secrets it is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.conftest import NewSim
from tests.mini import CONFIGMAP, DEPLOYMENT, World

from sparkrig.kube.client import KubeApi
from sparkrig.preflight.rights import OWN

pytestmark = pytest.mark.cluster
RBAC = "rbac.authorization.k8s.io"


def roles() -> list[dict[str, Any]]:
    page = (Path(__file__).parents[2] / "docs" / "preflight.md").read_text(encoding="utf-8")
    text = page.partition("## Rights\n")[2].partition("```yaml\n")[2].partition("```")[0]
    return list(yaml.safe_load_all(text))


def test_the_page_has_what_sparkrig_itself_needs() -> None:
    wanted: dict[tuple[str, str, str], set[str]] = {}
    for namespace, group, resources, verbs in OWN:
        for resource in resources:
            wanted.setdefault((namespace, group, resource), set()).update(verbs)
    for namespace, group, resource in wanted:
        if namespace:  # what holds in the whole cluster is not said again
            wanted[namespace, group, resource] -= wanted.get(("", group, resource), set())
    there = {
        (role["metadata"].get("namespace", ""), rule["apiGroups"][0], resource): set(rule["verbs"])
        for role in roles()
        for rule in role["rules"]
        for resource in rule["resources"]
    }
    assert there == wanted


@pytest.fixture
def narrow(fresh_sim: NewSim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[World, Callable[[str], None]]:
    """A user with nothing but the namespace ``lab``, and how to give him the roles but for one resource."""
    handle = fresh_sim()
    api = KubeApi(handle)
    assert handle.kubeconfig is not None
    config = yaml.safe_load(handle.kubeconfig.read_text())
    config["users"][0]["user"]["as"] = "narrow"
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    for name in ("lab", "sparkrig-system"):
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def bind(role: str, kind: str, name: str, namespace: str = "") -> None:
        place = {"namespace": namespace} if namespace else {}
        subject = {"apiGroup": RBAC, "kind": "User", "name": "narrow"}
        reference = {"apiGroup": RBAC, "kind": role, "name": name}
        metadata = {"name": f"narrow-{name}", **place}
        api.apply({"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": metadata, "roleRef": reference,
                   "subjects": [subject]})  # fmt: skip

    def give(without: str) -> None:
        for role in roles():
            left = [rule for rule in role["rules"] if without not in rule["resources"]]
            api.apply({**role, "rules": left})
            place = role["metadata"].get("namespace", "")
            bind(role["kind"], "RoleBinding" if place else "ClusterRoleBinding", "sparkrig", place)

    bind("ClusterRole", "RoleBinding", "admin", "lab")
    world = World(tmp_path, f"context:{config['current-context']}", stack="lab")
    world.component("a", templates={"c.yaml": CONFIGMAP, "d.yaml": DEPLOYMENT}, namespace="lab")
    world.write_stack()
    return world, give


def test_they_suffice_for_a_stack_of_one_namespace(narrow: tuple[World, Callable[[str], None]]) -> None:
    world, give = narrow
    give("secrets")
    refused = world.up()
    assert refused.code == 4, refused
    assert "secrets" in refused.err
    give("nothing")
    done = world.up()
    assert done.code == 0, done.err + done.out
    assert world.run("status").code == 0
    changed = world.up("--set", "a.text=other")
    assert changed.code == 0, changed.err + changed.out
    back = world.run("rollback", "1", "--yes")
    assert back.code == 0, back.err
    gone = world.run("down", "--yes")
    assert gone.code == 0, gone.err
