"""Waits for an API server that is away for moments."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from sparkrig.apply import ending
from sparkrig.defaults import API_OUTAGE_S
from sparkrig.errors import AccessDenied, SparkrigError
from sparkrig.helm.errors import HelmError
from sparkrig.kube.client import KubeApi

TRY_S: Final = 3.0
POLL_S: Final = 0.5
SIGNS: Final = ("dial tcp", "broken pipe", "connection reset by peer", "connection refused", "client connection lost")


def tells_outage(error: HelmError) -> bool:
    """Whether any line of helm's says that it did not reach the API server; a webhook that is away is none."""
    lines = [line.lower() for line in (*error.message.splitlines(), *error.detail)]
    return error.code == "connection" or any(sign in line for line in lines for sign in SIGNS if "webhook" not in line)


def is_back(api: KubeApi, say: Callable[[str], None]) -> bool:
    """True as soon as the API server is ready for everything; False when it is not in ``API_OUTAGE_S``.

    Who may not ask whether it is ready is told by its answer that it is there.
    """
    deadline = time.monotonic() + API_OUTAGE_S
    while True:
        try:
            api.request("GET", "/readyz", timeout_s=TRY_S)
        except AccessDenied:
            return True
        except SparkrigError:
            if time.monotonic() >= deadline:
                return False
        else:
            return True
        say("waiting for the API server")
        ending.pause(POLL_S)
