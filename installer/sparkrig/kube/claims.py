"""The ResourceClaims of a cluster: devices that pods have without a resource of that name."""

from __future__ import annotations

from sparkrig.errors import AccessDenied
from sparkrig.kube.client import KubeApi, NotFoundApi
from sparkrig.models.json import JsonDict

VERSIONS = ("v1", "v1beta2", "v1beta1")
"""Newest first; the group was served as beta before Kubernetes 1.34."""


def list_claims(api: KubeApi) -> list[JsonDict] | None:
    """Return every ResourceClaim; None where they may not be listed."""
    for version in VERSIONS:
        try:
            return list(api.list(f"/apis/resource.k8s.io/{version}/resourceclaims"))
        except NotFoundApi:
            continue
        except AccessDenied:
            return None
    return []
