"""The token of a kubeconfig user's ``auth-provider`` (OpenID Connect with refresh), as the kubernetes library gets it.

The only module that imports the library. Nothing else of it is used: connections are ``connection``'s.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparkrig.errors import OperationError
from sparkrig.kube.kubeconfig import kubeconfig_files

AGE_S = 60.0
"""After this the library is asked again; it refreshes a token that has expired."""
NAMES = ("BearerToken", "authorization")
"""Under which of them the library keeps the header depends on its version."""


class LoginProvider:
    """Implements ``connection.TokenSource``. Thread-safe."""

    def __init__(self, kubeconfig: Path | None, context: str) -> None:
        self._files = ":".join(map(str, kubeconfig_files(kubeconfig)))
        self._context = context
        self._lock = threading.Lock()
        self._header: str | None = None
        self._asked_at = float("-inf")

    def authorization(self) -> str | None:
        """Return the header as of now.

        Raises:
            OperationError: there is none: the login has ended, or the provider is one that is not supported any more.
        """
        with self._lock:
            if time.monotonic() - self._asked_at > AGE_S:
                self._header = self._ask()
                self._asked_at = time.monotonic()
            return self._header

    def renew(self, refused: str | None) -> bool:
        """Ask again after a refusal; True when the header is another one now."""
        with self._lock:
            if self._header == refused:
                self._header = self._ask()
                self._asked_at = time.monotonic()
            return self._header != refused

    def _ask(self) -> str | None:
        from kubernetes.client import Configuration
        from kubernetes.config import ConfigException, load_kube_config

        configuration = Configuration()
        with _messages() as said:
            try:
                load_kube_config(self._files, self._context, configuration)  # type: ignore[no-untyped-call]
            except ConfigException as error:
                raise self._failed(str(error)) from None
        keys = configuration.api_key or {}
        header = next((str(keys[name]) for name in NAMES if keys.get(name)), None)
        if header is None:
            raise self._failed(said[-1] if said else "it gave no token")
        return header

    def _failed(self, reason: str) -> OperationError:
        return OperationError(
            f"the kubeconfig's auth-provider for context {self._context!r} failed: {reason}",
            hint="log in again; Kubernetes replaced auth-provider with exec plugins, e.g. kubelogin",
        )


@contextmanager
def _messages() -> Iterator[list[str]]:
    """Collect what the library would log: it reports a failure to the root logger and goes on without a token."""
    said: list[str] = []

    def collect(record: logging.LogRecord) -> bool:
        said.append(record.getMessage())
        return False

    root, quiet = logging.getLogger(), logging.NullHandler()
    root.addFilter(collect)
    root.addHandler(quiet)  # without a handler logging.error() would install one that writes to stderr for good
    try:
        yield said
    finally:
        root.removeHandler(quiet)
        root.removeFilter(collect)
