"""CRDs of a stack against a real API server: whom a change hurts, migration, ownership, and what is skipped."""

from __future__ import annotations

import copy
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.mini import AT_WORK, CONFIGMAP, World

from sparkrig.apply.read_back import refuse_dropped
from sparkrig.errors import OperationError
from sparkrig.kube.client import KubeApi, NotFoundApi
from sparkrig.models.objects import ObjectRef
from sparkrig.plan.crds.drift import CRDS, DIGEST

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Kind:
    """A CRD of the test's own, and what is done with it."""

    def __init__(self, api: KubeApi, group: str) -> None:
        self.api = api
        self.group = group
        self.name = f"gadgets.{group}"
        self.path = f"{CRDS}/{self.name}"

    def crd(self, *versions: Mapping[str, Any], scope: str = "Namespaced", **spec: Any) -> dict[str, Any]:
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": self.name},
            "spec": {
                "group": self.group,
                "names": {"kind": "Gadget", "plural": "gadgets", "singular": "gadget", "listKind": "GadgetList"},
                "scope": scope,
                "versions": [dict(version) for version in versions],
                **spec,
            },
        }

    def collection(self, version: str = "v1", namespace: str = "default") -> str:
        return f"/apis/{self.group}/{version}/namespaces/{namespace}/gadgets"

    def make(self, name: str, spec: Mapping[str, Any], version: str = "v1") -> dict[str, Any]:
        body = {"apiVersion": f"{self.group}/{version}", "kind": "Gadget", "metadata": {"name": name}, "spec": spec}
        return self.api.create(self.collection(version), body)

    def live(self) -> dict[str, Any]:
        found = self.api.get(self.path)
        assert found is not None
        return found

    def spec_managers(self) -> set[str]:
        entries = self.live()["metadata"]["managedFields"]
        return {entry["manager"] for entry in entries if "f:spec" in entry["fieldsV1"]}


