"""What is to be done next for an application, from what it and its driver's pod say. Pure.

``status`` is that of v1beta2: ``applicationState {state, errorMessage}``, ``submissionID``, ``submissionAttempts``,
``executionAttempts``, ``driverInfo.podName``, ``executorState``. Upstream's CRD keeps nothing else, so that which
description was submitted last is said by the end of ``submissionID``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

APP_LABEL = "sparkoperator.k8s.io/app-name"
ID_LABEL = "sparkoperator.k8s.io/submission-id"
Object = Mapping[str, Any]
DEFAULT_INTERVAL_S = 5


@dataclass(frozen=True)
class Submit:
    """Submit it, ``after`` so many seconds. ``attempts``: status fields, counted already."""

    after: float
    attempts: Mapping[str, int]


@dataclass(frozen=True)
class Report:
    """Write this into the status."""

    status: Mapping[str, Any]


def next_step(application: Object, driver: Object | None) -> Submit | Report | None:
    """What to do now; None is nothing. ``driver`` is the pod of the last submission, if there is one."""
    status = application.get("status") or {}
    state = (status.get("applicationState") or {}).get("state", "")
    if not state or not _submitted(application, status):
        return Submit(0, {"submissionAttempts": 1, "executionAttempts": 0})
    if state in ("SUBMITTED", "RUNNING"):
        return _followed(state, status, driver)
    if state in ("FAILING", "SUBMISSION_FAILED"):
        return _again(application, state) or Report({"applicationState": {"state": "FAILED"}})
    if state == "COMPLETED":
        return _again(application, state)
    return None


def submission_id(application: Object, unique: str) -> str:
    """The number of a submission of the application as it is now described."""
    return f"{unique}.{application['metadata']['generation']}"


def _submitted(application: Object, status: Object) -> bool:
    _, _, generation = status.get("submissionID", "").rpartition(".")
    return generation == str(application["metadata"]["generation"])


def merged(old: Object, change: Object) -> dict[str, Any]:
    """A status with a change laid over it: maps are merged, None takes a field away. The CRD wants ``driverInfo``."""
    return {"driverInfo": {}, **_laid_over(old, change)}


def _laid_over(old: Object, change: Object) -> dict[str, Any]:
    made = dict(old)
    for key, value in change.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = _laid_over(made.get(key) or {}, value) if isinstance(value, Mapping) else value
    return made


def _followed(state: str, status: Object, driver: Object | None) -> Report | None:
    """The driver's phase is the application's."""
    if driver is None:
        return _report("FAILING", "the driver's pod is gone", status)
    phase = driver.get("status", {}).get("phase", "")
    if state == "SUBMITTED" and phase in ("Running", "Succeeded", "Failed"):
        # Counted here also where it was so short that nobody saw it run.
        status = {**status, "executionAttempts": status.get("executionAttempts", 0) + 1}
    if phase == "Running" and state == "SUBMITTED":
        return _report("RUNNING", "", status)
    if phase == "Succeeded":
        return _report("COMPLETED", "", status)
    if phase == "Failed":
        return _report("FAILING", _ended(driver), status)
    return None


def _report(state: str, error: str, status: Object) -> Report:
    attempts = status.get("executionAttempts", 0)
    return Report({"applicationState": {"state": state, "errorMessage": error or None}, "executionAttempts": attempts})


def _ended(driver: Object) -> str:
    """How the driver's container ended, in the words of the kubelet."""
    status = driver["status"]
    for container in status.get("containerStatuses", []):
        ended = container.get("state", {}).get("terminated")
        if ended:
            return f"the driver ended with exit code {ended.get('exitCode')} ({ended.get('reason', 'no reason')})"
    return f"the driver's pod failed: {status.get('reason', '')} {status.get('message', '')}".strip()


def _again(application: Object, state: str) -> Submit | None:
    """The restart policy: another submission, or none."""
    policy = application["spec"].get("restartPolicy") or {}
    status = application["status"]
    kind = policy.get("type", "Never")
    if kind == "Never" or (kind == "OnFailure" and state == "COMPLETED"):
        return None
    submissions, runs = status.get("submissionAttempts", 0), status.get("executionAttempts", 0)
    if state == "SUBMISSION_FAILED":
        most, key, tried = policy.get("onSubmissionFailureRetries", 0), "onSubmissionFailureRetryInterval", submissions
        attempts = {"submissionAttempts": submissions + 1, "executionAttempts": runs}
    else:
        most, key, tried = policy.get("onFailureRetries", 0), "onFailureRetryInterval", runs
        attempts = {"submissionAttempts": 1, "executionAttempts": runs}
    if kind == "OnFailure" and tried > most:
        return None
    return Submit(float(policy.get(key, DEFAULT_INTERVAL_S)), attempts)


def executors(pods: list[Object], known: Mapping[str, str], *, ended: bool) -> dict[str, str]:
    """Pod name -> its phase in the operator's words; those that were deleted keep what they were, or completed."""
    phases = {"Pending": "PENDING", "Running": "RUNNING", "Succeeded": "COMPLETED", "Failed": "FAILED"}
    now = {p["metadata"]["name"]: phases.get(p["status"].get("phase", ""), "UNKNOWN") for p in pods}
    gone = {name: "COMPLETED" if ended and old in ("PENDING", "RUNNING") else old for name, old in known.items()}
    return {**gone, **now}
