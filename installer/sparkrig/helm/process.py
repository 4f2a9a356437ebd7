"""How a helm process is started, watched and ended. The only module that imports pyhelm3.

pyhelm3's own ``Command.run`` goes through a shell, so a signal reaches ``sh`` and helm writes on.
Here helm is started from an argv list in a session of its own, gets SIGKILL from the kernel when
the thread that started it ends (``tools.lifeline``), gets TERM at our deadline and its group KILL after
a grace. ``HELM_AT_ONCE`` of them run at the same time, whoever asks for how many.

The kernel's parent-death signal follows the *thread* that forked, not the process. asyncio forks in
the thread that runs the event loop; sparkrig runs its loop in the main thread, which lives as long
as the process. Do not drive a ``HelmCommand`` from a loop in a worker thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
import shlex
import signal
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from weakref import WeakKeyDictionary

from pyhelm3 import Command
from pyhelm3 import errors as pyhelm3_errors

from sparkrig import defaults, log, timeline
from sparkrig.errors import ToolError
from sparkrig.helm.errors import HelmTimeout, classify
from sparkrig.tools.lifeline import tied

Failed = pyhelm3_errors.Error
"""Raised for a helm that ended with a status other than 0."""

_slots_of: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
_SECRET_FLAGS = frozenset({"--kube-token", "--password", "--set", "--set-string", "--set-json", "--set-literal"})
_ERROR_CLASSES: Mapping[str, type[pyhelm3_errors.Error]] = {
    "connection": pyhelm3_errors.ConnectionError,
    "not-found": pyhelm3_errors.ReleaseNotFoundError,
    "exists": pyhelm3_errors.ResourceAlreadyExistsError,
    "render": pyhelm3_errors.FailedToRenderChartError,
}


@dataclass(slots=True)
class Counter:
    """Counts helm processes; shared by all commands of one client."""

    started: int = 0
    running: set[int] = field(default_factory=set)
    """Process ids of helm processes that run now."""


class HelmCommand(Command):
    """pyhelm3's command with ``run`` replaced; see the module's text.

    ``homes`` is a folder of this run: Helm's configuration, data, plugins and the client's discovery
    cache go below it, so neither the user's plugins nor a stale discovery of another cluster on the
    same port take part. ``cache`` keeps downloads, addressed by digest, between runs.
    """

    def __init__(
        self,
        executable: Path,
        *,
        kubeconfig: Path | None,
        context: str | None,
        homes: Path,
        cache: Path,
        history_max: int = defaults.HELM_HISTORY_MAX,
        cluster: bool = True,
        counter: Counter | None = None,
    ) -> None:
        super().__init__(executable=str(executable), history_max_revisions=history_max)
        self.counter = counter or Counter()
        self._environment = environment(
            os.environ, homes=homes, cache=cache, kubeconfig=kubeconfig, context=context, cluster=cluster
        )
        self._deadline_s = defaults.HELM_TIMEOUT_S
        self._grace_s = defaults.HELM_TERM_GRACE_S
        self._extra: tuple[str, ...] = ()
        self._descriptors: tuple[int, ...] = ()
        self._action = "helm"

    def call(
        self,
        action: str,
        *,
        deadline_s: float,
        extra: Sequence[str] = (),
        grace_s: float | None = None,
        descriptors: Sequence[int] = (),
    ) -> Self:
        """Returns a command for one call: its name for messages, its deadline (seconds), flags pyhelm3 lacks.

        ``descriptors`` are open files that helm inherits under the same numbers.
        """
        other = copy.copy(self)
        other._action = action
        other._deadline_s = deadline_s
        other._extra = tuple(extra)
        other._descriptors = tuple(descriptors)
        other._grace_s = self._grace_s if grace_s is None else grace_s
        return other

    async def run(self, command: list[Any], input: bytes | None = None) -> bytes:  # noqa: A002 - pyhelm3's signature
        """Runs helm with these arguments and returns its stdout.

        Raises:
            HelmTimeout: at the deadline, after helm has ended.
            ToolError: helm could not be started.
            pyhelm3.errors.Error: helm ended with a status other than 0.
        """
        argv = [self._executable, *map(str, command), *self._extra]
        async with _slots():
            return await self._started(argv, str(command[0]), input)

    async def _started(self, argv: list[str], verb: str, data: bytes | None) -> bytes:
        shown = redact(argv)
        log.debug("helm-begin", command=shown)
        began = time.monotonic()
        try:
            process = await asyncio.create_subprocess_exec(
                *tied(argv),
                stdin=asyncio.subprocess.DEVNULL if data is None else asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=dict(self._environment),
                start_new_session=True,
                pass_fds=self._descriptors,
            )
        except OSError as error:
            raise ToolError(
                f"{argv[0]}: helm could not be started: {error.strerror or error}",
                hint="sparkrig tools list shows which helm is used and where it comes from",
            ) from error
        self.counter.started += 1
        self.counter.running.add(process.pid)
        try:
            with timeline.span("helm", verb):
                stdout, stderr = await self._finish(process, data)
        finally:
            self.counter.running.discard(process.pid)
            log.info("helm", command=shown, exit_code=process.returncode, seconds=time.monotonic() - began)
        if process.returncode != 0:
            error_class = _ERROR_CLASSES.get(classify(stderr.decode(errors="replace")), pyhelm3_errors.Error)
            raise error_class(process.returncode or 0, stdout, stderr)
        return stdout

    async def _finish(self, process: asyncio.subprocess.Process, data: bytes | None) -> tuple[bytes, bytes]:
        talk = asyncio.ensure_future(process.communicate(data))
        try:
            done, _ = await asyncio.wait({talk}, timeout=self._deadline_s)
        except asyncio.CancelledError:
            await _insist(self._end(process, talk), process)
            raise
        if done:
            return talk.result()
        killed = await _insist(self._end(process, talk), process)
        _, stderr = talk.result()
        detail = tuple(line for line in stderr.decode(errors="replace").splitlines() if line.strip())
        raise HelmTimeout(self._action, self._deadline_s, killed=killed, detail=detail)

    async def _end(self, process: asyncio.subprocess.Process, talk: asyncio.Future[tuple[bytes, bytes]]) -> bool:
        """Ends helm and whatever it started; returns True when KILL was needed."""
        _signal_group(process.pid, signal.SIGTERM)
        await asyncio.wait({talk}, timeout=self._grace_s)
        if talk.done():
            return False
        _signal_group(process.pid, signal.SIGKILL)
        await asyncio.wait({talk})
        return True


def _slots() -> asyncio.Semaphore:
    """What bounds the helm processes of the running event loop."""
    loop = asyncio.get_running_loop()
    if (slots := _slots_of.get(loop)) is None:
        slots = _slots_of[loop] = asyncio.Semaphore(defaults.HELM_AT_ONCE)
    return slots


async def _insist(ending: Coroutine[Any, Any, bool], process: asyncio.subprocess.Process) -> bool:
    """Waits for ``ending`` even when cancelled meanwhile; a second cancel shortens the grace to nothing."""
    task = asyncio.ensure_future(ending)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            _signal_group(process.pid, signal.SIGKILL)
    return bool(task.result())


def _signal_group(leader: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, number)


def environment(
    inherited: Mapping[str, str],
    *,
    homes: Path,
    cache: Path,
    kubeconfig: Path | None,
    context: str | None,
    cluster: bool = True,
) -> dict[str, str]:
    """Returns helm's environment: the user's, without any ``HELM_*`` of his, with ours.

    ``cluster=False`` hides every kubeconfig: such a helm can render and pull, and reach no cluster.

    helm lives for a second: collecting its garbage as if it stayed costs a quarter of its CPU time (an upgrade of a
    small chart 0.45 s without, 0.33 s with ``GOGC=400``; the largest, of a chart with 100 objects, grows from
    126 MB to 250 MB). Who sets ``GOGC`` himself is listened to.
    """
    result = {name: value for name, value in inherited.items() if not name.startswith("HELM_")}
    result |= {
        "GOGC": inherited.get("GOGC", "400"),
        "HELM_DRIVER": "secret",
        "HELM_CACHE_HOME": str(cache),
        "HELM_CONFIG_HOME": str(homes / "config"),
        "HELM_DATA_HOME": str(homes / "data"),
        "HELM_PLUGINS": str(homes / "plugins"),
        "KUBECACHEDIR": str(homes / "discovery"),
    }
    if not cluster:
        result["KUBECONFIG"] = os.devnull
    elif kubeconfig is not None:
        result["KUBECONFIG"] = str(kubeconfig)
    if cluster and context is not None:
        result["HELM_KUBECONTEXT"] = context
    return result


def redact(argv: Sequence[str]) -> str:
    """Returns the command line for a log: what follows a flag that may carry a secret is hidden."""
    shown: list[str] = []
    hide = False
    for part in argv:
        flag, separator, _ = part.partition("=")
        if hide:
            shown.append("***")
            hide = False
        elif flag in _SECRET_FLAGS:
            shown.append(f"{flag}=***" if separator else flag)
            hide = not separator
        else:
            shown.append(part)
    return shlex.join(shown)
