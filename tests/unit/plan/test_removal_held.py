"""What the plan of a removal says of what nobody will let go of, from records alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.plan.test_removal_plan import content, needs, observed, ref, state

from sparkrig.models.objects import Judgement, ObjectRef, Readiness
from sparkrig.models.operation import Action
from sparkrig.models.plan import Plan
from sparkrig.models.state import ObservedState
from sparkrig.plan.held import HELD_S, dead_apis, strange
from sparkrig.plan.removal import DELETE_S, plan_removal
from sparkrig.plan.survey import Content, Survey

PART = ref("Part", "x", "op", "example.org")
OP = state("op", crds=("parts.example.org",))
DEPLOYMENT = ref("Deployment", "op", "op", "apps")
SURVEY = Survey(
    custom_resources={"parts.example.org": (PART,)},
    crd_owners={"parts.example.org": "op"},
    finalizers={PART: ("example.org/cleanup",)},
)
PATCH = """kubectl patch parts.example.org x -n op --type=merge -p '{"metadata":{"finalizers":null}}'"""


def told(plan: Plan) -> list[str]:
    return [f"{c.component}: {c.text}" for c in plan.changes if c.symbol == "!"]


def patience(plan: Plan) -> list[float]:
    return [o.timeout_s for o in plan.operations if o.action is Action.DELETE and PART in o.objects]


def gone() -> ObservedState:
    return replace(observed(OP), releases={})


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (gone(), "op is not installed any more"),
        (replace(observed(OP), missing={"op": (DEPLOYMENT,)}), "Deployment op/op is missing"),
        (
            replace(observed(OP), live={"op": (Judgement(Readiness.FAILED, "Deployment op/op: 0 of 1 ready"),)}),
            "Deployment op/op: 0 of 1 ready",
        ),
    ],
)
def test_finalizers_without_a_controller_are_named_and_not_waited_for(seen: ObservedState, why: str) -> None:
    plan = plan_removal("lab", seen, SURVEY, ["crds"])
    assert told(plan) == [f"op: 1 custom resource will not go, nobody takes its finalizers off: {why}"]
    (change,) = [c for c in plan.changes if c.symbol == "!"]
    assert change.details[0] == "Part op/x: example.org/cleanup"
    assert PATCH in change.details[-1]
    assert patience(plan) == [HELD_S]


@pytest.mark.parametrize(
    ("seen", "survey"),
    [
        (observed(OP), SURVEY),
        (replace(observed(OP), missing={"op": (ref("ConfigMap", "a"),)}), SURVEY),
        (gone(), replace(SURVEY, finalizers={PART: ("foregroundDeletion", "kubernetes.io/pvc-protection")})),
    ],
    ids=["a controller that is well", "something else is missing", "finalizers of Kubernetes"],
)
def test_what_somebody_lets_go_of_is_waited_for(seen: ObservedState, survey: Survey) -> None:
    plan = plan_removal("lab", seen, survey, ["crds"])
    assert told(plan) == []
    assert patience(plan) == [DELETE_S]


def in_namespace(*contents: Content, **fields: Any) -> Survey:
    survey = replace(SURVEY, custom_resources={}, finalizers={}, contents={"op": contents})
    return replace(survey, **fields)


OURS = {"op": {"sparkrig.dev/stack": "lab", "app.kubernetes.io/managed-by": "sparkrig"}}
HELD = content("Part", "x", "example.org", finalizers=["example.org/cleanup"])
LOOSE = content("Part", "y", "example.org")
FOREIGN = content("ConfigMap", "theirs", finalizers=["example.net/wait", "foregroundDeletion"])


def test_what_would_hold_a_purged_namespace_goes_while_its_controller_lives() -> None:
    plan = plan_removal("lab", observed(OP, **OURS), in_namespace(HELD, LOOSE), ["namespaces"])
    (delete,) = [o for o in plan.operations if o.action is Action.DELETE]
    assert (delete.id, delete.objects) == ("delete/op", (PART,))
    assert needs(plan, "uninstall/op") == ("delete/op",)
    assert told(plan) == []


@pytest.mark.parametrize("purge", [[], ["claims"]])
def test_custom_resources_stay_where_their_namespace_does(purge: list[str]) -> None:
    plan = plan_removal("lab", observed(OP, **OURS), in_namespace(HELD), purge)
    assert [o.action for o in plan.operations] == [Action.UNINSTALL]


def test_finalizers_of_others_in_a_purged_namespace_are_named() -> None:
    plan = plan_removal("lab", observed(OP, **OURS), in_namespace(HELD, LOOSE, FOREIGN), ["namespaces"])
    assert told(plan) == ["namespace op: it stays as long as nobody takes finalizers off: 1 object has some"]
    (change,) = [c for c in plan.changes if c.symbol == "!"]
    assert change.details[0] == "ConfigMap op/theirs: example.net/wait"


@pytest.mark.parametrize(
    ("inventory", "contents", "lines"),
    [
        ((), {"op": ()}, ["APIService v1.gone"]),
        ((), {}, []),
        ((ObjectRef("apiregistration.k8s.io", "v1", "APIService", "", "v1.gone"),), {"op": ()}, []),
    ],
    ids=["somebody else's", "no namespace goes", "the stack's own"],
)
def test_a_dead_api_is_named_where_a_namespace_goes(
    inventory: tuple[ObjectRef, ...], contents: dict[str, tuple[Content, ...]], lines: list[str]
) -> None:
    survey = Survey(contents=contents, dead_apis={"v1.gone": "no endpoints"})
    plan = plan_removal("lab", observed(replace(OP, inventory=inventory), **OURS), survey)
    assert [line.partition(":")[0] for line in told(plan)] == lines
    assert all("does not answer (no endpoints): no namespace goes before it does" in line for line in told(plan))


def test_which_apis_are_dead() -> None:
    def service(name: str, **condition: str) -> dict[str, Any]:
        return {"metadata": {"name": name}, "status": {"conditions": [{"type": "Available", **condition}]}}

    items = [
        service("v1.a", status="True"),
        service("v1.b", status="False", reason="MissingEndpoints", message="no\n endpoints"),
        service("v1.c", status="False", reason="FailedDiscoveryCheck"),
        {"metadata": {"name": "v1.d"}},
    ]
    assert dead_apis(items) == {"v1.b": "no endpoints", "v1.c": "FailedDiscoveryCheck"}


def test_finalizers_that_kubernetes_takes_off_are_not_strange() -> None:
    names = ["foregroundDeletion", "service.kubernetes.io/load-balancer-cleanup", "example.org/a"]
    assert strange(names) == ("example.org/a",)
    assert strange(None) == ()
