"""Secrets of the stack file, through the real command line on a real API server."""

from __future__ import annotations

import base64
import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.mini import World
from tests.watching import command_lines

from sparkrig.kube.client import KubeApi

PLANTED = "Pl4nted-s3cret-no-log-may-show"
READER = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      imagePullSecrets: [{name: ngc}]
      containers:
        - name: main
          image: "registry.example.org/main:{{ .Values.tag }}"
          env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: db, key: password}}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: other}
spec:
  selector: {matchLabels: {app: other}}
  template:
    metadata: {labels: {app: other}}
    spec:
      imagePullSecrets: [{name: ngc}]
      containers: [{name: main, image: registry.example.org/other}]
"""
JOBS = """
{{- range .Values.jobs }}
apiVersion: v1
kind: Namespace
metadata: {name: {{ .name }}, annotations: {helm.sh/resource-policy: keep}}
---
{{- end }}
"""


def secrets(**data: Any) -> dict[str, Any]:
    pull = {"registry": "nvcr.io", "username": "$oauthtoken", "password": {"fromEnv": "NGC_API_KEY"}}
    return {"ngc": {"dockerconfigjson": pull}, **data}


def write(world: World, secrets: dict[str, Any], *pull: str, **components: Any) -> None:
    document = {
        "apiVersion": "sparkrig.dev/v1",
        "kind": "Stack",
        "metadata": {"name": world.stack},
        "global": {"imagePullSecrets": list(pull)},
        "secrets": secrets,
        "components": components,
    }
    world.write_stack(yaml.safe_dump(document, sort_keys=False))


@pytest.fixture
def planted(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A stack with every kind of source."""
    monkeypatch.setenv("NGC_API_KEY", f"{PLANTED}-env")
    world.component("jobs", templates={"n.yaml": JOBS}, values={"jobs": [{"name": f"{world.stack}-jobs-one"}]},
                    secretNamespaces=["jobs[].name"])  # fmt: skip
    world.component("app", templates={"d.yaml": READER}, values={"tag": "1"}, needs=["jobs"])
    (world.folder / "password").write_text(f"{PLANTED}-file")
    script = world.folder / "vault.py"
    script.write_text(f"import sys; sys.stderr.write('noise {PLANTED}'); print('{PLANTED}-command')")
    db = {
        "data": {
            "password": {"fromFile": "password"},
            "token": {"fromCommand": ["python3", "vault.py"]},
        },
        "components": ["app"],
    }
    write(world, secrets(db=db), "ngc")
    return world


def live(api: KubeApi, namespace: str, name: str) -> dict[str, str]:
    found = api.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
    assert found is not None
    return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}


def deployment(api: KubeApi, world: World, name: str) -> dict[str, Any]:
    found = api.get(f"/apis/apps/v1/namespaces/{world.stack}-app/deployments/{name}")
    assert found is not None
    return found


def test_secrets_are_there_before_what_reads_them(planted: World, api: KubeApi) -> None:
    done = planted.up()
    assert done.code == 0, done.err + done.out
    for namespace in ("app", "jobs", "jobs-one"):
        config = json.loads(live(api, f"{planted.stack}-{namespace}", "ngc")[".dockerconfigjson"])
        entry = config["auths"]["nvcr.io"]
        assert entry["username"] == "$oauthtoken"
        assert entry["password"] == f"{PLANTED}-env"
        assert base64.b64decode(entry["auth"]).decode() == f"$oauthtoken:{PLANTED}-env"
    assert live(api, f"{planted.stack}-app", "db") == {
        "password": f"{PLANTED}-file",
        "token": f"{PLANTED}-command",
    }
    assert api.get(f"/api/v1/namespaces/{planted.stack}-jobs/secrets/db", missing_ok=True) is None
    shown = planted.run("history", "--output", "json").json["revisions"]
    assert [r["status"] for r in shown] == ["deployed"]
    again = planted.up("--output", "json")
    assert (again.code, again.json["operations"]) == (0, [])


