"""A chart repository over HTTP: its index, and an archive out of it.

Indexes are large (ten megabytes for some hundred charts with all their versions), so only the lines
of the wanted chart and version are parsed, where the index has the usual layout; else all of it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit, urlunsplit

from sparkrig import defaults
from sparkrig.cache import write_atomically
from sparkrig.errors import NotFound
from sparkrig.helm.charts.access import Access, AccessFor, open_to_all, origin, split_userinfo, tls_context
from sparkrig.helm.charts.reading import MAX_CHART_BYTES
from sparkrig.helm.errors import ChartError
from sparkrig.helm.versions import nearest, same, similar
from sparkrig.models.json import JsonObject, JsonValue, mapping_at, mappings_at, sequence_at, text_at

if TYPE_CHECKING:
    import httpx

MIRROR_HINT = "where the internet cannot be reached: --chart-mirror DIR with the charts as .tgz files or folders"
_NAME_LINE = re.compile(r"^  (?P<quote>[\"']?)(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?P=quote):[ \t]*$", re.MULTILINE)
_NEXT_KEY = re.compile(r"^ {0,2}[^\s#-]", re.MULTILINE)
_ITEM = re.compile(r"^(?P<margin> +)- ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of one chart in an index."""

    name: str
    version: str
    url: str
    """Absolute; may be an ``oci://`` reference."""
    sha256: str
    """Of the archive's bytes; empty when the index has none."""


class Repository:
    """One repository. ``cache`` is a folder for its index; ``access`` says how to enter an address."""

    def __init__(self, url: str, cache: Path, access: AccessFor = open_to_all) -> None:
        self._url, self._own = split_userinfo(url.rstrip("/") + "/")
        self._shown = shown(url)
        self._cache = cache
        self._access_for = access

    def find(self, name: str, version: str) -> Entry:
        """Looks a chart up in the index, asking the server whether its copy is still right.

        Raises:
            NotFound: no such chart or version, or the repository cannot be reached.
        """
        text = self._index()
        found = [entry for entry in _items(text, name, version) if same(_word(entry.get("version")), version)]
        if not found:
            raise self._absent(text, name, version)
        urls = [url for url in sequence_at(found[0], "urls") if isinstance(url, str)]
        if not urls:
            raise NotFound(f"chart {name} {version} in {self._shown}: the index gives no address for it")
        return Entry(name, _word(found[0]["version"]), urljoin(self._url, urls[0]), _word(found[0].get("digest")))

    def download(self, entry: Entry, to: Path) -> None:
        """Fetches the archive and checks it against the index.

        Raises:
            NotFound: the archive cannot be fetched.
            ChartError: it is not what the index says.
        """
        data = self._get(entry.url, f"chart {entry.name} {entry.version}", {}, MAX_CHART_BYTES)[1]
        digest = hashlib.sha256(data).hexdigest()
        if entry.sha256 and entry.sha256.removeprefix("sha256:") != digest:
            raise ChartError(
                f"chart {entry.name} {entry.version} from {shown(entry.url)}: expected sha256 "
                f"{entry.sha256.removeprefix('sha256:')} as in the index, found {digest}",
                hint="a proxy or a mirror changed it, or it was published twice; nothing was kept of it",
            )
        write_atomically(to, data)

    def _absent(self, text: str, name: str, version: str) -> NotFound:
        known = _versions(text, name)
        if known:
            near = ", ".join(nearest(version, known))
            return NotFound(f"chart {name} has no version {version} in {self._shown}; nearest: {near}")
        meant = similar(name, _names(text))
        also = f"; did you mean {meant}?" if meant else ""
        return NotFound(f"there is no chart {name} in {self._shown}{also}")

    # ------------------------------------------------------------------ network

    def _index(self) -> str:
        copy, note = self._cache / "index.yaml", self._cache / "index.json"
        tag = _tag(note) if copy.is_file() else ""
        headers = {"If-None-Match": tag} if tag else {}
        url = urljoin(self._url, "index.yaml")
        status, data, fresh_tag = self._get(url, "the index", headers, defaults.MAX_INDEX_BYTES)
        if status == 304:
            return copy.read_text()
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise NotFound(f"{self._shown}: what it gives as index.yaml is not text: {error.reason}") from error
        write_atomically(copy, data)
        write_atomically(note, json.dumps({"etag": fresh_tag}).encode())
        return text

    def _access(self, url: str) -> Access | None:
        """Credentials of the repository are good for its whole server: archives may lie beside the index's folder."""
        if origin(url) != origin(self._url):
            return self._access_for(url)
        return self._own or self._access_for(self._url) or self._access_for(url)

    def _get(self, url: str, what: str, headers: dict[str, str], limit: int) -> tuple[int, bytes, str]:
        import httpx

        timeout = httpx.Timeout(defaults.CHART_READ_TIMEOUT_S, connect=defaults.CHART_CONNECT_TIMEOUT_S)
        access = self._access(url) or Access()
        # httpx drops the credentials when a redirect leads to another server.
        auth = httpx.BasicAuth(*access.basic) if access.basic else None
        context = tls_context(access, self._shown)
        try:
            with (
                httpx.Client(follow_redirects=True, timeout=timeout, auth=auth, verify=context) as client,
                client.stream("GET", url, headers=headers) as response,
            ):
                if response.status_code == httpx.codes.NOT_MODIFIED:
                    return 304, b"", ""
                if response.status_code != httpx.codes.OK:
                    raise self._refused(response, what, url)
                return 200, _limited(response, limit, f"{what} from {shown(url)}"), response.headers.get("etag", "")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            host = urlsplit(url).hostname or self._shown
            reason = str(error) or type(error).__name__
            raise NotFound(
                f"{what} cannot be fetched: chart repository {host} is not reachable ({reason})", hint=MIRROR_HINT
            ) from error

    def _refused(self, response: httpx.Response, what: str, url: str) -> NotFound:
        status = f"{response.status_code} {response.reason_phrase}".strip()
        return NotFound(
            f"{what} cannot be fetched: {shown(url)} answers {status}",
            hint="is the repository's address right? One that wants a user name or a certificate gets it from "
            "`sources` in the stack file (docs/charts.md)",
        )


