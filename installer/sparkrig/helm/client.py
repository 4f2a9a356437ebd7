"""What sparkrig asks of helm, in sparkrig's own words.

Nothing runs and pyhelm3 is not imported until a method needs a helm process, so a run that changes
nothing pays for neither. pyhelm3's ``Client`` is not used: making one runs ``helm version``, and its
``ensure_release`` uninstalls pending releases. Its ``Command`` builds the argument lists.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import threading
import weakref
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sparkrig import defaults
from sparkrig.errors import OperationError
from sparkrig.helm.charts.access import Access, helm_flags, registry_config
from sparkrig.helm.errors import HelmError, killed, translate
from sparkrig.helm.storage.recovery import SecretApi, stored_manifest
from sparkrig.models.cluster import ClusterHandle
from sparkrig.models.component import CrdOwner
from sparkrig.models.json import JsonDict, mapping_at, number_at, text_at
from sparkrig.models.release import DesiredRelease
from sparkrig.yaml.plain import objects

if TYPE_CHECKING:
    from sparkrig.helm.process import Counter, HelmCommand

_T = TypeVar("_T")
NOT_HELMS = (CrdOwner.US, CrdOwner.HOOK)
"""Owners of CRDs beside whom Helm must not install what lies in a chart's ``crds/``."""
FIELDS_VALIDATED_FROM = (1, 27)
"""Kubernetes version in which ``fieldValidation`` is no longer a feature that can be switched off."""


@dataclass(frozen=True, slots=True)
class HelmResult:
    """What helm says about the release it just changed."""

    revision: int
    status: str
    """Helm's word, ``deployed`` after a success."""
    manifest: str
    """The rendered objects, hooks left out, as YAML text; see ``objects``."""
    notes: str = ""


@dataclass(frozen=True, slots=True)
class HelmRevision:
    """One line of a release's history."""

    revision: int
    status: str
    chart: str
    app_version: str
    updated: str
    description: str


def validates_fields(kubernetes: str) -> bool:
    """True where an API server of this version refuses unknown and doubled fields by itself.

    Helm asks it to (``fieldValidation=Strict``) with every object it applies, whatever its own flags say; only older
    servers need helm's own check. False for a version that cannot be read.
    """
    parts = re.match(r"v?(\d+)\.(\d+)", kubernetes)
    return parts is not None and (int(parts[1]), int(parts[2])) >= FIELDS_VALIDATED_FROM


