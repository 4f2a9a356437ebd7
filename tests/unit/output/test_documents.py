"""Every report against the exact text in tests/cases/report, and its JSON form."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from sparkrig.errors import ClusterUnreachable, InvalidInput, OperationError, SparkrigError
from sparkrig.models.plan import ApplyResult, OperationStatus, Plan
from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.models.revision import RevisionStatus
from sparkrig.models.status import StackStatus
from sparkrig.output.checks import checks_json, checks_junit, checks_text
from sparkrig.output.cluster import clusters_json, clusters_text
from sparkrig.output.errors import error_json, error_text
from sparkrig.output.history import history_json, history_text
from sparkrig.output.plan import plan_json, plan_text, turns
from sparkrig.output.result import apply_json, apply_text, outcome
from sparkrig.output.status import status_json, status_text
from sparkrig.output.text import width_of
from sparkrig.output.tools import tools_json, tools_text

CASES = Path(__file__).parents[2] / "cases" / "report"


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"report_{name}", CASES / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


records = _load("records")
NOW = records.NOW


@dataclass(frozen=True)
class _Tool:
    name: str
    version: str
    path: Path
    origin: str
    seconds: float
    cached: bool = False


@dataclass(frozen=True)
class _ToolStatus:
    name: str
    version: str
    tool: _Tool | None
    reason: str = ""


@dataclass(frozen=True)
class _Cluster:
    provider: str
    name: str
    state: str
    kubernetes: str | None
    nodes: int | None
    kubeconfig: Path | None
    message: str = ""


TOOLS: list[_Tool | _ToolStatus] = [
    _ToolStatus("helm", "4.3.1", _Tool("helm", "4.3.1", Path("/home/ops/.cache/tools/helm"), "build", 95.2, True)),
    _Tool("kubectl", "1.36.3", Path("/usr/bin/kubectl"), "path", 0.0),
    _ToolStatus("etcd", "3.7.3", None),
    _ToolStatus("kwok", "0.8.0", None, "SPARKRIG_KWOK names no executable: /nowhere/kwok"),
]
CLUSTERS = [
    _Cluster("sim", "lab", "running", "1.36.3", 3, Path("/home/ops/.local/share/lab/kubeconfig")),
    _Cluster(
        "sim",
        "old",
        "broken",
        None,
        None,
        Path("/home/ops/.local/share/old/kubeconfig"),
        "etcd is dead\nnext: sparkrig cluster create old",
    ),
]

SKIPPED, FAILED, INTERRUPTED = OperationStatus.SKIPPED, OperationStatus.FAILED, OperationStatus.INTERRUPTED
FAILED_RUN = {
    "wait/spark-operator": FAILED,
    "upgrade/hub": SKIPPED,
    "wait/hub": SKIPPED,
    "uninstall/metrics-server": SKIPPED,
}
INTERRUPTED_RUN = {
    "wait/proxy": INTERRUPTED,
    "upgrade/hub": SKIPPED,
    "wait/hub": SKIPPED,
    "uninstall/metrics-server": SKIPPED,
}


def _plan(color: bool, width: int) -> str:
    return plan_text(records.plan(), cluster="kind-lab", kubernetes="1.36.3", color=color, width=width)


def _apply(result: ApplyResult, plan: Plan | None = None) -> Callable[[bool, int], str]:
    whole = plan or records.plan()
    return lambda color, width: apply_text(whole, result, revision=8, seconds=108.4, color=color, width=width)


def _status(status: StackStatus) -> Callable[[bool, int], str]:
    return lambda color, width: status_text(status, NOW, color=color, width=width)


def _error(error: SparkrigError) -> Callable[[bool, int], str]:
    return lambda color, width: error_text(error, color, width=width)


NOTHING = StackStatus("lab", "sim-lab", "1.36.3")
REMOVED = replace(NOTHING, revision=9, status=RevisionStatus.REMOVED, when="2026-05-04T11:00:00Z", who="ops")
PENDING = replace(
    records.status(), simulated=False, status=RevisionStatus.PENDING, components=records.status().components[1:2]
)
UNREACHABLE = ClusterUnreachable(
    "expected an API server at https://127.0.0.1:6443 (context kind-lab), found nothing that answers\nwaited 5 s",
    detail=["connection refused", "  errno 111"],
    hint="start the cluster, or name another with --on",
)

PROBLEMS = InvalidInput(
    [
        Problem(Severity.WARNING, "list-replaced", "this list replaces 3 entries", where="--set a.b"),
        Problem(
            Severity.ERROR,
            "unknown-key",
            "Stack has no field 'kindd'",
            Position("stack.yaml", 2, 1, 5),
            label="did you mean 'kind'?",
        ),
    ]
)

REPORTS: dict[str, Callable[[bool, int], str]] = {
    "plan": _plan,
    "plan-empty": lambda c, w: plan_text(records.empty_plan(), cluster="lab", kubernetes=None, color=c, width=w),
    "plan-unhealthy": lambda c, w: plan_text(
        records.empty_plan(unhealthy=True), cluster="lab", kubernetes=None, color=c, width=w
    ),
    "plan-first": lambda c, w: plan_text(
        replace(records.plan(), base=0), cluster="lab", kubernetes="1.36.3", color=c, width=w
    ),
    "apply-done": _apply(records.result({})),
    "apply-nothing": _apply(ApplyResult((), ()), records.empty_plan()),
    "apply-failed": _apply(records.result(FAILED_RUN)),
    "apply-interrupted": _apply(records.result(INTERRUPTED_RUN, interrupted=True)),
    "apply-down": _apply(records.result({}), replace(records.plan(), action="down")),
    "status": _status(records.status()),
    "status-nothing": _status(NOTHING),
    "status-removed": _status(REMOVED),
    "status-pending": _status(PENDING),
    "history": lambda c, w: history_text("lab", records.revisions(), NOW, color=c, width=w),
    "history-empty": lambda c, w: history_text("lab", [], NOW, color=c, width=w),
    "error": _error(UNREACHABLE),
    "error-bare": _error(OperationError("helm ended with 1")),
    "error-problems": lambda c, w: error_text(PROBLEMS, c, width=w, sources={"stack.yaml": "a: 1\nkindd: Stack\n"}),
    "tools": lambda c, w: tools_text(TOOLS, color=c, width=w),
    "clusters": lambda c, w: clusters_text(CLUSTERS, color=c, width=w),
    "verify": lambda c, w: checks_text(records.checks(), color=c, width=w),
    "verify-simulated": lambda c, w: checks_text(records.checks(simulated=True), color=c, width=w),
    "verify-required": lambda c, w: checks_text(records.checks(simulated=True, required=True), color=c, width=w),
    "clusters-none": lambda c, w: clusters_text([], color=c, width=w),
}

ESCAPE = re.compile(r"\x1b\[([0-9;]*)m")


@pytest.mark.parametrize("name", REPORTS)
def test_a_pipe_gets_exactly_this_text(name: str) -> None:
    assert REPORTS[name](False, 0) == (CASES / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["plan", "apply-failed", "status", "history", "error", "tools", "verify"])
def test_a_narrow_terminal_gets_exactly_this_text(name: str) -> None:
    assert REPORTS[name](False, 60) == (CASES / f"{name}.60.txt").read_text(encoding="utf-8")


def test_every_expected_text_belongs_to_a_report() -> None:
    assert {path.name.split(".")[0] for path in CASES.glob("*.txt")} == set(REPORTS)


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("width", [0, 60])
def test_colour_changes_nothing_but_colour(name: str, width: int) -> None:
    text = REPORTS[name](True, width)
    assert ESCAPE.sub("", text) == REPORTS[name](False, width)
    for line in text.splitlines():
        codes = ESCAPE.findall(line)
        assert codes[1::2] == ["0"] * (len(codes) // 2), line
        assert len(codes) % 2 == 0, line
        assert "0" not in codes[::2], line
    assert "\x1b" in text or name == "plan-empty"


@pytest.mark.parametrize("name", ["plan", "apply-failed", "apply-interrupted", "error"])
@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    assert [line for line in REPORTS[name](False, width).splitlines() if width_of(line) > width] == []


def test_json_documents_say_what_they_are() -> None:
    documents = [
        plan_json(records.plan()),
        apply_json(records.plan(), records.result(FAILED_RUN)),
        status_json(records.status()),
        history_json("lab", records.revisions()),
        error_json(UNREACHABLE),
        tools_json(TOOLS),
        clusters_json(CLUSTERS),
        checks_json(records.checks()),
    ]
    assert [d["apiVersion"] for d in documents] == ["sparkrig.dev/v1"] * len(documents)
    kinds = ["Plan", "ApplyResult", "Status", "History", "Error", "Tools", "Clusters", "VerifyResult"]
    assert [d["kind"] for d in documents] == kinds
    for document in documents:
        assert json.loads(json.dumps(document)) == document


def test_the_json_plan_has_operations_and_no_values() -> None:
    document = plan_json(records.plan(), cluster="kind-lab", kubernetes="1.36.3")
    assert document["operations"][2] == {
        "id": "install/proxy",
        "action": "install",
        "component": "proxy",
        "release": "proxy",
        "namespace": "proxy",
        "needs": ["namespace/proxy", "crds/spark-operator"],
        "reason": "new",
        "timeoutSeconds": 600.0,
    }
    assert [change["change"] for change in document["changes"]][:4] == ["new", "changed", "changed", "removed"]
    assert document["unchanged"][0]["component"] == "other-0"
    assert "s3cret" not in json.dumps(document)


def test_turns_follow_the_waits_not_the_early_crds() -> None:
    assert turns(records.plan()) == [["proxy", "spark-operator"], ["hub"], ["metrics-server"]]


def test_json_history_is_newest_first_and_leaves_the_stack_file_out() -> None:
    document = history_json("lab", records.revisions())
    assert [revision["number"] for revision in document["revisions"]] == [8, 7, 6, 5]
    assert [revision["seconds"] for revision in document["revisions"]] == [None, 108.0, 242.0, 140.0]
    assert document["revisions"][3]["releases"][0]["standIn"] is True
    assert "secret text" not in json.dumps(document)


def test_json_status_marks_what_is_not_real_and_not_well() -> None:
    document = status_json(records.status())
    assert document["simulated"] is True
    assert document["ok"] is False
    assert {c["component"]: (c["ok"], c["standIn"]) for c in document["components"]} == {
        "proxy": (True, True),
        "gpu-operator": (True, False),
        "triton": (False, False),
        "hub": (False, False),
        "db": (False, False),
    }
    well = replace(records.status(), components=records.status().components[:2])
    assert status_json(well)["ok"] is True
    assert status_json(replace(well, status=RevisionStatus.FAILED))["ok"] is False
    assert status_json(NOTHING)["status"] is None


def test_components_are_sorted_by_how_they_ended() -> None:
    failed = outcome(records.plan(), records.result(FAILED_RUN))
    assert (failed.done, failed.failed) == (("proxy",), ("spark-operator",))
    assert (failed.unfinished, failed.not_started) == ((), ("hub", "metrics-server"))
    stopped = outcome(records.plan(), records.result(INTERRUPTED_RUN, interrupted=True))
    assert (stopped.done, stopped.unfinished) == (("spark-operator",), ("proxy",))
    without = ApplyResult(records.result({}).results[:6], ())
    assert outcome(records.plan(), without).not_started == ("hub", "metrics-server")


def test_an_error_in_json_carries_its_problems_and_exit_code() -> None:
    problem = Problem(Severity.ERROR, "unknown-key", "no such key", Position("stack.yaml", 3, 7), hint="did you mean")
    document = error_json(InvalidInput([problem]))
    assert (document["error"], document["exitCode"]) == ("invalid-input", 3)
    assert document["problems"][0] == {
        "severity": "error",
        "code": "unknown-key",
        "message": "no such key",
        "file": "stack.yaml",
        "line": 3,
        "column": 7,
        "length": 1,
        "where": None,
        "label": None,
        "hint": "did you mean",
    }
    assert error_json(UNREACHABLE)["error"] == "cluster-unreachable"


def test_a_message_from_the_cluster_cannot_move_the_cursor() -> None:
    nasty = "boom\x1b[2J\x1b]0;title\x07\x9b1A\r\x08 end\u202e"
    assert error_text(OperationError(nasty)) == "error: boom end\n"
    component = replace(records.status().components[4], problems=(nasty,), url="http://x\x1b[31m")
    text = status_text(replace(records.status(), components=(component,), message=nasty), NOW)
    assert not [c for c in text if c != "\n" and ord(c) < 32]


def test_checks_as_junit() -> None:
    text = (CASES / "verify.junit.xml").read_text(encoding="utf-8")
    assert checks_junit(records.checks()) == text


def test_junit_is_xml_whatever_a_pod_said() -> None:
    hostile = "a\x00b\x1b[31mred\ud800 ]]> <x> & \uffff\n\x0bend"
    result = replace(records.checks(), results=tuple(replace(r, message=hostile) for r in records.checks().results))
    root = ElementTree.fromstring(checks_junit(result))
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.attrib["message"] == "abred? ]]> <x> & ?\nend"


def test_an_expected_check_that_was_skipped_is_a_failure_in_every_form() -> None:
    result = records.checks(simulated=True, required=True)
    assert result.ok is False
    document = checks_json(result)
    assert (document["ok"], document["counts"]) == (False, {"pass": 1, "fail": 0, "warn": 0, "skip": 1})
    assert [(c["ok"], c["expected"], c["simulated"]) for c in document["checks"]] == [
        (True, True, True),
        (False, True, True),
    ]
    suite = ElementTree.fromstring(checks_junit(result))
    assert (suite.attrib["failures"], suite.attrib["skipped"]) == ("1", "0")
    assert records.checks(simulated=True).ok is True


def test_a_run_that_asked_nothing_or_was_interrupted_is_not_good() -> None:
    good = records.checks(simulated=True)
    assert replace(good, results=()).ok is False
    assert replace(good, interrupted=True).ok is False
