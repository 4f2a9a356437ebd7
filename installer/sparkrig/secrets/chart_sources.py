"""Credentials of chart sources, resolved when the first chart is fetched from them and not before."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from sparkrig.errors import InvalidInput, Refused
from sparkrig.helm.charts.access import Access, below
from sparkrig.models.json import JsonObject
from sparkrig.models.problem import Commands, Problem, Severity
from sparkrig.secrets.reading import CommandNotRun, Reader, SecretUnavailable
from sparkrig.stack.secrets.sources import ChartSource


class SourceBook:
    """An ``AccessFor`` over described sources: the longest address that covers what is fetched wins.

    ``sources`` is called on first use; of two equal addresses the first wins. Safe to use from several
    threads; each source is resolved once.
    """

    def __init__(
        self,
        sources: Callable[[], Sequence[ChartSource]],
        commands: Commands = Commands.OWN,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._sources = sources
        self._commands = commands
        self._environ = environ
        self._known: dict[tuple[str, str], Access] = {}
        self._lock = threading.Lock()

    def __call__(self, url: str) -> Access | None:
        """How to enter an address; None where nothing is said about it.

        Raises:
            InvalidInput: a user name or password is not available.
            Refused: it comes from a command that this run must not execute.
        """
        with self._lock:
            covering = [source for source in self._sources() if below(url, source.url)]
            if not covering:
                return None
            source = max(covering, key=lambda source: len(urlsplit(source.url).path.rstrip("/")))
            place = (source.url, str(source.position))
            if place not in self._known:
                self._known[place] = self._resolve(source)
            return self._known[place]

    def _resolve(self, source: ChartSource) -> Access:
        return Access(
            username=self._read(source, "username", source.username),
            password=self._read(source, "password", source.password),
            certificate=source.certificate,
            key=source.key,
            ca_file=source.ca_file,
            plain_http=source.plain_http,
        )

    def _read(self, source: ChartSource, what: str, reference: JsonObject | None) -> str:
        if reference is None:
            return ""
        runs = self._commands is Commands.ALL or (source.own and self._commands is Commands.OWN)
        try:
            return Reader(environ=self._environ, run_commands=runs).read(reference, source.folder).text()
        except CommandNotRun as error:
            raise Refused(
                f"chart source {source.url}: {what} {error.message} ({source.position}), and this command runs none",
                hint="sparkrig lock --run-commands runs it and fetches the charts; other commands then use the cache",
            ) from None
        except SecretUnavailable as error:
            message = f"chart source {source.url}: {what}: {error.message}"
            raise InvalidInput([Problem(Severity.ERROR, "secret-unavailable", message, source.position)]) from None


def user_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the user's own sources are described; ``SPARKRIG_CONFIG_DIR`` names another folder."""
    override = environ.get("SPARKRIG_CONFIG_DIR")
    if override:
        return Path(override).expanduser().absolute() / "sources.yaml"
    import platformdirs

    return Path(platformdirs.user_config_dir("sparkrig", appauthor=False)) / "sources.yaml"
