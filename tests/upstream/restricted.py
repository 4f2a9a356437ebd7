"""Which pods of a rendering stay below the pod-security level ``restricted``, and in which field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

VOLUMES: Final = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
"""Volume types that the level allows (Kubernetes' Pod Security Standards)."""


def pod_templates(objects: list[dict[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """``Kind/name`` and pod spec of everything that makes pods."""
    for item in objects:
        name = f"{item['kind']}/{item['metadata']['name']}"
        spec = item.get("spec") or {}
        if item["kind"] == "Pod":
            yield name, spec
        elif item["kind"] == "CronJob":
            yield name, spec["jobTemplate"]["spec"]["template"]["spec"]
        elif "spec" in (spec.get("template") or {}) and item["kind"] in {
            "Deployment",
            "StatefulSet",
            "DaemonSet",
            "Job",
        }:
            yield name, spec["template"]["spec"]


def deviations(objects: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """(workload, field) for each field of each workload that the level refuses."""
    return {(name, field) for name, spec in pod_templates(objects) for field in pod_deviations(spec)}


def pod_deviations(spec: Mapping[str, Any]) -> Iterator[str]:
    """The fields of one pod spec that the level refuses."""
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"spec.{field}"
    for volume in spec.get("volumes") or ():
        if set(volume) - {"name"} - VOLUMES:
            yield "spec.volumes.hostPath"
    pod = spec.get("securityContext") or {}
    for kind in ("initContainers", "containers"):
        for container in spec.get(kind) or ():
            yield from (f"spec.{kind}.{name}" for name in container_deviations(pod, container))


def container_deviations(pod: Mapping[str, Any], container: Mapping[str, Any]) -> Iterator[str]:
    """The fields of one container that the level refuses, the pod's own security context counted."""
    own = container.get("securityContext") or {}
    both = {**pod, **own}
    capabilities = own.get("capabilities") or {}
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if "ALL" not in (capabilities.get("drop") or ()):
        yield "capabilities.drop"
    if set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}:
        yield "capabilities.add"
    if both.get("runAsNonRoot") is not True:
        yield "runAsNonRoot"
    if both.get("runAsUser") == 0:
        yield "runAsUser"
    if (both.get("seccompProfile") or {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile"
    if any(port.get("hostPort") for port in container.get("ports") or ()):
        yield "ports.hostPort"
