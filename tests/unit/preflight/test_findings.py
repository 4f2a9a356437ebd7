"""The questions of preflight as pure functions. Input and findings are in tests/cases/preflight/findings."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from sparkrig.catalog.build import component_from
from sparkrig.clusters.facts.installs import Objects, find_installs
from sparkrig.kube.discovery import ResourceInfo
from sparkrig.models.chart import Chart, ChartOrigin
from sparkrig.models.cluster import ClusterFacts
from sparkrig.models.component import Component, CrdOwner
from sparkrig.models.problem import Position
from sparkrig.models.release import DesiredRelease, ObservedRelease
from sparkrig.preflight.data import Case, Kind, Rights, Rule, Survey, Wanted
from sparkrig.preflight.examine import examine
from sparkrig.preflight.finding import Level
from sparkrig.preflight.objects import runs_now
from sparkrig.preflight.quantity import parse, shown
from sparkrig.preflight.ranges import within
from sparkrig.preflight.rights import least_roles, missing, needed

FOLDER: Final = Path(__file__).parents[2] / "cases" / "preflight" / "findings"
CASES: Final = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for case in yaml.safe_load(path.read_text(encoding="utf-8"))
]
API_VERSIONS: Final = {
    "Deployment": "apps/v1",
    "DaemonSet": "apps/v1",
    "StatefulSet": "apps/v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
}
SERVED: Final = (
    ("", "v1", "ConfigMap", "configmaps", True),
    ("", "v1", "Namespace", "namespaces", False),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", True),
    ("", "v1", "Pod", "pods", True),
    ("", "v1", "Service", "services", True),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", False),
    ("apps", "v1", "DaemonSet", "daemonsets", True),
    ("apps", "v1", "Deployment", "deployments", True),
    ("apps", "v1", "StatefulSet", "statefulsets", True),
    ("batch", "v1", "CronJob", "cronjobs", True),
    ("batch", "v1", "Job", "jobs", True),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", False),
    ("rbac.authorization.k8s.io", "v1", "Role", "roles", True),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", True),
)


PLENTY: Final = {"metadata": {"name": "any"}, "status": {"allocatable": {"cpu": "999", "pods": "999"}}}


def kinds() -> dict[Kind, ResourceInfo]:
    return {(g, v, k): ResourceInfo(g, v, k, plural, namespaced) for g, v, k, plural, namespaced in SERVED}


def described(data: dict[str, Any]) -> Component:
    document = {
        "metadata": {"name": "app", "description": "d", "homepage": "h", "licence": "l"},
        "chart": {"name": "app", "version": "1.0.0", "path": "."},
        "release": {"namespaceLabels": data.get("labels", {})},
        "requires": data.get("requires", {}),
        "provides": data.get("provides", []),
        "detect": data.get("detect", []),
        "podSecurity": {"exceptions": data.get("exceptions", [])},
        "nodeStates": data.get("nodeStates", []),
    }
    return component_from(document, Path(), Position("component.yaml", 1, 1))


def wanted(data: dict[str, Any]) -> Wanted:
    component = described(data)
    chart = Chart("app", "1.0.0", "1", "", Path(), ChartOrigin.LOCAL, kube_version=data.get("kubeVersion"))
    desired = DesiredRelease(
        component="app", release="app", namespace="app", namespace_labels=component.namespace_labels, chart=chart,
        values={}, needs=(), crd_needs=(), crd_owner=CrdOwner.NONE, crd_labels={}, rollback="reversible", keep=(),
        timeout_s=1.0, digest="", adopt=data.get("adopt", False),
    )  # fmt: skip
    objects = [{"apiVersion": API_VERSIONS.get(o["kind"], "v1"), **o} for o in data.get("objects", ())]
    return Wanted(desired, component, [o for o in objects if runs_now(o)], fresh=data.get("fresh", True))


def busy(key: str) -> ObservedRelease:
    namespace, _, name = key.partition("/")
    return ObservedRelease(name, namespace, 2, "pending-upgrade", None, None, modified="2026-11-30T12:00:00Z")


def case_of(data: dict[str, Any]) -> Case:
    def of(*names: str) -> list[dict[str, Any]]:
        return [item for item in data.get("cluster", ()) if item["kind"] in names]

    one = wanted(data)
    objects = Objects(
        workloads=of("Deployment", "DaemonSet", "StatefulSet"),
        crds=of("CustomResourceDefinition"),
        helm_charts=of("HelmChart"),
    )
    survey = Survey(
        kubernetes=data.get("kubernetes", "1.33.1"),
        nodes=of("Node") or ([] if data.get("nodes") == "none" else [PLENTY]),
        pods=of("Pod"),
        namespaces={item["metadata"]["name"]: item for item in of("Namespace")},
        storage_classes=of("StorageClass"),
        volumes=of("PersistentVolume"),
        quotas=of("ResourceQuota"),
        limit_ranges=of("LimitRange"),
        webhooks=of("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"),
        services=of("Service"),
        endpoint_slices=of("EndpointSlice"),
        api_services=of("APIService"),
        kinds=kinds(),
        skew_s=data.get("skew"),
        denied=data.get("denied", {}),
    )
    facts = ClusterFacts(
        default_storage_class=data.get("facts", {}).get("storage.default-class"),
        values=data.get("facts", {}),
        installs=find_installs(one.component.detect, objects),
    )
    return Case(
        survey=survey,
        facts=facts,
        stack="lab",
        wanted=[] if data.get("bare") else [one],
        releases=frozenset(tuple(name.split("/")) for name in data.get("own", ())),  # type: ignore[misc]
        busy={(found.namespace, found.name): found for found in map(busy, data.get("busy", ()))},
        gpu_provided="gpu" in one.component.provides,
        node_states=one.component.node_states,
    )


@pytest.mark.parametrize("data", CASES)
def test_case(data: dict[str, Any]) -> None:
    found = [f for f in examine(case_of(data)) if f.level is not Level.OK]
    if "only" in data:
        found = [f for f in found if f.code == data["only"]]
    assert [f"{f.level} {f.code} {f.subject}: {f.message}" for f in found] == data["expect"]
    assert all(f.hint for f in found if f.level is Level.FAIL)
    if "hints" in data:
        assert [f.hint for f in found] == data["hints"]


@pytest.mark.parametrize(
    ("version", "wish", "answer"),
    [
        ("1.27.0", ">=1.27", True),
        ("1.26.9", ">=1.27", False),
        ("1.33.1+k3s1", ">=1.25.0-0", True),
        ("1.29.3-gke.100", ">= 1.19, < 1.30", True),
        ("1.30.0", ">= 1.19, < 1.30", False),
        ("1.30.5", "<=1.30", True),
        ("1.31.0", ">1.30", True),
        ("1.30.5", ">1.30", False),
        ("1.30.5", "1.30.x", True),
        ("1.30.5", "1.x", True),
        ("1.30.5", "*", True),
        ("1.30.5", "^1.20", True),
        ("2.0.0", "^1.20", False),
        ("1.30.5", "~1.30.2", True),
        ("1.31.0", "~1.30.2", False),
        ("1.30.5", "~1", True),
        ("1.22.3", "1.20 - 1.22", True),
        ("1.23.0", "1.20 - 1.22", False),
        ("1.25.0", "<1.20 || >=1.25", True),
        ("1.25.0", "!=1.25.0", False),
        ("1.25.1", "!=1.25.0", True),
        ("1.25.0", "newest", None),
        ("unknown", ">=1.25", None),
        ("1.25.0", "", None),
    ],
)
def test_ranges_of_versions(version: str, wish: str, answer: bool | None) -> None:
    assert within(version, wish) is answer


@pytest.mark.parametrize(
    ("text", "number"),
    [("500m", "0.5"), ("1", "1"), ("1.5Gi", str(3 << 29)), ("1e3", "1000"), ("100k", "100000"), ("2E", str(2 * 10**18)),
     ("1Ei", str(1 << 60)), ("250u", "0.00025"), ("-1", "-1"), ("5x", "0"), ("", "0"), (8, "8")],
)  # fmt: skip
def test_quantities(text: Any, number: str) -> None:
    assert parse(text) == Decimal(number)


@pytest.mark.parametrize(
    ("resource", "amount", "text"),
    [("memory", "1536Mi", "1.5Gi"), ("memory", "100", "100"), ("cpu", "250m", "250m"), ("cpu", "1500m", "1.5"),
     ("pods", "110", "110"), ("requests.storage", "2Ti", "2Ti"), ("cpu", "0", "0")],
)  # fmt: skip
def test_quantities_for_people(resource: str, amount: str, text: str) -> None:
    assert shown(resource, parse(amount)) == text


# --------------------------------------------------------------------------- rights

ROLE: Final = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "r"},
    "rules": [{"apiGroups": [""], "resources": ["pods"], "resourceNames": ["one"], "verbs": ["get"]}],
}
BINDING: Final = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "RoleBinding",
    "metadata": {"name": "b"},
    "roleRef": {"kind": "ClusterRole", "name": "view"},
}


def rule(verbs: str, groups: str, resources: str, names: str = "") -> Rule:
    return Rule(*(frozenset(text.split(",")) if text else frozenset() for text in (verbs, groups, resources, names)))


def rights_of(role: dict[str, Any]) -> tuple[Rule, ...]:
    return tuple(
        Rule(*(frozenset(r.get(key, ())) for key in ("verbs", "apiGroups", "resources", "resourceNames")))
        for r in role["rules"]
    )


def test_the_least_roles_leave_nothing_missing_and_each_rule_is_needed() -> None:
    case = case_of({"objects": [{"kind": "Deployment", "metadata": {"name": "a"}}, ROLE, BINDING]})
    roles = least_roles(case, "sparkrig-lab")
    assert [(r["kind"], r["metadata"].get("namespace")) for r in roles] == [
        ("ClusterRole", None),
        ("Role", "app"),
        ("Role", "sparkrig-system"),
    ]
    places = {r["metadata"]["namespace"]: rights_of(r) for r in roles[1:]}
    enough = Rights(cluster=rights_of(roles[0]), namespaces=places)
    assert missing(case, enough) == {}
    for place, rules in places.items():
        for left_out in rules:
            fewer = {**places, place: tuple(r for r in rules if r != left_out)}
            assert missing(case, Rights(cluster=enough.cluster, namespaces=fewer))
    granted = [need for need in needed(case) if need.resource == "pods" and need.namespace == "app"]
    assert [(need.verb, need.name) for need in granted] == [("get", "one")]
    assert ("bind", "view") in [(need.verb, need.name) for need in needed(case)]


@pytest.mark.parametrize(
    ("held", "suffices"),
    [
        ((rule("*", "*", "*"),), True),
        ((rule("get,list,watch,create,update,patch,delete", "apps", "*"),), False),
        ((), False),
    ],
)
def test_wildcards_cover(held: tuple[Rule, ...], suffices: bool) -> None:
    case = case_of({"objects": [{"kind": "Deployment", "metadata": {"name": "a"}}]})
    assert (missing(case, Rights(cluster=held)) == {}) is suffices
    assert missing(case, Rights(everything=True)) == {}


def test_a_rule_for_named_objects_is_no_rule_for_all() -> None:
    case = case_of({"objects": [{"kind": "Deployment", "metadata": {"name": "a"}}]})
    verbs = "get,list,watch,create,update,patch,delete"
    lacking = missing(case, Rights(namespaces={"app": (rule(verbs, "apps", "deployments", "other"),)}))
    assert {need.verb for need in lacking if need.resource == "deployments"} == set(verbs.split(","))


def test_namespaces_that_a_chart_makes_get_no_role() -> None:
    objects = [
        {"kind": "Namespace", "metadata": {"name": "late"}},
        {"kind": "ConfigMap", "metadata": {"name": "c", "namespace": "late"}},
    ]
    roles = least_roles(case_of({"objects": objects}), "x")
    assert "late" not in [r["metadata"].get("namespace") for r in roles]
    assert any("configmaps" in r.get("resources", ()) for r in roles[0]["rules"])
