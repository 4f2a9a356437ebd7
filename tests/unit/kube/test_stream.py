"""A watch's stream: what arrives after close() is never looked at; what is not an event is a lost connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from sparkrig.kube.errors import ApiError, ConnectionLost
from sparkrig.kube.stream import WatchStream

EVENT = b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n'
CIPHERTEXT = b'{"type":"MODIFIED","obj\xa6\x0f|c\xe5L\x97\n{"half'


class Response:
    """Hands out chunks; before each, calls what the chunk's pair says, as another thread would."""

    def __init__(self, *chunks: tuple[Callable[[], None] | None, bytes]) -> None:
        self.chunks = chunks

    def stream(self, size: int) -> Iterator[bytes]:
        for before, chunk in self.chunks:
            if before is not None:
                before()
            yield chunk

    def shutdown(self) -> None: ...

    def close(self) -> None: ...


def stream(*chunks: tuple[Callable[[], None] | None, bytes]) -> WatchStream:
    return WatchStream(cast(Any, Response(*chunks)), lambda answer: ApiError("refused"))


def test_ciphertext_that_a_shut_down_tls_socket_hands_out_ends_the_watch_quietly() -> None:
    response = Response()
    watch = WatchStream(cast(Any, response), lambda answer: ApiError("refused"))
    response.chunks = ((None, EVENT), (watch.close, CIPHERTEXT))
    assert [event["type"] for event in watch] == ["ADDED"]


def test_events_behind_the_one_that_closed_the_watch_are_dropped() -> None:
    watch = stream((None, EVENT * 3))
    seen = 0
    for _ in watch:
        seen += 1
        watch.close()
    assert seen == 1


@pytest.mark.parametrize("chunk", [CIPHERTEXT, b"no json\n", b"[1]\n", b"\xff\xfe\n"])
def test_what_is_no_event_is_a_lost_connection(chunk: bytes) -> None:
    with pytest.raises(ConnectionLost):
        list(stream((None, chunk)))
