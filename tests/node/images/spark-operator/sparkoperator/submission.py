"""From an application to the arguments of spark-submit and the pods that it starts from. Pure.

What spark-submit has a property for becomes one; the rest goes into the pod templates of driver and executors, laid
over those that spark-defaults.conf names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sparkoperator.states import APP_LABEL, ID_LABEL, Object

IGNORED = {"sparkVersion", "pythonVersion", "restartPolicy"}
SPEC = {"type", "mode", "image", "imagePullPolicy", "imagePullSecrets", "mainClass", "mainApplicationFile", "arguments"}
SPEC |= {"sparkConf", "hadoopConf", "deps", "volumes", "nodeSelector", "dynamicAllocation", "memoryOverheadFactor"}
SPEC |= {"driver", "executor"} | IGNORED
ROLE = {"cores", "coreRequest", "coreLimit", "memory", "memoryOverhead", "serviceAccount", "javaOptions", "image"}
CONTAINER = {"env": "env", "envFrom": "envFrom", "volumeMounts": "volumeMounts", "securityContext": "securityContext"}
POD = {"initContainers": "initContainers", "podSecurityContext": "securityContext", "tolerations": "tolerations"}
POD |= {"affinity": "affinity", "priorityClassName": "priorityClassName"}
ROLE |= {"labels", "annotations", "nodeSelector", "configMaps", *CONTAINER, *POD}
OF_ROLE = {"driver": ROLE | {"podName"}, "executor": ROLE | {"instances", "deleteOnTermination"}}
DEPS = {
    "jars": "spark.jars",
    "files": "spark.files",
    "pyFiles": "spark.submit.pyFiles",
    "packages": "spark.jars.packages",
    "excludePackages": "spark.jars.excludes",
    "repositories": "spark.jars.repositories",
    "archives": "spark.archives",
}
SCALING = {
    "enabled": "enabled",
    "initialExecutors": "initialExecutors",
    "minExecutors": "minExecutors",
    "maxExecutors": "maxExecutors",
    "shuffleTrackingTimeout": "shuffleTracking.timeout",
}


class Refused(Exception):
    """The application asks for something that this operator does not do, or lacks what it needs."""


def check(spec: Object) -> None:
    """Raises Refused with everything that is wrong."""
    known = {"": SPEC, "driver": OF_ROLE["driver"], "executor": OF_ROLE["executor"], "deps": set(DEPS)}
    known["dynamicAllocation"] = set(SCALING)
    parts = {"": spec, **{name: spec.get(name) or {} for name in known if name}}
    wrong = [
        f"spec.{f'{name}.' if name else ''}{key} is not known to this operator"
        for name, part in parts.items()
        for key in part
        if key not in known[name]
    ]
    if spec.get("mode", "cluster") != "cluster":
        wrong.append(f"spec.mode is {spec['mode']}: only cluster is done here")
    if not spec.get("mainApplicationFile"):
        wrong.append("spec.mainApplicationFile is missing")
    if spec.get("nodeSelector") and any((spec.get(role) or {}).get("nodeSelector") for role in OF_ROLE):
        wrong.append("spec.nodeSelector is given for the application and for one of its parts")
    if wrong:
        raise Refused("; ".join(wrong))


def driver_name(application: Object) -> str:
    """The name of the driver's pod."""
    named = (application["spec"].get("driver") or {}).get("podName")
    return str(named or f"{application['metadata']['name']}-driver")


def arguments(application: Object, server: str, submission: str, templates: Mapping[str, str]) -> list[str]:
    """What spark-submit is called with; ``templates`` is the file of each role's pod template."""
    spec, name = application["spec"], application["metadata"]["name"]
    words = ["--master", f"k8s://{server}", "--deploy-mode", "cluster", "--name", name]
    if spec.get("mainClass"):
        words += ["--class", spec["mainClass"]]
    properties = dict(_properties(application, submission))
    for role, file in templates.items():
        properties[f"spark.kubernetes.{role}.podTemplateFile"] = file
        properties[f"spark.kubernetes.{role}.podTemplateContainerName"] = f"spark-kubernetes-{role}"
    for key, value in properties.items():
        words += ["--conf", f"{key}={value}"]
    return [*words, spec["mainApplicationFile"], *(str(word) for word in spec.get("arguments") or ())]


