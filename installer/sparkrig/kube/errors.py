"""What can go wrong between us and the API server, translated once, here.

The classes of errors.py are what the command line knows; the ones below are for callers that react to an answer,
and become an ordinary failed operation when nobody does. ``body`` is the server's Status object.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sparkrig.errors import AccessDenied, OperationError, SparkrigError
from sparkrig.models.json import JsonObject


class ApiError(OperationError):
    """The API server answered with an error, or stopped answering."""

    def __init__(self, message: str, *, status: int = 0, body: JsonObject | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint or None)
        self.status = status
        self.body: JsonObject = body or {}

    @property
    def reason(self) -> str:
        """Kubernetes' machine-readable reason, e.g. ``AlreadyExists``; empty where it gave none."""
        return str(self.body.get("reason") or "")


class NotFoundApi(ApiError):
    """404: the object, or the path, does not exist."""


class KindNotServed(NotFoundApi):
    """The API server does not serve this group, version and kind (is its CRD installed?)."""


class Conflict(ApiError):
    """409: somebody else changed the object, or owns the field."""


class AlreadyExists(Conflict):
    """409 to a create: an object of that name is there already."""


class Invalid(ApiError):
    """400, 422, or an admission webhook's 403: the object is refused, whoever had sent it."""


class Gone(ApiError):
    """410: the resource version or the continue token is too old; list again."""


class ConnectionLost(ApiError):
    """The API server answered before and does not any more; whether the request took effect is not known."""


class OutcomeUnknown(ConnectionLost):
    """A create was sent and its answer lost: look before creating again."""


_RIGHTS = re.compile(r'User "[^"]*" cannot ')
"""How the API server words a missing right. Admission refuses with 403 too (a webhook, a quota, Pod Security, a volume
claim that cannot grow, a namespace that is being deleted), and says why in other words."""
_BY_STATUS: Mapping[int, type[ApiError]] = {400: Invalid, 404: NotFoundApi, 409: Conflict, 410: Gone, 422: Invalid}


def translate(
    status: int, body: JsonObject, *, method: str, path: str, server: str, location: str = "", page: bool = False
) -> SparkrigError:
    """Return the exception for an answer that is not a success. ``page``: it is a web page, whatever its status."""
    if status < 400 or (page and status not in (401, 429) and status < 500):
        what = f"redirects to {location}" if location else f"answers HTTP {status} with a web page"
        what = f"answers HTTP {status}" if status < 400 and not location and not page else what
        return AccessDenied(
            f"the API server at {server} cannot be used: {method} {path} {what}, not a Kubernetes answer",
            hint="a proxy or login page stands before it: log in again, or choose another context with "
            "--on context:NAME",
        )
    said = str(body.get("message") or body.get("reason") or f"HTTP {status}").strip()
    if status == 401 or (status == 403 and not _is_refusal(said, body)):
        return _denied(status, said, method=method, path=path, server=server)
    kind = _BY_STATUS.get(status, ApiError) if status != 403 else Invalid
    if status == 409 and body.get("reason") == "AlreadyExists":
        kind = AlreadyExists
    return kind(f"{method} {path}: {said}", status=status, body=body)


def _is_refusal(said: str, body: JsonObject) -> bool:
    """Whether a 403 is about the object, whoever sends it; what is no Status of Kubernetes comes from a proxy."""
    return body.get("kind") == "Status" and bool(body.get("message")) and not _RIGHTS.search(said)


def _denied(status: int, said: str, *, method: str, path: str, server: str) -> AccessDenied:
    if status == 401:
        return AccessDenied(
            f"the API server at {server} does not accept the credentials of the kubeconfig: {said}",
            hint="log in again, or choose another context with --on context:NAME",
        )
    return AccessDenied(
        f"not allowed: {said}",
        hint=f"the kubeconfig's user needs this right ({method} {path}); ask whoever administers the cluster",
    )
