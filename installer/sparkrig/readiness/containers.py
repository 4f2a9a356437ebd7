"""What is wrong with the containers of a pod, and whether waiting can help."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Final

from sparkrig.models.json import mapping_at, mappings_at, number_at, text_at
from sparkrig.models.objects import Judgement, Readiness
from sparkrig.readiness.fields import Object, condition, failed, progressing, seconds_since, status

GRACE_S: Final = 60.0
"""An image pull or a missing Secret fails now and then and is tried again; after this long it is not chance."""
CRASHES: Final = 3
"""A container that waits for another may crash once or twice on its way up."""

HOPELESS: Final = frozenset({"InvalidImageName", "ErrImageNeverPull"})
PASSING: Final = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "RegistryUnavailable",
        "RunContainerError",
        "SignatureValidationFailed",
    }
)
NORMAL: Final = frozenset({"ContainerCreating", "PodInitializing"})


def container_trouble(pod: Object, now: datetime.datetime | None) -> Judgement | None:
    """Judge by the first container that cannot come up; None when none of them is in trouble."""
    found: Judgement | None = None
    for each in container_statuses(pod):
        verdict = _judge_container(each, _trying_for(pod, now))
        if verdict is not None and verdict.readiness is Readiness.FAILED:
            return verdict
        found = found or verdict
    return found


def container_statuses(pod: Object) -> Iterator[Object]:
    """Yield the statuses in the order in which containers start."""
    for field in ("initContainerStatuses", "containerStatuses"):
        yield from mappings_at(status(pod), field)


def _judge_container(found: Object, trying_s: float | None) -> Judgement | None:
    name, restarts = found.get("name"), number_at(found, "restartCount")
    waiting = mapping_at(found, "state", "waiting")
    reason = waiting.get("reason")
    if reason == "CrashLoopBackOff":
        ended = mapping_at(found, "lastState", "terminated")
        text = f"container {name} crashes: {end_text(ended)}, {restarts_text(restarts)}"
        return failed(f"CrashLoopBackOff, {text}") if restarts >= CRASHES else progressing(text)
    if not reason or reason in NORMAL:
        return None
    why = " ".join(text_at(waiting, "message").split())
    text = f"{reason}, container {name}: {why or found.get('image') or 'no reason given'}"
    if reason in HOPELESS or (reason in PASSING and trying_s is not None and trying_s > GRACE_S):
        return failed(text)
    return progressing(text)


def end_text(ended: Object) -> str:
    """Say how a container ended, e.g. ``exit code 137 (OOMKilled)``."""
    if not ended:
        return "how it ended is not known"
    reason = ended.get("reason")
    code = f"exit code {ended.get('exitCode', '?')}"
    return f"{code} ({reason})" if reason and reason != "Error" else code


def restarts_text(number: int) -> str:
    """Return ``1 restart``, ``2 restarts``."""
    return f"{number} restart" if number == 1 else f"{number} restarts"


def _trying_for(pod: Object, now: datetime.datetime | None) -> float | None:
    """Seconds since the pod's containers could start: it has a node, and its init containers are through."""
    initialized = condition(pod, "Initialized")
    stamps = [
        text_at(pod, "metadata", "creationTimestamp"),
        text_at(pod, "status", "startTime"),
        text_at(initialized, "lastTransitionTime") if initialized and initialized.get("status") == "True" else None,
    ]
    known = [age for stamp in stamps if (age := seconds_since(stamp, now)) is not None]
    return min(known, default=None)
