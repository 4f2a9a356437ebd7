"""What up and down plan, from records alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests import records
from tests.records import desired, observed, release, revision, stack, state

from sparkrig.models.chart import Chart
from sparkrig.models.component import CrdOwner
from sparkrig.models.objects import Judgement, ObjectRef, Readiness
from sparkrig.models.operation import Action, Operation
from sparkrig.models.plan import Plan
from sparkrig.models.revision import RevisionStatus
from sparkrig.models.state import Drift
from sparkrig.plan.build import foreign_claims, moved_claims, plan_down, plan_up
from sparkrig.plan.diff.changes import ABSENT, value_at, value_changes
from sparkrig.plan.graph import ordered, remaining_path_s


def ids(plan: Plan) -> list[str]:
    return [operation.id for operation in plan.operations]


def needs(plan: Plan, name: str) -> set[str]:
    return set(next(operation for operation in plan.operations if operation.id == name).needs)


def test_an_empty_cluster_gets_everything_in_dependency_order() -> None:
    a, b = desired("a", crd_owner=CrdOwner.US), desired("b", needs=("a",))
    plan = plan_up(stack(a, b), observed())
    assert set(ids(plan)) == {
        "namespace/a-ns",
        "crds/a",
        "install/a",
        "wait/a",
        "namespace/b-ns",
        "install/b",
        "wait/b",
    }
    assert needs(plan, "install/a") == {"namespace/a-ns", "crds/a"}
    assert needs(plan, "install/b") == {"namespace/b-ns", "wait/a"}
    assert ids(plan).index("wait/a") < ids(plan).index("install/b")
    assert [change.symbol for change in plan.changes] == ["+", "+"]


def test_a_dependency_on_crds_alone_does_not_wait_for_pods() -> None:
    a, b = desired("a", crd_owner=CrdOwner.US), desired("b", crd_needs=("a",))
    plan = plan_up(stack(a, b), observed())
    assert needs(plan, "install/b") == {"namespace/b-ns", "crds/a"}


def test_nothing_to_do_is_an_empty_plan_that_keeps_the_record() -> None:
    a = desired("a")
    plan = plan_up(stack(a), observed(release(a), last=revision(3, state(a))))
    assert plan.empty
    assert plan.base == 3
    assert plan.unchanged == (state(a),)
    assert [(change.symbol, change.text) for change in plan.changes] == [("=", "unchanged")]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({"revision": 2}, "somebody else changed it (Helm revision 1 -> 2)"),
        ({"status": "failed"}, "Helm says failed"),
    ],
)
def test_a_release_that_moved_on_is_upgraded_again(found: dict[str, object], why: str) -> None:
    a = desired("a")
    plan = plan_up(stack(a), observed(release(a, **found), last=revision(1, state(a))))
    assert ids(plan) == ["upgrade/a", "wait/a"]
    assert plan.operations[0].reason == why


@pytest.mark.parametrize("status", ["pending-install", "pending-upgrade", "pending-rollback", "uninstalling"])
def test_a_release_left_pending_is_recovered_first(status: str) -> None:
    a = desired("a")
    plan = plan_up(stack(a), observed(release(a, status=status), last=revision(1, state(a))))
    assert ids(plan) == ["recover/a", "upgrade/a", "wait/a"]
    assert needs(plan, "upgrade/a") == {"recover/a"}
    assert plan.changes[0].symbol == "^"


@pytest.mark.parametrize(
    ("at_work", "told"),
    [
        ("", "a helm that died left it pending-upgrade: recover, then upgrade"),
        (
            "ops@ci pid 7",
            "helm is at work on it in the run of ops@ci pid 7: pending-upgrade; up --wait-lock waits for that run",
        ),
        (None, "a helm that died, or one of a run that goes on, left it pending-upgrade: recover, then upgrade"),
    ],
)
def test_a_plan_beside_a_living_run_does_not_call_its_helm_dead(at_work: str | None, told: str) -> None:
    a = desired("a")
    begun = revision(2, status=RevisionStatus.PENDING)
    seen = observed(release(a, status="pending-upgrade"), last=revision(1, state(a)), pending=begun)
    plan = plan_up(stack(a), replace(seen, at_work=at_work))
    assert plan.changes[0].text == f"1.0.0  {told}"


@pytest.mark.parametrize("recorded", [False, True])
def test_a_plan_beside_a_living_run_says_whose_changes_it_sees(recorded: bool) -> None:
    a = desired("a")
    last = revision(1, *([state(a)] if recorded else []))
    seen = observed(release(a, revision=2), last=last, pending=revision(2, status=RevisionStatus.PENDING))
    plan = plan_up(stack(a), replace(seen, at_work="ops@ci pid 7"))
    assert "the run of ops@ci pid 7" in plan.changes[0].text
    assert "goes on" in plan.changes[0].text


def test_a_release_of_ours_without_a_record_is_taken_over() -> None:
    a = desired("a")
    plan = plan_up(stack(a), observed(release(a)))
    assert ids(plan) == ["upgrade/a", "wait/a"]


def test_a_release_that_vanished_is_installed_again() -> None:
    a = desired("a")
    for found in ((), (release(a, status="uninstalled"),)):
        plan = plan_up(stack(a), observed(*found, last=revision(1, state(a))))
        assert "install/a" in ids(plan)


def test_missing_objects_are_reported_and_mended_on_request_only() -> None:
    a = desired("a")
    gone = {"a": (ObjectRef("apps", "v1", "Deployment", "a-ns", "a"),)}
    seen = observed(release(a), last=revision(1, state(a)), missing=gone)
    plan = plan_up(stack(a), seen)
    assert plan.empty
    assert plan.changes[0].symbol == "!"
    assert "Deployment a-ns/a" in plan.changes[0].details
    repair = plan_up(stack(a), seen, repair=True)
    assert ids(repair) == ["repair/a", "wait/a"]


def test_an_unready_release_is_waited_for() -> None:
    a = desired("a")
    live = {"a": (Judgement(Readiness.PROGRESSING, "Deployment a: 0/1 ready"),)}
    plan = plan_up(stack(a), observed(release(a), last=revision(1, state(a)), live=live))
    assert ids(plan) == ["wait/a"]
    assert plan.unchanged == (state(a),)


def test_a_component_switched_off_goes_after_its_dependents() -> None:
    a, b, c = desired("a"), desired("b", needs=("a",)), desired("c", needs=("b",))
    seen = observed(release(a), release(b), release(c), last=revision(1, state(a), state(b), state(c)))
    plan = plan_up(stack(a), seen)
    assert set(ids(plan)) == {"uninstall/c", "uninstall/b"}
    assert needs(plan, "uninstall/b") == {"uninstall/c"}


def test_what_a_remaining_release_used_goes_after_it_was_changed() -> None:
    a, b = desired("a"), desired("b", needs=("a",))
    seen = observed(release(a), release(b), last=revision(1, state(a), state(b)))
    plan = plan_up(stack(replace(b, needs=(), digest="sha256:b-2")), seen)
    assert needs(plan, "uninstall/a") == {"wait/b"}


def test_a_stray_release_of_the_stack_is_removed() -> None:
    a, lost = desired("a"), desired("lost")
    seen = observed(release(a), release(lost), release(desired("foreign"), stack=None), last=revision(1, state(a)))
    assert ids(plan_up(stack(a), seen)) == ["uninstall/lost"]
    assert set(ids(plan_down("lab", seen))) == {"uninstall/lost", "uninstall/a"}


def test_down_goes_in_reverse_order_and_says_what_it_keeps() -> None:
    a = desired("a", keep=("Namespace",))
    b = desired("b", needs=("a",))
    kept = state(a, inventory=(ObjectRef("", "v1", "Namespace", "", "jobs"),), crds=("x.example.org",))
    plan = plan_down("lab", observed(release(a), release(b), last=revision(4, kept, state(b))))
    assert ids(plan) == ["uninstall/b", "uninstall/a"]
    assert plan.changes[0].details == ("keeps Namespace", "keeps 1 CRDs and their custom resources")


def test_two_components_in_one_namespace_share_its_labels() -> None:
    a = desired("a", namespace="shared", namespace_labels={"x": "1"})
    b = desired("b", namespace="shared", namespace_labels={"y": "2"})
    plan = plan_up(stack(a, b), observed())
    (namespace,) = [operation for operation in plan.operations if operation.action is Action.NAMESPACE]
    assert namespace.labels == {"x": "1", "y": "2"}


@pytest.mark.parametrize(("owner", "claimed"), [("lab", False), ("other", True), (None, True)])
def test_ownership(owner: str | None, claimed: bool) -> None:
    a = desired("a")
    claims = foreign_claims(stack(a), observed(release(a, stack=owner)))
    assert bool(claims) is claimed
    assert not foreign_claims(stack(a), observed(release(a, stack=owner, status="uninstalled")))


def test_a_moved_namespace_is_noticed() -> None:
    a = desired("a")
    seen = observed(release(a), last=revision(1, state(a)))
    assert not moved_claims(stack(a), seen)
    assert moved_claims(stack(replace(a, namespace="elsewhere")), seen)


def test_the_change_names_versions_and_values() -> None:
    a = desired("a")
    newer = Chart("a", "2.0.0", "2", "sha256:other", a.chart.path, a.chart.origin)
    seen = observed(release(a), last=revision(1, state(a)))
    plan = plan_up(stack(replace(a, chart=newer, digest="x", values={"replicas": 2, "a.b": None})), seen)
    assert plan.changes[0].text == "1.0.0 -> 2.0.0"
    assert plan.changes[0].details == ("a\\.b  (none) -> null", "replicas  1 -> 2")


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ({}, {"deployment": {"replicas": 2}}, ("deployment.replicas  1 (chart default) -> 2",)),
        ({"deployment": {"replicas": 2}}, {}, ("deployment.replicas  2 -> 3 (chart default)",)),
        ({}, {"driver": {"version": "590"}}, ('driver.version  "595" (chart default) -> "590"',)),
        ({}, {"extra": {"a.b": 1, "c": {}}}, ("extra.a\\.b  (none) -> 1", "extra.c  (none) -> {}")),
        ({}, {"auth": {"password": "new"}}, ('auth.password  "(hidden)" (chart default) -> "(hidden)"',)),
    ],
)
def test_a_value_that_nobody_had_set_is_shown_as_the_charts_default(
    old: dict[str, Any], new: dict[str, Any], lines: tuple[str, ...]
) -> None:
    a = desired("a", values=new, digest="x")
    seen = observed(release(a), last=revision(1, state(a, values=old, digest="y")))
    before = {"deployment": {"replicas": 1}, "driver": {"version": "595"}, "auth": {"password": "old"}}
    plan = plan_up(stack(a), seen, defaults={"a": (before, {"deployment": {"replicas": 3}})})
    assert plan.changes[0].details == lines
    without = plan_up(stack(a), seen)
    assert "chart default" not in str(without.changes)


def test_a_repair_counts_what_is_missing_and_shows_whose_each_field_is() -> None:
    a = desired("a", namespace_labels={"level": "high"})
    ref = state(a).inventory[0]
    drift = Drift(ref, "spec.replicas", "spec.replicas is 3, set by kubectl; goes back to 1")
    around = Drift(ObjectRef("", "v1", "Namespace", "", "a-ns"), "metadata.labels.level", "level is low", around=True)
    seen = observed(release(a), last=revision(1, state(a)), missing={"a": (ref,)}, drifted={"a": (drift, around)})
    assert plan_up(stack(a), seen).changes[0].text == "unchanged, but 1 of its objects is missing"
    (change,) = plan_up(stack(a), seen, repair=True).changes
    assert change.text == "1.0.0  repair: 1 object is missing, 1 field was changed"
    assert change.details == (f"{ref} is missing", drift.text, around.text)
    labels = plan_up(stack(a), replace(seen, missing={}, drifted={"a": (around,)}), repair=True)
    assert [o.id for o in labels.operations] == ["namespace/a-ns"]
    assert labels.operations[0].labels == {"level": "high"}
    assert [s.component for s in labels.unchanged] == ["a"]
    only = plan_up(stack(a), replace(seen, missing={}, drifted={"a": (drift,)}), repair=True)
    assert [o.action for o in only.operations if o.action is not Action.NAMESPACE] == [Action.REPAIR, Action.WAIT]


def test_a_namespace_keeps_the_labels_of_every_component_in_it() -> None:
    a, b = (desired(name, namespace="shared", namespace_labels={name: "yes"}) for name in "ab")
    seen = observed(release(a), release(b), last=revision(1, state(a, digest="sha256:old"), state(b)))
    plan = plan_up(stack(a, b), seen)
    (made,) = (o for o in plan.operations if o.action is Action.NAMESPACE)
    assert made.labels == {"a": "yes", "b": "yes"}


def test_value_changes_tell_absent_from_null_and_true_from_one() -> None:
    assert list(value_changes({"a": None}, {})) == [("a", None, ABSENT)]
    assert list(value_changes({"a": 1}, {"a": True})) == [("a", 1, True)]
    assert list(value_changes({"a": {"b": [1]}}, {"a": {"b": [1]}})) == []
    assert value_at({"a": {"b.c": 1}}, "a.b\\.c") == 1
    assert value_at({"a": []}, "a.b") is None


def _operation(name: str, *needed: str, action: Action = Action.INSTALL) -> Operation:
    return records.operation(action, name, needed, id=name)


def test_the_graph_refuses_cycles_and_unknown_needs() -> None:
    with pytest.raises(ValueError, match=r"x -> y -> x|y -> x -> y"):
        ordered([_operation("x", "y"), _operation("y", "x")])
    with pytest.raises(ValueError, match="x needs unknown operations: z"):
        ordered([_operation("x", "z")])


def test_the_longest_remaining_path_is_weighed() -> None:
    weights = remaining_path_s([_operation("a"), _operation("b", "a"), _operation("c")])
    assert weights["a"] == weights["b"] + weights["c"] == 6.0


def test_a_rollback_weighs_what_it_brings_back() -> None:
    def back(name: str, count: int) -> Operation:
        objects = tuple(ObjectRef("", "v1", "Service", name, f"{number}") for number in range(count))
        return records.operation(Action.ROLLBACK, name, id=name, state=state(desired(name), inventory=objects))

    weights = remaining_path_s([back("large", 100), back("small", 10)])
    assert weights["large"] > weights["small"]
