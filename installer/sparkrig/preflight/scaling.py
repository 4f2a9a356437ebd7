"""Autoscalers against the APIs that they read their metrics from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from sparkrig.models.json import JsonObject, mappings_at, name_of, text_at
from sparkrig.preflight.data import Case, Object
from sparkrig.preflight.finding import Finding, fail, listed
from sparkrig.preflight.objects import kind_of, namespace_in

GROUPS: Final[Mapping[str, str]] = {
    "Resource": "metrics.k8s.io",
    "ContainerResource": "metrics.k8s.io",
    "Pods": "custom.metrics.k8s.io",
    "Object": "custom.metrics.k8s.io",
    "External": "external.metrics.k8s.io",
}
"""Type of a metric -> the aggregated API that the autoscaler asks (Kubernetes' page on horizontal pod autoscaling)."""
_SERVES: Final[Mapping[str, str]] = {
    "metrics.k8s.io": "Kubernetes' metrics server serves it; or set replicas by hand",
    "custom.metrics.k8s.io": "an adapter such as prometheus-adapter serves it; or set replicas by hand",
    "external.metrics.k8s.io": "an adapter such as prometheus-adapter or KEDA serves it; or set replicas by hand",
}


def metrics_apis(case: Case) -> Iterator[Finding]:
    """HorizontalPodAutoscalers whose metrics nobody serves: they would never be ready, and never scale."""
    if "api_services" in case.survey.denied:
        return
    served = {_group(item) for item in case.survey.api_services} | {group for group, _, _ in case.survey.kinds}
    served |= {_group(o) for w in case.wanted for o in w.objects if kind_of(o)[2] == "APIService"}
    for wanted in case.wanted:
        missing: dict[str, list[str]] = {}
        for item in wanted.objects:
            if kind_of(item)[0] == "autoscaling" and kind_of(item)[2] == "HorizontalPodAutoscaler":
                for group in sorted(_asked(item) - served):
                    missing.setdefault(group, []).append(f"{namespace_in(item, wanted)}/{name_of(item)}")
        for group, names in missing.items():
            what = f"HorizontalPodAutoscaler {listed(names, 3)}"
            message = f"{what} reads metrics from the API {group}, which nothing serves"
            yield fail("metrics-api", wanted.name, message, _SERVES[group])


def _asked(item: Object) -> set[str]:
    """The APIs that an autoscaler reads; CPU use of the pods where it names no metric."""
    kinds = [text_at(metric, "type") for metric in mappings_at(item, "spec", "metrics")] or ["Resource"]
    return {GROUPS[kind] for kind in kinds if kind in GROUPS}


def _group(item: JsonObject) -> str:
    return text_at(item, "spec", "group")
