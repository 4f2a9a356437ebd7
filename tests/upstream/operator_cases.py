"""What both operators are asked, and the runs that both go through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client

APPLICATION = "sparkoperator-k8s-io-v1beta2-sparkapplication"
ONE: dict[str, Any] = {"cores": 1, "memory": "512m"}
SPEC: dict[str, Any] = {
    "type": "Scala",
    "mode": "cluster",
    "image": "spark:4.0.4",
    "sparkVersion": "4.0.4",
    "mainClass": "a.B",
    "mainApplicationFile": "local:///a.jar",
    "arguments": ["1"],
    "restartPolicy": {"type": "Never"},
    "driver": {**ONE, "serviceAccount": "spark"},
    "executor": {**ONE, "instances": 1},
}
TORN = "torn: the controller dies while spark-submit runs"
PODS = ({"phase": "Pending"}, {"phase": "Running"})
RICH: dict[str, Any] = {
    "labels": {"team": "etl"},
    "annotations": {"note": "x"},
    "envVars": {"A": "1"},
    "envSecretKeyRefs": {"K": {"name": "s", "key": "k"}},
    "secrets": [{"name": "token", "path": "/token", "secretType": "HadoopDelegationToken"}],
    "coreRequest": "200m",
    "coreLimit": "1",
    "memoryOverhead": "64m",
    "javaOptions": "-Da=b",
    "volumeMounts": [{"name": "spark-local-dir-1", "mountPath": "/scratch"}],
}
TEMPLATE = {
    "metadata": {"labels": {"platform": "yes"}},
    "spec": {"containers": [{"name": "spark-kubernetes-driver"}], "tolerations": [{"key": "a", "operator": "Exists"}]},
}


def _exit(code: int) -> dict[str, Any]:
    ended = {"exitCode": code, "reason": "Completed" if code == 0 else "Error"}
    own = {"name": "spark-kubernetes-driver", "image": "x", "imageID": "x", "ready": False, "restartCount": 0}
    phase = "Failed" if code else "Succeeded"
    return {"phase": phase, "containerStatuses": [{**own, "state": {"terminated": ended}}]}


SCENARIOS: dict[str, dict[str, Any]] = {
    "it completes": {"spec": SPEC, "pods": [*PODS, _exit(0)], "end": ("COMPLETED", "FAILED")},
    "its driver fails": {"spec": SPEC, "pods": [*PODS, _exit(3)], "end": ("COMPLETED", "FAILED")},
    "fails: spark-submit": {"spec": SPEC, "pods": [], "end": ("FAILED",)},
    "exists already: the driver": {"spec": SPEC, "pods": [], "end": ("FAILED",)},
    "no driver comes": {"spec": SPEC, "pods": [], "end": ("FAILED",)},
    "it is tried again": {
        "spec": {**SPEC, "restartPolicy": {"type": "OnFailure", "onFailureRetries": 1, "onFailureRetryInterval": 1}},
        "pods": [*PODS, _exit(3), *PODS, _exit(0)],
        "end": ("COMPLETED", "FAILED"),
    },
    "it is changed": {
        "spec": SPEC,
        "pods": [*PODS, _exit(0), *PODS, _exit(0)],
        "end": ("COMPLETED", "FAILED"),
        "changes": [{"arguments": ["2"]}],
    },
    TORN: {"spec": SPEC, "pods": [], "end": ("FAILED",)},
    "many fields": {
        "spec": {
            **SPEC,
            "sparkConf": {"spark.kubernetes.driver.podTemplateFile": "/etc/spark/templates/driver.yaml"},
            "hadoopConf": {"fs.x": "y"},
            "imagePullPolicy": "IfNotPresent",
            "imagePullSecrets": ["a", "b"],
            "pythonVersion": "3",
            "memoryOverheadFactor": "0.2",
            "nodeSelector": {"disk": "fast"},
            "proxyUser": "me",
            "deps": {"jars": ["j1", "j2"], "pyFiles": ["p"], "packages": ["k"], "repositories": ["r"], "files": ["f"]},
            "dynamicAllocation": {"enabled": True, "minExecutors": 1, "maxExecutors": 3},
            "volumes": [{"name": "spark-local-dir-1", "emptyDir": {"sizeLimit": "1Gi"}}],
            "driver": {**ONE, **RICH, "podName": "mine", "serviceAccount": "spark"},
            "executor": {**ONE, **RICH, "instances": 2, "deleteOnTermination": False},
        },
        "pods": [],
        "end": ("FAILED",),
    },
    "its own templates": {
        "spec": {**SPEC, "driver": {**ONE, "template": TEMPLATE}, "executor": {**ONE, "template": TEMPLATE}},
        "pods": [],
        "end": ("FAILED",),
    },
}
APPLICATIONS: dict[str, dict[str, Any]] = {
    "nothing": {"driver": {}, "executor": {}, "sparkVersion": "4.0.4", "type": "Scala"},
    "conf": {
        **SPEC,
        "driver": {},
        "executor": {},
        "sparkConf": {"spark.driver.memory": "2g", "spark.executor.instances": "4"},
    },
    "retries": {**SPEC, "restartPolicy": {"type": "OnFailure", "onFailureRetries": 3}},
    "scaling": {**SPEC, "executor": {}, "dynamicAllocation": {"enabled": True}},
    "two selectors": {**SPEC, "nodeSelector": {"a": "b"}, "driver": {"nodeSelector": {"a": "c"}}},
    "an old version with a template": {**SPEC, "sparkVersion": "2.4.8", "driver": {"template": TEMPLATE}},
    "no version with a template": {**SPEC, "sparkVersion": "nightly", "driver": {"template": TEMPLATE}},
    "an image in the conf": {**SPEC, "sparkConf": {"spark.kubernetes.container.image": "x"}},
    "an account in the conf": {
        **SPEC,
        "sparkConf": {"spark.kubernetes.authenticate.executor.serviceAccountName": "x"},
    },
    "another namespace in the conf": {**SPEC, "sparkConf": {"spark.kubernetes.namespace": "x"}},
    "a pod template in the conf": {**SPEC, "sparkConf": {"spark.kubernetes.executor.podTemplateFile": "/x"}},
}
ASKED_PODS: dict[str, dict[str, Any]] = {
    "many fields": {
        "env": [{"name": "A", "value": "1"}],
        "envFrom": [{"configMapRef": {"name": "e"}}],
        "configMaps": [{"name": "scripts", "path": "/etc/scripts"}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "initContainers": [{"name": "first", "image": "i", "resources": {}}],
        "sidecars": [{"name": "second", "image": "i", "resources": {}}],
        "securityContext": {"runAsUser": 185, "readOnlyRootFilesystem": True},
        "podSecurityContext": {"fsGroup": 185},
        "priorityClassName": "high",
        "schedulerName": "mine",
        "memoryLimit": "2g",
        "gpu": {"name": "nvidia.com/gpu", "quantity": 1},
        "terminationGracePeriodSeconds": 5,
        "shareProcessNamespace": True,
        "hostAliases": [{"ip": "10.1.1.1", "hostnames": ["a"]}],
        "ports": [{"name": "x", "protocol": "TCP", "containerPort": 5}],
        "dnsConfig": {"nameservers": ["10.1.1.2"]},
    },
    "a few fields": {"nodeSelector": {"disk": "fast"}, "hostNetwork": True},
    "none": {},
}


def name_of(scenario: str) -> str:
    """The application's name; its first word says what spark-submit does."""
    return scenario.replace(":", "").replace(" ", "-")


