"""Requests to the API server in the log: no query, no body, and of answers nothing but their status."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sparkrig import log

if TYPE_CHECKING:
    from sparkrig.kube.http import Answer, Request

_READS = ("GET", "HEAD", "OPTIONS")


def answered(request: Request, began: float, outcome: int | Exception) -> None:
    """Keep a request and its status, or the exception that came in place of an answer.

    ``began`` is ``time.monotonic()``. What only reads is for those who ask for it.
    """
    # Reviews of rights are sent as objects to be created, and create nothing.
    reads = request.method in _READS or request.path.endswith("reviews")
    log.write(
        log.DEBUG if reads else log.INFO,
        "request",
        method=request.method,
        path=request.path,
        **({"dry_run": True} if "dryRun" in (request.params or {}) else {}),
        **({"status": outcome} if isinstance(outcome, int) else {"error": type(outcome).__name__}),
        seconds=time.monotonic() - began,
    )


def sent_again(request: Request, why: Answer | Exception, attempt: int, pause_s: float) -> None:
    """Keep that a request is sent again, after how long, and why."""
    if isinstance(why, Exception):
        reason = log.named(why)
    else:
        reason = f"status {why.status}" + (f" {why.body['reason']}" if why.body.get("reason") else "")
    log.info(
        "retry", method=request.method, path=request.path, reason=reason, attempt=attempt + 1, pause_seconds=pause_s
    )
