"""Plans that leave components in place, and take them back, from records alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.records import desired, observed, release, revision, stack, state

from sparkrig.history.codec import decode, encode
from sparkrig.models.objects import ObjectRef
from sparkrig.models.operation import Action, RemoveSecret
from sparkrig.models.plan import ApplyResult, OperationResult, OperationStatus, Plan
from sparkrig.output.wording import _DID, _DOING
from sparkrig.plan.build import foreign_claims, plan_down, plan_up
from sparkrig.plan.graph import WEIGHT_S
from sparkrig.plan.keeping import foreign_returns, kept_after, still_kept
from sparkrig.plan.restore import plan_restore

A, B = desired("a"), desired("b")
GIVEN_UP = {"stack": None, "former": "lab"}


def ids(plan: Plan) -> list[str]:
    return [operation.id for operation in plan.operations]


def symbols(plan: Plan) -> dict[str, str]:
    return {change.component: change.symbol for change in plan.changes}


def done(plan: Plan) -> ApplyResult:
    return ApplyResult(tuple(OperationResult(o, OperationStatus.DONE, 0.0) for o in plan.operations), ())


def test_what_is_kept_is_given_up_last_and_not_removed() -> None:
    b2 = replace(B, digest="sha256:other")
    last = revision(3, state(A), state(B))
    plan = plan_up(stack(b2), observed(release(A), release(B), last=last), keep=["a"])
    assert ids(plan)[-1] == "keep/a"
    assert set(plan.operations[-1].needs) == {"upgrade/b", "wait/b"}
    assert "uninstall/a" not in ids(plan)
    assert symbols(plan) == {"a": ">", "b": "~"}
    assert [s.component for s in kept_after(plan.kept, done(plan).results)] == ["a"]


def test_a_keep_that_failed_gives_nothing_up() -> None:
    plan = plan_up(stack(), observed(release(A), last=revision(3, state(A))), keep=["a"])
    (operation,) = plan.operations
    assert kept_after((), [OperationResult(operation, OperationStatus.FAILED, 0.0)]) == ()


@pytest.mark.parametrize("action", ["up", "down"])
def test_a_keep_that_was_cut_off_is_finished_without_being_asked_for(action: str) -> None:
    """The newest Helm revision was relabelled, then the run died: no run may uninstall it for that."""
    there = observed(release(A, **GIVEN_UP), last=revision(3, state(A)))
    plan = plan_up(stack(), there) if action == "up" else plan_down("lab", there)
    assert ids(plan) == ["keep/a"]


@pytest.mark.parametrize("owner", [None, "other"])
def test_what_somebody_else_made_anew_is_left_alone(owner: str | None) -> None:
    there = observed(release(A, stack=owner), last=revision(3, state(A)))
    for plan in (plan_up(stack(), there), plan_down("lab", there)):
        assert ids(plan) == []
        assert symbols(plan) == {"a": ">"}
        assert "left alone" in plan.changes[0].text
    assert foreign_returns(revision(2, state(A)), there) == (
        "a: release a-ns/a belongs to stack other"
        if owner
        else "a: release a-ns/a is a person's or another tool's by now",
    )


def test_only_what_is_still_there_and_unclaimed_is_carried_on() -> None:
    last = replace(revision(3), kept=(state(A), state(B)))
    both = observed(release(A, **GIVEN_UP), release(B, **GIVEN_UP), last=last)
    assert [s.component for s in still_kept(both, "lab")] == ["a", "b"]
    claimed = observed(release(A, stack="other", former="lab"), last=last)
    assert still_kept(claimed, "lab") == ()
    assert plan_up(stack(), both).empty
    assert plan_down("lab", both).empty


def test_the_stack_takes_back_what_it_gave_up_and_nobody_elses() -> None:
    last = replace(revision(3), kept=(state(A),))
    there = observed(release(A, **GIVEN_UP), last=last)
    assert foreign_claims(stack(A), there) == ()
    plan = plan_up(stack(A), there)
    assert ids(plan) == ["claim/a"]
    assert [s.component for s in plan.unchanged] == ["a"]
    assert symbols(plan) == {"a": "+"}
    assert plan.kept == ()
    changed = plan_up(stack(replace(A, digest="sha256:other")), there)
    assert ids(changed)[:2] == ["claim/a", "upgrade/a"]
    assert "claim/a" in changed.operations[1].needs
    unrecorded = plan_up(stack(A), observed(release(A, **GIVEN_UP), last=revision(3)))
    assert ids(unrecorded)[:2] == ["claim/a", "upgrade/a"]
    (claim,) = foreign_claims(stack(A), observed(release(A, stack=None, former="other"), last=last))
    assert claim.owner is None


def test_a_rollback_takes_it_back() -> None:
    there = observed(release(A, **GIVEN_UP), last=replace(revision(3), kept=(state(A),)))
    plan = plan_restore(revision(2, state(A)), there)
    assert ids(plan) == ["claim/a"]
    assert [s.component for s in plan.unchanged] == ["a"]
    moved = observed(release(A, revision=4, **GIVEN_UP), last=replace(revision(3), kept=(state(A),)))
    plan = plan_restore(revision(2, state(A)), moved)
    assert ids(plan) == ["claim/a", "rollback/a", "wait/a"]
    assert "claim/a" in plan.operations[1].needs
    assert kept_after(plan.kept, done(plan).results) == ()


def test_secrets_around_it_go_with_it_unless_the_stack_needs_them() -> None:
    last = revision(3, state(A), state(B))
    secrets = {("a-ns", "pull"): "x", ("b-ns", "pull"): "x"}
    plan = plan_up(stack(B), observed(release(A), release(B), last=last, secrets=secrets), keep=["a"])
    keep = next(operation for operation in plan.operations if operation.action is Action.KEEP)
    assert keep.objects == (ObjectRef("", "v1", "Secret", "a-ns", "pull"),)
    assert ("a-ns",) not in [one.namespaces for one in plan.operations if isinstance(one, RemoveSecret)]


def test_a_record_keeps_it() -> None:
    before = replace(revision(3, state(B)), kept=(state(A),))
    assert decode(encode(before)) == before


def test_every_action_has_a_weight_and_words() -> None:
    assert set(WEIGHT_S) == set(Action) - {Action.CHECK}
    assert set(_DOING) == set(_DID) == set(Action)


def test_a_return_to_where_it_was_left_in_place_gives_it_up_again() -> None:
    """Never by uninstalling it: neither what was taken back, nor what was half taken back, nor what was upgraded."""
    target = replace(revision(2), kept=(state(A), state(B)))
    last = revision(3, state(A), state(B))
    plan = plan_restore(target, observed(release(A), release(B, **GIVEN_UP), last=last), keep_history=False)
    assert ids(plan) == ["keep/a", "keep/b"]
    assert symbols(plan) == {"a": ">", "b": ">"}
    upgraded = observed(release(A, revision=2), release(B, **GIVEN_UP), last=replace(last, after=(state(A),)))
    plan = plan_restore(target, upgraded)
    assert ids(plan) == ["rollback/a", "wait/a", "keep/a"]
    assert "wait/a" in plan.operations[-1].needs


def test_a_return_leaves_alone_what_is_somebody_elses() -> None:
    there = observed(release(A, stack="other"), last=revision(3, state(A)))
    assert ids(plan_restore(revision(2), there)) == []
