"""The form of each kind of operation in a saved plan: files that earlier versions wrote still compare as equal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tests.records import desired, observed, release, revision, stack, state

from sparkrig.models.component import CrdOwner
from sparkrig.models.objects import ObjectRef
from sparkrig.models.operation import Action
from sparkrig.models.plan import Plan
from sparkrig.models.secret import DesiredSecret, SecretField, SecretSpec
from sparkrig.plan.build import plan_up
from sparkrig.plan.saved import plan_form
from sparkrig.plan.server.answers import Refused
from sparkrig.plan.server.changes import Rehearsal, with_rehearsals

CASE = Path(__file__).parents[2] / "cases" / "plan" / "saved-operations.json"
"""Written by the version in which all operations were one record."""
NEVER_SAVED = {Action.ROLLBACK, Action.DELETE, Action.VACATE, Action.CHECK}
"""What no ``up`` plans."""


def secret(name: str) -> SecretSpec:
    return SecretSpec(name, "Opaque", (SecretField("key", {"fromEnv": "VALUE"}),))


def plan_with_every_operation() -> Plan:
    """a restarts, b was left pending, c is repaired, e goes, f is kept, g is new, h is taken back."""
    a, c, e, f, g, h = (desired(name) for name in "acefgh")
    a = replace(a, secrets={"pull": "m2"})
    b = desired("b", namespace_labels={"x": "y"}, crd_owner=CrdOwner.US, secrets={"pull": "m2", "late": "n"})
    b = replace(b, immutable="recreate")
    made = ObjectRef("", "v1", "Service", "kube-system", "made")
    was_a = state(a, secrets={"pull": "m1"})
    was_b = replace(state(b), digest="old", secrets={"pull": "m1"})
    last = replace(revision(3, was_a, was_b, state(c), state(e, leaves=(made,)), state(f)), kept=(state(h),))
    wanted = replace(
        stack(a, b, c, g, h),
        secrets=(
            DesiredSecret(secret("pull"), ("a-ns", "b-ns"), fingerprint="m2"),
            DesiredSecret(secret("late"), ("b-ns",), (("g", "made-ns"),), fingerprint="n"),
        ),
    )
    there = observed(
        release(a),
        release(b, status="pending-upgrade"),
        *(release(one) for one in (c, e, f)),
        release(h, stack=None, former="lab"),
        last=last,
        secrets={("a-ns", "pull"): "m1", ("f-ns", "own"): "z", ("b-ns", "old"): "q"},
        missing={"c": (ObjectRef("apps", "v1", "Deployment", "c-ns", "c"),)},
    )
    plan = plan_up(wanted, there, repair=True, keep=["f"])
    anew = Refused(ObjectRef("apps", "v1", "StatefulSet", "b-ns", "b"), (("spec", "no"),))
    found = Rehearsal("b", refused=(anew,), leftovers=(made,), weight_s=3.0, effects=("x",))
    return with_rehearsals(plan, [found])


def test_every_kind_of_operation_is_written_as_before() -> None:
    plan = plan_with_every_operation()
    assert {operation.action for operation in plan.operations} == set(Action) - NEVER_SAVED
    assert json.loads(json.dumps(plan_form(plan))) == json.loads(CASE.read_text())
