"""The next step of an application, from its status and the pod of its driver. Pure.

``status`` is that of v1beta2. Every state of upstream's is here; each step writes the status once, and the next
step begins at the event that this write causes.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PREFIX = "sparkoperator.k8s.io/"
APP_LABEL = f"{PREFIX}app-name"
ID_LABEL = f"{PREFIX}submission-id"
LAUNCHED_LABEL = f"{PREFIX}launched-by-spark-operator"
MUTATED_LABEL = f"{PREFIX}mutated-by-spark-operator"
Object = Mapping[str, Any]
GRACE_S = 10
"""How long after a submission a driver may be missing (--driver-pod-creation-grace-period)."""
POLL_S = 1.0
IGNORED = ("suspend", "timeToLiveSeconds")
"""Fields of the spec that may change without another submission."""
TERMINATED = ("COMPLETED", "FAILED")
RETRIES = {
    "FAILING": ("onFailureRetries", "onFailureRetryInterval", "executionAttempts"),
    "SUBMISSION_FAILED": ("onSubmissionFailureRetries", "onSubmissionFailureRetryInterval", "submissionAttempts"),
}


@dataclass(frozen=True)
class Submit:
    """Run spark-submit now; its result is the next status."""


@dataclass(frozen=True)
class Report:
    """Write this over the status; None removes a field. ``delete``: the driver and its Service first."""

    status: Mapping[str, Any] = field(default_factory=dict)
    delete: bool = False


@dataclass(frozen=True)
class Wait:
    """Nothing can be done for so many seconds. ``delete``: the driver is in the way and is deleted."""

    seconds: float
    delete: bool = False


@dataclass(frozen=True)
class Stuck:
    """Upstream's controller logs this error and tries again, for ever."""

    why: str


Step = Submit | Report | Wait | Stuck | None


def state_of(application: Object) -> str:
    """The state of an application; empty while nobody has written one."""
    return str(((application.get("status") or {}).get("applicationState") or {}).get("state", ""))


def changed(before: Object, after: Object) -> bool:
    """Whether a new spec invalidates the run of the old one."""
    return {k: v for k, v in before.items() if k not in IGNORED} != {k: v for k, v in after.items() if k not in IGNORED}


def next_step(application: Object, driver: Object | None, now: datetime.datetime) -> Step:
    """What to do now; None is nothing until something changes.

    Args:
        application: as the API server has it.
        driver: the pod named as the application's driver, one that is being deleted included; None when there is none.
        now: the time.
    """
    state, spec = state_of(application), application["spec"]
    if spec.get("suspend") and state not in (*TERMINATED, "SUSPENDED", "SUSPENDING"):
        return _to("SUSPENDING")
    if state in ("", "RESUMING"):
        return Submit()
    if state in ("SUBMITTED", "RUNNING", "UNKNOWN"):
        return followed(application, driver, now)
    if state == "SUBMISSION_FAILED":
        return _resubmitted(application, driver, now)
    if state == "FAILING":
        return _failing(application, now)
    if state == "SUCCEEDING":
        return _rerun() if _retries(application, state) else _to("COMPLETED")
    if state == "PENDING_RERUN":
        return Submit() if driver is None else None
    if state == "INVALIDATING":
        attempts = {"submissionAttempts": None, "executionAttempts": None, "lastSubmissionAttemptTime": None}
        return _rerun(attempts)
    if state == "SUSPENDING":
        return Report(_afresh("SUSPENDED"), delete=True)
    if state == "SUSPENDED":
        return _to("RESUMING") if driver is None and not spec.get("suspend") else None
    return None


def followed(application: Object, driver: Object | None, now: datetime.datetime) -> Report | Wait:
    """The driver's state is the application's."""
    status, state = application["status"], state_of(application)
    if driver is None:
        since = _time(status.get("lastSubmissionAttemptTime"))
        if state == "SUBMITTED" and since is not None and (now - since).total_seconds() <= GRACE_S:
            return Wait(POLL_S)
        gone = {"state": "FAILING", "errorMessage": "driver pod not found"}
        return Report({"applicationState": gone, "terminationTime": text(now)})
    new, error = driver_state(driver)
    found: dict[str, Any] = {"applicationState": {"state": new}}
    if error:
        found["applicationState"]["errorMessage"] = error
    labels = driver["metadata"].get("labels") or {}
    if labels.get("spark-app-selector"):
        found["sparkApplicationId"] = labels["spark-app-selector"]
    if new in ("SUCCEEDING", "FAILING") and not status.get("terminationTime"):
        found["terminationTime"] = text(now)
    return Report(found)


