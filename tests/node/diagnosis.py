"""What a node's cluster says of itself when a test has failed: pods, the last events, the last lines of their logs.

It goes into reports that others read, so that no value of a Secret may be in it.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

EVENTS = 40
LINES = 40
"""Of each container that is not ready, and of its run before."""
PODS = 12
"""How many pods' logs; a stack of which all is down shows the first."""
CALL_S = 30
SHORTEST_SECRET = 6
"""Shorter values, such as ``admin`` or ``true``, are words of logs too."""
COVER = "(secret)"


def describe(program: Path, kubeconfig: Path) -> str:
    """Return what a reader needs to see why something does not run; never raises, because the test's failure counts."""

    def ask(*arguments: str) -> str:
        command = [str(program), f"--kubeconfig={kubeconfig}", f"--request-timeout={CALL_S}s", *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=2 * CALL_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"(kubectl {arguments[0]}: {type(error).__name__})\n"
        return done.stdout if done.returncode == 0 else f"(kubectl {arguments[0]}: {done.stderr.strip()})\n"

    secrets = listed(ask("get", "secrets", "-A", "-o", "json"))
    if secrets is None:
        return "the cluster's API server does not answer"
    pods = listed(ask("get", "pods", "-A", "-o", "json")) or []
    parts = [
        "pods:",
        ask("get", "pods", "-A", "-o", "wide"),
        f"last {EVENTS} events:",
        *last_events(listed(ask("get", "events", "-A", "-o", "json")) or []),
    ]
    for namespace, pod, container, restarts in unready(pods)[:PODS]:
        for previous in ("", "--previous") if restarts else ("",):
            parts.append(f"log of {namespace}/{pod} {container} {previous}".rstrip() + ":")
            options = [f"--tail={LINES}", *([previous] if previous else [])]
            parts.append(ask("logs", "-n", namespace, pod, "-c", container, *options))
    return covered("\n".join(part.rstrip("\n") for part in parts), secret_values(secrets))


def listed(text: str) -> list[dict[str, Any]] | None:
    """The items of a list in JSON; None where there is none."""
    try:
        return list(json.loads(text)["items"])
    except (ValueError, KeyError):
        return None


def last_events(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """One line for each of the last events, oldest first."""

    def at(event: Mapping[str, Any]) -> str:
        series = event.get("series") or {}
        return str(
            series.get("lastObservedTime")
            or event.get("lastTimestamp")
            or event.get("eventTime")
            or event["metadata"].get("creationTimestamp")
        )

    def line(event: Mapping[str, Any]) -> str:
        about = event.get("involvedObject", {})
        what = f"{about.get('namespace', '-')}/{about.get('kind')}/{about.get('name')}"
        message = " ".join(str(event.get("message", "")).split())
        return f"  {at(event)} {event.get('type')} {event.get('reason')} {what}: {message}"

    return [line(event) for event in sorted(events, key=at)[-EVENTS:]]


def unready(pods: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, str, int]]:
    """Namespace, pod, container and its restarts: of each that is not ready, has failed or was started again."""
    found = []
    for pod in pods:
        status = pod.get("status", {})
        if status.get("phase") == "Succeeded":
            continue
        initial = [c for c in status.get("initContainerStatuses", []) if not ended_well(c)]
        for container in [*initial, *status.get("containerStatuses", [])]:
            ran = container.get("containerID") or container.get("restartCount")
            # One that fails again and again is ready each time for a moment.
            fine = container.get("ready") and not container.get("restartCount")
            if ran and not fine and not ended_well(container):
                where = pod["metadata"]
                found.append((where["namespace"], where["name"], container["name"], container.get("restartCount", 0)))
    return found


def ended_well(container: Mapping[str, Any]) -> bool:
    """Tell whether a container's status says that it ended with 0."""
    ended = container.get("state", {}).get("terminated")
    return ended is not None and ended.get("exitCode") == 0


def secret_values(secrets: Iterable[Mapping[str, Any]]) -> list[str]:
    """What must not be shown: every value as text, each of its lines, and its base64 form."""
    found: set[str] = set()
    for secret in secrets:
        # What Helm and sparkrig keep is a compressed archive, of which no line can be in a log.
        if secret.get("type", "").startswith(("helm.sh/", "sparkrig.dev/")):
            continue
        for encoded in (secret.get("data") or {}).values():
            text = base64.b64decode(encoded).decode("utf-8", "replace")
            found.update({encoded, text, *text.splitlines()})
    return sorted((value for value in found if len(value.strip()) >= SHORTEST_SECRET), key=len, reverse=True)


def covered(text: str, values: Iterable[str]) -> str:
    """The text without these values."""
    for value in values:
        text = text.replace(value, COVER)
    return text
