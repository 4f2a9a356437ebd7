"""Kubernetes versions and API versions: does the cluster serve what the charts need?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from sparkrig.kube.discovery import ResourceInfo
from sparkrig.models.json import name_of
from sparkrig.preflight.data import Case, Kind, Wanted
from sparkrig.preflight.finding import Finding, fail, listed, ok, warn
from sparkrig.preflight.objects import crd_kinds, kind_of
from sparkrig.preflight.ranges import within

REMOVED: Final[Mapping[Kind, tuple[str, str]]] = {
    ("extensions", "v1beta1", "Ingress"): ("1.22", "networking.k8s.io/v1"),
    ("networking.k8s.io", "v1beta1", "Ingress"): ("1.22", "networking.k8s.io/v1"),
    ("networking.k8s.io", "v1beta1", "IngressClass"): ("1.22", "networking.k8s.io/v1"),
    ("extensions", "v1beta1", "Deployment"): ("1.16", "apps/v1"),
    ("extensions", "v1beta1", "DaemonSet"): ("1.16", "apps/v1"),
    ("extensions", "v1beta1", "NetworkPolicy"): ("1.16", "networking.k8s.io/v1"),
    ("apps", "v1beta1", "Deployment"): ("1.16", "apps/v1"),
    ("apps", "v1beta2", "Deployment"): ("1.16", "apps/v1"),
    ("apps", "v1beta2", "DaemonSet"): ("1.16", "apps/v1"),
    ("apps", "v1beta2", "StatefulSet"): ("1.16", "apps/v1"),
    ("apiextensions.k8s.io", "v1beta1", "CustomResourceDefinition"): ("1.22", "apiextensions.k8s.io/v1"),
    ("admissionregistration.k8s.io", "v1beta1", "ValidatingWebhookConfiguration"): (
        "1.22", "admissionregistration.k8s.io/v1"),
    ("admissionregistration.k8s.io", "v1beta1", "MutatingWebhookConfiguration"): (
        "1.22", "admissionregistration.k8s.io/v1"),
    ("apiregistration.k8s.io", "v1beta1", "APIService"): ("1.22", "apiregistration.k8s.io/v1"),
    ("rbac.authorization.k8s.io", "v1beta1", "Role"): ("1.22", "rbac.authorization.k8s.io/v1"),
    ("rbac.authorization.k8s.io", "v1beta1", "RoleBinding"): ("1.22", "rbac.authorization.k8s.io/v1"),
    ("rbac.authorization.k8s.io", "v1beta1", "ClusterRole"): ("1.22", "rbac.authorization.k8s.io/v1"),
    ("rbac.authorization.k8s.io", "v1beta1", "ClusterRoleBinding"): ("1.22", "rbac.authorization.k8s.io/v1"),
    ("scheduling.k8s.io", "v1beta1", "PriorityClass"): ("1.22", "scheduling.k8s.io/v1"),
    ("storage.k8s.io", "v1beta1", "StorageClass"): ("1.22", "storage.k8s.io/v1"),
    ("storage.k8s.io", "v1beta1", "CSIDriver"): ("1.22", "storage.k8s.io/v1"),
    ("batch", "v1beta1", "CronJob"): ("1.25", "batch/v1"),
    ("discovery.k8s.io", "v1beta1", "EndpointSlice"): ("1.25", "discovery.k8s.io/v1"),
    ("policy", "v1beta1", "PodDisruptionBudget"): ("1.25", "policy/v1"),
    ("policy", "v1beta1", "PodSecurityPolicy"): ("1.25", "pod-security levels"),
    ("node.k8s.io", "v1beta1", "RuntimeClass"): ("1.25", "node.k8s.io/v1"),
    ("autoscaling", "v2beta1", "HorizontalPodAutoscaler"): ("1.25", "autoscaling/v2"),
    ("autoscaling", "v2beta2", "HorizontalPodAutoscaler"): ("1.26", "autoscaling/v2"),
    ("flowcontrol.apiserver.k8s.io", "v1beta1", "FlowSchema"): ("1.26", "flowcontrol.apiserver.k8s.io/v1"),
    ("flowcontrol.apiserver.k8s.io", "v1beta2", "FlowSchema"): ("1.29", "flowcontrol.apiserver.k8s.io/v1"),
    ("flowcontrol.apiserver.k8s.io", "v1beta3", "FlowSchema"): ("1.32", "flowcontrol.apiserver.k8s.io/v1"),
    ("storage.k8s.io", "v1beta1", "CSIStorageCapacity"): ("1.27", "storage.k8s.io/v1"),
}  # fmt: skip
"""What Kubernetes removed: in which version, and what took its place (its deprecation guide)."""


def kubernetes_version(case: Case) -> Iterator[Finding]:
    """The ranges of Kubernetes versions that components and charts ask for."""
    found = case.survey.kubernetes
    for wanted in case.wanted:
        asked = {"the component": wanted.component.requires.get("kubernetes")}
        asked["its chart"] = wanted.desired.chart.kube_version
        for who, wish in asked.items():
            if not wish:
                continue
            match within(found, str(wish)):
                case False:
                    yield fail(
                        "kubernetes-version",
                        wanted.name,
                        f"{who} wants Kubernetes {wish}, this cluster has {found}",
                        "upgrade the cluster, or pin a version of the chart that suits it: "
                        f"components.{wanted.name}.version",
                    )
                case None:
                    message = f"{who} wants Kubernetes {wish}, which cannot be compared with {found}"
                    yield warn("kubernetes-version", wanted.name, message)
    if found:
        yield ok("kubernetes-version", "cluster", f"Kubernetes {found}")


def suits(case: Case, wanted: Wanted) -> bool:
    """False where the chart itself refuses this version of Kubernetes, so that rendering it would fail too."""
    wish = wanted.desired.chart.kube_version
    return not wish or within(case.survey.kubernetes, wish) is not False


def served(case: Case) -> dict[Kind, ResourceInfo]:
    """Every kind that is served, or will be once the stack has applied its CRDs."""
    kinds = dict(case.survey.kinds)
    crds = list(case.crds)
    for wanted in case.wanted:
        crds += [*wanted.crds, *(o for o in wanted.objects if kind_of(o)[2] == "CustomResourceDefinition")]
    for crd in crds:
        for kind, plural, namespaced in crd_kinds(crd):
            kinds.setdefault(kind, ResourceInfo(*kind, plural, namespaced))
    return kinds


def api_versions(case: Case) -> Iterator[Finding]:
    """Kinds that a chart renders and that nobody serves."""
    if not case.survey.kinds:
        return
    known = served(case)
    for wanted in case.wanted:
        missing: dict[Kind, list[str]] = {}
        for item in wanted.objects:
            if kind_of(item) not in known:
                missing.setdefault(kind_of(item), []).append(name_of(item))
        for kind, names in missing.items():
            yield _not_served(case, wanted, kind, names)


def _not_served(case: Case, wanted: Wanted, kind: Kind, names: list[str]) -> Finding:
    group, version, name = kind
    what = f"{name} of {group}/{version}" if group else f"{name} of {version}"
    message = f"the chart renders {what} ({listed(names, 3)}), which Kubernetes {case.survey.kubernetes} does not serve"
    if kind in REMOVED:
        removed, instead = REMOVED[kind]
        message += f": removed in {removed}, now {instead}"
        return fail("api-version", wanted.name, message, f"a newer chart: components.{wanted.name}.version")
    others = sorted({v for g, v, k in case.survey.kinds if (g, k) == (group, name)})
    if others:
        return fail("api-version", wanted.name, f"{message}; it serves {', '.join(others)}", "another chart version")
    hint = "install what brings its CRD, or switch the values off that make this object"
    return fail("api-version", wanted.name, message, hint)