def driver_state(pod: Object) -> tuple[str, str]:
    """The application's state by its driver, and the error message of a failed one."""
    status = pod.get("status") or {}
    ended = _ended(status, "spark-kubernetes-driver")
    phase = status.get("phase", "")
    # A sidecar keeps the pod Running after the driver's own container has ended.
    if phase == "Succeeded" or (phase in ("Running", "Failed") and ended is not None and ended.get("exitCode") == 0):
        return "SUCCEEDING", ""
    if phase == "Failed" or (phase == "Running" and ended is not None):
        if ended is None:
            return "FAILING", "driver container status missing"
        words = f"driver container failed with ExitCode: {ended.get('exitCode')}, Reason: {ended.get('reason', '')}"
        return "FAILING", words
    return {"Pending": "SUBMITTED", "Running": "RUNNING"}.get(phase, "UNKNOWN"), ""


def executors(pods: list[Object], known: Mapping[str, str], state: str) -> dict[str, str]:
    """Pod name -> its state. A pod that is gone without an end is UNKNOWN while the driver runs, then FAILED.

    COMPLETED is what a missing one becomes only where the application is COMPLETED already: at the driver's end it
    depends on whether its pods are deleted before or after the controller looks.
    """
    phases = {"Pending": "PENDING", "Running": "RUNNING", "Succeeded": "COMPLETED", "Failed": "FAILED"}
    now = {p["metadata"]["name"]: phases.get((p.get("status") or {}).get("phase", ""), "UNKNOWN") for p in pods}
    missing = {"RUNNING": "UNKNOWN", "COMPLETED": "COMPLETED"}.get(state, "FAILED")
    gone = {name: old if old in ("COMPLETED", "FAILED") else missing for name, old in known.items() if name not in now}
    return {**gone, **now}


def merged(old: Object, change: Object) -> dict[str, Any]:
    """A status with a change laid over it: maps are merged, None removes a field. The CRD wants ``driverInfo``."""
    return {"driverInfo": {}, **_laid_over(old, change)}


def expired(application: Object, now: datetime.datetime) -> bool:
    """Whether its time to live after the end is over."""
    left = application["spec"].get("timeToLiveSeconds")
    ended = _time((application.get("status") or {}).get("terminationTime"))
    return left is not None and ended is not None and (now - ended).total_seconds() > left


def text(time: datetime.datetime) -> str:
    """A time as the API writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _resubmitted(application: Object, driver: Object | None, now: datetime.datetime) -> Step:
    if not _retries(application, "SUBMISSION_FAILED"):
        return Report({"applicationState": {"state": "FAILED"}, "terminationTime": text(now)})
    due = _due(application, "SUBMISSION_FAILED", now)
    if isinstance(due, Stuck):
        return due
    if due > 0:
        return Wait(due)
    return Submit() if driver is None else Wait(POLL_S, delete=True)


def _failing(application: Object, now: datetime.datetime) -> Step:
    if not _retries(application, "FAILING"):
        return _to("FAILED")
    due = _due(application, "FAILING", now)
    if isinstance(due, Stuck):
        return due
    return Wait(due) if due > 0 else _rerun()


def _retries(application: Object, state: str) -> bool:
    """Whether the restart policy asks for another run."""
    policy, status = application["spec"].get("restartPolicy") or {}, application["status"]
    if policy.get("type") == "Always":
        return True
    if policy.get("type") != "OnFailure" or state not in RETRIES:
        return False
    most, _, counter = RETRIES[state]
    return most in policy and status.get(counter, 0) <= policy[most]


def _due(application: Object, state: str, now: datetime.datetime) -> float | Stuck:
    """Seconds until the next attempt: the interval times all submissions so far, from the last one on."""
    policy, status = application["spec"].get("restartPolicy") or {}, application["status"]
    interval = policy.get(RETRIES[state][1])
    since, attempts = _time(status.get("lastSubmissionAttemptTime")), status.get("submissionAttempts", 0)
    if interval is None or since is None or attempts <= 0:
        # The defaulting webhook writes the interval; where it is off, nothing does.
        return Stuck(f"invalid retry interval ({interval}), last attempt time ({since}) or attemptsDone ({attempts})")
    return float(interval * attempts - (now - since).total_seconds())


def _rerun(more: Object | None = None) -> Report:
    return Report({**_afresh("PENDING_RERUN"), **(more or {})}, delete=True)


def _afresh(state: str) -> dict[str, Any]:
    """A state without what the last run has left in the status."""
    run = {"sparkApplicationId": None, "terminationTime": None, "driverInfo": None, "executorState": None}
    return {**run, "applicationState": {"state": state, "errorMessage": None}}


def _to(state: str) -> Report:
    return Report({"applicationState": {"state": state}})


def _ended(status: Object, container: str) -> Object | None:
    found = next((c for c in status.get("containerStatuses") or () if c.get("name") == container), {})
    ended: Object | None = (found.get("state") or {}).get("terminated")
    return ended


def _time(written: str | None) -> datetime.datetime | None:
    return datetime.datetime.fromisoformat(written.replace("Z", "+00:00")) if written else None


def _laid_over(old: Object, change: Object) -> dict[str, Any]:
    made = dict(old)
    for key, value in change.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = _laid_over(made.get(key) or {}, value) if isinstance(value, Mapping) else value
    return made
