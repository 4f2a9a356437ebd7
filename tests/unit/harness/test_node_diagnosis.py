"""What a failed test on a node reports of its cluster, without one."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.node import diagnosis


def pod(name: str, *containers: dict[str, Any], phase: str = "Running", **more: Any) -> dict[str, Any]:
    status = {"phase": phase, "containerStatuses": list(containers), **more}
    return {"metadata": {"namespace": "a", "name": name}, "status": status}


def container(name: str, *, ready: bool = False, restarts: int = 0, ran: bool = True, **state: Any) -> dict[str, Any]:
    made = {"name": name, "ready": ready, "restartCount": restarts, "state": state}
    return {**made, "containerID": "containerd://1"} if ran else made


def secret(kind: str, **data: str) -> dict[str, Any]:
    return {"type": kind, "data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (pod("well", container("c", ready=True, running={})), []),
        (pod("starting", container("c", running={})), [("a", "starting", "c", 0)]),
        (pod("again", container("c", restarts=3, waiting={"reason": "CrashLoopBackOff"})), [("a", "again", "c", 3)]),
        (pod("up again", container("c", ready=True, restarts=1, running={})), [("a", "up again", "c", 1)]),
        # It has no log: the events say why.
        (pod("unpulled", container("c", ran=False, waiting={"reason": "ErrImagePull"}), phase="Pending"), []),
        (pod("done", container("c", terminated={"exitCode": 0}), phase="Succeeded"), []),
        (pod("failed", container("c", terminated={"exitCode": 1}), phase="Failed"), [("a", "failed", "c", 0)]),
        (
            pod(
                "init",
                container("main", ran=False, waiting={}),
                initContainerStatuses=[
                    container("one", terminated={"exitCode": 0}, ready=True),
                    container("two", terminated={"exitCode": 2}),
                ],
            ),
            [("a", "init", "two", 0)],
        ),
        ({"metadata": {"namespace": "a", "name": "unscheduled"}, "status": {"phase": "Pending"}}, []),
    ],
)
def test_logs_are_asked_of_what_runs_and_is_not_ready(found: dict[str, Any], expected: list[Any]) -> None:
    assert diagnosis.unready([found]) == expected


def test_the_last_events_in_their_order_whichever_time_they_carry() -> None:
    about = {"involvedObject": {"namespace": "n", "kind": "Pod", "name": "p"}, "type": "Warning", "reason": "R"}
    events = [
        {**about, "metadata": {}, "message": "second", "lastTimestamp": "2026-01-01T00:00:02Z"},
        {**about, "metadata": {}, "message": "third\nline", "eventTime": "2026-01-01T00:00:03Z"},
        {**about, "metadata": {"creationTimestamp": "2026-01-01T00:00:01Z"}, "message": "first"},
    ]
    assert diagnosis.last_events(events) == [
        "  2026-01-01T00:00:01Z Warning R n/Pod/p: first",
        "  2026-01-01T00:00:02Z Warning R n/Pod/p: second",
        "  2026-01-01T00:00:03Z Warning R n/Pod/p: third line",
    ]
    many = [{**about, "metadata": {"creationTimestamp": f"{n:04}"}, "message": str(n)} for n in range(100)]
    assert [line.rpartition(" ")[2] for line in diagnosis.last_events(many)] == [str(n) for n in range(60, 100)]


def test_no_value_of_a_secret_is_shown() -> None:
    values = diagnosis.secret_values(
        [
            secret("Opaque", token="s3cr3t-token", user="admin", key="line one\nline two\n"),
            secret("helm.sh/release.v1", release="release-archive"),
            {"type": "Opaque"},
        ]
    )
    encoded = base64.b64encode(b"s3cr3t-token").decode()
    text = f"login admin with s3cr3t-token ({encoded}); it says line two; release-archive"
    assert diagnosis.covered(text, values) == "login admin with (secret) ((secret)); it says (secret); release-archive"


def test_a_program_that_is_not_there_is_said(tmp_path: Any) -> None:
    assert "does not answer" in diagnosis.describe(tmp_path / "kubectl", tmp_path / "kubeconfig")