def test_a_changed_secret_restarts_what_reads_it_and_nothing_else(planted: World, api: KubeApi) -> None:
    assert planted.up().code == 0
    (planted.folder / "password").write_text("another")
    plan = planted.run("plan", "--output", "json").json
    ids = [operation["id"] for operation in plan["operations"]]
    assert ids == ["secrets/db", "roll/app", "wait/app"]
    before = {name: deployment(api, planted, name)["metadata"]["generation"] for name in ("app", "other")}
    done = planted.up()
    assert done.code == 0, done.err + done.out
    after = {name: deployment(api, planted, name)["metadata"]["generation"] for name in ("app", "other")}
    assert after == {"app": before["app"] + 1, "other": before["other"]}
    assert live(api, f"{planted.stack}-app", "db")["password"] == "another"
    history = planted.run("history", "--output", "json").json["revisions"]
    assert history[0]["status"] == "deployed"
    # helm's next upgrade leaves the annotation alone: values change the pod once, not twice
    assert planted.up("--set", "app.tag=2").code == 0
    assert deployment(api, planted, "app")["metadata"]["generation"] == after["app"] + 1
    assert "sparkrig.dev/secrets" in deployment(api, planted, "app")["spec"]["template"]["metadata"]["annotations"]
    assert planted.up("--set", "app.tag=2", "--output", "json").json["operations"] == []