def version(name: str = "v1", *, storage: bool = True, served: bool = True, **properties: str) -> dict[str, Any]:
    spec = {"type": "object", "properties": {key: {"type": kind} for key, kind in properties.items()}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    return {"name": name, "served": served, "storage": storage, "schema": schema}


@pytest.fixture
def kind(api: KubeApi, world: World) -> Iterator[Kind]:
    made = Kind(api, f"g{uuid.uuid4().hex[:6]}.example.org")
    yield made
    api.delete(made.path)


def install(world: World, *crds: Mapping[str, Any], chart: str = "1.0.0") -> None:
    """Writes the one component of the stack with these CRDs."""
    world.component("a", templates={"c.yaml": CONFIGMAP}, crds=crds, version=chart)
    world.write_stack()


def test_who_applies_a_crd_and_when_not_at_all(world: World, kind: Kind) -> None:
    large = version(a="string")
    large["schema"]["openAPIV3Schema"]["description"] = "x" * 300_000  # more than an annotation may hold
    install(world, kind.crd(large))
    assert world.up().code == 0
    first = kind.live()
    assert kind.spec_managers() == {"sparkrig"}
    assert LAST_APPLIED not in first["metadata"].get("annotations", {})
    # The chart changes and its CRD does not: nothing is written, and the plan says so.
    install(world, kind.crd(large), chart="1.1.0")
    assert "CRDs:" not in world.run("plan").out
    assert world.up().code == 0
    assert kind.live()["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    # Somebody changes it by hand: then it is applied again, whatever the annotation says.
    changed = kind.crd(version(a="string", b="string"))["spec"]["versions"]
    kind.api.request(
        "PATCH",
        kind.path,
        body={"spec": {"versions": changed}},
        params={"fieldManager": "somebody"},
        content_type="application/merge-patch+json",
    )
    install(world, kind.crd(large), chart="1.2.0")
    assert f"takes CRD {kind.name} over from field manager somebody" in world.run("plan").out
    assert world.up().code == 0
    assert kind.spec_managers() == {"sparkrig"}
    assert kind.live()["spec"]["versions"][0]["schema"] == large["schema"]


def test_a_crd_of_others_is_taken_over_knowingly(world: World, kind: Kind) -> None:
    theirs = kind.crd(version(a="string"))
    theirs["metadata"]["annotations"] = {
        LAST_APPLIED: "{}",
        "meta.helm.sh/release-name": "old",
        "meta.helm.sh/release-namespace": "elsewhere",
    }
    kind.api.apply(theirs, field_manager="helm")
    install(world, kind.crd(version(a="string", b="string")))
    done = world.up()
    assert done.code == 0, done.err
    assert f"takes CRD {kind.name} over from Helm release elsewhere/old, field manager helm" in done.err
    assert kind.spec_managers() == {"sparkrig"}
    assert LAST_APPLIED not in kind.live()["metadata"]["annotations"]


def test_a_crd_that_was_created_and_is_not_served_is_waited_for_in_every_run(world: World, kind: Kind) -> None:
    """A run that died behind the creation leaves that; here another CRD has the names, so that it stays so."""
    other = kind.crd(version(a="string"))
    other["metadata"]["name"] = f"others.{kind.group}"
    other["spec"]["names"] = {**other["spec"]["names"], "plural": "others", "singular": "other"}
    kind.api.create(CRDS, other)
    deadline = time.monotonic() + 30
    while kind.api.get(f"/apis/{kind.group}/v1", missing_ok=True) is None and time.monotonic() < deadline:
        time.sleep(0.1)
    try:
        install(world, kind.crd(version(a="string")))
        for _ in range(2):  # the second run finds its digest on it
            done = world.up()
            assert done.code == 1, done.err
            assert f"CustomResourceDefinition {kind.name}" in done.err
            assert not AT_WORK.search(done.err)
    finally:
        kind.api.delete(f"{CRDS}/others.{kind.group}")
    done = world.up()
    assert done.code == 0, done.err
    kind.make("mine", {"a": "x"})


def test_a_field_that_goes_is_refused_where_it_is_used(world: World, kind: Kind) -> None:
    install(world, kind.crd(version(a="string", b="string")))
    assert world.up().code == 0
    kind.make("plain", {"a": "x"})
    install(world, kind.crd(version(a="string")), chart="2.0.0")
    planned = world.run("plan")
    assert "v1 spec.b: is no longer a field; its values would be lost (no custom resource is hurt)" in planned.out
    kind.make("uses-b", {"b": "precious"})
    before = kind.live()
    revisions = world.run("history", "--output", "json").json["revisions"]
    refused = world.up()
    assert refused.code == 4, refused.err
    assert f"CRD {kind.name} (a): v1 spec.b: is no longer a field; its values would be lost; hurt: default/uses-b" in (
        refused.err
    )
    assert f"--allow-crd-change {kind.name}" in refused.err
    assert kind.live() == before
    assert world.run("history", "--output", "json").json["revisions"] == revisions
    assert world.up("--allow-crd-change", "something.else").code == 4
    allowed = world.up("--allow-crd-change", kind.name)
    assert allowed.code == 0, allowed.err
    assert kind.live()["spec"]["versions"][0]["schema"] == version(a="string")["schema"]


def test_objects_stored_in_a_dropped_version_are_rewritten(world: World, kind: Kind) -> None:
    install(world, kind.crd(version("v1beta1", a="string")))
    assert world.up().code == 0
    for number in range(3):
        kind.make(f"old-{number}", {"a": str(number)}, "v1beta1")
    uids = {item["metadata"]["name"]: item["metadata"]["uid"] for item in kind.api.list(kind.collection("v1beta1"))}
    install(world, kind.crd(version("v1", a="string")), chart="2.0.0")
    refused = world.up()
    assert refused.code == 4
    assert "custom resources stored as v1beta1 have to be rewritten as v1" in refused.err
    done = world.up("--allow-crd-change", kind.name)
    assert done.code == 0, done.err
    live = kind.live()
    assert live["status"]["storedVersions"] == ["v1"]
    assert [each["name"] for each in live["spec"]["versions"]] == ["v1"]
    found = {item["metadata"]["name"]: item for item in kind.api.list(kind.collection())}
    assert {name: item["metadata"]["uid"] for name, item in found.items()} == uids
    assert {item["spec"]["a"] for item in found.values()} == {"0", "1", "2"}
    assert DIGEST in live["metadata"]["annotations"]


def test_a_version_that_a_release_uses_is_not_taken_from_it(world: World, kind: Kind) -> None:
    gadget = f"""
    apiVersion: {kind.group}/v1beta1
    kind: Gadget
    metadata: {{name: mine}}
    spec: {{a: x}}
    """
    both = (version("v1", a="string"), version("v1beta1", storage=False, a="string"))
    world.component("a", templates={"c.yaml": CONFIGMAP}, crds=[kind.crd(*both)])
    world.component("b", templates={"g.yaml": gadget}, needs=["a"])
    world.write_stack()
    assert world.up().code == 0
    world.component("a", templates={"c.yaml": CONFIGMAP}, crds=[kind.crd(version("v1", a="string"))], version="2.0.0")
    refused = world.up()
    assert refused.code == 4
    assert "v1beta1: is no longer served (served then: v1)" in refused.err
    assert f"release {world.stack}-b/b" in refused.err


def test_a_scope_changes_only_without_custom_resources(world: World, kind: Kind) -> None:
    install(world, kind.crd(version(a="string")))
    assert world.up().code == 0
    made = kind.make("one", {"a": "x"})
    install(world, kind.crd(version(a="string"), scope="Cluster"), chart="2.0.0")
    refused = world.up("--allow-crd-change", kind.name)
    assert refused.code == 4, refused.err
    assert "the scope changes from Namespaced to Cluster; hurt: default/one" in refused.err
    assert "save and delete the custom resources" in refused.err
    kind.api.delete(f"{kind.collection()}/{made['metadata']['name']}")
    assert world.up().code == 4
    done = world.up("--allow-crd-change", kind.name)
    assert done.code == 0, done.err
    assert kind.live()["spec"]["scope"] == "Cluster"


def test_a_narrower_schema_names_what_it_would_refuse(world: World, kind: Kind) -> None:
    install(world, kind.crd(version(mode="string", size="integer")))
    assert world.up().code == 0
    kind.make("good", {"mode": "a", "size": 1})
    kind.make("bad", {"mode": "z", "size": 100})
    narrow = copy.deepcopy(version(mode="string", size="integer"))
    spec = narrow["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["mode"]["enum"] = ["a", "b"]
    spec["properties"]["size"]["maximum"] = 10
    spec["required"] = ["mode", "name"]
    spec["properties"]["name"] = {"type": "string"}
    install(world, kind.crd(narrow), chart="2.0.0")
    refused = world.up()
    assert refused.code == 4
    text = " ".join(refused.err.split())
    assert "v1 spec.mode: only 'a', 'b' are allowed now; hurt: default/bad" in text
    assert "v1 spec.size: maximum is at most 10 now; hurt: default/bad" in text
    assert "v1 spec.name: becomes required; hurt: default/bad, default/good" in text


def test_a_killed_migration_is_gone_on_with(world: World, kind: Kind) -> None:
    install(world, kind.crd(version("v1beta1", a="string")))
    assert world.up().code == 0
    kind.make("old", {"a": "x"}, "v1beta1")
    install(world, kind.crd(version("v1", a="string")), chart="2.0.0")
    process = world.start("up", "--yes", "--allow-crd-change", kind.name, "--on", world.target)
    deadline = time.monotonic() + 60
    while len(kind.live()["spec"]["versions"]) == 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert "v1beta1" in kind.live()["status"]["storedVersions"]
    done = world.up("--allow-crd-change", kind.name)
    assert done.code == 0, done.err
    assert kind.live()["status"]["storedVersions"] == ["v1"]
    assert [item["spec"]["a"] for item in kind.api.list(kind.collection())] == ["x"]


def test_fields_that_an_old_crd_drops_are_named(api: KubeApi, kind: Kind, world: World, namespace: str) -> None:
    api.apply(kind.crd(version(a="string")), field_manager="somebody")
    ref = ObjectRef(kind.group, "v1", "Gadget", namespace, "mine")
    deadline = time.monotonic() + 30
    while kind.live().get("status", {}).get("acceptedNames", {}).get("kind") != "Gadget":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    given = {"apiVersion": f"{kind.group}/v1", "kind": "Gadget", "metadata": {"name": "mine"}}
    given["spec"] = {"a": "x", "b": {"c": 1}, "none": None}
    while True:
        try:
            api.create(kind.collection(namespace=namespace), given)
            break
        except NotFoundApi:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    with pytest.raises(OperationError) as caught:
        refuse_dropped(api, [given], [ref])
    assert caught.value.detail == (f"Gadget {namespace}/mine: spec.b (CRD {kind.name}, version v1)",)
    assert f"--allow-crd-change {kind.name}" in str(caught.value.hint)
    refuse_dropped(api, [given], [ref], [kind.name])
    refuse_dropped(api, [{**given, "spec": {"a": "x"}}], [ref])
    # Helm's server-side apply names such a field itself, and writes nothing.
    gadget = f"""
    apiVersion: {kind.group}/v1
    kind: Gadget
    metadata: {{name: mine}}
    spec: {{a: x, b: y}}
    """
    world.component("b", templates={"g.yaml": gadget})
    world.write_stack()
    refused = world.up()
    assert refused.code == 1
    assert ".spec.b: field not declared in schema" in refused.out


def test_names_that_another_crd_has_end_the_wait_at_once(world: World, kind: Kind) -> None:
    kind.api.apply(kind.crd(version()))
    other = kind.crd(version())
    other["metadata"]["name"] = f"gizmos.{kind.group}"
    other["spec"]["names"] |= {"plural": "gizmos", "singular": "gizmo"}  # and the kind of the first
    install(world, other)
    began = time.monotonic()
    try:
        done = world.up()
        assert done.code != 0
        assert f"CustomResourceDefinition gizmos.{kind.group}: its names are taken" in done.out + done.err
        assert time.monotonic() - began < 30  # the component has 60
    finally:
        kind.api.delete(f"{CRDS}/gizmos.{kind.group}")


def test_a_version_that_is_not_served_is_not_waited_for(world: World, kind: Kind) -> None:
    install(world, kind.crd(version("v1"), version("v2", storage=False, served=False)))
    assert world.up().code == 0
    assert kind.make("one", {})["apiVersion"] == f"{kind.group}/v1"
    # Serving it later is a change that is waited for: an object of it can be made at once.
    install(world, kind.crd(version("v1"), version("v2", storage=False)), chart="1.1.0")
    assert world.up().code == 0
    assert kind.make("two", {}, "v2")["apiVersion"] == f"{kind.group}/v2"
