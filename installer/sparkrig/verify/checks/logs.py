"""What pods of a check printed, and what is wrong with those that do not run."""

from __future__ import annotations

from typing import Any

from sparkrig.cluster.transport import Request
from sparkrig.errors import SparkrigError
from sparkrig.readiness.explain import explain_owners, explain_pods
from sparkrig.verify.checks.base import Context, NotYet

LOG_BYTES = 1 << 20
"""Of a log so much is read, from its end."""


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
        events: list[dict[str, Any]] = context.api.list(f"/api/v1/namespaces/{namespace}/events")
    except SparkrigError:
        return ""
    lines = [*explain_pods(pods, events), *(explain_owners([owner], events) if owner else ())]
    return "; ".join(line.strip() for line in lines[:4])
