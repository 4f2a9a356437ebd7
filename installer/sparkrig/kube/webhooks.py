"""Reads the admission webhooks of a cluster and how they answered. Nothing in here judges.

The counters are the API server's own (``/metrics``); with several API servers those of the one that answers.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from sparkrig.defaults import API_CONNECTIONS, API_READ_TIMEOUT_S
from sparkrig.errors import SparkrigError
from sparkrig.kube.client import KubeApi
from sparkrig.kube.http import Request
from sparkrig.models.json import Manifest, labels_of, name_of

ADMISSION: Final = "/apis/admissionregistration.k8s.io/v1"
_FIELDS: Final = {
    "apiserver_admission_webhook_admission_duration_seconds_count": "asked",
    "apiserver_admission_webhook_admission_duration_seconds_sum": "seconds",
    "apiserver_admission_webhook_fail_open_count": "failed_open",
}
_LINE: Final = re.compile(r"^(?P<metric>apiserver_admission_webhook_\w+)\{(?P<labels>[^}]*)\} (?P<value>\S+)$", re.M)
_NAME: Final = re.compile(r'(?:^|,)name="(?P<name>[^"]*)"')
_PLUGIN: Final = re.compile(
    r'^apiserver_admission_controller_admission_duration_seconds_count\{name="(?P<name>\w+)"', re.M
)
_CALLERS: Final = frozenset({"MutatingAdmissionWebhook", "ValidatingAdmissionWebhook"})
"""The admission plugins that call webhooks."""


@dataclass(slots=True)
class Counters:
    """How a webhook answered since the API server started."""

    asked: int = 0
    seconds: float = 0.0
    """All answers together."""
    failed_open: int = 0
    """Requests that went on without its answer."""


@dataclass(frozen=True, slots=True)
class WebhookReading:
    """The webhooks of a cluster, and what tells whether they answer."""

    configurations: Sequence[Manifest]
    services: Sequence[Manifest]
    slices: Sequence[Manifest]
    namespaces: Mapping[str, Mapping[str, str]]
    """Namespace -> its labels."""
    answers: Mapping[str, Counters]
    """Webhook -> its answers."""


def read_admission(api: KubeApi) -> WebhookReading:
    """The admission webhooks, and what is needed to judge whether they answer.

    What may not be read is left empty: it serves to explain, and must not be a reason to fail.
    """
    questions: dict[str, Callable[[], Sequence[Manifest]]] = {
        "validating": lambda: api.list(f"{ADMISSION}/validatingwebhookconfigurations"),
        "mutating": lambda: api.list(f"{ADMISSION}/mutatingwebhookconfigurations"),
        "services": lambda: api.list("/api/v1/services"),
        "slices": lambda: api.list("/apis/discovery.k8s.io/v1/endpointslices"),
        "namespaces": lambda: api.list("/api/v1/namespaces", metadata_only=True),
    }
    found: dict[str, Sequence[Manifest]] = {}
    answers: Mapping[str, Counters] = {}
    with ThreadPoolExecutor(API_CONNECTIONS, "webhooks") as pool:
        answering = pool.submit(read_answers, api)
        for name, future in [(name, pool.submit(ask)) for name, ask in questions.items()]:
            try:
                found[name] = future.result()
            except SparkrigError:
                found[name] = []
        with contextlib.suppress(SparkrigError):
            answers = answering.result()
    return WebhookReading(
        configurations=[*found["validating"], *found["mutating"]],
        services=found["services"],
        slices=found["slices"],
        namespaces={name_of(i): labels_of(i) for i in found["namespaces"]},
        answers=answers,
    )


def read_answers(api: KubeApi) -> dict[str, Counters]:
    """How each webhook answered since the API server started.

    Raises:
        SparkrigError: the metrics may not be read.
    """
    return parse_answers(_metrics(api))


def are_called(api: KubeApi) -> bool:
    """Whether the API server calls admission webhooks at all: simulated clusters have that switched off.

    True too where its counters may not be read, since that is how every other cluster is.
    """
    try:
        return calls_webhooks(_metrics(api))
    except SparkrigError:
        return True


def calls_webhooks(text: str) -> bool:
    """Whether a page of metrics shows admission plugins at work, and among them one that calls webhooks."""
    plugins = {found["name"] for found in _PLUGIN.finditer(text)}
    return not plugins or bool(plugins & _CALLERS)


def parse_answers(text: str) -> dict[str, Counters]:
    """The counters of the admission webhooks in a page of metrics, by webhook."""
    found: dict[str, Counters] = {}
    for metric, labels, value in _lines(text):
        field, name = _FIELDS.get(metric), _NAME.search(labels)
        if field is None or name is None:
            continue
        counters = found.setdefault(name["name"], Counters())
        if field == "seconds":
            counters.seconds += float(value)
        elif field == "asked":
            counters.asked += int(float(value))
        else:
            counters.failed_open += int(float(value))
    return found


def _metrics(api: KubeApi) -> str:
    request = Request("GET", "/metrics", accept="text/plain, */*")
    response = api.transport().open_stream(request, API_READ_TIMEOUT_S)
    try:
        return response.read().decode("utf-8", "replace")
    finally:
        response.close()


def _lines(text: str) -> Iterable[tuple[str, str, str]]:
    return ((m["metric"], m["labels"], m["value"]) for m in _LINE.finditer(text))
