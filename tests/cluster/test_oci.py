"""Charts out of a real registry: password, TLS, Docker's configuration; and where the password is not."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart_servers import PASSWORD, TLS, USER, Registry, pack_chart, push, registry, remote_component
from tests.mini import Done, World
from tests.watching import command_lines

from sparkrig.tools import find

pytestmark = pytest.mark.tools


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("registry")
    with registry(folder / "r") as running:
        push(running, pack_chart(folder, "web", "1.0.0"), "team/charts", folder / "private")
        yield running


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A stack without a cluster, with a cache and a Docker configuration of its own."""
    (tmp_path / "temp").mkdir()
    (tmp_path / "docker").mkdir()
    monkeypatch.setenv("SPARKRIG_HELM", str(find("helm").path))  # an empty cache must not make a test build one
    monkeypatch.setenv("SPARKRIG_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temp"))
    return World(tmp_path, "")


def write(world: World, *sources: dict[str, Any]) -> None:
    document = {"apiVersion": "sparkrig.dev/v1", "kind": "Stack", "metadata": {"name": world.stack}}
    world.write_stack(yaml.safe_dump({**document, "sources": list(sources)}))


def lock(world: World, *arguments: str) -> Done:
    return world.run("lock", *arguments, on=False)


def test_a_password_opens_a_registry_and_is_seen_nowhere(
    plain: Registry, alone: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_PASSWORD", PASSWORD)
    remote_component(alone, "web", f"oci://{plain.host}/team/charts")
    password = {"fromEnv": "REGISTRY_PASSWORD"}
    write(alone, {"url": f"oci://{plain.host}/team", "username": USER, "password": password, "plainHttp": True})
    with command_lines() as lines:
        done = lock(alone, "--output", "json")
    assert done.code == 0, done.err
    assert done.json["charts"]["web"]["source"] == f"oci://{plain.host}/team/charts"
    pulls = [line for line in lines if b"\0pull\0" in line]
    assert pulls
    assert all(b"--registry-config" in line for line in pulls)
    token = base64.b64encode(f"{USER}:{PASSWORD}".encode())
    produced = [done.out.encode(), done.err.encode(), *lines]
    produced += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [data for data in produced if PASSWORD.encode() in data or token in data]
    asked = plain.requests()
    assert asked > 0
    assert lock(alone).code == 0
    monkeypatch.delenv("REGISTRY_PASSWORD")
    assert alone.run("validate", on=False).code == 0
    assert alone.run("render", on=False).code == 0
    assert plain.requests() == asked  # a warm cache: nothing goes out, and no password is read


def test_a_wrong_password_is_said_and_not_shown(plain: Registry, alone: World, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("wr0ng-password\n")
    remote_component(alone, "web", f"oci://{plain.host}/team/charts")
    password = {"fromFile": "token"}
    write(alone, {"url": f"oci://{plain.host}", "username": USER, "password": password, "plainHttp": True})
    done = lock(alone)
    assert done.code == 3
    assert "pull of oci://" in done.err
    assert "unauthorized" in done.err.lower() or "401" in done.err
    assert "wr0ng" not in done.err + done.out


def test_a_password_that_is_not_there_is_said_with_its_place(plain: Registry, alone: World) -> None:
    remote_component(alone, "web", f"oci://{plain.host}/team/charts")
    password = {"fromEnv": "NOT_SET_AT_ALL"}
    write(alone, {"url": f"oci://{plain.host}", "username": USER, "password": password, "plainHttp": True})
    done = lock(alone)
    assert done.code == 3
    assert "password: environment variable NOT_SET_AT_ALL is not set" in done.err
    assert "--> stack.yaml:" in done.err


def test_docker_s_own_credentials_are_used(plain: Registry, alone: World, tmp_path: Path) -> None:
    token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    config = {"auths": {plain.host: {"auth": token}}}
    (tmp_path / "docker" / "config.json").write_text(json.dumps(config))
    remote_component(alone, "web", f"oci://{plain.host}/team/charts")
    write(alone, {"url": f"oci://{plain.host}", "plainHttp": True})
    done = lock(alone)
    assert done.code == 0, done.err


def test_tls_with_a_ca_of_one_s_own(alone: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_PASSWORD", PASSWORD)
    with registry(tmp_path / "r", tls=True) as running:
        push(running, pack_chart(tmp_path, "web", "1.0.0"), "charts", tmp_path / "private", tls=True)
        remote_component(alone, "web", f"oci://{running.host}/charts")
        entry = {"url": f"oci://{running.host}", "username": USER, "password": {"fromEnv": "REGISTRY_PASSWORD"}}
        write(alone, entry)
        refused = lock(alone)
        assert refused.code == 3
        assert "certificate" in refused.err
        write(alone, {**entry, "caFile": str(TLS / "ca.crt")})
        done = lock(alone)
        assert done.code == 0, done.err
