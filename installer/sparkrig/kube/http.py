"""One request to the API server: time limits, retries, first contact. Knows HTTP, not Kubernetes objects."""

from __future__ import annotations

import datetime
import json
import queue
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from sparkrig.defaults import (
    API_BURST,
    API_CONNECT_TIMEOUT_S,
    API_CONNECTIONS,
    API_FIRST_CONTACT_S,
    API_OUTAGE_S,
    API_RATE,
    API_READ_TIMEOUT_S,
    API_RECOVERY_S,
    API_RETRIES,
    API_SILENT_TRY_S,
)
from sparkrig.errors import SparkrigError
from sparkrig.kube.connection import Endpoint
from sparkrig.kube.errors import ConnectionLost, OutcomeUnknown, translate
from sparkrig.kube.no_answer import explained, is_permanent, never_sent
from sparkrig.kube.request_log import answered, sent_again
from sparkrig.models.json import JsonDict, JsonValue

if TYPE_CHECKING:
    import urllib3

RETRY_FIRST_S = 0.2
RETRY_LONGEST_S = 2.0
RETRY_AFTER_LONGEST_S = 30.0
"""A Retry-After beyond this is cut: the caller's own deadline decides how often to come back."""
OWN_GROUPS = ("apiextensions.k8s.io", "coordination.k8s.io", "rbac.authorization.k8s.io", "storage.k8s.io")
"""Groups with a dot that every API server answers itself."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; ``path`` is absolute without query, ``body`` goes out as JSON."""

    method: str
    path: str
    body: JsonValue = None
    params: Mapping[str, str] | None = None
    content_type: str | None = None
    accept: str | None = None

    @property
    def idempotent(self) -> bool:
        """True when sending it twice leaves what sending it once leaves."""
        return self.method != "POST" and self.content_type != "application/json-patch+json"

    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{urlencode(self.params)}" if self.params else self.path


FIRST = Request("GET", "/version")
"""The smallest question, which everybody may ask."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, parsed body (a mapping; other JSON and plain text under ``message``) and Retry-After in seconds."""

    status: int
    body: JsonDict
    retry_after_s: float | None
    location: str = ""
    """Where a redirect points, without query."""
    page: bool = False
    """True for a web page: API servers send none, proxies and login pages do."""

    @property
    def good(self) -> bool:
        """True for a success that Kubernetes may have said: a redirect is none, nor is a login page with a 200."""
        return 200 <= self.status < 300 and not self.page

    @property
    def by_kubernetes(self) -> bool:
        """False where something else answered in the API server's place."""
        return not self.page and not 300 <= self.status < 400


class Unreachable(Exception):
    """No answer at first contact. ``reason`` is in a person's words; ``hint`` is empty where nothing special helps."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class Rate:
    """At most ``burst`` requests at once, and ``per_second`` after that. Thread-safe."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._between_s = 1.0 / per_second
        self._ahead_s = (burst - 1) / per_second
        self._lock = threading.Lock()
        self._due = float("-inf")
        """When the next request would go out if they all kept their distance."""

    def pause_s(self, now: float) -> float:
        """Count a request and return how long it has to wait. ``now`` is ``time.monotonic()``."""
        with self._lock:
            due = max(self._due, now - self._ahead_s)
            self._due = due + self._between_s
        return max(due - now, 0.0)


