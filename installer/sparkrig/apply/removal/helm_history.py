"""Keeps Helm's history of releases whose namespace goes, and brings it back with the namespace.

Helm stores a release's revisions in the release's namespace. A ``down`` that removes the namespace
would end every way back, so the Secrets are copied into ``sparkrig-system`` first: under another
type and without Helm's labels, so that no helm takes them for releases.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from sparkrig.defaults import FIELD_MANAGER, LABEL_HELM_HISTORY, LABEL_STACK, SYSTEM_NAMESPACE
from sparkrig.helm.storage.releases import ARCHIVE_LABELS, ARCHIVED_FROM, ARCHIVED_NAME, archived_name
from sparkrig.kube.client import AlreadyExists, KubeApi
from sparkrig.models.json import dig, name_of

ARCHIVE = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/secrets"
TYPE = "sparkrig.dev/helm-history"
HELM_TYPE = "helm.sh/release.v1"


def archive(api: KubeApi, stack: str, namespace: str) -> int:
    """Copies the history of the stack's releases in that namespace; returns the number of Helm revisions."""
    secrets = api.list(f"/api/v1/namespaces/{namespace}/secrets", label_selector=f"owner=helm,{LABEL_STACK}={stack}")
    for secret in secrets:
        api.apply(_archived(stack, secret))
    return len(secrets)


def restore(api: KubeApi, stack: str, namespace: str) -> int:
    """Puts the history back that was copied from that namespace; returns the number of Helm revisions.

    Can be done again after a run that was killed in between.
    """
    found = [
        item
        for item in api.list(ARCHIVE, label_selector=f"{LABEL_HELM_HISTORY},{LABEL_STACK}={stack}")
        if dig(item, "metadata", "annotations", ARCHIVED_FROM) == namespace
    ]
    for item in found:
        with contextlib.suppress(AlreadyExists):  # put back by a run that was killed before it deleted the copy
            api.create(f"/api/v1/namespaces/{namespace}/secrets", _restored(item, namespace))
        api.delete(f"{ARCHIVE}/{name_of(item)}")
    return len(found)


def _archived(stack: str, secret: Mapping[str, Any]) -> dict[str, Any]:
    metadata = secret["metadata"]
    labels = metadata["labels"]
    name = archived_name(stack, metadata["namespace"], labels["name"], labels["version"])
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": SYSTEM_NAMESPACE,
            "labels": {
                LABEL_STACK: stack,
                LABEL_HELM_HISTORY: "true",
                "app.kubernetes.io/managed-by": FIELD_MANAGER,
            },
            "annotations": {
                ARCHIVED_FROM: metadata["namespace"],
                ARCHIVED_NAME: metadata["name"],
                ARCHIVE_LABELS: json.dumps(labels, sort_keys=True),
            },
        },
        "type": TYPE,
        "data": secret["data"],
    }


def _restored(item: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    annotations = item["metadata"]["annotations"]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": annotations[ARCHIVED_NAME],
            "namespace": namespace,
            "labels": json.loads(annotations[ARCHIVE_LABELS]),
        },
        "type": HELM_TYPE,
        "data": item["data"],
    }
