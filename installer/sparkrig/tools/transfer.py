"""Fetches files over HTTP: within its time, taken up where it broke off, and only what is a file."""

from __future__ import annotations

import queue
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sparkrig.defaults import API_CONNECT_TIMEOUT_S, TOOL_DOWNLOAD_TIMEOUT_S, TOOL_REACH_TIMEOUT_S, TOOL_STALL_TIMEOUT_S
from sparkrig.errors import Interrupted
from sparkrig.tools.model import REPORT_EVERY_S, Progress, StopCheck, Update
from sparkrig.tools.probe import UnfitError

if TYPE_CHECKING:
    import httpx

ATTEMPTS: Final = 3
"""How often a transfer that broke off is taken up again."""
POLL_S: Final = 0.2
_hosts: dict[str, str] = {}
"""Host -> why it could not be reached, empty where it could; what failed is not tried again by this process."""


class _BrokenOff(Exception):
    """A transfer ended before the end of the file."""


def fetch(url: str, target: Path, what: str, begun: Callable[[], None], on_progress: Progress, stop: StopCheck) -> None:
    """Fetch a file whole; what broke off is taken up where it ended, where the server can do that.

    ``begun`` is called once the first answer is there, before its bytes are read.

    Raises:
        UnfitError: the server cannot be reached, has no such file, or the transfer failed.
        Interrupted: ``stop`` said so.
        OSError: it cannot be written.
    """
    deadline = time.monotonic() + TOOL_DOWNLOAD_TIMEOUT_S
    reason = ""
    for attempt in range(ATTEMPTS):
        try:
            _transfer(url, target, what, deadline, begun if attempt == 0 else _nothing, on_progress, stop)
        except _BrokenOff as error:
            reason = str(error)
            continue
        return
    raise UnfitError(f"{url} broke off {ATTEMPTS} times: {reason}")


def read(url: str, limit: int, stop: StopCheck) -> bytes:
    """Return a small file; one of more than ``limit`` bytes is refused. Raises what ``fetch`` raises."""
    import httpx

    text = b""
    try:
        with _answer(url, {}, stop) as response:
            for chunk in response.iter_bytes():
                text += chunk
                if len(text) > limit:
                    raise UnfitError(f"{url} is larger than {limit >> 10} KiB, so it is not what it should be")
    except httpx.HTTPError as error:
        raise UnfitError(_failed(url, error)) from None
    return text


def _transfer(
    url: str,
    target: Path,
    what: str,
    deadline: float,
    begun: Callable[[], None],
    on_progress: Progress,
    stop: StopCheck,
) -> None:
    import httpx

    have = target.stat().st_size if target.exists() else 0
    # As it is: sums are those of the file, and a range of a compressed answer would be one of other bytes.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    started = reported = time.monotonic()
    try:
        with _answer(url, headers, stop) as response:
            goes_on = response.status_code == httpx.codes.PARTIAL_CONTENT
            if goes_on and _start(response.headers.get("content-range", "")) != have:
                target.unlink(missing_ok=True)
                raise _BrokenOff("the server sent another part of the file than was asked for")
            begun()
            have = have if goes_on else 0
            length = response.headers.get("content-length", "")
            total = have + int(length) if length.isdecimal() else 0
            with target.open("ab" if goes_on else "wb") as file:
                for chunk in response.iter_raw():
                    file.write(chunk)
                    have += len(chunk)
                    now = time.monotonic()
                    if stop():
                        raise Interrupted(f"stopped downloading {what}")
                    if now > deadline:
                        raise UnfitError(f"{url} took longer than {TOOL_DOWNLOAD_TIMEOUT_S:.0f} s")
                    if now - reported >= REPORT_EVERY_S:
                        on_progress(Update(f"{what}: downloading, {_far(have, total)}, {now - started:.0f} s"))
                        reported = now
    except (httpx.RemoteProtocolError, httpx.ReadError, httpx.ReadTimeout) as error:
        raise _BrokenOff(str(error) or type(error).__name__) from None
    except httpx.HTTPError as error:
        raise UnfitError(_failed(url, error)) from None


