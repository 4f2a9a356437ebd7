"""The API server as the controller needs it, and spark-submit. Every call blocks: for threads."""

from __future__ import annotations

import datetime
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client

from sparkoperator import submission
from sparkoperator.states import APP_LABEL, ID_LABEL, LAUNCHED_LABEL, Object, merged, text

GROUP, VERSION, PLURAL = "sparkoperator.k8s.io", "v1beta2", "sparkapplications"
GONE, CONFLICT = 404, 409
TEMPLATES = Path(tempfile.gettempdir()) / "spark"
ALREADY_THERE = "code=409"
"""In what spark-submit prints: the driver's pod exists."""
UI_NAME, UI_PORT = "spark-driver-ui-port", 4040
logger = logging.getLogger("sparkoperator")


class SubmissionFailed(Exception):
    """spark-submit did not make a driver; the reason."""


def read(namespace: str, name: str) -> dict[str, Any] | None:
    """The application, or None when it is gone."""
    api = client.CustomObjectsApi()
    found: dict[str, Any] | None = _or_none(
        lambda: api.get_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name)
    )
    return found


def write(application: Object, status: Mapping[str, Any]) -> bool:
    """Write over the status of the application as it was read; False where somebody was faster, or it is gone.

    Upstream's role allows to replace it only, not to patch it.
    """
    metadata = application["metadata"]
    place = (GROUP, VERSION, metadata["namespace"], PLURAL, metadata["name"])
    whole = {**application, "status": merged(application.get("status") or {}, status)}
    try:
        client.CustomObjectsApi().replace_namespaced_custom_object_status(*place, whole)
    except client.ApiException as error:
        if error.status not in (CONFLICT, GONE):
            raise
        return False
    return True


def remove(application: Object) -> None:
    """Delete the application: its time is over."""
    metadata = application["metadata"]
    place = (GROUP, VERSION, metadata["namespace"], PLURAL, metadata["name"])
    _or_none(lambda: client.CustomObjectsApi().delete_namespaced_custom_object(*place))


def driver(application: Object) -> dict[str, Any] | None:
    """The pod of the driver, one that is being deleted included; None when there is none of the operator's."""
    status, namespace = application.get("status") or {}, application["metadata"]["namespace"]
    name = (status.get("driverInfo") or {}).get("podName") or submission.driver_name(application)
    found = _or_none(lambda: client.CoreV1Api().read_namespaced_pod(name, namespace))
    if found is None or (found.metadata.labels or {}).get(LAUNCHED_LABEL) != "true":
        return None
    pod: dict[str, Any] = client.ApiClient().sanitize_for_serialization(found)
    return pod


def executor_pods(application: Object) -> list[dict[str, Any]]:
    """Pods of the last submission's executors."""
    metadata, status = application["metadata"], application.get("status") or {}
    selector = f"{APP_LABEL}={metadata['name']},spark-role=executor"
    if status.get("submissionID"):
        selector += f",{ID_LABEL}={status['submissionID']}"
    found = client.CoreV1Api().list_namespaced_pod(metadata["namespace"], label_selector=selector).items
    return [client.ApiClient().sanitize_for_serialization(pod) for pod in found]


def remove_run(application: Object) -> None:
    """Delete the driver and the Service of its page."""
    info, namespace = (application.get("status") or {}).get("driverInfo") or {}, application["metadata"]["namespace"]
    api, pod = client.CoreV1Api(), info.get("podName") or submission.driver_name(application)
    _or_none(lambda: api.delete_namespaced_pod(pod, namespace))
    if service := info.get("webUIServiceName"):
        _or_none(lambda: api.delete_namespaced_service(service, namespace, grace_period_seconds=0))


