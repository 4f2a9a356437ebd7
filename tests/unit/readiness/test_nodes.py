"""Node states, operands, optional objects, and what checks say while they wait."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import pytest

from sparkrig.checks.waits import Waits
from sparkrig.models.component import NodeLeftovers, NodeStateRule, ReadinessRule
from sparkrig.models.objects import Judgement, Readiness
from sparkrig.models.revision import OperationRecord, Revision, RevisionStatus
from sparkrig.models.status import ComponentStatus, StackStatus
from sparkrig.output.status import status_json, status_text
from sparkrig.readiness.custom import excused
from sparkrig.readiness.freshness import digest, held_s, unseen
from sparkrig.readiness.nodes import NodeMarks, labelled, node_marks, node_states
from sparkrig.readiness.operands import owned_by, rollout

NOW = datetime.datetime(2026, 1, 1, 0, 10, tzinfo=datetime.UTC)
RULE = NodeStateRule("example.org/upgrade", "driver upgrade", ("done",), ("failed",))


def node(name: str, value: str | None, *, cordoned: bool = False) -> dict[str, Any]:
    labels = {} if value is None else {RULE.label: value}
    return {"metadata": {"name": name, "labels": labels}, "spec": {"unschedulable": True} if cordoned else {}}


def test_nodes_that_are_worked_on_are_named_the_failed_ones_first() -> None:
    nodes = [node("a", "drain", cordoned=True), node("b", "failed", cordoned=True), node("c", "done"), node("d", None)]
    found = node_states(nodes, (RULE,))
    assert [state.text for state in found] == [
        "node b: driver upgrade: example.org/upgrade is failed, and the node is cordoned",
        "node a: driver upgrade: example.org/upgrade is drain, and the node is cordoned",
    ]
    assert [state.judgement.readiness for state in found] == [Readiness.FAILED, Readiness.PROGRESSING]
    assert "next: kubectl describe node b; when it is mended: kubectl uncordon b" in found[0].judgement.message
    assert labelled(nodes, (RULE,)) == 3


def test_a_node_that_somebody_else_cordoned_is_no_state() -> None:
    assert node_states([node("a", "done", cordoned=True), node("b", None, cordoned=True), node("c", "")], (RULE,)) == []


def daemon_set(strategy: str, **status: int) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "driver", "namespace": "gpu", "generation": 2, "ownerReferences": [{"uid": "p"}]},
        "spec": {"updateStrategy": {"type": strategy}},
        "status": {"observedGeneration": 2, "desiredNumberScheduled": 2, "numberReady": 2, "numberAvailable": 2}
        | status,
    }


@pytest.mark.parametrize(
    ("strategy", "status", "why"),
    [
        ("OnDelete", {"updatedNumberScheduled": 2}, ""),
        ("OnDelete", {"updatedNumberScheduled": 1}, "DaemonSet gpu/driver: 1/2 of the newest template"),
        ("RollingUpdate", {"updatedNumberScheduled": 1}, "DaemonSet gpu/driver: rolling out 1/2, 2/2 ready"),
        ("OnDelete", {"updatedNumberScheduled": 2, "numberReady": 1}, "DaemonSet gpu/driver: 1/2 ready"),
        ("OnDelete", {"observedGeneration": 1}, "DaemonSet gpu/driver: its controller has seen generation 1 of 2"),
        ("OnDelete", {"desiredNumberScheduled": 0}, ""),
    ],
)
def test_an_operand_is_rolled_out_when_each_node_has_the_newest(
    strategy: str, status: dict[str, int], why: str
) -> None:
    found = daemon_set(strategy, **status)
    assert rollout(found, NOW) == why
    assert owned_by(found, {"p"})
    assert not owned_by(found, {"q"})


@pytest.mark.parametrize(
    ("optional", "real_pods", "verdict", "simulated", "answer"),
    [
        (True, False, Judgement(Readiness.PROGRESSING, "not set", unset=True), False, True),
        (True, False, Judgement(Readiness.PROGRESSING, "is notReady"), False, False),
        (True, False, Judgement(Readiness.PROGRESSING, "is notReady"), True, False),
        (True, False, Judgement(Readiness.FAILED, "is broken"), True, False),
        (True, True, Judgement(Readiness.PROGRESSING, "is False"), True, True),
        (True, True, Judgement(Readiness.PROGRESSING, "is False"), False, False),
        (False, True, Judgement(Readiness.PROGRESSING, "not set", unset=True), True, False),
        (True, False, Judgement(Readiness.READY), False, False),
    ],
)
def test_optional_excuses_what_is_unset_and_never_what_is_bad(
    optional: bool, real_pods: bool, verdict: Judgement, simulated: bool, answer: bool
) -> None:
    rule = ReadinessRule("example.org", "Widget", {"condition": "Ready"}, optional=optional, real_pods=real_pods)
    assert excused(rule, verdict, simulated=simulated) is answer
    assert not excused(None, verdict)


def test_of_the_writers_only_what_is_needed_is_kept() -> None:
    whole = [
        {
            "manager": "helm",
            "time": "2026-01-01T00:09:58Z",
            "fieldsV1": {"f:metadata": {"f:x": {}}, "f:spec": {"f:a": {}}},
        },
        {
            "manager": "op",
            "subresource": "status",
            "time": "2026-01-01T00:09:52Z",
            "fieldsV1": {"f:status": {"f:b": {}}},
        },
        {"manager": "old", "fieldsV1": {"f:spec": {}}},
    ]
    kept = digest(whole)
    assert kept == [
        {"time": "2026-01-01T00:09:58Z", "fieldsV1": {"f:spec": {}}},
        {"time": "2026-01-01T00:09:52Z", "subresource": "status", "fieldsV1": {"f:status": {}}},
    ]
    for fields in (whole, kept):
        obj = {"metadata": {"generation": 2, "managedFields": fields}, "status": {"state": "ready"}}
        assert unseen(obj, NOW, 30) == "not updated by its controller in the 2 s since the change of its spec"
        assert held_s(obj, NOW) == 7.0


def test_a_controller_that_was_rolled_out_must_have_looked_too() -> None:
    fields = [
        {"time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {}}},
        {"time": "2026-01-01T00:09:00Z", "subresource": "status", "fieldsV1": {"f:status": {}}},
    ]
    obj = {"metadata": {"generation": 2, "managedFields": fields}, "status": {"state": "ready"}}
    start = NOW - datetime.timedelta(seconds=4)
    assert unseen(obj, NOW, 30) == ""
    assert unseen(obj, NOW, 30, start) == "not updated by its controller in the 4 s since the start of its controller"
    assert unseen(obj, NOW, 3, start) == ""
    assert unseen(obj, NOW, 30, NOW - datetime.timedelta(seconds=90)) == ""


def test_a_check_that_waits_says_so_and_again_after_a_while() -> None:
    said: list[str] = []
    now = [100.0]
    waits = Waits(said.append, lambda: now[0])
    say = waits.of("web/up", 600.0)

    def at(seconds: float, message: str = "") -> list[str]:
        now[0] = 100.0 + seconds
        if message:
            say(message)
        before = len(said)
        waits.show()
        return said[before:]

    assert at(1, "1/3 ready") == []  # most checks have their answer in this time
    assert at(6) == ["waiting: check web/up: 1/3 ready (6 of 600 s)"]
    assert at(7, "2/3 ready") == []
    assert at(17) == ["waiting: check web/up: 2/3 ready (17 of 600 s)"]
    assert at(60) == []
    assert at(77) == ["waiting: check web/up: 2/3 ready (77 of 600 s)"]
    waits.end("web/up")
    assert at(300) == []


@pytest.mark.parametrize(
    ("ends", "interrupted"),
    [
        (("done", "interrupted", "skipped"), True),
        (("done", "failed", "interrupted"), False),
        (("done", "failed"), False),
        ((), False),
    ],
)
def test_a_run_that_was_ended_is_not_one_that_failed(ends: tuple[str, ...], interrupted: bool) -> None:
    operations = tuple(OperationRecord(f"install/{number}", end, 1.0) for number, end in enumerate(ends))
    revision = Revision(
        "lab", 3, RevisionStatus.FAILED, "up", "me", "", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", "0", "", "",
        (), (), operations,
    )  # fmt: skip
    assert revision.interrupted is interrupted
    status = StackStatus("lab", "here", revision=3, status=revision.status, interrupted=revision.interrupted)
    text = status_text(replace(status, components=(ComponentStatus("web", "1", False, 1, 1, (), ()),)), NOW)
    assert ("revision 3 interrupted" in text) is interrupted
    assert ("sparkrig up goes on from here" in text) is interrupted
    assert status_json(status)["interrupted"] is interrupted


def marked(manager: str, key: str, part: str = "labels") -> dict[str, Any]:
    return {"manager": manager, "fieldsV1": {"f:metadata": {f"f:{part}": {f"f:{key}": {}}}}}


def test_only_what_the_named_managers_alone_wrote_is_theirs() -> None:
    rule = NodeLeftovers(labels=("x.org/*",), annotations=("x.org/a",), managers=("operator*",))
    one = {
        "metadata": {
            "name": "n",
            "labels": {"x.org/deploy": "1", "x.org/wanted": "0", "x.org/both": "1", "y.org/z": "1", "x.org/old": "1"},
            "annotations": {"x.org/a": "1", "x.org/b": "1"},
            "managedFields": [
                marked("operator-v2", "x.org/deploy"),
                marked("kubectl-label", "x.org/wanted"),
                marked("operator", "x.org/both"),
                marked("kubectl-label", "x.org/both"),
                marked("operator", "y.org/z"),
                marked("operator", "x.org/a", "annotations"),
                marked("operator", "x.org/b", "annotations"),
            ],
        }
    }
    assert node_marks([one, node("bare", None)], (rule,)) == [NodeMarks("n", ("x.org/deploy",), ("x.org/a",))]