def _of_pods(key: str) -> str:
    return f"pods-with-{key.replace(' ', '-')}"


def cases(namespace: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What is asked, the path, and the review."""
    for key, spec in APPLICATIONS.items():
        for verb in ("mutate", "validate"):
            yield f"{verb} {key}", f"/{verb}-{APPLICATION}", _review(_application(namespace, "pi", spec), namespace)
    for name in ("2pi", "p.i", "a" * 64):
        yield (
            f"validate name {name}",
            f"/validate-{APPLICATION}",
            _review(_application(namespace, name, SPEC), namespace),
        )
    done = {
        **_application(namespace, "pi", APPLICATIONS["nothing"]),
        "status": {"applicationState": {"state": "RUNNING"}},
    }
    yield "mutate one that runs", f"/mutate-{APPLICATION}", _review(done, namespace)
    for role in ("driver", "executor"):
        for key in ASKED_PODS:
            labels = {"spark-role": role, "sparkoperator.k8s.io/app-name": _of_pods(key)}
            yield f"pod {role} {key}", "/mutate--v1-pod", _review(_pod(namespace, role, labels), namespace)
    labels = {"spark-role": "driver", "sparkoperator.k8s.io/app-name": "absent"}
    yield "pod of an absent application", "/mutate--v1-pod", _review(_pod(namespace, "driver", labels), namespace)
    yield "pod elsewhere", "/mutate--v1-pod", _review(_pod("default", "driver", labels), "default")


def objects(crds: Path, namespace: str, operator: str) -> None:
    """Make what both find in the cluster: CRDs, namespaces, webhook configurations, applications of the pods."""
    for file in sorted(crds.glob("*.yaml")):
        body = yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)
        _made(client.ApiextensionsV1Api().create_custom_resource_definition, body)
    for name in (namespace, operator):
        _made(client.CoreV1Api().create_namespace, {"metadata": {"name": name}})
    service = {"name": f"{operator}-webhook-svc", "namespace": operator, "path": "/x"}
    hook = {"name": "a.b.c", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Ignore"}
    rule = {"apiGroups": ["example.org"], "apiVersions": ["v1"], "resources": ["nothing"], "operations": ["CREATE"]}
    body = {
        "metadata": {"name": f"{operator}-webhook"},
        "webhooks": [{**hook, "clientConfig": {"service": service}, "rules": [rule]}],
    }
    api = client.AdmissionregistrationV1Api()
    _made(api.create_mutating_webhook_configuration, body)
    _made(api.create_validating_webhook_configuration, body)
    volumes = [{"name": "data", "emptyDir": {}}, {"name": "unused", "emptyDir": {}}]
    place = ("sparkoperator.k8s.io", "v1beta2", namespace, "sparkapplications")
    for key, part in ASKED_PODS.items():
        # Suspended: the controllers leave it alone.
        spec = {**SPEC, "volumes": volumes, "suspend": True, "driver": part, "executor": part}
        made = _application(namespace, _of_pods(key), spec)
        _made(lambda made=made: client.CustomObjectsApi().create_namespaced_custom_object(*place, made))


def _made(call: Any, *body: Any) -> None:
    try:
        call(*body)
    except client.ApiException as error:
        if error.status != 409:
            raise


def _application(namespace: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    kind = {"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication"}
    return {**kind, "metadata": {"name": name, "namespace": namespace}, "spec": dict(spec)}


def _pod(namespace: str, role: str, labels: Mapping[str, str]) -> dict[str, Any]:
    own = {"name": f"spark-kubernetes-{role}", "image": "spark:1", "resources": {"limits": {"cpu": "1"}}}
    metadata = {"name": "p", "namespace": namespace, "labels": dict(labels)}
    containers = [own, {"name": "side", "image": "s", "resources": {}}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers}}


def _review(found: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    group, _, version = str(found["apiVersion"]).rpartition("/")
    kind = {"group": group, "version": version, "kind": found["kind"]}
    resource = {"group": group, "version": version, "resource": f"{str(found['kind']).lower()}s"}
    request = {"uid": "1", "kind": kind, "resource": resource, "operation": "CREATE", "namespace": namespace}
    request |= {"name": found["metadata"]["name"], "userInfo": {}, "object": dict(found)}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
