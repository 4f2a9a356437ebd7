"""The kinds of checks, one module for each. Kinds are named after protocols, not products."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sparkrig.checks.kinds import (
    access,
    certificate,
    condition,
    crds,
    custom_resource_run,
    http,
    inference_v2,
    ingress,
    job,
    node_allocatable,
    node_states,
    prometheus_query,
    prometheus_targets,
    webhook,
    workloads,
)
from sparkrig.checks.kinds.base import Kind

KINDS: Final[Mapping[str, Kind]] = {
    "workloads": workloads.KIND,
    "crds": crds.KIND,
    "condition": condition.KIND,
    "access": access.KIND,
    "webhook": webhook.KIND,
    "http": http.KIND,
    "certificate": certificate.KIND,
    "prometheus-query": prometheus_query.KIND,
    "prometheus-targets": prometheus_targets.KIND,
    "node-allocatable": node_allocatable.KIND,
    "node-states": node_states.KIND,
    "job": job.KIND,
    "custom-resource-run": custom_resource_run.KIND,
    "inference-v2": inference_v2.KIND,
    "ingress": ingress.KIND,
}
"""The same names, and the parameters of each, are in catalog/component.schema.json."""
