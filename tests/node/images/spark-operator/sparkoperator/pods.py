"""What the webhook adds to the pods of an application as they are created, field by field. Pure.

Only here do fields of driver and executor reach a pod that spark-submit has no property for: without the webhook
they are silently lost.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from sparkoperator.states import Object
from sparkoperator.submission import CONTAINER, LOCAL, owner

REPLACED = {
    "dnsConfig": "dnsConfig",
    "affinity": "affinity",
    "podSecurityContext": "securityContext",
    "terminationGracePeriodSeconds": "terminationGracePeriodSeconds",
}
"""Field of a role -> field of the pod that it takes the place of."""
JOINED = {"hostAliases": "hostAliases", "tolerations": "tolerations"}
OLD_NAME = "executor"
"""What Spark called the executor's container before 3.0."""
NAME_MAX = 63
UNITS = {"k": "Ki", "m": "Mi", "g": "Gi", "t": "Ti", "p": "Pi"}


def mutated(pod: Object, application: Object) -> dict[str, Any]:
    """The pod as the webhook hands it back: a driver or an executor of this application, else unchanged."""
    made = copy.deepcopy(dict(pod))
    role = str((made["metadata"].get("labels") or {}).get("spark-role", ""))
    if role not in CONTAINER:
        return made
    spec: dict[str, Any] = made["spec"]
    part: Mapping[str, Any] = copy.deepcopy(application["spec"].get(role) or {})
    if role == "driver" and owner(application) not in (made["metadata"].get("ownerReferences") or []):
        made["metadata"].setdefault("ownerReferences", []).append(owner(application))
    own = _container(spec, role)
    for key in ("env", "envFrom"):
        own[key] = [*(own.get(key) or ()), *(part.get(key) or ())]
    _config_maps(application["spec"], part, spec, own)
    _volumes(application["spec"], part, spec, own)
    own["ports"] = [*(own.get("ports") or ()), *(part.get("ports") or ())]
    _of_pod(application["spec"], part, spec)
    _of_container(part, own)
    return _without_empty(made, own)


def memory(java: str) -> str:
    """A memory string of Java in Kubernetes' units."""
    found = re.fullmatch(r"([0-9]+)([kmgtp])b?", java.strip().lower())
    return f"{found[1]}{UNITS[found[2]]}" if found else java


def _container(spec: Object, role: str) -> dict[str, Any]:
    names = (CONTAINER[role], *((OLD_NAME,) if role == "executor" else ()))
    found: dict[str, Any] = next((c for c in spec["containers"] if c["name"] in names), spec["containers"][0])
    return found


def _config_maps(whole: Object, part: Object, spec: dict[str, Any], own: dict[str, Any]) -> None:
    named = [
        ("hadoopConfigMap", "hadoop-configmap-volume", "/etc/hadoop/conf", "HADOOP_CONF_DIR"),
        ("sparkConfigMap", "spark-configmap-volume", "/etc/spark/conf", "SPARK_CONF_DIR"),
    ]
    for key, volume, path, variable in named:
        if whole.get(key) is not None:
            _mounted(spec, own, whole[key], volume, path)
            own["env"].append({"name": variable, "value": path})
    for found in part.get("configMaps") or ():
        _mounted(spec, own, found["name"], f"{found['name']}-vol"[:NAME_MAX], found["path"])


def _mounted(spec: dict[str, Any], own: dict[str, Any], name: str, volume: str, path: str) -> None:
    spec.setdefault("volumes", []).append({"name": volume, "configMap": {"name": name}})
    own.setdefault("volumeMounts", []).append({"name": volume, "readOnly": True, "mountPath": path})


def _volumes(whole: Object, part: Object, spec: dict[str, Any], own: dict[str, Any]) -> None:
    """A volume is added where one of the role's mounts names it, and only then."""
    known = {volume["name"]: volume for volume in whole.get("volumes") or ()}
    added = set()
    for mount in part.get("volumeMounts") or ():
        if mount["name"].startswith(LOCAL) or mount["name"] not in known:
            continue
        if mount["name"] not in added:
            spec.setdefault("volumes", []).append(copy.deepcopy(known[mount["name"]]))
            added.add(mount["name"])
        own.setdefault("volumeMounts", []).append(mount)


def _of_pod(whole: Object, part: Object, spec: dict[str, Any]) -> None:
    if part.get("hostNetwork"):
        spec |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    for key, field in JOINED.items():
        spec[field] = [*(spec.get(field) or ()), *(part.get(key) or ())]
    for key, field in (("initContainers", "initContainers"), ("sidecars", "containers")):
        there = {(c["name"], c.get("image")) for c in spec.get(field) or ()}
        new = [c for c in part.get(key) or () if (c["name"], c.get("image")) not in there]
        spec[field] = [*(spec.get(field) or ()), *new]
    if part.get("priorityClassName"):
        spec["priorityClassName"] = part["priorityClassName"]
        # The API server has filled these in for the class of before.
        spec.pop("priority", None)
        spec.pop("preemptionPolicy", None)
    scheduler = whole["batchScheduler"] if whole.get("batchScheduler") is not None else part.get("schedulerName")
    if scheduler:
        spec["schedulerName"] = scheduler
    spec["nodeSelector"] = {**(spec.get("nodeSelector") or {}), **(part.get("nodeSelector") or {})}
    spec |= {field: part[key] for key, field in REPLACED.items() if part.get(key) is not None}
    if part.get("shareProcessNamespace"):
        spec["shareProcessNamespace"] = True


def _of_container(part: Object, own: dict[str, Any]) -> None:
    gpu = part.get("gpu") or {}
    limits = {}
    if part.get("memoryLimit") is not None:
        limits["memory"] = memory(part["memoryLimit"])
    if gpu.get("name") and int(gpu.get("quantity", 0)) > 0:
        limits[gpu["name"]] = str(gpu["quantity"])
    if limits:
        resources = own.setdefault("resources", {})
        resources["limits"] = {**(resources.get("limits") or {}), **limits}
    for key in ("securityContext", "lifecycle"):
        if part.get(key) is not None:
            own[key] = part[key]


def _without_empty(made: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    for place, keys in ((own, ("env", "envFrom", "ports")), (made["spec"], (*JOINED.values(), "initContainers"))):
        for key in keys:
            if not place.get(key):
                place.pop(key, None)
    if not made["spec"].get("nodeSelector"):
        made["spec"].pop("nodeSelector", None)
    return made
