"""Pod-security levels of namespaces against what the pods need (Kubernetes' Pod Security Standards)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sparkrig.models.component import SecurityException
from sparkrig.models.json import (
    JsonObject,
    containers_of,
    dig,
    labels_of,
    mapping_at,
    mappings_at,
    name_of,
    sequence_at,
    text_at,
    texts_at,
)
from sparkrig.preflight.data import Case
from sparkrig.preflight.finding import Finding, fail, listed
from sparkrig.preflight.objects import kind_of, workloads

LABEL: Final = "pod-security.kubernetes.io/enforce"
VOLUMES: Final = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected",
     "secret", "name"}
)  # fmt: skip
BASELINE_CAPABILITIES: Final = frozenset(
    {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
     "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"}
)  # fmt: skip
SAFE_SYSCTLS: Final = frozenset(
    {"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
     "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
     "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
     "net.ipv4.tcp_keepalive_probes"}
)  # fmt: skip
RESTRICTED_ONLY: Final = ("allowPrivilegeEscalation", "capabilities.drop", "runAsNonRoot", "seccompProfile")
"""Ends of the fields in a component's list of exceptions that the level ``baseline`` still allows."""


def pod_security(case: Case) -> Iterator[Finding]:
    """Workloads whose pods the API server would refuse, with the fields in question."""
    levels = namespace_levels(case)
    for workload in workloads(case):
        level = levels.get(workload.namespace, "privileged")
        fields = list(dict.fromkeys(deviations(workload.spec, level)))
        if fields:
            yield _refused(workload.component, workload.title, workload.namespace, level, fields)
    for wanted in case.wanted:
        level = levels.get(wanted.desired.namespace, "privileged")
        rendered = {f"{w.kind}/{w.name}" for w in workloads(case) if w.component == wanted.name}
        needs: dict[str, list[str]] = {}
        for exception in wanted.component.security_exceptions:
            if exception.workload not in rendered and _above(exception, level):
                needs.setdefault(exception.workload, []).append(exception.field.removeprefix("spec."))
        for workload_name, fields in needs.items():
            title = f"{workload_name.replace('/', ' ')}, which the component makes later,"
            yield _refused(wanted.name, title, wanted.desired.namespace, level, fields)


def namespace_levels(case: Case) -> dict[str, str]:
    """Namespace -> the level it will enforce: our label, that of a rendered Namespace, or the one it has."""
    levels = {name: level for name, item in case.survey.namespaces.items() if (level := labels_of(item).get(LABEL))}
    for wanted in case.wanted:
        for item in wanted.objects:
            labels = labels_of(item)
            if kind_of(item) == ("", "v1", "Namespace") and LABEL in labels:
                levels[name_of(item)] = labels[LABEL]
        if LABEL in wanted.desired.namespace_labels:
            levels[wanted.desired.namespace] = wanted.desired.namespace_labels[LABEL]
    return levels


def deviations(spec: JsonObject, level: str) -> Iterator[str]:
    """The fields of a pod that a level refuses; none for ``privileged`` and for a level that is none."""
    if level in ("baseline", "restricted"):
        yield from _baseline(spec)
    if level == "restricted":
        yield from _restricted(spec)


def _baseline(spec: JsonObject) -> Iterator[str]:
    yield from (field for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field))
    if any("hostPath" in volume for volume in mappings_at(spec, "volumes")):
        yield "hostPath volumes"
    pod = mapping_at(spec, "securityContext")
    if any(text_at(s, "name") not in SAFE_SYSCTLS for s in mappings_at(pod, "sysctls")):
        yield "sysctls"
    for container in containers_of(spec):
        own = mapping_at(container, "securityContext")
        added = set(texts_at(own, "capabilities", "add"))
        if own.get("privileged"):
            yield "privileged"
        if unusual := sorted(added - BASELINE_CAPABILITIES):
            yield f"capabilities {', '.join(unusual)}"
        if any(port.get("hostPort") for port in mappings_at(container, "ports")):
            yield "hostPort"
        if own.get("procMount", "Default") != "Default":
            yield "procMount"
        if dig({**pod, **own}, "seccompProfile", "type") == "Unconfined":
            yield "seccompProfile Unconfined"


def _restricted(spec: JsonObject) -> Iterator[str]:
    for volume in mappings_at(spec, "volumes"):
        yield from (f"{kind} volumes" for kind in sorted(set(volume) - VOLUMES) if kind != "hostPath")
    pod = mapping_at(spec, "securityContext")
    for container in containers_of(spec):
        own = mapping_at(container, "securityContext")
        both, capabilities = {**pod, **own}, mapping_at(own, "capabilities")
        if own.get("allowPrivilegeEscalation") is not False:
            yield "allowPrivilegeEscalation"
        if "ALL" not in sequence_at(capabilities, "drop"):
            yield "capabilities.drop"
        if set(sequence_at(capabilities, "add")) - {"NET_BIND_SERVICE"}:
            yield "capabilities.add"
        if both.get("runAsNonRoot") is not True:
            yield "runAsNonRoot"
        if both.get("runAsUser") == 0:
            yield "runAsUser 0"
        if not dig(both, "seccompProfile", "type"):
            yield "seccompProfile"


def _above(exception: SecurityException, level: str) -> bool:
    if level == "restricted":
        return True
    return level == "baseline" and not exception.field.endswith(RESTRICTED_ONLY)


def _needed(fields: list[str]) -> str:
    """The strictest level that still takes pods with these fields."""
    return "baseline" if all(field.endswith(RESTRICTED_ONLY) for field in fields) else "privileged"


def _refused(component: str, title: str, namespace: str, level: str, fields: list[str]) -> Finding:
    message = f"{title} needs {listed(fields, 8)}, but namespace {namespace} enforces pod-security level {level}"
    hint = (
        f"give it another namespace (components.{component}.namespace), or allow these pods in this one: "
        f"components.{component}.namespaceLabels: {{{LABEL}: {_needed(fields)}}}"
    )
    return fail("pod-security", component, message, hint)
