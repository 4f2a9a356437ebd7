"""SparkApplications on their way in: a real API server gives them what the platform says, and what they say wins."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from tests.node.kubectl import until
from tests.own_charts import ROOT, Case, cases, render

from sparkrig.errors import SparkrigError
from sparkrig.helm.errors import UNKNOWN_SCHEMA
from sparkrig.kube.client import KubeApi

pytestmark = pytest.mark.cluster

CHART = ROOT / "charts" / "spark-platform"
CRD = ROOT / "tests" / "charts" / "spark-operator" / "crds" / "sparkoperator.k8s.io_sparkapplications.yaml"
GOOD = [case for case in cases() if not case.bad and case.chart == CHART]
KINDS = {
    "MutatingAdmissionPolicy": "mutatingadmissionpolicies",
    "MutatingAdmissionPolicyBinding": "mutatingadmissionpolicybindings",
}
GROUP = "/apis/admissionregistration.k8s.io/v1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SIZES = {
    "driver": {"cores": 2, "memory": "3g"},
    "executor": {"cores": 4, "memory": "5g", "instances": 3},
}
VALUES = {
    "sparkDefaults": SIZES,
    "podTemplates": {
        "h100": {
            "device": {"resource": "nvidia.com/gpu", "models": ["NVIDIA-H100-80GB-HBM3"]},
            "volumes": [{"name": "fast", "emptyDir": {"medium": "Memory"}}],
            "volumeMounts": [{"name": "fast", "mountPath": "/fast"}],
            "annotations": {"example.org/quote": 'it\'s "so" \\ {{x}}'},
        }
    },
}
ROLES = ("driver", "executor")


class Place:
    """A job namespace, and the policy of one rendering for it."""

    def __init__(self, api: KubeApi, namespace: str, values: dict[str, Any]) -> None:
        self.api, self.namespace = api, namespace
        self.name = f"policy-{uuid.uuid4().hex[:6]}"
        own = {"fullnameOverride": self.name, "jobNamespaces": [{"name": namespace, "create": False}]}
        self.objects = render(CHART, {**values, **own})
        # Classes are the cluster's: two workers of the tests would not agree on them.
        self.policies = [item for item in self.objects if item["kind"] in KINDS]

    def install(self) -> None:
        """Creates the policy and waits until the API server acts on it."""
        for item in self.policies:
            self.api.create(f"{GROUP}/{KINDS[item['kind']]}", item)
        until("the policy is in force", self.in_force, 60)

    def in_force(self) -> bool:
        try:
            return "template" in self.admitted({})["driver"]
        except SparkrigError as error:  # the API server has not read the schema of the new CRD yet
            if UNKNOWN_SCHEMA not in error.message.lower():
                raise
            return False

    def remove(self) -> None:
        for item in self.policies:
            self.api.delete(f"{GROUP}/{KINDS[item['kind']]}/{item['metadata']['name']}")

    def template(self, name: str) -> dict[str, Any]:
        """What native spark-submit reads, as far as a PodTemplateSpec has it."""
        maps = (i for i in self.objects if i["kind"] == "ConfigMap" and i["metadata"]["name"] == "spark-pod-templates")
        pod = yaml.safe_load(next(maps)["data"][f"{name}.yaml"])
        return {"metadata": pod["metadata"], "spec": pod["spec"]}

    def application(self, spec: dict[str, Any], name: str = "app") -> dict[str, Any]:
        minimal = {"type": "Scala", "sparkVersion": "4.0.4", "driver": {}, "executor": {}}
        metadata = {"name": name, "namespace": self.namespace}
        kind = {"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication"}
        return {**kind, "metadata": metadata, "spec": {**minimal, **spec}}

    def admitted(self, spec: dict[str, Any]) -> dict[str, Any]:
        """The spec of an application that is created with this one."""
        return dict(self.api.server_dry_run(self.application(spec))["spec"])

    @property
    def path(self) -> str:
        return f"/apis/sparkoperator.k8s.io/v1beta2/namespaces/{self.namespace}/sparkapplications"


NewPlace = Callable[[dict[str, Any]], Place]


@pytest.fixture(scope="module")
def crd(api: KubeApi) -> Iterator[None]:
    """SparkApplications are served while this module's tests run; nobody after them finds a trace of an operator."""
    made = yaml.safe_load(CRD.read_text(encoding="utf-8"))
    api.create(CRDS, made)
    until("applications are served", lambda: served(api), 60)
    yield
    path = f"{CRDS}/{made['metadata']['name']}"
    api.delete(path)
    until("they are no more", lambda: api.get(path, missing_ok=True) is None, 60)


