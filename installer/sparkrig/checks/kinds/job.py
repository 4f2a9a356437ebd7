"""``job``: a pod ends as it must, and prints what it must."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sparkrig.checks.kinds.base import Context, Depth, Kind, NotYet, Wrong
from sparkrig.checks.kinds.logs import read_log, troubles
from sparkrig.checks.kinds.made import made
from sparkrig.checks.kinds.matching import shown

CONTAINER = "check"
KEEP_S = 60
"""A Job ends, and goes, by itself so long after it should have, if nobody is left to delete it."""


def ask(context: Context) -> str:
    """The exit code must be ``exitCode`` (default 0), and the log must match ``prints``."""
    name = context.name
    with made(context, manifest(context, name)):
        try:
            pod = context.until_value(lambda: _ended(context, name))
        except NotYet as error:
            raise Wrong(f"{error}{_why(context, name)}") from error
        code, wanted = _exit_code(pod), int(context.parameters.get("exitCode", 0))
        pattern = context.parameters.get("prints")
        log = read_log(context, context.namespace, pod["metadata"]["name"]) if pattern is not None else ""
        if code != wanted:
            last = f": {shown(log[-300:])}" if log else _why(context, name)
            raise Wrong(f"exit code {code}, expected {wanted}{last}")
        if pattern is not None:
            match = re.search(pattern, log)
            if match is None:
                raise Wrong(f"its log does not match {pattern}: {shown(log[-300:]) or 'empty'}")
            return f"exit code {code}, prints {shown(match[0])}"
        return f"exit code {code}"


def manifest(context: Context, name: str) -> dict[str, Any]:
    """The Job; its pod meets the ``restricted`` pod-security level."""
    parameters = context.parameters
    closed = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": CONTAINER,
        "image": parameters["image"],
        "env": [{"name": key, "value": str(value)} for key, value in parameters.get("env", {}).items()],
        "securityContext": closed,
        **{key: parameters[key] for key in ("command", "args", "resources") if key in parameters},
    }
    user = int(parameters.get("user", 65534))
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": "serviceAccountName" in parameters,
        "securityContext": {"runAsNonRoot": True, "runAsUser": user, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        **{key: parameters[key] for key in ("serviceAccountName", "runtimeClassName", "nodeSelector", "tolerations")
           if key in parameters},
    }  # fmt: skip
    spec = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": int(context.spec.timeout_s) + KEEP_S,  # behind ours: its end deletes the evidence
        "ttlSecondsAfterFinished": KEEP_S,
        "template": {"spec": pod},
    }
    metadata = {"name": name, "namespace": context.namespace}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _ended(context: Context, name: str) -> dict[str, Any] | None:
    path = f"/api/v1/namespaces/{context.namespace}/pods"
    pods = context.api.list(path, label_selector=f"batch.kubernetes.io/job-name={name}")
    if not pods:
        raise NotYet(f"no pod was made for Job {name}")
    phase = (pods[0].get("status") or {}).get("phase")
    if phase in ("Succeeded", "Failed"):
        return pods[0]
    raise NotYet(f"its pod is {phase} after {context.spec.timeout_s:.0f} s")


def _exit_code(pod: Mapping[str, Any]) -> int | None:
    for each in pod["status"].get("containerStatuses") or ():
        ended = (each.get("state") or {}).get("terminated")
        if each.get("name") == CONTAINER and ended:
            return int(ended["exitCode"])
    return None


def _why(context: Context, name: str) -> str:
    said = troubles(context, context.namespace, f"batch.kubernetes.io/job-name={name}", name)
    return f" ({said})" if said else ""


KIND = Kind(ask, Depth.DEEP, once=True)
