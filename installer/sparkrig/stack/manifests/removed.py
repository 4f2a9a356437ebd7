"""API versions that Kubernetes removed. Pure.

Source: the deprecation guide of the Kubernetes documentation; each line is a fact that does not change
any more. A line is added when a release removes something.
"""

from __future__ import annotations

import re
from typing import Final

_REMOVED: Final = """
extensions/v1beta1 Deployment 1.16 apps/v1
extensions/v1beta1 DaemonSet 1.16 apps/v1
extensions/v1beta1 ReplicaSet 1.16 apps/v1
extensions/v1beta1 NetworkPolicy 1.16 networking.k8s.io/v1
extensions/v1beta1 PodSecurityPolicy 1.16 -
apps/v1beta1 Deployment 1.16 apps/v1
apps/v1beta1 StatefulSet 1.16 apps/v1
apps/v1beta2 Deployment 1.16 apps/v1
apps/v1beta2 DaemonSet 1.16 apps/v1
apps/v1beta2 ReplicaSet 1.16 apps/v1
apps/v1beta2 StatefulSet 1.16 apps/v1
admissionregistration.k8s.io/v1beta1 MutatingWebhookConfiguration 1.22 admissionregistration.k8s.io/v1
admissionregistration.k8s.io/v1beta1 ValidatingWebhookConfiguration 1.22 admissionregistration.k8s.io/v1
apiextensions.k8s.io/v1beta1 CustomResourceDefinition 1.22 apiextensions.k8s.io/v1
apiregistration.k8s.io/v1beta1 APIService 1.22 apiregistration.k8s.io/v1
certificates.k8s.io/v1beta1 CertificateSigningRequest 1.22 certificates.k8s.io/v1
coordination.k8s.io/v1beta1 Lease 1.22 coordination.k8s.io/v1
extensions/v1beta1 Ingress 1.22 networking.k8s.io/v1
networking.k8s.io/v1beta1 Ingress 1.22 networking.k8s.io/v1
networking.k8s.io/v1beta1 IngressClass 1.22 networking.k8s.io/v1
rbac.authorization.k8s.io/v1beta1 ClusterRole 1.22 rbac.authorization.k8s.io/v1
rbac.authorization.k8s.io/v1beta1 ClusterRoleBinding 1.22 rbac.authorization.k8s.io/v1
rbac.authorization.k8s.io/v1beta1 Role 1.22 rbac.authorization.k8s.io/v1
rbac.authorization.k8s.io/v1beta1 RoleBinding 1.22 rbac.authorization.k8s.io/v1
scheduling.k8s.io/v1beta1 PriorityClass 1.22 scheduling.k8s.io/v1
storage.k8s.io/v1beta1 CSIDriver 1.22 storage.k8s.io/v1
storage.k8s.io/v1beta1 StorageClass 1.22 storage.k8s.io/v1
batch/v1beta1 CronJob 1.25 batch/v1
discovery.k8s.io/v1beta1 EndpointSlice 1.25 discovery.k8s.io/v1
events.k8s.io/v1beta1 Event 1.25 events.k8s.io/v1
autoscaling/v2beta1 HorizontalPodAutoscaler 1.25 autoscaling/v2
policy/v1beta1 PodDisruptionBudget 1.25 policy/v1
policy/v1beta1 PodSecurityPolicy 1.25 -
node.k8s.io/v1beta1 RuntimeClass 1.25 node.k8s.io/v1
flowcontrol.apiserver.k8s.io/v1beta1 FlowSchema 1.26 flowcontrol.apiserver.k8s.io/v1
autoscaling/v2beta2 HorizontalPodAutoscaler 1.26 autoscaling/v2
storage.k8s.io/v1beta1 CSIStorageCapacity 1.27 storage.k8s.io/v1
flowcontrol.apiserver.k8s.io/v1beta2 FlowSchema 1.29 flowcontrol.apiserver.k8s.io/v1
flowcontrol.apiserver.k8s.io/v1beta3 FlowSchema 1.32 flowcontrol.apiserver.k8s.io/v1
"""
_TABLE: Final = {
    (api, kind): (since, replacement)
    for api, kind, since, replacement in (line.split() for line in _REMOVED.split("\n") if line)
}


def minor(version: str) -> tuple[int, int] | None:
    """``1.36.3`` or ``v1.36`` -> ``(1, 36)``; None when it is no version."""
    match = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else None


def removed(api_version: str, kind: str, kubernetes: str) -> str | None:
    """``1.25, use batch/v1``, where that Kubernetes has the API no longer; None where it has, or nobody knows."""
    since, replacement = _TABLE.get((api_version, kind), ("", ""))
    gone, asked = minor(since), minor(kubernetes)
    if gone is None or asked is None or asked < gone:
        return None
    return since if replacement == "-" else f"{since}, use {replacement}"