class HelmClient:
    """Runs helm against one cluster; see the module's text.

    ``executable`` may be a function, so that a missing helm is found or built only when one is
    needed. ``handle`` None serves for what needs no cluster (``template``, ``pull``). Use from the
    event loop of the main thread only (see ``sparkrig.helm.process``). ``close`` removes the private
    folder; leaving the program does so too.
    """

    def __init__(
        self,
        executable: Path | Callable[[], Path],
        handle: ClusterHandle | None = None,
        history_max: int = defaults.HELM_HISTORY_MAX,
        *,
        cache: Path | None = None,
    ) -> None:
        self._executable = executable
        self._handle = handle
        self._history_max = history_max
        self._cache = cache
        self._command: HelmCommand | None = None
        self._lock = threading.Lock()
        self._cleanup: weakref.finalize[[str], HelmClient] | None = None

    @property
    def processes(self) -> int:
        """How many helm processes this client has started."""
        return self._command.counter.started if self._command else 0

    @property
    def running(self) -> frozenset[int]:
        """Process ids of this client's helm processes that run now."""
        counter: Counter | None = self._command.counter if self._command else None
        return frozenset(counter.running) if counter else frozenset()

    def close(self) -> None:
        """Removes the private Helm homes."""
        if self._cleanup is not None:
            self._cleanup()
        self._command = None

    async def template(
        self,
        desired: DesiredRelease,
        *,
        kube_version: str | None = None,
        api_versions: Sequence[str] = (),
        is_upgrade: bool = False,
        include_crds: bool = False,
        server: bool = False,
        deadline_s: float = defaults.HELM_TIMEOUT_S,
    ) -> str:
        """Returns the rendered manifest as text, hooks included.

        Reaches no cluster, but with ``server``: then templates can look things up there, what the API
        server says of itself goes before ``kube_version`` and ``api_versions``, and every kind in the
        manifest must be served.

        Raises:
            HelmError: the chart refuses the values (code ``render``), or cannot be read.
        """
        arguments = ["template", desired.release, str(desired.chart.path), "--namespace", desired.namespace]
        arguments += ["--include-crds" if include_crds else "--skip-crds", "--values", "-"]
        if kube_version:
            arguments += ["--kube-version", kube_version]
        if api_versions:
            arguments += ["--api-versions", ",".join(api_versions)]
        if server:
            arguments.append("--dry-run=server")
        if is_upgrade:
            arguments.append("--is-upgrade")
        action = f"rendering {desired.release}"
        command = self._ready().call(action, deadline_s=deadline_s)
        return (await _guard(action, command.run(arguments, _document(desired)))).decode()

    async def install_or_upgrade(
        self,
        desired: DesiredRelease,
        *,
        stack: str,
        deadline_s: float | None = None,
        force_conflicts: bool = False,
        take_ownership: bool = False,
        replace: bool = False,
        server_validates: bool = False,
    ) -> HelmResult:
        """Runs ``helm upgrade --install`` without waiting for readiness; hooks are waited for.

        ``server_validates`` says that the API server checks fields itself (``validates_fields``). Helm would find that
        out from the OpenAPI documents of every API group in the manifest, and then check nothing of its own: half of
        its CPU time, for an answer that is known.

        ``replace`` installs over a release that is uninstalled with its history kept. ``upgrade
        --install`` should do that by itself, but looks at the last revision in the order of their
        names (v1, v10, v2 …), so that from ten revisions on it tries an upgrade, and fails.

        The namespace must exist. ``deadline_s`` (default: the release's own) bounds the process;
        helm's ``--timeout`` a little less, so that a hook's end is reported by helm where it can be.

        Raises:
            HelmTimeout: at the deadline.
            HelmError: helm refused or failed; ``code`` says why.
        """
        deadline = desired.timeout_s if deadline_s is None else deadline_s
        action = f"upgrade of {desired.release}"
        labels = f"{defaults.LABEL_STACK}={stack},{defaults.LABEL_COMPONENT}={desired.component}"
        extra = ["--labels", labels, *(["--disable-openapi-validation"] if server_validates else [])]
        command = self._ready().call(action, deadline_s=deadline, extra=extra)
        document = _document(desired)
        if replace:
            flags = ["--force-conflicts"] if force_conflicts else []
            flags += ["--take-ownership"] if take_ownership else []
            flags += ["--skip-crds"] if desired.crd_owner in NOT_HELMS else []
            arguments = ["install", desired.release, str(desired.chart.path), "--replace", "--output", "json", *flags]
            arguments += ["--namespace", desired.namespace, "--timeout", _helm_timeout(deadline), "--values", "-"]
            text = (await _guard(action, command.run(arguments, document))).decode()
            return _result(json.loads(text[text.index("{") :]))
        result = await _guard(
            action,
            command.install_or_upgrade(
                desired.release,
                desired.chart.path,
                dict(desired.values),
                create_namespace=False,
                force_conflicts=force_conflicts,
                namespace=desired.namespace,
                skip_crds=desired.crd_owner in NOT_HELMS,
                take_ownership=take_ownership,
                timeout=_helm_timeout(deadline),
            ),
        )
        return _result(result)

    async def rollback(
        self,
        name: str,
        namespace: str,
        revision: int,
        *,
        deadline_s: float = defaults.HELM_TIMEOUT_S,
        force_conflicts: bool = False,
        no_hooks: bool = False,
    ) -> None:
        """Brings a release back to a Helm revision; a new revision is made, which ``newest_revision`` tells.

        helm does not handle TERM here: at the deadline the release stays ``pending-rollback``.
        """
        action = f"rollback of {name} to revision {revision}"
        extra = ["--force-conflicts"] if force_conflicts else []
        command = self._ready().call(action, deadline_s=deadline_s, extra=extra)
        await _guard(
            action,
            command.rollback(name, revision, namespace=namespace, no_hooks=no_hooks, timeout=_helm_timeout(deadline_s)),
        )

    async def uninstall(
        self,
        name: str,
        namespace: str,
        *,
        keep_history: bool = False,
        no_hooks: bool = False,
        deadline_s: float = defaults.HELM_TIMEOUT_S,
    ) -> None:
        """Uninstalls a release; ``keep_history`` leaves what ``rollback`` needs to bring it back.

        helm does not handle TERM here: at the deadline the release stays ``uninstalling``.

        Raises:
            HelmError: code ``not-found`` when there is no such release.
        """
        action = f"uninstall of {name}"
        command = self._ready().call(action, deadline_s=deadline_s)
        await _guard(
            action,
            command.uninstall(
                name,
                namespace=namespace,
                keep_history=keep_history,
                no_hooks=no_hooks,
                timeout=_helm_timeout(deadline_s),
            ),
        )

    async def status(self, name: str, namespace: str, *, revision: int | None = None) -> HelmResult:
        """Returns the newest, or the given, revision of a release."""
        action = f"status of {name}"
        command = self._ready().call(action, deadline_s=defaults.HELM_QUERY_TIMEOUT_S)
        return _result(await _guard(action, command.status(name, namespace=namespace, revision=revision)))

    async def history(self, name: str, namespace: str) -> tuple[HelmRevision, ...]:
        """Returns the release's revisions, oldest first.

        Raises:
            HelmError: code ``not-found`` when there is no such release.
        """
        action = f"history of {name}"
        command = self._ready().call(action, deadline_s=defaults.HELM_QUERY_TIMEOUT_S)
        rows = await _guard(action, command.history(name, namespace=namespace))
        return tuple(
            HelmRevision(
                revision=int(row["revision"]),
                status=row["status"],
                chart=row.get("chart", ""),
                app_version=row.get("app_version", ""),
                updated=row.get("updated", ""),
                description=row.get("description", ""),
            )
            for row in rows
        )

    def stored_manifest(self, api: SecretApi, name: str, namespace: str, revision: int) -> list[JsonDict]:
        """Returns the objects a Helm revision's Secret holds; no helm process; blocks for one request."""
        return objects(stored_manifest(api, name, namespace, revision))

    async def pull(
        self, reference: str, version: str, destination: Path, *, deadline_s: float, access: Access | None = None
    ) -> Path:
        """Fetches a chart archive from an ``oci://`` registry into a folder and returns its path.

        Without credentials in ``access`` those of the user's Docker configuration are used, as helm reads it.
        """
        action = f"pull of {reference} {version}"
        arguments = ["pull", reference, "--version", version, "--destination", str(destination)]
        with registry_config(access, reference) as (flags, descriptors):
            extra = [*helm_flags(access), *flags]
            command = self._ready().call(action, deadline_s=deadline_s, extra=extra, descriptors=descriptors)
            await _guard(action, command.run(arguments))
        archives = sorted(destination.glob("*.tgz"))
        if len(archives) != 1:
            raise OperationError(f"{action}: expected one archive in {destination}, found {len(archives)}")
        return archives[0]

    def _ready(self) -> HelmCommand:
        """Makes the command on the first call."""
        with self._lock:
            if self._command is None:
                self._command = self._make()
            return self._command

    def _make(self) -> HelmCommand:
        from sparkrig.helm.process import HelmCommand

        executable = self._executable() if callable(self._executable) else self._executable
        homes = tempfile.mkdtemp(prefix="sparkrig-helm-")
        self._cleanup = weakref.finalize(self, shutil.rmtree, homes, True)
        return HelmCommand(
            executable,
            kubeconfig=self._handle.kubeconfig if self._handle else None,
            context=self._handle.context if self._handle else None,
            homes=Path(homes),
            cache=self._cache or Path(homes) / "cache",
            history_max=self._history_max,
            cluster=self._handle is not None,
        )