def _limited(response: httpx.Response, limit: int, what: str) -> bytes:
    data = bytearray()
    for piece in response.iter_bytes():
        data += piece
        if len(data) > limit:
            raise ChartError(f"{what}: larger than {limit // 2**20} MiB")
    return bytes(data)


def shown(url: str) -> str:
    """Returns an address for messages: without user name and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _tag(note: Path) -> str:
    try:
        return str(json.loads(note.read_bytes())["etag"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


# ------------------------------------------------------------------ the index's text


def _items(text: str, name: str, version: str) -> Iterator[JsonObject]:
    """Yields the entries of a chart that may have the version."""
    section = _section(text, name)
    if section is None:
        yield from mappings_at(_entries(text), name)
        return
    for item in _split(section):
        if version.removeprefix("v") in item:
            yield from mappings_at(_parse(item))


def _versions(text: str, name: str) -> list[str]:
    section = _section(text, name)
    entries = _entries(text).get(name) if section is None else _parse(section)
    return [text_at(item, "version") for item in mappings_at(entries)]


def _names(text: str) -> list[str]:
    found = [match["name"] for match in _NAME_LINE.finditer(text)]
    return found or list(_entries(text))


def _section(text: str, name: str) -> str | None:
    """Returns the lines of one chart; None where the index is laid out in another way."""
    for match in _NAME_LINE.finditer(text):
        if match["name"] == name:
            end = _NEXT_KEY.search(text, match.end())
            return text[match.end() : end.start() if end else len(text)]
    return None


def _split(section: str) -> list[str]:
    """Splits a list into its items by the dashes that stand as far left as the first."""
    first = _ITEM.search(section)
    if first is None:
        return [section]
    starts = [match.start() for match in re.finditer(rf"^{first['margin']}- ", section, re.MULTILINE)]
    return [section[start:end] for start, end in itertools.pairwise([*starts, len(section)])]


def _entries(text: str) -> JsonObject:
    return mapping_at(_parse(text), "entries")


def _parse(text: str) -> JsonValue:
    from sparkrig.yaml.plain import load_plain

    return load_plain(text, "index.yaml")


def _word(value: JsonValue) -> str:
    return "" if value is None else str(value)
