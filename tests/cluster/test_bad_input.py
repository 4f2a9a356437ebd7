"""Bad input: each a case with its exact message, its exit code, and nothing written to the cluster."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.mini import CONFIGMAP, World

from sparkrig.kube.client import KubeApi
from sparkrig.models.cluster import ClusterHandle

CASES = Path(__file__).parents[1] / "cases" / "cli" / "bad_input.yaml"


def cases() -> list[Any]:
    return [pytest.param(case, id=case["name"].replace(" ", "-")) for case in yaml.safe_load(CASES.read_text())]


def everything(api: KubeApi) -> set[str]:
    """Names of what a run could have written."""
    paths = ("/api/v1/namespaces", "/api/v1/secrets", "/api/v1/configmaps", "/apis/coordination.k8s.io/v1/leases")
    names = set()
    for path in paths:
        for item in api.list(path, metadata_only=True):
            metadata = item["metadata"]
            if metadata.get("namespace") not in ("kube-node-lease", "kube-system", "default"):
                names.add(f"{path} {metadata.get('namespace')}/{metadata['name']}")
    return {name for name in names if "mini" in name or "sparkrig.mini" in name}


@pytest.mark.parametrize("case", cases())
def test_bad_input(case: dict[str, Any], sim: ClusterHandle, api: KubeApi, tmp_path: Path) -> None:
    world = World(tmp_path, case.get("target", f"sim:{sim.name}"))
    for name in ("base", "web"):
        spec = case.get("components", {}).get(name, {"needs": ["base"]} if name == "web" else {})
        chart = spec.pop("chart", None)
        world.component(name, templates={"c.yaml": CONFIGMAP}, **spec)
        if chart:
            file = world.catalog / name / "component.yaml"
            document = yaml.safe_load(file.read_text())
            file.write_text(yaml.safe_dump({**document, "chart": chart}, sort_keys=False))
            for part in ("Chart.yaml", "templates/c.yaml"):
                (world.catalog / name / part).unlink()
    other = World(tmp_path / "elsewhere", world.target)
    other.component("other", templates={"c.yaml": CONFIGMAP})
    (tmp_path / "mirror").symlink_to(other.catalog)
    if "stack" in case:
        world.write_stack(case["stack"])
    before = everything(api)
    done = world.run(*case["command"])
    assert done.code == case["exit"], done.err
    assert done.out == ""
    assert done.err == case["stderr"]
    assert everything(api) == before


STACK = "apiVersion: sparkrig.dev/v1\nkind: Stack\nmetadata: {name: mini}\n"


def kubeconfig(folder: Path, server: str, **user: str) -> Path:
    path = folder / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "there",
        "contexts": [{"name": "there", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_context_that_is_not_in_the_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, "https://127.0.0.1:1")))
    world = World(tmp_path, "context:ther")
    world.component("web", templates={"c.yaml": CONFIGMAP})
    world.write_stack(STACK)
    done = world.up()
    assert done.code == 3
    assert done.err.startswith("error: there is no context 'ther'")
    assert "there" in done.err.splitlines()[1]


def test_an_unreachable_api_server_is_said_within_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # accepts by its backlog, never answers
        port = deaf.getsockname()[1]
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, f"https://127.0.0.1:{port}")))
        world = World(tmp_path, "context:there")
        world.component("web", templates={"c.yaml": CONFIGMAP})
        world.write_stack(STACK)
        started = time.monotonic()
        done = world.up()
        assert time.monotonic() - started < 9  # five for the answer, the rest for a busy machine's start-up
    assert done.code == 4
    assert done.err.startswith(f"error: the API server at https://127.0.0.1:{port} (context there) ")
    assert "next: check VPN and address, or choose another context with --on context:NAME" in done.err


def test_a_closed_port_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, f"https://127.0.0.1:{port}")))
    world = World(tmp_path, "context:there")
    world.component("web", templates={"c.yaml": CONFIGMAP})
    world.write_stack(STACK)
    done = world.up()
    assert done.code == 4
    assert "refuses the connection" in done.err


def test_no_rights_are_refused_before_anything_is_written(
    sim: ClusterHandle, api: KubeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, api.server, token="nobody")))
    world = World(tmp_path, "context:there")
    world.component("web", templates={"c.yaml": CONFIGMAP})
    world.write_stack(STACK)
    before = everything(api)
    done = world.up()
    assert done.code == 4, done.err
    assert "401" in done.err or "forbidden" in done.err.lower() or "Unauthorized" in done.err
    assert everything(api) == before


def test_stand_ins_are_refused_on_a_cluster_that_is_not_marked(
    sim: ClusterHandle, api: KubeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sparkrig.clusters.mark import write_mark

    monkeypatch.setenv("KUBECONFIG", str(sim.kubeconfig))
    world = World(tmp_path, f"context:{sim.context}")
    world.component("web", templates={"c.yaml": CONFIGMAP})
    world.write_stack(STACK)
    (tmp_path / "stand-ins").mkdir()
    write_mark(api, test_cluster=False)
    try:
        done = world.run("plan", "--stand-ins", "stand-ins")
        assert done.code == 4
        assert "is not marked as a test cluster" in done.err
        write_mark(api, test_cluster=True)
        assert world.run("plan", "--stand-ins", "stand-ins").code == 0
    finally:
        write_mark(api, test_cluster=True)
