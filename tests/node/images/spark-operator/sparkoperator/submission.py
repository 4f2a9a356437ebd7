"""The arguments of spark-submit and the pod templates for an application, in upstream's order. Pure.

Order matters: spark-submit takes the last value of a property, so a field of the application beats ``sparkConf``, and
the operator's own pod template beats one that ``sparkConf`` or spark-defaults.conf names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sparkoperator.states import APP_LABEL, ID_LABEL, LAUNCHED_LABEL, MUTATED_LABEL, Object

ROLES = ("driver", "executor")
CONTAINER = {"driver": "spark-kubernetes-driver", "executor": "spark-kubernetes-executor"}
NOT_DONE = ("batchScheduler", "batchSchedulerOptions", "monitoring", "driverIngressOptions", "sparkUIOptions")
DEPS = {
    "jars": "--jars",
    "packages": "--packages",
    "excludePackages": "--exclude-packages",
    "repositories": "--repositories",
    "pyFiles": "--py-files",
    "files": "--files",
    "archives": "--archives",
}
SECRETS = {
    "GCPServiceAccount": ("GOOGLE_APPLICATION_CREDENTIALS", "key.json"),
    "HadoopDelegationToken": ("HADOOP_TOKEN_FILE_LOCATION", "hadoop.token"),
}
LOCAL = "spark-local-dir-"
"""Volumes with such a name are Spark's scratch space: properties name them, not the pod."""
VOLUMES: dict[str, tuple[str, ...]] = {
    "emptyDir": ("sizeLimit", "medium"),
    "hostPath": ("path", "type"),
    "nfs": ("path", "server", "readOnly"),
    "persistentVolumeClaim": ("claimName", "readOnly"),
}
SCALING = ("initialExecutors", "minExecutors", "maxExecutors")


class Refused(Exception):
    """The application asks for something that this imitation does not do, or the submission cannot be described."""


def check(spec: Object) -> None:
    """Raises Refused with everything that upstream's program does and this one does not."""
    wrong = [f"spec.{key} is not done by this imitation of the operator" for key in NOT_DONE if key in spec]
    if wrong:
        raise Refused("; ".join(wrong))


def driver_name(application: Object) -> str:
    """The name of the driver's pod."""
    spec = application["spec"]
    named = (spec.get("driver") or {}).get("podName") or _conf(spec).get("spark.kubernetes.driver.pod.name")
    return str(named or f"{application['metadata']['name']}-driver")


def arguments(application: Object, master: str, submission: str, templates: Mapping[str, str]) -> list[str]:
    """What spark-submit is called with; ``templates`` is the file of each role's pod template."""
    spec = application["spec"]
    words = ["--master", master, "--deploy-mode", str(spec.get("mode", ""))]
    words += ["--class", spec["mainClass"]] if spec.get("mainClass") is not None else []
    words += ["--name", application["metadata"]["name"]]
    for key, option in DEPS.items():
        given = (spec.get("deps") or {}).get(key)
        words += [option, ",".join(given)] if given else []
    for key, value in _properties(application, submission, templates):
        words += ["--conf", f"{key}={text(value)}"]
    words += ["--proxy-user", spec["proxyUser"]] if spec.get("proxyUser") else []
    words += [spec["mainApplicationFile"]] if spec.get("mainApplicationFile") is not None else []
    return [*words, *(str(word) for word in spec.get("arguments") or ())]


def template(application: Object, role: str) -> dict[str, Any]:
    """The pod template that the operator always passes: that of the application's role, else an empty container."""
    given = (application["spec"].get(role) or {}).get("template")
    made = dict(given) if given is not None else {"spec": {"containers": [{"name": CONTAINER[role]}]}}
    metadata = dict(made.get("metadata") or {})
    own = owner(application)
    if role == "executor":
        # The driver is their controller; this one says whose they are.
        own = {key: own[key] for key in ("apiVersion", "kind", "name", "uid")}
    owners = list(metadata.get("ownerReferences") or ())
    metadata["ownerReferences"] = owners if own in owners else [*owners, own]
    return {**made, "metadata": metadata}


def owner(application: Object) -> dict[str, Any]:
    """The owner reference of an application's objects."""
    metadata = application["metadata"]
    named = {"name": metadata["name"], "uid": metadata["uid"], "controller": True, "blockOwnerDeletion": True}
    return {"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", **named}


def master_of(environment: Mapping[str, str]) -> str:
    """The API server as spark-submit wants it, from a pod's environment.

    Raises:
        Refused: a variable is missing.
    """
    found = []
    for name in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        if not environment.get(name):
            raise Refused(f"failed to get master URL: environment variable {name} is not found")
        found.append(environment[name])
    host, port = found
    return f"k8s://https://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{port}"