@pytest.fixture
def new_place(api: KubeApi, namespace: str, crd: None) -> Iterator[NewPlace]:
    """Makes a place whose policy is in force, and takes the policy away behind the test."""
    made: list[Place] = []

    def make(values: dict[str, Any]) -> Place:
        made.append(Place(api, namespace, values))
        made[-1].install()
        return made[-1]

    yield make
    for place in made:
        place.remove()


def served(api: KubeApi) -> bool:
    try:
        api.get("/apis/sparkoperator.k8s.io/v1beta2/sparkapplications")
    except SparkrigError:
        return False
    return True


def mounts(template: dict[str, Any]) -> dict[str, str]:
    (container,) = template["spec"]["containers"]
    return {m["mountPath"]: m["name"] for m in container["volumeMounts"]}


def test_an_application_that_says_nothing_gets_templates_and_sizes(new_place: NewPlace) -> None:
    place = new_place(VALUES)
    spec = place.admitted({})
    for role, template in (("driver", "driver"), ("executor", "cpu")):
        assert spec[role].pop("template") == place.template(template)
        assert spec[role] == SIZES[role]
    assert "dynamicAllocation" not in spec


def test_what_an_application_says_itself_wins(new_place: NewPlace) -> None:
    place = new_place(VALUES)
    own = {"metadata": {"labels": {"team": "a"}}, "spec": {"containers": [{"name": "spark-kubernetes-driver"}]}}
    driver = {"template": own, "cores": 1, "memory": "700m"}
    spec = place.admitted({"driver": driver, "executor": {"instances": 1, "cores": 7}})
    assert spec["driver"] == driver
    assert spec["executor"].pop("template") == place.template("cpu")
    assert spec["executor"] == {"instances": 1, "cores": 7, "memory": "5g"}


def test_sizes_among_its_properties_win_too(new_place: NewPlace) -> None:
    place = new_place(VALUES)
    named = [f"spark.{role}.{field}" for role in ROLES for field in SIZES[role]]
    spec = place.admitted({"sparkConf": dict.fromkeys(named, "1")})
    assert {role: set(spec[role]) for role in ROLES} == {role: {"template"} for role in ROLES}


def test_a_property_chooses_another_template(new_place: NewPlace) -> None:
    place = new_place(VALUES)
    key = "spark.kubernetes.executor.podTemplateFile"
    spec = place.admitted({"sparkConf": {key: "/etc/spark/templates/h100.yaml"}})
    assert spec["executor"]["template"] == place.template("h100")
    assert spec["driver"]["template"] == place.template("driver")
    # A file that only the operator's own pod could have: the operator does not read it, so the default is better.
    assert place.admitted({"sparkConf": {key: "/opt/own.yaml"}})["executor"]["template"] == place.template("cpu")
    with pytest.raises(SparkrigError, match=r"no such key: /etc/spark/templates/h1000\.yaml"):
        place.admitted({"sparkConf": {key: "/etc/spark/templates/h1000.yaml"}})