def test_a_changed_pull_secret_restarts_nothing(planted: World, api: KubeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    assert planted.up().code == 0
    before = deployment(api, planted, "app")["metadata"]["generation"]
    monkeypatch.setenv("NGC_API_KEY", "rotated")
    plan = planted.run("plan", "--output", "json").json
    assert [operation["id"] for operation in plan["operations"]] == ["secrets/ngc"]
    assert planted.up().code == 0
    assert deployment(api, planted, "app")["metadata"]["generation"] == before
    for namespace in ("app", "jobs", "jobs-one"):
        assert "rotated" in live(api, f"{planted.stack}-{namespace}", "ngc")[".dockerconfigjson"]


def test_what_cannot_be_had_is_said_all_at_once_before_anything_is_written(
    planted: World, api: KubeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NGC_API_KEY")
    (planted.folder / "password").unlink()
    done = planted.up()
    assert done.code == 3
    assert "secret 'ngc': password: environment variable NGC_API_KEY is not set" in done.err
    assert f"secret 'db': password: there is no file {planted.folder / 'password'}" in done.err
    assert "--> stack.yaml:" in done.err
    assert api.get(f"/api/v1/namespaces/{planted.stack}-app", missing_ok=True) is None


def test_a_command_that_fails_says_no_word_of_what_it_printed(planted: World) -> None:
    assert planted.up().code == 0
    (planted.folder / "vault.py").write_text(
        f"import sys; print('{PLANTED}'); sys.stderr.write('{PLANTED}\\n'); sys.exit(3)"
    )
    done = planted.up()
    assert done.code == 3
    assert "python3 ended with status 3; its 1 lines of errors are not shown" in done.err
    assert PLANTED not in done.err + done.out


def test_a_secret_of_somebody_else_is_refused(planted: World, api: KubeApi) -> None:
    space = f"{planted.stack}-app"
    api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ngc"}, "stringData": {"mine": "1"}}
    api.create(f"/api/v1/namespaces/{space}/secrets", body)
    done = planted.up()
    assert done.code == 4
    assert f"Secret {space}/ngc is there already and is not of this stack" in done.err
    assert live(api, space, "ngc") == {"mine": "1"}


def test_secrets_go_with_the_stack_file_and_with_the_stack(planted: World, api: KubeApi) -> None:
    assert planted.up().code == 0
    write(planted, secrets(), "ngc")
    done = planted.up()
    assert done.code == 0, done.err
    assert api.get(f"/api/v1/namespaces/{planted.stack}-app/secrets/db", missing_ok=True) is None
    assert planted.run("down", "--yes").code == 0
    for namespace in ("app", "jobs", "jobs-one"):
        assert api.get(f"/api/v1/namespaces/{planted.stack}-{namespace}/secrets/ngc", missing_ok=True) is None


def test_one_that_was_deleted_by_hand_comes_back(planted: World, api: KubeApi) -> None:
    assert planted.up().code == 0
    path = f"/api/v1/namespaces/{planted.stack}-app/secrets/ngc"
    api.delete(path)
    done = planted.up()
    assert done.code == 0
    assert api.get(path) is not None


def encoded(text: bytes) -> list[bytes]:
    """How base64 writes a text, wherever it begins in what is encoded: the part that is sure."""
    return [base64.b64encode(b"." * shift + text)[4 : len(text) // 3 * 4 - 4] for shift in range(3)]


def unpacked(data: bytes) -> bytes:
    """What is in a value of a Secret: base64 and gzip, as often as they were used."""
    for _ in range(4):
        try:
            data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else base64.b64decode(data, validate=True)
        except ValueError:
            break
    return data


def test_nothing_that_is_produced_holds_a_secret(
    planted: World, api: KubeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needles = [PLANTED.encode(), *encoded(PLANTED.encode())]
    folders = {name: tmp_path / name for name in ("cache", "temp", "config")}
    for folder in folders.values():
        folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folders["temp"]))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folders["config"]))
    monkeypatch.setenv("SPARKRIG_HELM", os.environ.get("SPARKRIG_HELM") or str(helm_path()))
    monkeypatch.setenv("SPARKRIG_CACHE_DIR", str(folders["cache"]))
    texts: list[str] = []
    with command_lines() as lines:
        for arguments in (
            ("validate",), ("render",), ("render", "--output", "json"), ("plan",), ("plan", "--output", "json"),
            ("up", "--yes"), ("status", "--output", "json"), ("history", "--output", "json"),
            ("up", "--yes", "--set", "app.tag=2", "--output", "json"),
        ):  # fmt: skip
            done = planted.run("-vv", *arguments)
            assert done.code == 0, done.err + done.out
            texts += [done.out, done.err]
    assert any(b"upgrade" in line and b"--install" in line for line in lines)
    stored = [
        (item, unpacked(base64.b64decode(value)))
        for item in api.list("/api/v1/secrets")
        if item["type"] in ("helm.sh/release.v1", "sparkrig.dev/revision") and planted.stack in json.dumps(item)
        for value in item["data"].values()
    ]
    assert len(stored) >= 5
    files = [
        path for folder in (*folders.values(), Path(os.environ["SPARKRIG_STATE_DIR"])) for path in folder.rglob("*")
    ]
    produced = [*(text.encode() for text in texts), *lines, *(data for _, data in stored)]
    produced += [path.read_bytes() for path in files if path.is_file() and "etcd" not in path.parts]
    for needle in needles:
        assert not [data[:200] for data in produced if needle in data]
    everything = json.dumps(api.list("/api/v1/secrets")).encode()
    assert any(needle in everything for needle in needles[1:])  # that is what it looks like where it belongs


def helm_path() -> Path:
    from sparkrig import tools

    return tools.find("helm").path


def test_a_rollback_that_would_lack_a_secret_is_refused(planted: World) -> None:
    assert planted.up().code == 0
    write(planted, secrets(), "ngc", app={"values": {"tag": "2"}})
    assert planted.up().code == 0
    done = planted.run("rollback", "1", "--yes")
    assert done.code == 4, done.out + done.err
    assert "Secrets that it reads are gone" in done.err
    assert f"app: Secret {planted.stack}-app/db" in done.err


def test_a_rollback_keeps_the_secret_of_now_and_restarts_nothing_later(planted: World) -> None:
    assert planted.up().code == 0
    (planted.folder / "password").write_text("another")
    assert planted.up("--set", "app.tag=2").code == 0
    done = planted.run("rollback", "1", "--yes")
    assert done.code == 0, done.out + done.err
    assert planted.up("--output", "json").json["operations"] == []
