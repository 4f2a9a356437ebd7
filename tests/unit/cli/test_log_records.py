"""What the parts of the program write into the log."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.loopback import Loopback, loopback
from tests.records import operation

from sparkrig import log
from sparkrig.apply.executor import Executor
from sparkrig.commands.run_log import keep_decisions
from sparkrig.kube.client import KubeApi
from sparkrig.logfile import Log, Wanted
from sparkrig.models.cluster import ClusterHandle
from sparkrig.models.operation import Action, Operation
from sparkrig.models.plan import Plan
from sparkrig.yaml.secret_names import with_covered

SECRET = "hunter2secret"
TIME = r"\d\d:\d\d:\d\d\.\d{3}Z"


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def server() -> Any:
    with loopback() as played:
        yield played


def kept_of(folder: Path, work: Callable[[], object], *, least: int = log.INFO) -> list[dict[str, Any]]:
    """The records that some work leaves."""
    file = folder / "work.jsonl"

    def cover(text: str) -> str:
        return with_covered(text, log.COVER)

    log.begin(
        Log(Wanted(file=file, append=True, stderr=least if least < log.INFO else log.OFF, as_json=True, cover=cover))
    )
    try:
        work()
    finally:
        log.end()
    return records(file.read_text())


def test_writes_are_kept_and_reads_on_demand(
    server: Loopback, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = lambda _method, _path, _headers: (200, {}, {"kind": "ConfigMap", "metadata": {"name": "a"}})
    api = KubeApi(ClusterHandle("a", "context", server.kubeconfig(tmp_path, {"token": SECRET}), "c"))
    path = "/api/v1/namespaces/a/configmaps"

    def work() -> None:
        api.get(f"{path}/a")
        api.create(path, {"data": {"password": SECRET}})
        api.request("POST", path, body={}, params={"dryRun": "All", "fieldManager": "x"})
        api.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body={})
        api.request("DELETE", f"{path}/a")

    found = [entry for entry in kept_of(tmp_path, work) if entry["event"] == "request"]
    told = [(entry["method"], entry["path"], entry["status"], entry.get("dry_run", False)) for entry in found]
    assert told == [("POST", path, 200, False), ("POST", path, 200, True), ("DELETE", f"{path}/a", 200, False)]
    assert all(isinstance(entry["seconds"], float) for entry in found)
    found = kept_of(tmp_path, work, least=log.DEBUG)
    assert any(entry.get("method") == "GET" and entry["level"] == "debug" for entry in found)
    assert SECRET not in json.dumps(found)
    assert capsys.readouterr().err.count('"event": "request"') == 5
    api.close()


def test_a_retry_is_kept_with_its_reason(server: Loopback, tmp_path: Path) -> None:
    answers = [(429, {"Retry-After": "0"}, {"reason": "TooManyRequests"}), (503, {}, {"kind": "Status"})]
    server.answer = lambda method, _path, _headers: (
        answers.pop(0) if answers and method == "PUT" else (200, {}, {"items": []})
    )
    api = KubeApi(ClusterHandle("a", "context", server.kubeconfig(tmp_path, {"token": "t"}), "c"))
    found = kept_of(tmp_path, lambda: api.request("PUT", "/api/v1/namespaces/a", body={}))
    told = [(entry["event"], entry.get("status"), entry.get("reason"), entry.get("attempt")) for entry in found]
    assert told == [
        ("request", 429, None, None),
        ("retry", None, "status 429 TooManyRequests", 1),
        ("request", 503, None, None),
        ("retry", None, "status 503", 2),
        ("request", 200, None, None),
    ]
    api.close()


def test_a_line_of_progress_is_not_written_into(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a terminal the cursor may be at the end of a line that is updated in place."""
    controller, terminal = os.openpty()
    with os.fdopen(terminal, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        stream.write("building helm, 12 s")
        stream.flush()
        log.begin(Log(Wanted(stderr=log.INFO)))
        log.info("check", message="it\x1b[2J works\nwell", seconds=1.0, done=True)
        log.end()
        shown = os.read(controller, 4096).decode()
    os.close(controller)
    fields = r'message="it\\u001b\[2J works\\nwell" seconds=1.0 done=true'
    assert re.fullmatch(rf"building helm, 12 s\r\x1b\[K{TIME} info  check {fields}\r\n", shown)


def test_a_bug_in_an_operation_fails_it_and_has_its_traceback_in_the_log(tmp_path: Path) -> None:
    async def broken(_operation: Operation, _say: object, _through: object) -> None:
        raise RuntimeError(f"password: {SECRET}")

    first = operation(Action.INSTALL, "a", reason="new")
    second = operation(Action.WAIT, "a", ("install/a",), reason="until it is ready")
    plan = Plan("lab", "up", 0, (first, second), (), ())

    def work() -> None:
        keep_decisions(plan)
        asyncio.run(Executor(broken, listener=lambda _event: None).execute(plan))
        keep_decisions(plan)

    found = kept_of(tmp_path, work)
    decided = [(e["component"], e["action"], e["reason"]) for e in found if e["event"] == "decision"]
    assert decided == [("a", "install", "new"), ("a", "wait", "until it is ready")]
    bug, skipped = found[2:]
    assert (bug["event"], bug["where"], bug["error"]) == ("bug", "install/a", "RuntimeError: password: ***")
    assert "in broken" in bug["traceback"]
    assert SECRET not in json.dumps(found)
    assert (skipped["operation"], skipped["status"]) == ("wait/a", "skipped")


def test_the_same_decision_is_kept_once(tmp_path: Path) -> None:
    def work() -> None:
        for reason in ("new", "new", "changed"):
            log.once("decision", component="a", reason=reason)

    assert [entry["reason"] for entry in kept_of(tmp_path, work)] == ["new", "changed"]
    assert [entry["reason"] for entry in kept_of(tmp_path, work)][2:] == ["new", "changed"]
