"""Credentials from the program that a kubeconfig names (``user.exec``), by the rules of client-go.

The program runs once and its answer is used until it expires, or until the API server refuses it (401). Helm runs the
same program by itself: what client-go would refuse is refused here, before anything is written.
"""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from sparkrig.defaults import EXEC_PLUGIN_TIMEOUT_S
from sparkrig.errors import OperationError, Refused
from sparkrig.models.json import JsonDict, JsonObject, mappings_at, text_at, texts_at

GROUP = "client.authentication.k8s.io"
VERSIONS = (f"{GROUP}/v1", f"{GROUP}/v1beta1")
"""What client-go, and so Helm, still speaks; v1alpha1 was removed in Kubernetes 1.24."""
MODES = ("Never", "IfAvailable", "Always")
EXTENSION = GROUP + "/exec"
"""Name of the cluster's extension that is passed to the program as its configuration."""


@dataclass(frozen=True, slots=True)
class Issued:
    """What the program returned. Secret: never log or print."""

    token: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    expires: datetime.datetime | None = None

    @property
    def expired(self) -> bool:
        """True when its time is over; what has no time is good until it is refused."""
        return self.expires is not None and datetime.datetime.now(datetime.UTC) >= self.expires


class ExecPlugin:
    """Runs one kubeconfig user's program and keeps its answer. Thread-safe."""

    def __init__(
        self,
        context: str,
        settings: JsonObject,
        server: str,
        cluster: JsonObject,
        on_certificate: Callable[[str, str], None] = lambda _certificate, _key: None,
    ) -> None:
        """``on_certificate`` gets each new client certificate and key, as PEM text.

        Raises:
            Refused: the kubeconfig's settings are ones that kubectl and Helm refuse too.
        """
        self._context = context
        self._settings = settings
        self._command = str(settings.get("command") or "")
        self._version = str(settings.get("apiVersion") or "")
        self._mode = str(settings.get("interactiveMode") or "")
        self._on_certificate = on_certificate
        self._lock = threading.Lock()
        self._issued: Issued | None = None
        self._cluster = _cluster_info(server, cluster) if settings.get("provideClusterInfo") else None
        self._check()

    def authorization(self) -> str | None:
        """Return the Authorization header as of now; None where the program gives a certificate only.

        Raises:
            OperationError: the program fails, or its answer cannot be used.
        """
        with self._lock:
            if self._issued is None or self._issued.expired:
                self._take(self._run())
            assert self._issued is not None  # noqa: S101 - for the type checker
            return f"Bearer {self._issued.token}" if self._issued.token else None

    def renew(self, refused: str | None) -> bool:
        """Run the program again after the API server refused this header; True when that changed something.

        Requests that were refused together run it once.
        """
        with self._lock:
            before = self._issued
            header = f"Bearer {before.token}" if before and before.token else None
            if before is not None and header != refused:
                return True  # another request has renewed it already
            self._take(self._run())
            return before is None or (self._issued is not None and self._issued != before)

    def _take(self, issued: Issued) -> None:
        old = self._issued
        if issued.certificate and (old is None or (old.certificate, old.key) != (issued.certificate, issued.key)):
            try:
                self._on_certificate(issued.certificate, issued.key)
            except (OSError, ValueError) as error:
                raise self._failed(f"its client certificate cannot be used: {error}") from None
        self._issued = issued

    def _check(self) -> None:
        where = f"the credential plugin of context {self._context!r}"
        if not self._command:
            raise Refused(f"{where} has no command", hint="correct users[].user.exec.command in the kubeconfig")
        if self._version not in VERSIONS:
            raise Refused(
                f"{where} has apiVersion {self._version or '(none)'}, which kubectl and Helm do not support",
                hint=f"get a newer {self._command}, and put {VERSIONS[0]} into users[].user.exec.apiVersion",
            )
        if self._mode not in MODES and (self._mode or self._version == VERSIONS[0]):
            raise Refused(
                f"{where} has interactiveMode {self._mode or '(none)'}, which {self._version} does not allow",
                hint=f"set users[].user.exec.interactiveMode to one of {', '.join(MODES)}",
            )

    def _interactive(self) -> bool:
        terminal = sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
        if self._mode == "Always" and not terminal:
            raise self._failed("it needs a terminal (interactiveMode: Always), and stdin is not one")
        return terminal and self._mode != "Never"

    def _run(self) -> Issued:
        interactive = self._interactive()
        spec: JsonDict = {"interactive": interactive}
        spec |= {"cluster": self._cluster} if self._cluster is not None else {}
        info = {"apiVersion": self._version, "kind": "ExecCredential", "spec": spec}
        own = {str(e["name"]): text_at(e, "value") for e in mappings_at(self._settings, "env") if "name" in e}
        try:
            done = subprocess.run(
                [self._command, *texts_at(self._settings, "args")],
                env={**os.environ, **own, "KUBERNETES_EXEC_INFO": json.dumps(info)},
                stdin=None if interactive else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=None if interactive else subprocess.PIPE,
                timeout=None if interactive else EXEC_PLUGIN_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise self._failed(f"it did not end in {EXEC_PLUGIN_TIMEOUT_S:.0f} s") from None
        except OSError as error:
            advice = str(self._settings.get("installHint") or "").strip()
            raise self._failed(f"{self._command}: {error.strerror or error}", advice) from None
        if done.returncode:
            said = " ".join((done.stderr or b"").decode(errors="replace").split())
            raise self._failed(f"exec: process returned {done.returncode}. {said}".rstrip())
        return self._parsed(done.stdout)

    def _parsed(self, output: bytes) -> Issued:
        try:
            document = json.loads(output)
            status = document["status"]
            kind, version = document["kind"], document["apiVersion"]
        except (ValueError, TypeError, KeyError):
            # Its text may hold a token.
            raise self._failed("its output is not an ExecCredential with a status") from None
        if kind != "ExecCredential" or version != self._version:
            raise self._failed(f"it is configured for {self._version} and returned {kind} of {version}")
        token = str(status.get("token") or "")
        certificate, key = str(status.get("clientCertificateData") or ""), str(status.get("clientKeyData") or "")
        if not token and not certificate:
            raise self._failed("it returned neither a token nor a client certificate")
        if bool(certificate) != bool(key):
            raise self._failed("it returned a client certificate without a key, or a key without a certificate")
        expires = status.get("expirationTimestamp")
        try:
            moment = datetime.datetime.fromisoformat(expires) if expires else None
        except (ValueError, TypeError):
            raise self._failed(f"its expirationTimestamp {expires!r} is not an RFC 3339 time") from None
        if moment is not None and moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        return Issued(token, certificate, key, moment)

    def _failed(self, reason: str, hint: str = "") -> OperationError:
        return OperationError(
            f"the kubeconfig's credential plugin for context {self._context!r} failed: {reason}",
            hint=hint or "run the plugin's login, e.g. with `kubectl get nodes`, and try again",
        )


def _cluster_info(server: str, cluster: JsonObject) -> JsonDict:
    """What the program is told of its cluster, where the kubeconfig asks for that."""
    names = ("tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url")
    info: JsonDict = {"server": server, **{name: cluster[name] for name in names if cluster.get(name)}}
    if (file := cluster.get("certificate-authority")) and "certificate-authority-data" not in info:
        import base64
        from pathlib import Path

        try:
            info["certificate-authority-data"] = base64.b64encode(Path(str(file)).read_bytes()).decode("ascii")
        except OSError as error:
            raise OperationError(f"the certificate authority {file} cannot be read: {error.strerror}") from None
    for extension in mappings_at(cluster, "extensions"):
        if extension.get("name") == EXTENSION:
            info["config"] = extension.get("extension")
    return info
