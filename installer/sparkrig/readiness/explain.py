"""What a person would look up about pods that do not come up, in a few lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from sparkrig.models.json import dig, mapping_at, name_of, number_at, text_at
from sparkrig.readiness.containers import NORMAL, container_statuses, end_text, restarts_text
from sparkrig.readiness.fields import Object, condition, holds, said, spec, status

TEXT: Final = 300
"""Characters of a message that are shown; a registry answers with whole web pages."""
TELLING: Final = (
    "FailedScheduling",
    "FailedMount",
    "FailedAttachVolume",
    "FailedCreatePodSandBox",
    "Failed",
    "BackOff",
    "Unhealthy",
)
"""Reasons of Warning events about a pod, the more basic first."""


def explain_pods(pods: Iterable[Object], events: Iterable[Object] = ()) -> list[str]:
    """Return one line for each thing that is wrong; pods with the same trouble share a line.

    ``pods`` and ``events`` are as the API server lists them; pods that are ready or done say nothing.
    """
    warnings = [event for event in events if event.get("type") == "Warning"]
    told: dict[str, list[str]] = {}
    for pod in pods:
        if status(pod).get("phase") == "Succeeded" or holds(pod, "Ready"):
            continue
        name = name_of(pod)
        for trouble in _troubles(pod, [event for event in warnings if _is_about(event, pod)]):
            told.setdefault(trouble, []).append(f"{name}{_place(pod)}")
    return [f"pod {names[0]}{_more(names)}: {trouble}" for trouble, names in told.items()]


def explain_owners(names: Iterable[str], events: Iterable[Object]) -> list[str]:
    """Return why controllers cannot make pods (quota, pod security, a missing service account).

    ``names`` are those of the workloads; a ReplicaSet is known by the name of its Deployment.
    """
    wanted = tuple(names)
    lines: dict[str, None] = {}
    for event in events:
        about = _about(event)
        name, kind = text_at(about, "name"), about.get("kind")
        if event.get("type") != "Warning" or kind == "Pod" or not str(event.get("reason", "")).startswith("Failed"):
            continue
        # A ReplicaSet's name is its Deployment's and a hash, which has no hyphen.
        if name in wanted or (kind == "ReplicaSet" and name.rpartition("-")[0] in wanted):
            lines[f"{kind} {name}: {event['reason']}: {_message(event)}"] = None
    return list(lines)


def _troubles(pod: Object, warnings: Sequence[Object]) -> list[str]:
    scheduled = condition(pod, "PodScheduled")
    if scheduled is not None and scheduled.get("status") == "False":
        return [f"no node: {_short(said(scheduled))}"]
    found = [line for each in container_statuses(pod) if (line := _container(each, warnings))]
    if found:
        return found
    if status(pod).get("phase") == "Failed":
        return [_short(str(status(pod).get("message") or status(pod).get("reason") or "failed"))]
    event = _most_telling(warnings)
    return [f"{event['reason']}: {_message(event)}"] if event else [_quiet(pod)]


def _container(found: Object, warnings: Sequence[Object]) -> str | None:
    name, state = found.get("name"), mapping_at(found, "state")
    ended = mapping_at(state, "terminated") or mapping_at(found, "lastState", "terminated")
    waiting = mapping_at(state, "waiting")
    reason = text_at(waiting, "reason")
    if reason == "CrashLoopBackOff" or (state.get("terminated") and ended.get("exitCode")):
        output = f', last words: "{_short(text_at(ended, "message"))}"' if ended.get("message") else ""
        restarts = restarts_text(number_at(found, "restartCount"))
        return f"container {name} ended with {end_text(ended)}, {restarts}{output}"
    if reason and reason not in NORMAL:
        return f"container {name}: {reason}: {_pull_error(found, warnings) or _short(text_at(waiting, 'message'))}"
    if "running" in state and not found.get("ready"):
        probe = next((_message(e) for e in warnings if e.get("reason") == "Unhealthy"), None)
        return f"container {name} runs and is not ready" + (f": {probe}" if probe else "")
    return None


def _pull_error(found: Object, warnings: Sequence[Object]) -> str | None:
    """Return the registry's answer: the container's own state forgets it between two tries."""
    image = str(found.get("image") or "")
    messages = [_message(event) for event in warnings if event.get("reason") == "Failed"]
    return next((m for m in messages if "pull" in m and image and image in m), None)


def _most_telling(warnings: Sequence[Object]) -> Object | None:
    ranked = [event for event in warnings if event.get("reason") in TELLING]
    return min(ranked, key=lambda event: TELLING.index(text_at(event, "reason")), default=None)


def _quiet(pod: Object) -> str:
    if not spec(pod).get("nodeName"):
        return "waits for a node, nothing was said about why"
    return "is starting, nothing was said about why it takes long"


def _is_about(event: Object, pod: Object) -> bool:
    about, uid = _about(event), dig(pod, "metadata", "uid")
    if about.get("uid") and uid:
        return about["uid"] == uid
    return about.get("kind") == "Pod" and about.get("name") == name_of(pod)


def _about(event: Object) -> Object:
    """Return what an event is about; the two event APIs have different names for it."""
    return mapping_at(event, "involvedObject") or mapping_at(event, "regarding")


def _place(pod: Object) -> str:
    node = spec(pod).get("nodeName")
    return f" on node {node}" if node else ""


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def _message(event: Object) -> str:
    return _short(str(event.get("message") or event.get("note") or ""))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TEXT else f"{line[: TEXT - 1]}…"