@contextmanager
def _answer(url: str, headers: dict[str, str], stop: StopCheck) -> Iterator[httpx.Response]:
    """An answer that is a file: anything else is refused with what it is."""
    import httpx

    if reason := _unreachable(url, stop):
        raise UnfitError(f"{url}: {reason}")
    timeout = httpx.Timeout(TOOL_STALL_TIMEOUT_S, connect=API_CONNECT_TIMEOUT_S)
    try:
        client = httpx.Client(follow_redirects=True, timeout=timeout)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise UnfitError(f"{url}: the proxy that the environment names cannot be used: {error}") from None
    with client, client.stream("GET", url, headers=headers) as response:
        schemes = [each.url.scheme for each in (*response.history, response)]
        if schemes[0] == "https" and set(schemes) != {"https"}:
            raise UnfitError(f"{url} leads to an address without TLS, {response.url}")
        if response.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
            raise UnfitError(f"{url} answered {response.status_code} {response.reason_phrase}")
        if response.headers.get("content-type", "").startswith("text/html"):
            raise UnfitError(
                f"{url} answered with a web page in place of the file: a proxy or a login stands in between"
            )
        yield response


def _failed(url: str, error: httpx.HTTPError) -> str:
    import httpx

    reason = str(error) or type(error).__name__
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)):
        _hosts[urlsplit(url).netloc] = reason
    return f"{url}: {reason}"


def _unreachable(url: str, stop: StopCheck) -> str:
    """Why the host, or the proxy in front of it, takes no connection; asked once for each host.

    A name server or a firewall that says nothing would otherwise cost its own time for each address of each file.
    """
    parts = urlsplit(url)
    if parts.netloc not in _hosts:
        proxy = urllib.request.getproxies().get(parts.scheme, "")
        if proxy and not urllib.request.proxy_bypass(parts.netloc):
            parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        _hosts[urlsplit(url).netloc] = _knock(parts.hostname or "", port, stop)
    return _hosts[urlsplit(url).netloc]


def _knock(host: str, port: int, stop: StopCheck) -> str:
    """Connect to all addresses of a name at once; the first that answers is enough."""
    answers: queue.SimpleQueue[str] = queue.SimpleQueue()

    def connect(address: tuple[str, int]) -> None:
        try:
            socket.create_connection(address, TOOL_REACH_TIMEOUT_S).close()
        except OSError as error:
            answers.put(error.strerror or str(error))
        else:
            answers.put("")

    def resolve() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            answers.put(f"{host}: {error.strerror or error}")
            expected.append(1)
            return
        addresses = {(str(address[0]), port) for *_, address in found}
        expected.append(len(addresses))
        for address in addresses:
            threading.Thread(target=connect, args=(address,), daemon=True).start()

    expected: list[int] = []
    threading.Thread(target=resolve, daemon=True).start()
    deadline = time.monotonic() + TOOL_REACH_TIMEOUT_S
    heard: list[str] = []
    while time.monotonic() < deadline and (not expected or len(heard) < expected[0]):
        if stop():
            raise Interrupted(f"stopped connecting to {host}")
        try:
            heard.append(answers.get(timeout=POLL_S))
        except queue.Empty:
            continue
        if not heard[-1]:
            return ""
    return heard[0] if heard else f"{host} gave no answer in {TOOL_REACH_TIMEOUT_S:.0f} s"


def _start(content_range: str) -> int:
    found = re.match(r"bytes (\d+)-", content_range)
    return int(found[1]) if found else -1


def _far(have: int, total: int) -> str:
    if not total:
        return f"{have >> 20} MiB"
    filled = min(20, 20 * have // total)
    return f"[{'#' * filled}{'.' * (20 - filled)}] {100 * have // total}% of {total >> 20} MiB"


def _nothing() -> None:
    return
