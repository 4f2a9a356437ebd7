"""``job``: a pod ends as it must, and prints what it must."""

from __future__ import annotations

import re

from sparkrig.checks.kinds.base import Context, Depth, Kind, NotYet, Wrong
from sparkrig.checks.kinds.logs import read_log, troubles
from sparkrig.checks.kinds.made import made
from sparkrig.checks.kinds.matching import shown
from sparkrig.models.json import JsonDict, JsonObject, dig, mapping_at, mappings_at, name_of, number_at, text_or_none

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
        code, wanted = _exit_code(pod), number_at(context.parameters, "exitCode")
        pattern = text_or_none(context.parameters, "prints")
        log = read_log(context, context.namespace, name_of(pod)) if pattern is not None else ""
        if code != wanted:
            last = f": {shown(log[-300:])}" if log else _why(context, name)
            raise Wrong(f"exit code {code}, expected {wanted}{last}")
        if pattern is not None:
            match = re.search(pattern, log)
            if match is None:
                raise Wrong(f"its log does not match {pattern}: {shown(log[-300:]) or 'empty'}")
            return f"exit code {code}, prints {shown(match[0])}"
        return f"exit code {code}"


def manifest(context: Context, name: str) -> JsonDict:
    """The Job; its pod meets the ``restricted`` pod-security level."""
    parameters = context.parameters
    closed: JsonDict = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container: JsonDict = {
        "name": CONTAINER,
        "image": parameters["image"],
        "env": [{"name": key, "value": str(value)} for key, value in mapping_at(parameters, "env").items()],
        "securityContext": closed,
        **{key: parameters[key] for key in ("command", "args", "resources") if key in parameters},
    }
    user = number_at(parameters, "user", default=65534)
    pod: JsonDict = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": "serviceAccountName" in parameters,
        "securityContext": {"runAsNonRoot": True, "runAsUser": user, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        **{key: parameters[key] for key in ("serviceAccountName", "runtimeClassName", "nodeSelector", "tolerations")
           if key in parameters},
    }  # fmt: skip
    spec: JsonDict = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": int(context.spec.timeout_s) + KEEP_S,  # behind ours: its end deletes the evidence
        "ttlSecondsAfterFinished": KEEP_S,
        "template": {"spec": pod},
    }
    metadata = {"name": name, "namespace": context.namespace}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _ended(context: Context, name: str) -> JsonDict | None:
    path = f"/api/v1/namespaces/{context.namespace}/pods"
    pods = context.api.list(path, label_selector=f"batch.kubernetes.io/job-name={name}")
    if not pods:
        raise NotYet(f"no pod was made for Job {name}")
    phase = dig(pods[0], "status", "phase")
    if phase in ("Succeeded", "Failed"):
        return pods[0]
    raise NotYet(f"its pod is {phase} after {context.spec.timeout_s:.0f} s")


def _exit_code(pod: JsonObject) -> int | None:
    for each in mappings_at(pod, "status", "containerStatuses"):
        ended = mapping_at(each, "state", "terminated")
        if each.get("name") == CONTAINER and ended:
            return number_at(ended, "exitCode")
    return None


def _why(context: Context, name: str) -> str:
    said = troubles(context, context.namespace, f"batch.kubernetes.io/job-name={name}", name)
    return f" ({said})" if said else ""


KIND = Kind(ask, Depth.DEEP, once=True)
