"""A watch as an iterator that another thread may close."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from sparkrig.kube.errors import ConnectionLost
from sparkrig.kube.http import Answer
from sparkrig.models.json import JsonDict, mapping_at, number_at

if TYPE_CHECKING:
    import urllib3

CHUNK_BYTES = 1 << 16


class WatchStream:
    """Events of one watch connection. Iterate in one thread; ``close`` from any."""

    def __init__(self, response: urllib3.BaseHTTPResponse, to_error: Callable[[Answer], Exception]) -> None:
        self._response = response
        self._to_error = to_error
        self._closed = threading.Event()
        self._iterating = False

    def __iter__(self) -> Iterator[JsonDict]:
        """Yield events until the server ends the watch or it is closed.

        Raises:
            Gone: the resource version is too old.
            ConnectionLost: the connection broke.
        """
        self._iterating = True
        try:
            for line in self._lines():
                event = _decoded(line)
                if event.get("type") == "ERROR":
                    status = dict(mapping_at(event, "object"))
                    raise self._to_error(Answer(number_at(status, "code") or 500, status, None))
                yield event
        finally:
            self._closed.set()
            self._give_up_connection()

    def close(self) -> None:
        """End the iteration, also one that waits for the server in another thread."""
        if self._closed.is_set():
            return
        self._closed.set()
        # Closing a socket does not wake a thread that reads from it; shutting it down does.
        with contextlib.suppress(OSError, ValueError, RuntimeError, AttributeError):
            self._response.shutdown()
        if not self._iterating:
            self._give_up_connection()

    def _give_up_connection(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._response.close()

    def _lines(self) -> Iterator[bytes]:
        import urllib3

        rest = b""
        try:
            for chunk in self._response.stream(CHUNK_BYTES):
                # Python's TLS sockets drop their TLS state when they are shut down, so a read under way at that moment
                # returns ciphertext. ``close`` sets the flag first: what comes after it is never looked at.
                if self._closed.is_set():
                    return
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line and not self._closed.is_set():
                        yield line
        except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError) as error:
            # After close() from another thread the reader fails in whichever call it was.
            if not self._closed.is_set():
                raise ConnectionLost(f"the watch was cut off: {type(error).__name__}") from error


def _decoded(line: bytes) -> JsonDict:
    try:
        event = json.loads(line)
    except ValueError as error:  # of both kinds: not UTF-8, not JSON
        raise ConnectionLost("the watch sent what is not JSON") from error
    if not isinstance(event, dict):
        raise ConnectionLost("the watch sent what is not an event")
    return event
