"""The log of real runs: a first install, one that finds nothing to do, and one on a terminal with a live display."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.mini import CONFIGMAP, World

pytestmark = pytest.mark.cluster

CHECK = {"name": "ready", "kind": "workloads", "gate": True, "timeout": 30, "hint": "kubectl get pods"}


def records(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_run_tells_what_it_did_and_why(world: World) -> None:
    world.component("app", checks=[CHECK])
    world.component("base", templates={"configmap.yaml": CONFIGMAP})
    world.write_stack(app={"values": {"text": "hunter2secret"}})
    file = world.folder / "run.jsonl"
    done = world.up("--log-file", str(file), "--log-format", "json", "--set", "app.tag=hunter3secret", "-o", "json")
    assert done.code == 0, done.err + done.out
    assert done.json["kind"] == "ApplyResult"
    found = records(file)
    by_event: dict[str, list[dict[str, Any]]] = {}
    for entry in found:
        by_event.setdefault(entry["event"], []).append(entry)
    assert [found[0]["event"], found[-1]["event"]] == ["begin", "end"]
    assert (found[-1]["exit_code"], found[-1]["result"]) == (0, "ok")
    decided = {(entry["component"], entry["action"]): entry["reason"] for entry in by_event["decision"]}
    assert decided["app", "install"] == "new"
    assert len(by_event["decision"]) == len(decided)
    installs = [entry for entry in by_event["helm"] if " --install " in entry["command"]]
    assert {entry["exit_code"] for entry in installs} == {0}
    assert len(installs) == 2
    assert {entry["status"] for entry in by_event["operation"]} == {"done"}
    assert ("app/ready", "pass") in {(entry["check"], entry["status"]) for entry in by_event["check"]}
    writes = {(entry["method"], entry["path"]) for entry in by_event["request"]}
    assert {at for method, at in writes if method == "POST" and at.endswith(("/secrets", "/leases"))}
    assert not [method for method, _ in writes if method == "GET"]
    assert [(entry["revision"], entry["status"]) for entry in by_event["revision"]] == [(1, "deployed")]
    text = file.read_text()
    assert "hunter2secret" not in text
    assert "hunter3secret" not in text

    file.unlink()
    assert world.up("--log-file", str(file), "--log-format", "json").code == 0
    again = records(file)
    assert {(e["component"], e["action"], e["reason"]) for e in again if e["event"] == "decision"} == {
        ("app", "upgrade", "changed"), ("app", "wait", "until it is ready"), ("base", "none", "unchanged"),
    }  # fmt: skip


def test_the_live_display_and_the_log_share_a_terminal(world: World) -> None:
    world.component("app")
    world.write_stack(app={})
    controller, terminal = pty.openpty()
    environment = {
        **world.environment,
        "TERM": "xterm-256color",
        "SPARKRIG_STATE_DIR": os.environ["SPARKRIG_STATE_DIR"],
    }
    process = subprocess.Popen(
        world.command("-v", "up", "--yes", "--on", world.target),
        cwd=world.folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    shown = b""
    while True:
        try:
            data = os.read(controller, 65536)
        except OSError:
            break
        if not data:
            break
        shown += data
    out, _ = process.communicate(timeout=60)
    os.close(controller)
    assert process.returncode == 0, shown
    lines = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line).rpartition("\r")[2] for line in shown.decode().split("\r\n")]
    kept = [line for line in lines if re.search(r"\d\dZ (info |error) ", line)]
    assert all(re.match(r"\d\d:\d\d:\d\d\.\d{3}Z (info |error) [a-z]+ ", line) for line in kept)
    assert any(" helm command=" in line for line in kept)
    assert b"Z info " not in out