def page(application: Object) -> dict[str, Any]:
    """Make the Service of the driver's page where it is missing; what ``driverInfo`` says of it."""
    metadata = application["metadata"]
    configured = str((application["spec"].get("sparkConf") or {}).get("spark.ui.port", UI_PORT))
    port = int(configured) if configured.isdigit() else UI_PORT
    name = f"{metadata['name']}-ui-svc"
    labels = {APP_LABEL: metadata["name"], ID_LABEL: application["status"].get("submissionID", "")}
    body = {
        "metadata": {"name": name, "labels": labels, "ownerReferences": [submission.owner(application)]},
        "spec": {
            "ports": [{"name": UI_NAME, "port": port, "targetPort": port}],
            "selector": {APP_LABEL: metadata["name"], "spark-role": "driver"},
        },
    }
    api, namespace = client.CoreV1Api(), metadata["namespace"]
    found = _or_none(lambda: api.read_namespaced_service(name, namespace))
    made = found or api.create_namespaced_service(namespace, body)
    address = f"{made.spec.cluster_ip}:{port}"
    return {"webUIServiceName": name, "webUIPort": port, "webUIAddress": address}


def submit(application: Object, number: str, environment: Mapping[str, str]) -> None:
    """Run spark-submit to its end.

    Raises:
        Refused: see ``submission.check``.
        SubmissionFailed: spark-submit failed.
    """
    submission.check(application["spec"])
    folder = TEMPLATES / number
    files = {role: str(folder / f"{role}-pod-template.yaml") for role in submission.ROLES}
    words = submission.arguments(application, submission.master_of(environment), number, files)
    if "SPARK_HOME" not in environment:
        raise SubmissionFailed("env SPARK_HOME is not specified")
    folder.mkdir(parents=True, exist_ok=True)
    for role, file in files.items():
        Path(file).write_text(yaml.safe_dump(submission.template(application, role)), encoding="utf-8")
    try:
        logger.info("Running spark-submit %s", words)
        _run([str(Path(environment["SPARK_HOME"], "bin", "spark-submit")), *words], environment)
    finally:
        # As upstream: files of an application without a template of its own stay.
        if any((application["spec"].get(role) or {}).get("template") is not None for role in submission.ROLES):
            shutil.rmtree(folder)


def reason(errors: str, code: int) -> str:
    """Why spark-submit failed, in the words of the status."""
    if ALREADY_THERE in errors:
        return "driver pod already exist"
    return f"failed to run spark-submit: {errors or f'exit status {code}'}"


def announce(application: Object, state: Mapping[str, Any]) -> None:
    """Make an event about the application's new state; an event that cannot be made is logged, and no more."""
    kinds = {"SUBMITTED": "Submitted", "SUBMISSION_FAILED": "SubmissionFailed", "COMPLETED": "Completed"}
    kinds |= {"FAILED": "Failed", "PENDING_RERUN": "PendingRerun"}
    kind = kinds.get(state["state"])
    if kind is None:
        return
    metadata, now = application["metadata"], text(datetime.datetime.now(datetime.UTC))
    about = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "SparkApplication"}
    about |= {key: metadata[key] for key in ("name", "namespace", "uid")}
    event = {
        "metadata": {"generateName": f"{metadata['name']}.", "namespace": metadata["namespace"]},
        "involvedObject": about,
        "reason": f"SparkApplication{kind}",
        "message": f"SparkApplication {metadata['name']}: {state['state']} {state.get('errorMessage') or ''}".strip(),
        "type": "Normal" if kind in ("Submitted", "Completed") else "Warning",
        "source": {"component": "spark-application-controller"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    try:
        client.CoreV1Api().create_namespaced_event(metadata["namespace"], event)
    except client.ApiException as error:
        logger.warning("no event about %s: %s", metadata["name"], error.reason)


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=dict(environment))
    except OSError as error:
        raise SubmissionFailed(f"failed to run spark-submit: {error}") from error
    logger.info("spark-submit: %s", done.stderr)
    if done.returncode:
        raise SubmissionFailed(reason(done.stderr, done.returncode))


def environment() -> dict[str, str]:
    """What spark-submit finds in its environment: all that this process has."""
    return dict(os.environ)


def _or_none(call: Any) -> Any:
    try:
        return call()
    except client.ApiException as error:
        if error.status == GONE:
            return None
        raise
