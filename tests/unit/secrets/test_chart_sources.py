"""Private chart repositories: passwords, certificates, and who gets to see them. Real servers, the real command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart_servers import PASSWORD, TLS, USER, remote_component, site
from tests.inprocess import run_here
from tests.mini import Done, World

from sparkrig.tools import find


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A stack without a cluster, with a cache of its own; the password lies in a file."""
    monkeypatch.setenv("SPARKRIG_HELM", str(find("helm").path))  # an empty cache must not make a test build one
    monkeypatch.setenv("SPARKRIG_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SPARKRIG_CONFIG_DIR", str(tmp_path / "config"))
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    return World(tmp_path, "")


def write(world: World, *sources: dict[str, Any]) -> None:
    document = {"apiVersion": "sparkrig.dev/v1", "kind": "Stack", "metadata": {"name": world.stack}}
    world.write_stack(yaml.safe_dump({**document, **({"sources": list(sources)} if sources else {})}))


def lock(world: World, *arguments: str) -> Done:
    done = run_here(world, "lock", *arguments)
    assert PASSWORD not in done.out + done.err
    return done


def entry(url: str, **more: Any) -> dict[str, Any]:
    return {"url": url, "username": USER, "password": {"fromFile": "password"}, **more}


def test_a_password_opens_a_repository(alone: World, tmp_path: Path) -> None:
    with site(tmp_path, password=True) as place:
        place.publish("web", "1.0.0")
        remote_component(alone, "web", place.url)
        write(alone)
        refused = lock(alone)
        assert refused.code == 3
        assert "answers 401" in refused.err
        assert "`sources` in the stack file" in refused.err
        write(alone, entry(place.url))
        assert lock(alone).code == 0
        asked = len(place.asked)
        assert lock(alone, "--check").code == 0
        assert run_here(alone, "validate").code == 0
        assert run_here(alone, "render").code == 0
        assert len(place.asked) == asked  # the cache is warm: nothing goes out
    text = (tmp_path / "stack.lock.yaml").read_text()
    assert PASSWORD not in text
    assert USER not in yaml.safe_load(text)["charts"]["web"]["source"]


def test_the_users_own_file_serves_every_stack_and_the_stack_file_wins(alone: World, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "password").write_text(PASSWORD)
    with site(tmp_path, password=True) as place:
        place.publish("web", "1.0.0")
        remote_component(alone, "web", place.url)
        write(alone)
        document = {"apiVersion": "sparkrig.dev/v1", "kind": "ChartSources", "sources": [entry(place.url)]}
        (tmp_path / "config" / "sources.yaml").write_text(yaml.safe_dump(document))
        assert lock(alone).code == 0
        shutil.rmtree(tmp_path / "cache")
        write(alone, entry(place.url, username="somebody-else"))
        assert "answers 401" in lock(alone, "--upgrade").err
        (tmp_path / "config" / "sources.yaml").write_text("sources: [{password: hunter2}]\n")
        wrong = lock(alone, "--upgrade")
        assert wrong.code == 3
        assert "sources.yaml" in wrong.err
        assert "hunter2" not in wrong.err


def test_client_certificate_and_a_ca_of_one_s_own(alone: World, tmp_path: Path) -> None:
    for name in ("client.crt", "client.key", "ca.crt"):
        shutil.copy(TLS / name, tmp_path / name)
    certificate = {"certificate": "client.crt", "key": "client.key"}
    with site(tmp_path, tls=True, client_certificate=True) as place:
        place.publish("web", "1.0.0")
        remote_component(alone, "web", place.url)
        write(alone)
        assert "certificate verify failed" in lock(alone).err.lower()
        write(alone, {"url": place.url, "caFile": "ca.crt"})
        refused = lock(alone)
        assert refused.code == 3
        assert not place.asked
        write(alone, {"url": place.url, "caFile": "ca.crt", "clientCertificate": certificate})
        done = lock(alone)
        assert done.code == 0, done.err
        write(alone, {"url": place.url, "caFile": "ca.crt", "clientCertificate": {**certificate, "key": "ca.crt"}})
        wrong = lock(alone, "--upgrade")
        assert wrong.code == 3
        assert "certificates cannot be used" in wrong.err


def test_credentials_go_to_their_own_server_only(alone: World, tmp_path: Path) -> None:
    with site(tmp_path / "a", password=True) as private, site(tmp_path / "b") as other:
        other.publish("web", "1.0.0")
        other.publish("app", "1.0.0")
        private.publish("web", "1.0.0", address=f"{other.url}/web-1.0.0.tgz")
        private.publish("app", "1.0.0")
        private.redirects["/app-1.0.0.tgz"] = f"{other.url}/app-1.0.0.tgz"
        other.files.update({name: data for name, data in private.files.items() if name.endswith(".tgz")})
        for name in ("web", "app"):
            remote_component(alone, name, private.url)
        write(alone, entry(private.url))
        done = lock(alone)
        assert done.code == 0, done.err
        assert len(other.headers) == 2
        assert not [headers for headers in other.headers if "Authorization" in headers]