async def _guard(action: str, work: Awaitable[_T]) -> _T:
    """Turns pyhelm3's errors into ours."""
    from sparkrig.helm.process import Failed

    try:
        return await work
    except Failed as error:
        if error.returncode < 0:
            raise killed(-error.returncode, action) from error
        raise translate(error.stderr.decode(errors="replace"), action) from error
    except ValueError as error:
        raise HelmError(f"{action}: helm's output is not the JSON that was asked for: {error}") from error


def _document(desired: DesiredRelease) -> bytes:
    """Returns the values as the one document helm reads from stdin; they never reach an argument list."""
    try:
        return json.dumps(desired.values).encode()
    except (TypeError, ValueError) as error:
        raise OperationError(
            f"values of {desired.release} cannot be handed to helm: {error}",
            hint="values are maps, lists, strings, numbers, booleans and null",
        ) from error


def _helm_timeout(deadline_s: float) -> str:
    """Returns helm's own wait limit: below our deadline, so that helm can report a hook that never ends."""
    return f"{max(1.0, deadline_s - min(5.0, deadline_s / 10)):g}s"


def _result(release: Any) -> HelmResult:
    information = mapping_at(release, "info")
    return HelmResult(
        revision=number_at(release, "version"),
        status=text_at(information, "status"),
        manifest=text_at(release, "manifest"),
        notes=text_at(information, "notes"),
    )
