"""What pods of a check printed, and what is wrong with those that do not run."""

from __future__ import annotations

from sparkrig.checks.kinds.base import Context, NotYet
from sparkrig.checks.kinds.matching import telling_line
from sparkrig.errors import SparkrigError
from sparkrig.kube.http import Request
from sparkrig.models.json import JsonDict, JsonObject, Manifest, mapping_at, mappings_at, name_of, text_at
from sparkrig.readiness.explain import explain_owners, explain_pods

LOG_BYTES = 1 << 20
"""Of a log so much is read, from its end."""
MOST_LOGS = 3
"""Logs that are read for what their pods' last words are; a hundred pods seldom fail for different reasons."""


def read_log(context: Context, namespace: str, pod: str, container: str = "") -> str:
    """Return what a pod printed.

    Raises:
        NotYet: the pod is not there, or has no log yet.
    """
    params = {"limitBytes": str(LOG_BYTES), "tailLines": "5000"}
    params |= {"container": container} if container else {}
    request = Request("GET", f"/api/v1/namespaces/{namespace}/pods/{pod}/log", params=params, accept="text/plain, */*")
    try:
        response = context.api.transport().open_stream(request, context.request_s)
        try:
            return response.read().decode("utf-8", "replace")
        finally:
            response.close()
    except SparkrigError as error:
        raise NotYet(f"the log of pod {namespace}/{pod} cannot be read: {error.message}") from error


def troubles(context: Context, namespace: str, label_selector: str, owner: str = "") -> str:
    """What a person would look up about pods that do not do what they should; empty when nothing is to be said.

    ``owner`` is the name of what should have made them: why it cannot is in its own events.
    """
    try:
        pods = context.api.list(f"/api/v1/namespaces/{namespace}/pods", label_selector=label_selector)
        events: list[JsonDict] = context.api.list(f"/api/v1/namespaces/{namespace}/events")
    except SparkrigError:
        return ""
    worded = [_with_last_words(context, namespace, pod) for pod in pods[:MOST_LOGS]] + pods[MOST_LOGS:]
    lines = [*explain_pods(worded, events), *(explain_owners([owner], events) if owner else ())]
    return "; ".join(line.strip() for line in lines[:4])


def explained(context: Context, label_selector: object, namespace: str | None = None) -> str:
    """``troubles`` in parentheses, to stand behind a message; empty without a selector or without any."""
    said = troubles(context, namespace or context.namespace, str(label_selector)) if label_selector else ""
    return f" ({said})" if said else ""


def _with_last_words(context: Context, namespace: str, pod: JsonDict) -> JsonDict:
    """The pod, with what its log says of its end where the container itself left no message."""
    status = mapping_at(pod, "status")
    containers = [_worded(context, namespace, pod, each) for each in mappings_at(status, "containerStatuses")]
    return {**pod, "status": {**status, "containerStatuses": containers}} if containers else pod


def _worded(context: Context, namespace: str, pod: Manifest, container: JsonObject) -> JsonObject:
    ended = mapping_at(container, "state", "terminated")
    if not ended.get("exitCode") or ended.get("message"):
        return container
    try:
        words = telling_line(read_log(context, namespace, name_of(pod), text_at(container, "name")))
    except NotYet:
        return container
    return {**container, "state": {"terminated": {**ended, "message": words}}}