def text(value: Any) -> str:
    """A value as Go prints it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _properties(application: Object, submission: str, templates: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    spec, metadata = application["spec"], application["metadata"]
    yield "spark.kubernetes.namespace", metadata["namespace"]
    for key, name in (("image", "image"), ("imagePullPolicy", "image.pullPolicy")):
        if spec.get(key):
            yield f"spark.kubernetes.container.{name}", spec[key]
    if spec.get("imagePullSecrets"):
        yield "spark.kubernetes.container.image.pullSecrets", ",".join(spec["imagePullSecrets"])
    for key, name in (("pythonVersion", "pyspark.pythonVersion"), ("memoryOverheadFactor", "memoryOverheadFactor")):
        if spec.get(key):
            yield f"spark.kubernetes.{name}", spec[key]
    yield "spark.kubernetes.submission.waitAppCompletion", "false"
    yield from ((k, v) for k, v in _conf(spec).items() if k != "spark.kubernetes.driver.pod.name")
    yield from ((f"spark.hadoop.{key}", value) for key, value in (spec.get("hadoopConf") or {}).items())
    for role in ROLES:
        yield f"spark.kubernetes.{role}.podTemplateFile", templates[role]
        yield f"spark.kubernetes.{role}.podTemplateContainerName", CONTAINER[role]
        if role == "driver":
            yield "spark.kubernetes.driver.pod.name", driver_name(application)
        yield from _role(application, role, submission)
    yield from ((f"spark.kubernetes.node.selector.{k}", v) for k, v in (spec.get("nodeSelector") or {}).items())
    yield from _scaling(spec.get("dynamicAllocation") or {})


def _role(application: Object, role: str, submission: str) -> Iterator[tuple[str, Any]]:
    spec, metadata = application["spec"], application["metadata"]
    part = spec.get(role) or {}
    label = f"spark.kubernetes.{role}.label."
    yield f"{label}{APP_LABEL}", metadata["name"]
    yield f"{label}{LAUNCHED_LABEL}", "true"
    if part.get("template") is None:
        yield f"{label}{MUTATED_LABEL}", "true"
    yield f"{label}{ID_LABEL}", submission
    if role == "executor" and part.get("instances") is not None:
        yield "spark.executor.instances", part["instances"]
    if image := part.get("image") or spec.get("image"):
        yield f"spark.kubernetes.{role}.container.image", image
    named = {
        "cores": f"spark.{role}.cores",
        "coreRequest": f"spark.kubernetes.{role}.request.cores",
        "coreLimit": f"spark.kubernetes.{role}.limit.cores",
        "memory": f"spark.{role}.memory",
        "memoryOverhead": f"spark.{role}.memoryOverhead",
        "serviceAccount": f"spark.kubernetes.authenticate.{role}.serviceAccountName",
    }
    more = {
        "driver": {
            "javaOptions": "spark.driver.extraJavaOptions",
            "kubernetesMaster": "spark.kubernetes.driver.master",
        },
        "executor": {"deleteOnTermination": "spark.kubernetes.executor.deleteOnTermination"},
    }
    yield from ((name, part[key]) for key, name in {**named, **more[role]}.items() if part.get(key) is not None)
    own = {k: v for k, v in (metadata.get("labels") or {}).items() if not k.startswith("kueue.x-k8s.io/")}
    prefixes = {"labels": "label", "annotations": "annotation"}
    if role == "driver":
        prefixes |= {"serviceLabels": "service.label", "serviceAnnotations": "service.annotation"}
    yield from ((f"{label}{key}", value) for key, value in own.items())
    for kind, prefix in prefixes.items():
        yield from ((f"spark.kubernetes.{role}.{prefix}.{k}", v) for k, v in (part.get(kind) or {}).items())
    for key, ref in (part.get("envSecretKeyRefs") or {}).items():
        yield f"spark.kubernetes.{role}.secretKeyRef.{key}", f"{ref['name']}:{ref['key']}"
    if role == "executor" and part.get("javaOptions") is not None:
        yield "spark.executor.extraJavaOptions", part["javaOptions"]
    environment = "spark.kubernetes.driverEnv." if role == "driver" else "spark.executorEnv."
    yield from ((f"{environment}{key}", value) for key, value in (part.get("envVars") or {}).items())
    for secret in part.get("secrets") or ():
        yield f"spark.kubernetes.{role}.secrets.{secret['name']}", secret["path"]
        if secret.get("secretType") in SECRETS:
            variable, file = SECRETS[secret["secretType"]]
            yield f"{environment}{variable}", f"{secret['path'].rstrip('/')}/{file}"
    yield from _scratch(spec, role)


def _scratch(spec: Object, role: str) -> Iterator[tuple[str, Any]]:
    volumes = {v["name"]: v for v in spec.get("volumes") or () if v["name"].startswith(LOCAL)}
    for mount in (spec.get(role) or {}).get("volumeMounts") or ():
        if not mount["name"].startswith(LOCAL):
            continue
        if mount["name"] not in volumes:
            raise Refused(f"volume {mount['name']} not found")
        volume = volumes[mount["name"]]
        kind = next((kind for kind in VOLUMES if volume.get(kind) is not None), None)
        if kind is None:
            raise Refused("unsupported volume type")
        prefix = f"spark.kubernetes.{role}.volumes.{kind}.{mount['name']}."
        for key, name in (("mountPath", "path"), ("subPath", "subPath"), ("readOnly", "readOnly")):
            if mount.get(key):
                yield f"{prefix}mount.{name}", mount[key]
        yield from ((f"{prefix}options.{key}", volume[kind][key]) for key in VOLUMES[kind] if volume[kind].get(key))


def _scaling(part: Object) -> Iterator[tuple[str, Any]]:
    if not part.get("enabled"):
        return
    yield "spark.dynamicAllocation.enabled", "true"
    yield from ((f"spark.dynamicAllocation.{key}", part[key]) for key in SCALING if part.get(key) is not None)
    yield "spark.dynamicAllocation.shuffleTracking.enabled", part.get("shuffleTrackingEnabled", True)
    if part.get("shuffleTrackingTimeout") is not None:
        yield "spark.dynamicAllocation.shuffleTracking.timeout", part["shuffleTrackingTimeout"]


def _conf(spec: Object) -> dict[str, Any]:
    return dict(spec.get("sparkConf") or {})
