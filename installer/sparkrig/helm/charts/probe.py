"""Asks whether chart repositories answer, without fetching anything."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from sparkrig.models.component import ChartRef


def unreachable(references: Iterable[ChartRef], timeout_s: float) -> tuple[str, ...]:
    """The repositories among the references that do not answer within ``timeout_s`` seconds, each once.

    An answer of any status counts: what is asked is whether the way there is open.
    """
    repositories = sorted({ref.repository for ref in references if ref.repository and ref.path is None})
    if not repositories:
        return ()
    with ThreadPoolExecutor(len(repositories)) as pool:
        answers = pool.map(lambda repository: _answers(repository, timeout_s), repositories)
        return tuple(repository for repository, ok in zip(repositories, answers, strict=True) if not ok)


def _answers(repository: str, timeout_s: float) -> bool:
    import httpx

    parts = urlsplit(repository)
    url = f"https://{parts.netloc}/v2/" if parts.scheme == "oci" else f"{repository.rstrip('/')}/index.yaml"
    try:
        # The body is not read: an index may be megabytes.
        with httpx.stream("GET", url, timeout=timeout_s, follow_redirects=True):
            return True
    except httpx.HTTPError:
        return False