def _properties(application: Object, submission: str) -> Iterator[tuple[str, str]]:
    spec, metadata = application["spec"], application["metadata"]
    # An application's own properties first: what it says in fields of its own wins.
    yield from ((key, str(value)) for key, value in (spec.get("sparkConf") or {}).items())
    yield from ((f"spark.hadoop.{key}", str(value)) for key, value in (spec.get("hadoopConf") or {}).items())
    yield "spark.kubernetes.namespace", metadata["namespace"]
    yield "spark.kubernetes.submission.waitAppCompletion", "false"
    yield "spark.kubernetes.driver.pod.name", driver_name(application)
    for key, name in (("image", "image"), ("imagePullPolicy", "image.pullPolicy")):
        if spec.get(key):
            yield f"spark.kubernetes.container.{name}", spec[key]
    if spec.get("imagePullSecrets"):
        yield "spark.kubernetes.container.image.pullSecrets", ",".join(spec["imagePullSecrets"])
    if spec.get("memoryOverheadFactor"):
        yield "spark.kubernetes.memoryOverheadFactor", str(spec["memoryOverheadFactor"])
    for key, name in DEPS.items():
        if (spec.get("deps") or {}).get(key):
            yield name, ",".join(spec["deps"][key])
    for key, name in SCALING.items():
        if key in (spec.get("dynamicAllocation") or {}):
            yield f"spark.dynamicAllocation.{name}", _text(spec["dynamicAllocation"][key])
    for role in OF_ROLE:
        labels = {APP_LABEL: metadata["name"], ID_LABEL: submission}
        yield from _role(role, spec.get(role) or {}, labels)


def _role(role: str, part: Object, labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    named = {
        "cores": f"spark.{role}.cores",
        "coreRequest": f"spark.kubernetes.{role}.request.cores",
        "coreLimit": f"spark.kubernetes.{role}.limit.cores",
        "memory": f"spark.{role}.memory",
        "memoryOverhead": f"spark.{role}.memoryOverhead",
        "image": f"spark.kubernetes.{role}.container.image",
        "serviceAccount": f"spark.kubernetes.authenticate.{role}.serviceAccountName",
        "javaOptions": f"spark.{role}.extraJavaOptions",
        "instances": "spark.executor.instances",
        "deleteOnTermination": "spark.kubernetes.executor.deleteOnTermination",
    }
    yield from ((name, _text(part[key])) for key, name in named.items() if key in part)
    for kind in ("labels", "annotations"):
        more = labels if kind == "labels" else {}
        for key, value in {**(part.get(kind) or {}), **more}.items():
            yield f"spark.kubernetes.{role}.{kind.removesuffix('s')}.{key}", value


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def template(application: Object, role: str, base: Object) -> dict[str, Any]:
    """The pod that Spark makes a driver or an executor from: ``base``, and over it what the application says."""
    spec, metadata = application["spec"], application["metadata"]
    part = spec.get(role) or {}
    pod = dict(base.get("spec") or {})
    name = f"spark-kubernetes-{role}"
    containers = [dict(c) for c in pod.get("containers") or ()]
    own = next((c for c in containers if c.get("name") == name), None)
    if own is None:
        own = {"name": name}
        containers.insert(0, own)
    own |= {to: _joined(own.get(to), part[key]) for key, to in CONTAINER.items() if key in part}
    pod |= {to: _joined(pod.get(to), part[key]) for key, to in POD.items() if key in part}
    maps = part.get("configMaps") or []
    volumes = [
        *(spec.get("volumes") or ()),
        *({"name": f"{m['name']}-map", "configMap": {"name": m["name"]}} for m in maps),
    ]
    own["volumeMounts"] = _joined(
        own.get("volumeMounts"), [{"name": f"{m['name']}-map", "mountPath": m["path"]} for m in maps]
    )
    pod |= {"containers": containers, "volumes": _joined(pod.get("volumes"), volumes)}
    if selector := part.get("nodeSelector") or spec.get("nodeSelector"):
        pod["nodeSelector"] = selector
    outer = {**(base.get("metadata") or {})}
    if role == "driver":
        # The driver goes with its application, and its executors go with the driver.
        owner = {"apiVersion": application["apiVersion"], "kind": application["kind"], "controller": True}
        outer["ownerReferences"] = [{**owner, "name": metadata["name"], "uid": metadata["uid"]}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": outer, "spec": pod}


def _joined(old: Any, new: Any) -> Any:
    """Lists of named things are joined, the new ones winning; anything else is replaced."""
    if not isinstance(new, list) or not old:
        return new
    key = "mountPath" if any("mountPath" in item for item in new) else "name"
    taken = {item.get(key) for item in new}
    return [*(item for item in old if item.get(key) not in taken), *new]