def test_the_longest_address_wins_and_a_look_alike_gets_nothing(alone: World, tmp_path: Path) -> None:
    with site(tmp_path, password=True) as place:
        place.publish("web", "1.0.0")
        place.files |= {f"/team/charts{name}": data for name, data in place.files.items()}
        remote_component(alone, "web", f"{place.url}/team/charts")
        wrong = entry(f"{place.url}/team", username="wrong")
        write(alone, wrong, entry(f"{place.url}/team/charts"), entry(f"{place.url}/team/char", username="wrong"))
        assert lock(alone).code == 0
        write(alone, entry(f"{place.url}/team/char"))
        assert lock(alone, "--upgrade").code == 3


@pytest.mark.parametrize(
    "source",
    [
        {"url": "https://ci:hunter2@charts.example.org"},
        {"url": "https://charts.example.org", "username": "ci", "password": "hunter2"},
        {"url": "https://charts.example.org", "password": {"fromSecret": {"name": "hunter2"}}},
        {"url": "https://charts.example.org", "password": {"fromVault": "x"}},
    ],
)
def test_a_source_that_is_wrong_is_a_problem_and_its_password_is_not_shown(alone: World, source: Any) -> None:
    alone.component("a")
    write(alone, source)
    for arguments in (("validate",), ("validate", "--output", "json"), ("lock",)):
        done = run_here(alone, *arguments)
        assert done.code == 3
        assert "stack.yaml:" in done.out + done.err or '"file": "stack.yaml"' in done.out
        if "hunter2" in str(source.get("password", "")) and isinstance(source.get("password"), dict):
            continue
        assert "hunter2" not in done.out + done.err


def test_validate_warns_of_secrets_that_this_machine_lacks(alone: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_SET_AT_ALL", raising=False)
    alone.component("a")
    data = {"password": {"fromEnv": "NOT_SET_AT_ALL"}, "token": {"fromCommand": ["touch", "ran"]}}
    document = {"apiVersion": "sparkrig.dev/v1", "kind": "Stack", "metadata": {"name": alone.stack}}
    secrets = {"db": {"data": data, "components": ["a"]}}
    alone.write_stack(yaml.safe_dump({**document, "secrets": secrets}))
    done = run_here(alone, "validate")
    assert done.code == 0
    said = "warning[secret-unavailable]: secret 'db': password: environment variable NOT_SET_AT_ALL is not set"
    assert said in done.out + done.err
    assert not (alone.folder / "ran").exists()  # nothing is run to find out


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("validate",), 0),
        (("validate", "--no-render"), 0),
        (("validate", "--strict"), 3),
        (("explain", "web.replicas"), 3),
        (("lock",), 4),
        (("lock", "--upgrade"), 4),
        (("render",), 4),
    ],
)
def test_no_command_of_a_stack_file_runs_where_a_change_is_only_checked(
    alone: World, tmp_path: Path, command: tuple[str, ...], code: int
) -> None:
    with site(tmp_path, password=True) as place:
        place.publish("web", "1.0.0")
        remote_component(alone, "web", place.url)
        write(alone, entry(place.url, password={"fromCommand": ["sh", "-c", f"touch ran; echo {PASSWORD}"]}))
        done = run_here(alone, *command)
        assert done.code == code, done.err
        assert not (tmp_path / "ran").exists()
        assert not place.asked
    if code:
        assert "password comes from a command (stack.yaml:" in done.err


def test_run_commands_runs_them_and_the_users_own_file_needs_no_flag(alone: World, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "get-password").write_text(f"#!/bin/sh\necho {PASSWORD}\n")
    (tmp_path / "get-password").chmod(0o755)
    shutil.copy(tmp_path / "get-password", tmp_path / "config" / "get-password")
    with site(tmp_path, password=True) as place:
        place.publish("web", "1.0.0")
        remote_component(alone, "web", place.url)
        # A relative program is relative to the file that names it, whatever the current folder is.
        ours = entry(place.url, password={"fromCommand": ["./get-password"]})
        write(alone, ours)
        assert lock(alone, "--run-commands").code == 0
        shutil.rmtree(tmp_path / "cache")
        write(alone)
        document = {"apiVersion": "sparkrig.dev/v1", "kind": "ChartSources", "sources": [ours]}
        (tmp_path / "config" / "sources.yaml").write_text(yaml.safe_dump(document))
        validated = run_here(alone, "validate")
        assert validated.code == 0
        assert "password comes from a command" in validated.err
        assert lock(alone, "--upgrade").code == 0


def test_a_check_without_a_chart_is_partial_and_strict_refuses_it(alone: World) -> None:
    remote_component(alone, "far", "http://127.0.0.1:9")
    write(alone)
    partly = run_here(alone, "validate")
    assert partly.code == 0
    assert "skipped: far: chart not available" in partly.err
    assert "the check is partial: the charts of far are not available" in partly.out
    assert "is valid" not in partly.out
    strict = run_here(alone, "validate", "--strict")
    assert strict.code == 3
    assert "error[chart-unavailable]: far: its chart is not available" in strict.err
    document = json.loads(run_here(alone, "validate", "--output", "json").out)
    assert (document["ok"], document["partial"]) == (True, True)
