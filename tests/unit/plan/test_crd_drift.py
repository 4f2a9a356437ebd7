"""CRDs that are not as recorded: how they are recognized, and what up and rollback plan for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.records import desired, observed, release, revision, stack, state

from sparkrig.history.codec import decode, encode
from sparkrig.models.component import CrdOwner
from sparkrig.models.objects import ObjectRef
from sparkrig.models.operation import Action, RestoreCrds
from sparkrig.models.plan import Plan
from sparkrig.models.release import ReleaseState
from sparkrig.models.revision import RevisionStatus
from sparkrig.models.state import CrdDrift
from sparkrig.plan.build import plan_up
from sparkrig.plan.crds.drift import DIGEST, describe, find_drift
from sparkrig.plan.restore import plan_restore

FOLDER = Path(__file__).parents[2] / "cases" / "crd-drift"
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['what']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for case in yaml.safe_load(path.read_text())
]
THINGS = "things.example.org"
A = desired("a", crd_owner=CrdOwner.US)
MISSING = CrdDrift(THINGS, "missing", "is missing")


def recorded(helm_revision: int = 1, **changes: Any) -> ReleaseState:
    return state(A, helm_revision=helm_revision, crds=(THINGS,), crd_digests={THINGS: "sha256:1"}, **changes)


def ids(plan: Plan) -> list[str]:
    return [operation.id for operation in plan.operations]


def metadata(short: Mapping[str, Any]) -> dict[str, Any]:
    spec = {"f:group": {}, "f:scope": {}, "f:versions": {}}
    entries = [{"manager": short["manager"], "operation": "Apply", "fieldsV1": {"f:spec": spec}}]
    annotations = {DIGEST: short["digest"]} if "digest" in short else {}
    deleted = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if short.get("deleted") else {}
    return {"annotations": annotations, "managedFields": entries, **deleted}


def of(digests: Mapping[str, str | None], name: str = "a", inventory: tuple[str, ...] = ()) -> ReleaseState:
    refs = tuple(ObjectRef("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "", n) for n in inventory)
    known = {key: value for key, value in digests.items() if value is not None}
    return state(desired(name), crds=tuple(digests), crd_digests=known, inventory=refs)


@pytest.mark.parametrize("case", CASES)
def test_which_crds_are_not_as_recorded(case: Mapping[str, Any]) -> None:
    states = [of(case["recorded"], inventory=tuple(case.get("inventory", ())))]
    states += [of(case["others"], "b")] if "others" in case else []
    there = {name: metadata(short) for name, short in case["there"].items()}
    unserved = case.get("unserved", {})
    found = find_drift(states, there, lambda name: unserved.get(name, ""))
    drift = found.get("a", ())
    assert [f"{one.what}: {line}" for one, line in zip(drift, describe(drift), strict=True)] == case["drift"]
    assert "b" not in found


def test_up_reports_a_drifted_crd_and_repair_applies_it_and_nothing_else() -> None:
    there = observed(release(A), last=revision(3, recorded()), crd_drift={"a": (MISSING,)})
    told = plan_up(stack(A), there)
    assert told.empty
    assert [change.symbol for change in told.changes] == ["!"]
    assert told.changes[0].details == (f"CRD {THINGS} is missing", "next: sparkrig up --repair")
    repair = plan_up(stack(A), there, repair=True)
    assert ids(repair) == ["crds/a", "wait/a"]
    assert repair.unchanged == (recorded(),)
    assert repair.changes[0].text == "1.0.0  repair: 1 CRD is not as recorded"


@pytest.mark.parametrize("status", [RevisionStatus.FAILED, RevisionStatus.ROLLED_BACK])
def test_after_a_failed_run_the_next_one_applies_crds_again_unasked(status: RevisionStatus) -> None:
    last = replace(revision(3, recorded()), status=status)
    assert ids(plan_up(stack(A), observed(release(A), last=last, crd_drift={"a": (MISSING,)}))) == ["crds/a", "wait/a"]


def test_after_a_run_that_never_ended_too() -> None:
    pending = replace(revision(4), status=RevisionStatus.PENDING)
    there = observed(release(A), last=revision(3, recorded()), pending=pending, crd_drift={"a": (MISSING,)})
    assert ids(plan_up(stack(A), there)) == ["crds/a", "wait/a"]


def test_what_has_custom_resources_of_a_missing_crd_comes_back_behind_it() -> None:
    b = desired("b", crd_needs=("a",))
    gadget = ObjectRef("example.org", "v1", "Thing", "b-ns", "x")
    last = revision(3, recorded(), state(b, inventory=(gadget,)))
    there = observed(release(A), release(b), last=last, crd_drift={"a": (MISSING,)}, missing={"b": (gadget,)})
    plan = plan_up(stack(A, b), there, repair=True)
    repair = next(operation for operation in plan.operations if operation.action is Action.REPAIR)
    assert (repair.component, repair.needs) == ("b", ("crds/a",))


def test_rollback_applies_the_recorded_crds_before_the_release() -> None:
    target = revision(1, recorded())
    newer = state(replace(A, digest="sha256:a-2"), helm_revision=2)
    there = observed(release(A, revision=2), last=revision(2, newer))
    changed = CrdDrift(THINGS, "changed", "is of another version than the one recorded")
    plan = plan_restore(target, there, crd_drift={"a": (changed,)})
    assert ids(plan) == ["crds/a", "rollback/a", "wait/a"]
    assert isinstance(plan.operations[0], RestoreCrds)
    assert plan.operations[1].needs == ("crds/a",)
    # The automatic return of a failed upgrade passes none: CRDs stay as they are (docs/adr/0041).
    assert ids(plan_restore(target, there)) == ["rollback/a", "wait/a"]


def test_rollback_applies_crds_also_where_the_release_is_as_it_was() -> None:
    last = revision(2, recorded())
    plan = plan_restore(revision(1, recorded()), observed(release(A), last=last), crd_drift={"a": (MISSING,)})
    assert ids(plan) == ["crds/a", "wait/a"]
    assert plan.unchanged == (recorded(),)


def test_rollback_says_that_an_older_record_does_not_hold_its_crds() -> None:
    old = state(A, crds=(THINGS,))
    plan = plan_restore(revision(1, old), observed(last=revision(2)), crd_drift={"a": (MISSING,)})
    assert "crds/a" not in ids(plan)
    assert plan.changes[0].details == (f"CRDs stay missing: {THINGS}: that revision does not hold them",)


def test_a_record_keeps_the_digests_and_an_older_one_has_none() -> None:
    kept = revision(1, recorded())
    assert decode(encode(kept)) == kept
    assert decode(encode(revision(1, state(A)))).after[0].crd_digests == {}