class Transport:
    """Sends requests over the endpoint's pool, ``API_CONNECTIONS`` at a time and at a bounded rate. Thread-safe."""

    def __init__(self, endpoint: Endpoint, *, compress: bool) -> None:
        self.endpoint = endpoint
        self._compress = compress
        self._slots = threading.BoundedSemaphore(API_CONNECTIONS)
        self._rate = Rate(API_RATE, API_BURST)
        self._silent_since: float | None = None
        """When the first of the requests began that nobody has answered; None after each answer."""
        self.failed_at = float("-inf")
        """When (``time.monotonic``) a request last ended without an answer."""
        self._heard: tuple[str, float] | None = None
        """The Date header of the newest answer, and when it came by the monotonic clock."""

    def first_contact(self) -> Answer:
        """GET /version within ``API_FIRST_CONTACT_S``, name resolution included, tried again while there is time.

        Raises:
            Unreachable: no answer in that time.
        """
        result: queue.SimpleQueue[Answer | Exception] = queue.SimpleQueue()
        deadline = time.monotonic() + API_FIRST_CONTACT_S - 0.1  # so that the thread's own reason comes first
        # A thread, because looking up a name cannot be given a time limit.
        threading.Thread(target=self._contact, args=(result, deadline), name="first-contact", daemon=True).start()
        try:
            answer = result.get(timeout=API_FIRST_CONTACT_S)
        except queue.Empty:
            raise Unreachable(f"does not answer in {API_FIRST_CONTACT_S:.0f} s") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _contact(self, result: queue.SimpleQueue[Answer | Exception], deadline: float) -> None:
        import urllib3

        attempt = 0
        while True:
            left = deadline - time.monotonic()
            try:
                answer = self._once(FIRST, left)
                pause = answer.retry_after_s or _backoff(attempt)
                if answer.status < 500 or time.monotonic() + pause > deadline:
                    return result.put(answer)
                sent_again(FIRST, answer, attempt, pause)
            except urllib3.exceptions.HTTPError as error:
                pause = _backoff(attempt)
                # Refused means nobody listens: a second and a third try catch a restart, more would only bore.
                if is_permanent(error) or attempt >= 2 or time.monotonic() + pause > deadline:
                    return result.put(Unreachable(*explained(self.endpoint, error)))
                sent_again(FIRST, error, attempt, pause)
            except SparkrigError as error:
                return result.put(error)
            except Exception as error:
                return result.put(error)
            time.sleep(pause)
            attempt += 1

    def send(self, request: Request, timeout_s: float | None = None) -> JsonDict:
        """Send, retry what may be retried, and return the parsed body.

        An API server that goes away is waited for ``API_OUTAGE_S``. ``timeout_s`` bounds the whole, retries included
        (default: ``API_READ_TIMEOUT_S`` each try). Once the server has been silent for longer than an outage, to
        whomever, each request gets one short try.

        Raises:
            SparkrigError: as ``apierrors.translate`` says, ConnectionLost when no answer came.
        """
        import urllib3

        deadline = time.monotonic() + timeout_s if timeout_s is not None else float("inf")
        began = time.monotonic()
        renewed = False
        attempt = 0
        while True:
            longest = API_SILENT_TRY_S if self._silent() else float("inf")
            used = self.endpoint.authorization()
            try:
                answer = self._once(request, max(min(deadline - time.monotonic(), longest), 0.05))
            except urllib3.exceptions.HTTPError as error:
                pause = _backoff(attempt)
                last = time.monotonic() + pause > min(began + max(API_OUTAGE_S, 0.0), deadline)
                if last or self._silent() or not _may_resend(request, error):
                    raise self._lost(request, error) from error
                sent_again(request, error, attempt, pause)
            else:
                if answer.good:
                    return answer.body
                if answer.status == 401 and not renewed and self.endpoint.tokens.renew(used):
                    renewed = True
                    sent_again(request, answer, attempt, 0.0)
                    continue
                pause = _asked_for(answer) if answer.retry_after_s is not None else _backoff(attempt)
                if time.monotonic() + pause > deadline or not self._again(request, answer, attempt, began):
                    raise self.error(request, answer)
                sent_again(request, answer, attempt, pause)
            time.sleep(pause)
            attempt += 1

    def _again(self, request: Request, answer: Answer, attempt: int, began: float) -> bool:
        """Whether an answer that is no success is one that passes."""
        waited = time.monotonic() - began
        if answer.status in (401, 403) and answer.by_kubernetes:
            # Refused before anything was done. An API server that has just started does not know its roles yet.
            return time.monotonic() - self.failed_at < API_RECOVERY_S and not _judged(answer)
        if not _may_retry(request, answer):
            return False
        return attempt < API_RETRIES or (_is_outage(request, answer) and waited < API_OUTAGE_S)

    def date(self) -> str | None:
        """Return the Date header of a small answer (RFC 9110); None where there is none.

        Raises:
            ConnectionLost: no answer came.
        """
        import urllib3

        try:
            response = self._raw(FIRST, self.endpoint.pool, API_CONNECT_TIMEOUT_S, API_READ_TIMEOUT_S, stream=False)
        except urllib3.exceptions.HTTPError as error:
            raise self._lost(FIRST, error) from error
        return response.headers.get("Date")

    def open_stream(self, request: Request, read_timeout_s: float) -> urllib3.BaseHTTPResponse:
        """Send a request whose answer is read as it comes, on a connection of its own; no retries."""
        import urllib3

        used = self.endpoint.authorization()
        try:
            response = self._raw(request, self.endpoint.watch_pool, API_CONNECT_TIMEOUT_S, read_timeout_s, stream=True)
            if not 200 <= response.status < 300 or _is_page(response.headers):
                answer = _answer(response.status, response.read(), response.headers)
                if answer.status == 401:
                    self.endpoint.tokens.renew(used)  # a watch is opened again by whoever follows it
                raise self.error(request, answer)
        except urllib3.exceptions.HTTPError as error:
            raise self._lost(request, error) from error
        return response

    def error(self, request: Request, answer: Answer) -> SparkrigError:
        """Return the exception for an answer that is not a success."""
        return translate(
            answer.status,
            answer.body,
            method=request.method,
            path=request.path,
            server=self.endpoint.server,
            location=answer.location,
            page=answer.page,
        )

    def _silent(self) -> bool:
        since = self._silent_since
        return since is not None and time.monotonic() - since > API_OUTAGE_S

    def _once(self, request: Request, left_s: float) -> Answer:
        time.sleep(self._rate.pause_s(time.monotonic()))
        with self._slots:
            response = self._raw(
                request,
                self.endpoint.pool,
                min(API_CONNECT_TIMEOUT_S, left_s),
                min(API_READ_TIMEOUT_S, left_s),
                stream=False,
            )
        return _answer(response.status, response.data, response.headers)

    def _raw(
        self, request: Request, pool: urllib3.PoolManager, connect_s: float, read_s: float, *, stream: bool
    ) -> urllib3.BaseHTTPResponse:
        import urllib3

        headers = urllib3.HTTPHeaderDict(self.endpoint.headers)
        headers["Accept"] = request.accept or "application/json"
        headers["User-Agent"] = "sparkrig"
        if self._compress and not stream:
            headers["Accept-Encoding"] = "gzip"
        if authorization := self.endpoint.authorization():
            headers["Authorization"] = authorization
        body = None
        if request.body is not None:
            body = json.dumps(request.body, separators=(",", ":")).encode()
            headers["Content-Type"] = request.content_type or "application/json"
        began = time.monotonic()
        try:
            response = pool.urlopen(
                request.method,
                self.endpoint.server + request.target(),
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(connect=connect_s, read=read_s),
                preload_content=not stream,
                redirect=False,
                retries=False,
            )
        except urllib3.exceptions.HTTPError as error:
            answered(request, began, error)
            self.failed_at = time.monotonic()
            self._silent_since = self._silent_since or began
            raise
        answered(request, began, response.status)
        self._silent_since = None
        if stamp := response.headers.get("Date"):
            self._heard = (stamp, time.monotonic())
        return response

    def now(self) -> datetime.datetime:
        """Return the server's time, to the second: that of its newest answer and what has passed since."""
        if self._heard is None:
            return datetime.datetime.now(datetime.UTC)
        stamp, at = self._heard
        return parsedate_to_datetime(stamp) + datetime.timedelta(seconds=time.monotonic() - at)

    def _lost(self, request: Request, error: Exception) -> ConnectionLost:
        kind = ConnectionLost if request.idempotent or never_sent(error) else OutcomeUnknown
        reason, hint = explained(self.endpoint, error)
        return kind(f"{request.method} {request.path}: the API server at {self.endpoint.server} {reason}", hint=hint)


