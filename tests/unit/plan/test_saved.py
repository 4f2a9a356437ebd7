"""Saved plans: what is in the file, what counts as moved on, what is refused as no plan."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests import records

from sparkrig.commands.plan_file import read_plan, write_plan
from sparkrig.errors import InvalidInput, NotFound, Refused, SparkrigError
from sparkrig.models.objects import Judgement, Readiness
from sparkrig.models.plan import Change, Plan
from sparkrig.models.release import ResolvedStack
from sparkrig.models.state import ObservedState
from sparkrig.plan.build import plan_down, plan_up
from sparkrig.plan.saved import (
    Asked,
    SavedPlan,
    base_form,
    changes_form,
    charts_form,
    decode,
    encode,
    plan_form,
    refuse_moved,
    releases_form,
    what_moved,
    without_secrets,
)
from sparkrig.plan.summary import summary

A, B, C = (records.desired(name) for name in "abc")


def world() -> tuple[ResolvedStack, ObservedState]:
    """a is unchanged, b gets a new value, c is new."""
    new = replace(B, values={"replicas": 2}, digest="sha256:b-2")
    last = records.revision(3, records.state(A), records.state(B))
    return records.stack(A, new, C), records.observed(records.release(A), records.release(B), last=last)


def saved(resolved: ResolvedStack, observed: ObservedState, **changes: Any) -> SavedPlan:
    plan = plan_up(resolved, observed)
    fields: dict[str, Any] = {
        "stack": "lab",
        "cluster": "kind-lab",
        "created": "2026-05-04T12:00:00Z",
        "who": "ops@host",
        "sparkrig": "0.1.0",
        "asked": Asked("stack.yaml", values=("a=a.yaml",), sets=("b.replicas=2",)),
        "base": base_form(observed),
        "cluster_id": "uid-1",
        "files": {"stack.yaml": "sha256:1", "a.yaml": "sha256:2"},
        "catalogue": {"a": "sha256:3", "b": "sha256:4", "c": "sha256:5"},
        "charts": charts_form(resolved),
        "releases": releases_form(resolved, observed),
        "changes": changes_form(plan),
        "plan": plan_form(plan),
    }
    return SavedPlan(**(fields | changes))


def test_a_plan_comes_out_of_its_file_as_it_went_in() -> None:
    plan = saved(*world())
    assert decode(encode(plan), "x.plan") == plan
    refuse_moved(decode(encode(plan), "x.plan"), saved(*world()))


def test_the_file_is_for_people_too_and_has_no_values_but_the_changed_ones() -> None:
    resolved, observed = world()
    resolved = replace(
        resolved,
        releases=tuple(replace(r, values={**r.values, "adminPassword": "hunter2"}) for r in resolved.releases),
    )
    text = encode(saved(resolved, observed))
    document = json.loads(text)
    assert (document["kind"], document["stack"], document["base"]) == (
        "SavedPlan",
        "lab",
        {"revision": 3, "unfinished": None},
    )
    assert document["changes"] == [
        "~ b  1.0.0  values",
        '    adminPassword  (none) -> "(hidden)"',
        "    replicas  1 -> 2",
        "+ c  1.0.0  new",
    ]
    assert "hunter2" not in text


MOVED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "another cluster": (
        {"cluster_id": "uid-2", "cluster": "prod"},
        ["the cluster is another one: planned for kind-lab, this is prod"],
    ),
    "a cluster whose id nobody may read": ({"cluster_id": ""}, []),
    "the stack file": (
        {"files": {"stack.yaml": "sha256:9", "a.yaml": "sha256:2"}},
        ["stack.yaml: changed"],
    ),
    "a values file less, one more": (
        {"files": {"stack.yaml": "sha256:1", "b.yaml": "sha256:2"}},
        ["a.yaml: gone", "b.yaml: not there before"],
    ),
    "the catalogue": (
        {"catalogue": {"a": "sha256:9", "b": "sha256:4", "c": "sha256:5"}},
        ["component a of the catalogue: changed"],
    ),
    "a chart": (
        {"charts": {"a": "a 1.0.0 sha256:a", "b": "b 1.0.0 sha256:other", "c": "c 1.0.0 sha256:c"}},
        ["chart of b: b 1.0.0 sha256:b -> b 1.0.0 sha256:other"],
    ),
    "a run in between": ({"base": {"revision": 4, "unfinished": None}}, ["newest revision: 3 -> 4"]),
    "a run that died in between": (
        {"base": {"revision": 3, "unfinished": 4}},
        ["unfinished revision: none -> 4"],
    ),
    "helm by hand": (
        {"releases": {"a-ns/a": "Helm revision 2, failed", "b-ns/b": "Helm revision 1, deployed"}},
        ["release a-ns/a: Helm revision 1, deployed -> Helm revision 2, failed"],
    ),
    "several things": (
        {"files": {"stack.yaml": "sha256:9", "a.yaml": "sha256:2"}, "base": {"revision": 5, "unfinished": None}},
        ["stack.yaml: changed", "newest revision: 3 -> 5"],
    ),
    "who and when do not matter": ({"who": "ci", "created": "2027-01-01T00:00:00Z", "sparkrig": "9"}, []),
}


@pytest.mark.parametrize("name", MOVED)
def test_everything_that_moved_is_listed(name: str) -> None:
    changes, expected = MOVED[name]
    before, now = saved(*world()), saved(*world(), **changes)
    assert list(what_moved(before, now)) == expected
    if expected:
        with pytest.raises(Refused) as refused:
            refuse_moved(before, now)
        assert refused.value.detail == tuple(expected)
        assert "sparkrig plan --out FILE" in (refused.value.hint or "")


def test_another_outcome_from_the_same_inputs_is_noticed() -> None:
    """Facts of the cluster and contents of Secrets are in no file."""
    resolved, observed = world()
    before = saved(resolved, observed)
    other = replace(resolved, releases=(A, replace(resolved.releases[1], digest="sha256:b-3"), C))
    assert list(what_moved(before, saved(other, observed))) == ["upgrade/b: digest changed", "wait/b: digest changed"]
    changed = replace(resolved, releases=(replace(A, digest="sha256:a-2"), *resolved.releases[1:]))
    assert list(what_moved(before, saved(changed, observed))) == [
        "upgrade/a: not planned, and needed now",
        "wait/a: not planned, and needed now",
        "unchanged a: gone",
    ]
    labelled = replace(observed, namespaces={**observed.namespaces, "c-ns": {}})
    assert list(what_moved(before, saved(resolved, labelled))) == [
        "namespace/c-ns: planned, and not needed any more",
        "install/c: needs changed",
    ]


def test_pods_that_come_and_go_do_not_make_a_plan_old() -> None:
    resolved, observed = world()
    unwell = replace(observed, live={"a": (Judgement(Readiness.PROGRESSING, "0/1 ready"),)})
    assert [op.id for op in plan_up(resolved, unwell).operations if op.component == "a"] == ["wait/a"]
    assert list(what_moved(saved(resolved, observed), saved(resolved, unwell))) == []


def test_a_down_is_another_plan() -> None:
    resolved, observed = world()
    before = saved(resolved, observed)
    assert list(what_moved(before, replace(before, plan=plan_form(plan_down("lab", observed)))))


BAD: dict[str, tuple[str, str]] = {
    "no JSON": ("apiVersion: 1", "this is not JSON: Expecting value"),
    "a plan as --output json prints it": ('{"kind": "Plan"}', "this is not a plan that `sparkrig plan --out` wrote"),
    "a list": ("[]", "this is not a plan that `sparkrig plan --out` wrote"),
    "of another version": (
        '{"kind": "SavedPlan", "apiVersion": "sparkrig.dev/v9"}',
        "its apiVersion is 'sparkrig.dev/v9', this sparkrig reads sparkrig.dev/v1",
    ),
    "without what was asked": ('{"kind": "SavedPlan", "apiVersion": "sparkrig.dev/v1"}', "'asked' is missing"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_saved_plan_is_said(name: str) -> None:
    text, message = BAD[name]
    with pytest.raises(InvalidInput) as error:
        decode(text, "x.plan")
    (problem,) = error.value.problems
    assert problem.message == message
    assert str(problem.position).startswith("x.plan:1:")


@pytest.mark.parametrize(
    ("name", "value"),
    [("stack", 1), ("files", ["a"]), ("files", {"a": 1}), ("plan", "x"), ("changes", "x"), ("base", None)],
)
def test_a_field_of_the_wrong_form_is_named(name: str, value: Any) -> None:
    document = json.loads(encode(saved(*world())))
    document[name] = value
    with pytest.raises(InvalidInput) as error:
        decode(json.dumps(document), "x.plan")
    assert error.value.problems[0].message == f"'{name}' is not of the right form"


def test_set_arguments_that_look_like_secrets_are_not_written() -> None:
    written, withheld = without_secrets(["a.replicas=2", "a.auth.password=x", "a.x=1,a.token=y", "a.passwordFile=/f"])
    assert written == ("a.replicas=2", "a.passwordFile=/f")
    assert withheld == ("a.auth.password", "a.x")


def test_only_a_saved_plan_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "x.plan"
    plan = saved(*world())
    write_plan(plan, path)
    write_plan(replace(plan, who="ci"), path)
    assert read_plan(path).who == "ci"
    assert path.stat().st_mode & 0o777 == 0o600
    stack = tmp_path / "stack.yaml"
    stack.write_text("kind: Stack\n")
    with pytest.raises(SparkrigError, match="is there and is no saved plan"):
        write_plan(plan, stack)
    assert stack.read_text() == "kind: Stack\n"
    with pytest.raises(SparkrigError, match="cannot be written"):
        write_plan(plan, tmp_path / "nowhere" / "x.plan")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["stack.yaml", "x.plan"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="cannot be read: No such file"):
        read_plan(tmp_path / "x.plan")


# ------------------------------------------------------------------ the line in the history


def change_plan(*changes: Change, base: int = 3, action: str = "up") -> Plan:
    return Plan("lab", action, base, (), changes, ())


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        (change_plan(Change("a", "~", "0.1.0 -> 0.2.0", ("x  1 -> 2",))), "a 0.1.0 -> 0.2.0"),
        (change_plan(Change("a", "~", "1.0.0  values", ("replicas  2 -> 3",))), "a replicas 2 -> 3"),
        (change_plan(Change("a", "~", "1.0.0  values", ("x  2 -> 3", "y  1 -> 2"))), "a values"),
        (change_plan(Change("a", "~", "1.0.0  values", ("x  2 -> 3", "! disturbs 1 pod"))), "a x 2 -> 3"),
        (change_plan(Change("a", "~", "1.0.0  the chart's files changed")), "a the chart's files changed"),
        (change_plan(Change("a", "+", "1.0.0  new"), Change("b", "-", "removed 1.0.0")), "+a, -b"),
        (change_plan(Change("a", "+", "1.0.0  new"), Change("b", "+", "1.0.0  new"), base=0), "first install: a, b"),
        (
            change_plan(Change("a", "^", "1.0.0  a helm that died left it pending: recover, then upgrade")),
            "a recovered",
        ),
        (change_plan(Change("a", "!", "1.0.0  repair: 2 objects are missing")), "a repaired"),
        (change_plan(Change("a", "!", "unchanged, but not ready"), Change("b", "=", "unchanged")), ""),
        (change_plan(*(Change(str(n), "+", "1  new") for n in range(8))), "+0, +1, +2, +3, +4, +5 and 2 more"),
    ],
)
def test_a_plan_in_one_line(plan: Plan, text: str) -> None:
    assert summary(plan) == text
