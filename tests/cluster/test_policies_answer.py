"""What needs a new custom resource comes up although an admission policy is about it, from the first second on.

An API server reads the schemas of new CRDs every five seconds for its policies, and refuses their objects until then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.cluster.test_crds import Kind, version
from tests.mini import CONFIGMAP, World

from sparkrig.kube.client import KubeApi

pytestmark = pytest.mark.cluster

POLICIES = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies"
NEVER_OF_A_PROBE = "object.metadata.name == 'first'"


@pytest.fixture
def kind(api: KubeApi, world: World) -> Iterator[Kind]:
    # Not kept apart from the stack's name: no two tests of one session share a group.
    made = Kind(api, f"{world.stack}.example.org")
    yield made
    api.delete(made.path)


def policy(kind: Kind, **spec: Any) -> str:
    """Templates of a policy that marks each object of the kind, and of its binding."""
    rule = {
        "apiGroups": [kind.group],
        "apiVersions": ["v1"],
        "resources": ["gadgets"],
        "operations": ["CREATE", "UPDATE"],
    }
    patch = 'Object{metadata: Object.metadata{annotations: {"marked": "yes"}}}'
    group, name = "admissionregistration.k8s.io/v1", kind.group
    body = {
        "apiVersion": group,
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {"resourceRules": [rule]},
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": patch}}],
            **spec,
        },
    }
    binding = {
        "apiVersion": group,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name},
    }
    return str(yaml.safe_dump_all([body, binding]))


def gadget(kind: Kind) -> str:
    return str(
        yaml.safe_dump(
            {
                "apiVersion": f"{kind.group}/v1",
                "kind": "Gadget",
                "metadata": {"name": "first"},
                "spec": {"size": "1"},
            }
        )
    )


def marked(kind: Kind, namespace: str) -> Any:
    found = kind.api.get(f"{kind.collection(namespace=namespace)}/first")
    assert found is not None
    return (found["metadata"].get("annotations") or {}).get("marked")


@pytest.mark.parametrize("conditions", [None, NEVER_OF_A_PROBE], ids=["asked before", "helm once more"])
@pytest.mark.parametrize("order", [["kinds", "policy"], ["policy", "kinds"], []], ids=["kinds first", "last", "beside"])
def test_an_object_of_a_new_kind_that_a_policy_is_about(
    world: World, kind: Kind, order: list[str], conditions: str | None
) -> None:
    """In whatever order the kind and the policy come; and where no dry run can ask the policy."""
    spec = {"matchConditions": [{"name": "named", "expression": conditions}]} if conditions else {}
    needs = {name: order[:place] for place, name in enumerate(order)}
    crds = [kind.crd(version("v1", size="string"))]
    world.component("kinds", templates={"c.yaml": CONFIGMAP}, crds=crds, needs=needs.get("kinds", []))
    world.component("policy", templates={"p.yaml": policy(kind, **spec)}, needs=needs.get("policy", []))
    world.component("things", templates={"g.yaml": gadget(kind)}, needs=["kinds", "policy"])
    world.write_stack(kinds={}, policy={}, things={})
    done = world.up()
    assert done.code == 0, done.err
    assert marked(kind, f"{world.stack}-things") == "yes"
    helm_again = "helm once more: the API server reads the schemas" in done.err
    assert not helm_again or conditions


def test_a_kind_that_comes_with_its_own_first_object(world: World, kind: Kind, api: KubeApi) -> None:
    """Nothing can be asked before helm creates it: helm's own attempt is made again, and the policy is obeyed."""
    world.component("policy", templates={"p.yaml": policy(kind)})
    world.component(
        "both",
        templates={"g.yaml": gadget(kind)},
        crds=[kind.crd(version("v1", size="string"))],
        needs=["policy"],
    )
    world.write_stack(policy={}, both={})
    done = world.up()
    assert done.code == 0, done.err
    assert marked(kind, f"{world.stack}-both") == "yes"
    assert api.get(f"{POLICIES}/{kind.group}") is not None