def _answer(status: int, data: bytes, headers: Mapping[str, str]) -> Answer:
    try:
        parsed = json.loads(data) if data else {}
    except ValueError:
        parsed = data[:500].decode("utf-8", "replace").strip()
    body = parsed if isinstance(parsed, dict) else {"message": str(parsed)}
    after = headers.get("Retry-After") or ""
    seconds = min(float(after), RETRY_AFTER_LONGEST_S) if after.isdigit() else None
    location = (headers.get("Location") or "").partition("?")[0] if 300 <= status < 400 else ""
    return Answer(status, body, seconds, location, _is_page(headers))


def _is_page(headers: Mapping[str, str]) -> bool:
    return (headers.get("Content-Type") or "").partition(";")[0].strip().lower() == "text/html"


def _asked_for(answer: Answer) -> float:
    """What the server asked for and a little more: those it turned away together do not come back together."""
    return (answer.retry_after_s or 0.0) + RETRY_FIRST_S * random.random()  # noqa: S311 - jitter only


def _backoff(attempt: int) -> float:
    return min(RETRY_FIRST_S * 2.0**attempt, RETRY_LONGEST_S) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter only


def _may_resend(request: Request, error: BaseException) -> bool:
    if is_permanent(error):
        return False
    return request.idempotent or never_sent(error)


def _may_retry(request: Request, answer: Answer) -> bool:
    if answer.status == 429:
        return True  # refused before it was looked at
    # A dead webhook costs ten seconds a try and will not mend by asking again.
    said = str(answer.body.get("message", ""))
    # Nor will an object whose fields have the wrong types, which the API server calls an error of its own.
    lasting = "webhook" in said or "failed to create typed patch object" in said
    return answer.status >= 500 and answer.status != 501 and request.idempotent and not lasting


def _judged(answer: Answer) -> bool:
    """Whether a webhook refused the object: that says nothing of a start."""
    return str(answer.body.get("message", "")).startswith("admission webhook")


def _is_outage(request: Request, answer: Answer) -> bool:
    """Whether a 5xx tells that the control plane is away, and not one of the servers behind it (aggregated APIs).

    A load balancer says so in its own words; an API server that lost its etcd says so of the kinds it serves itself.
    """
    if answer.status in (502, 503, 504) and answer.body.get("kind") != "Status":
        return True
    group = request.path.split("/")[2] if request.path.startswith("/apis/") and request.path.count("/") > 2 else ""
    own = request.path.startswith("/api/") or "." not in group or group.endswith(OWN_GROUPS)
    return own and bool(group or request.path.startswith("/api"))
