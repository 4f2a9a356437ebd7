"""The API server as the operator needs it, and spark-submit. Every call blocks: for threads."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client

from sparkoperator import submission
from sparkoperator.states import APP_LABEL, ID_LABEL, Object, merged

GROUP, VERSION, PLURAL = "sparkoperator.k8s.io", "v1beta2", "sparkapplications"
SUBMIT_S = 300
"""spark-submit in cluster mode ends when the driver's pod is made; packages of an application are fetched before."""
SPARK_HOME = os.environ.get("SPARK_HOME", "/opt/spark")
CONF = Path(os.environ.get("SPARK_CONF_DIR", f"{SPARK_HOME}/conf"))
GONE = 404
CONFLICT = 409
logger = logging.getLogger("sparkoperator")


class SubmissionFailed(Exception):
    """spark-submit did not make a driver; the reason."""


def read(namespace: str, name: str) -> dict[str, Any] | None:
    """The application, or None when it is gone or going."""
    api = client.CustomObjectsApi()
    found = _or_none(lambda: api.get_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name))
    return None if found is None or found["metadata"].get("deletionTimestamp") else found


def write(application: Object, status: Mapping[str, Any]) -> None:
    """Merge into the status; an application that is gone is no error.

    Upstream's chart allows to replace it only, not to patch it: where somebody was faster it is read again.
    """
    metadata = application["metadata"]
    place = (GROUP, VERSION, metadata["namespace"], PLURAL, metadata["name"])
    api = client.CustomObjectsApi()
    while (found := read(metadata["namespace"], metadata["name"])) is not None:
        whole = {**found, "status": merged(found.get("status") or {}, status)}
        try:
            _or_none(partial(api.replace_namespaced_custom_object_status, *place, whole))
            return
        except client.ApiException as error:
            if error.status != CONFLICT:
                raise


def pods(application: Object, role: str) -> list[dict[str, Any]]:
    """Pods of the last submission in this role, those that are being deleted left out."""
    metadata = application["metadata"]
    number = (application.get("status") or {}).get("submissionID", "none")
    selector = f"{APP_LABEL}={metadata['name']},{ID_LABEL}={number},spark-role={role}"
    api = client.CoreV1Api()
    found = api.list_namespaced_pod(metadata["namespace"], label_selector=selector).items
    listed = [client.ApiClient().sanitize_for_serialization(pod) for pod in found]
    return [pod for pod in listed if not pod["metadata"].get("deletionTimestamp")]


def remove_driver(application: Object) -> bool:
    """Delete the driver of an earlier submission; True once it is gone."""
    metadata = application["metadata"]
    api, name, namespace = client.CoreV1Api(), submission.driver_name(application), metadata["namespace"]
    found = _or_none(lambda: api.read_namespaced_pod(name, namespace))
    if found is None:
        return True
    if (found.metadata.labels or {}).get(APP_LABEL) != metadata["name"]:
        raise SubmissionFailed(f"pod {name} is there already, and is not this application's")
    if not found.metadata.deletion_timestamp:
        _or_none(lambda: api.delete_namespaced_pod(name, namespace))
    return False


def submit(application: Object, number: str) -> dict[str, Any]:
    """Run spark-submit; return what the status then says of the driver.

    Raises:
        Refused: see ``submission.check``.
        SubmissionFailed: spark-submit failed.
    """
    submission.check(application["spec"])
    server = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
    with tempfile.TemporaryDirectory(prefix="submission-") as folder:
        templates = {role: _template(application, role, folder) for role in ("driver", "executor")}
        words = submission.arguments(application, server, number, templates)
        command = [f"{SPARK_HOME}/bin/spark-submit", *words]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SUBMIT_S, cwd=folder)
        except subprocess.TimeoutExpired as error:
            raise SubmissionFailed(f"spark-submit has not ended within {SUBMIT_S} s") from error
    logger.info("spark-submit: %s", done.stdout + done.stderr)
    if done.returncode:
        raise SubmissionFailed(reason(done.stdout + done.stderr, done.returncode))
    return {"driverInfo": {"podName": submission.driver_name(application)}}


def reason(log: str, code: int) -> str:
    """The lines of spark-submit's log that say why it failed: what the API server answered, else the exceptions."""
    answered = re.findall(r"Message: (.+?)(?:\. Received status:.*)?$", log, re.MULTILINE)
    thrown = re.findall(r'^(?:Exception in thread "main"|Caused by:|Error:) ?(.+)$', log, re.MULTILINE)
    said = answered[:1] or thrown[-1:] or [line for line in log.splitlines() if line.strip()][-1:]
    return f"spark-submit ended with {code}: {''.join(said)[:600]}"


def _template(application: Object, role: str, folder: str) -> str:
    """Write the pod template of a role; its file."""
    named = _defaults() | {k: str(v) for k, v in (application["spec"].get("sparkConf") or {}).items()}
    base = named.get(f"spark.kubernetes.{role}.podTemplateFile")
    found = yaml.safe_load(Path(base).read_text(encoding="utf-8")) if base else {}
    file = Path(folder) / f"{role}.yaml"
    file.write_text(yaml.safe_dump(submission.template(application, role, found)), encoding="utf-8")
    return str(file)


def _defaults() -> dict[str, str]:
    """spark-defaults.conf: a key, white space or =, a value."""
    file = CONF / "spark-defaults.conf"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    pairs = [re.split(r"\s*=\s*|\s+", line.strip(), maxsplit=1) for line in lines if line.strip() and line[0] != "#"]
    return {pair[0]: pair[1] for pair in pairs if len(pair) > 1}


def _or_none(call: Any) -> Any:
    try:
        return call()
    except client.ApiException as error:
        if error.status == GONE:
            return None
        raise