def test_volumes_and_mounts_of_its_own_take_the_place_of_the_templates(new_place: NewPlace) -> None:
    """The operator adds them to what the template has: a path that is there twice is a pod that is refused."""
    place = new_place(VALUES)
    spec = place.admitted(
        {
            "volumes": [{"name": "scratch", "emptyDir": {}}, {"name": "fast", "emptyDir": {"sizeLimit": "1Gi"}}],
            "sparkConf": {
                "spark.kubernetes.executor.podTemplateFile": "/etc/spark/templates/h100.yaml",
                "spark.kubernetes.driver.volumes.emptyDir.w.mount.path": "/opt/spark/work-dir",
            },
            "driver": {"volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}]},
            "executor": {
                "configMaps": [{"name": "gpus", "path": "/etc/spark/scripts"}],
                "volumeMounts": [{"name": "fast", "mountPath": "/elsewhere"}],
            },
        }
    )
    driver, executor = (spec[role]["template"] for role in ROLES)
    assert mounts(driver) == {"/etc/spark/scripts": "spark-scripts"}
    assert mounts(executor) == {"/tmp": "sparkrig-tmp", "/opt/spark/work-dir": "sparkrig-work", "/fast": "fast"}
    assert "fast" not in {volume["name"] for volume in executor["spec"]["volumes"]}


def test_dynamic_allocation_of_the_platform_reaches_an_application_that_counts_no_executors(
    new_place: NewPlace,
) -> None:
    place = new_place({"sparkDefaults": {"dynamicAllocation": {"enabled": True, "minExecutors": 1, "maxExecutors": 9}}})
    scaling = {"enabled": True, "minExecutors": 1, "initialExecutors": 0, "maxExecutors": 9}
    assert place.admitted({})["dynamicAllocation"] == scaling
    assert "instances" not in place.admitted({})["executor"]
    own = place.admitted({"executor": {"instances": 4}})
    assert (own.get("dynamicAllocation"), own["executor"]["instances"]) == (None, 4)
    off = place.admitted({"dynamicAllocation": {"enabled": False}})
    assert (off["dynamicAllocation"], off["executor"]["instances"]) == ({"enabled": False}, 2)
    by_property = place.admitted({"sparkConf": {"spark.dynamicAllocation.enabled": "true"}})
    assert "dynamicAllocation" not in by_property
    assert "instances" not in by_property["executor"]


def test_jobs_on_gpus_get_the_template_with_the_device(new_place: NewPlace) -> None:
    place = new_place({"sparkDefaults": {"rapids": {"enabled": True}}})
    template = place.admitted({})["executor"]["template"]
    assert template == place.template("gpu")
    assert template["spec"]["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": 1}


def test_without_defaults_there_are_templates_and_no_sizes(new_place: NewPlace) -> None:
    place = new_place({"sparkDefaults": {"enabled": False}})
    spec = place.admitted({})
    assert {role: set(spec[role]) for role in ROLES} == {role: {"template"} for role in ROLES}


def test_an_application_that_was_there_before_is_changed_with_its_next_spec_only(
    api: KubeApi, namespace: str, crd: None
) -> None:
    """The operator writes finalizers and status into running ones: a new spec would run them again."""
    place = Place(api, namespace, VALUES)
    api.create(place.path, place.application({}, "before"))
    place.install()
    try:
        api.patch(f"{place.path}/before", {"metadata": {"finalizers": ["example.org/held"], "labels": {"a": "b"}}})
        api.patch(f"{place.path}/before", {"metadata": {"finalizers": []}})
        assert api.get(f"{place.path}/before")["spec"]["driver"] == {}
        api.patch(f"{place.path}/before", {"spec": {"mainClass": "org.example.Other"}})
        assert api.get(f"{place.path}/before")["spec"]["driver"]["template"] == place.template("driver")
    finally:
        place.remove()


def test_other_namespaces_are_none_of_its_business(new_place: NewPlace, api: KubeApi) -> None:
    place = new_place(VALUES)
    elsewhere = place.application({})
    elsewhere["metadata"]["namespace"] = "default"
    assert api.server_dry_run(elsewhere)["spec"]["driver"] == {}


@pytest.mark.parametrize("case", GOOD, ids=str)
def test_the_policy_of_each_good_case_is_taken(case: Case, api: KubeApi) -> None:
    """Its expressions are compiled when it is created."""
    policies = [item for item in render(CHART, case.data["values"]) if item["kind"] in KINDS]
    assert len(policies) == (2 if case.data["values"].get("applicationPolicy", {}).get("enabled", True) else 0)
    for item in policies:
        api.server_dry_run(item)
