"""One pod: its programs from the first start to the last end, and the status that the API server is told."""

from __future__ import annotations

import datetime
import http.client
import os
import shutil
import signal
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.controllers import process
from tests.controllers.files import NotYet, PodFiles, expand
from tests.controllers.process import Network, Started
from tests.controllers.recipes import NoProgram, Recipe

from sparkrig.errors import SparkrigError
from sparkrig.kube.client import KubeApi
from sparkrig.kube.errors import NotFoundApi

LOOK_S = 0.1
PROBE_S = 0.25
"""A probe's own period is for nodes with hundreds of pods; tests wait for it."""
PROBE_TIMEOUT_S = 2.0
BACK_OFF_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Kubelet begins with 10 s and ends with 5 min."""
UNSET: Any = object()


@dataclass
class Container:
    """One container that has a program."""

    spec: Mapping[str, Any]
    recipe: Recipe
    folder: Path
    started: Started | None = None
    restarts: int = 0
    next_start: float = 0.0
    last_code: int | None = None
    waiting: str = "ContainerCreating"
    message: str = ""
    probed: float = 0.0
    ready: bool = False
    since: str = ""

    @property
    def done(self) -> bool:
        """It has ended and will not be started again."""
        return self.waiting == "" and self.started is None

    def status(self) -> dict[str, Any]:
        """As kubelet writes it."""
        if self.started is not None:
            state: dict[str, Any] = {"running": {"startedAt": self.since}}
        elif self.done:
            state = {"terminated": self._terminated()}
        else:
            state = {"waiting": {"reason": self.waiting, "message": self.message}}
        last = {"terminated": self._terminated()} if self.last_code is not None and not self.done else {}
        common = {"name": self.spec["name"], "image": self.spec["image"], "imageID": "", "lastState": last}
        return {
            **common,
            "ready": self.ready,
            "started": self.started is not None,
            "restartCount": self.restarts,
            "state": state,
        }

    def _terminated(self) -> dict[str, Any]:
        assert self.last_code is not None
        return {"exitCode": self.last_code, "reason": "Error" if self.last_code else "Completed"}


class Pod:
    """Runs the programs of one pod in a thread of its own."""

    def __init__(
        self,
        api: KubeApi,
        manifest: Mapping[str, Any],
        recipes: Mapping[str, Recipe],
        folder: Path,
        network: Network,
        problems: list[str],
    ) -> None:
        self.api, self.manifest, self.network, self.problems = api, manifest, network, problems
        self.name: str = manifest["metadata"]["name"]
        self.namespace: str = manifest["metadata"]["namespace"]
        self.address = network.address
        self.folder = folder
        self.containers = [
            Container(c, recipes[c["name"]], folder / str(number))
            for number, c in enumerate(manifest["spec"]["containers"])
            if c["name"] in recipes
        ]
        self._files = PodFiles(api, manifest, network.address)
        self._ended = threading.Event()
        self._delete = False
        self._paused = False
        self._told: Any = UNSET
        self._thread = threading.Thread(target=self._live, daemon=True, name=f"pod-{self.name}")

    def hold(self, seconds: float) -> None:
        """Start the programs only after so many seconds."""
        for container in self.containers:
            container.next_start = time.monotonic() + seconds

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self, *, delete: bool = False) -> None:
        """Have the programs terminated, and the pod deleted then where ``delete`` says so; returns at once."""
        self._delete = self._delete or delete
        self._ended.set()

    def join(self) -> None:
        """Wait until the programs have ended."""
        self._thread.join(process.GRACE_S + 10)

    def connect(self, port: int) -> Any:
        """Return a connection to a port, of whichever container listens there. Raises OSError."""
        refused: OSError = ConnectionRefusedError(f"nothing runs in {self.name}")
        for container in self.containers:
            if container.started is not None:
                try:
                    return container.started.connect(port)
                except OSError as error:
                    refused = error
        raise refused

    def log(self) -> str:
        """What the programs have written, of all their starts."""
        logs = [container.folder / "log" for container in self.containers]
        return "".join(log.read_text(encoding="utf-8", errors="replace") for log in logs if log.exists())

    def kill(self) -> None:
        """Kill the programs, as a crash: they are started again."""
        self._signal(signal.SIGKILL)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the programs for a while: they are there and do nothing, as under a load that takes all cores.

        The pod stays Ready, as on a node for the first half minute: what waits meanwhile waits for something else.
        """
        self._paused = True
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)
            self._paused = False

    def _signal(self, number: signal.Signals) -> None:
        for container in self.containers:
            if container.started is not None:
                os.kill(container.started.program(), number)

    # ------------------------------------------------------------------ its life

    def _live(self) -> None:
        try:
            while not self._ended.is_set() and not all(c.done for c in self.containers):
                for container in self.containers:
                    self._step(container)
                self._tell()
                self._ended.wait(LOOK_S)
        except NotFoundApi:
            self._ended.set()  # somebody deleted the pod without a grace period
        except SparkrigError as error:
            if not self._ended.is_set():
                self.problems.append(f"pod {self.namespace}/{self.name}: {error}")
        finally:
            for container in self.containers:
                if container.started is not None:
                    container.last_code = container.started.stop()
                    container.started = None
                shutil.rmtree(container.folder / "root", ignore_errors=True)
                (container.folder / "spec.json").unlink(missing_ok=True)  # it holds Secrets
        if self._ended.wait() and self._delete:
            self._remove()

    def _step(self, container: Container) -> None:
        now = time.monotonic()
        if container.started is None:
            if not container.done and now >= container.next_start:
                self._start(container)
            return
        code = container.started.code
        if code is not None:
            container.started.stop()
            self._after(container, code)
        elif now - container.probed >= PROBE_S and not self._paused:
            container.probed = now
            container.ready = _answers(container)

    def _start(self, container: Container) -> None:
        spec = container.spec
        try:
            program = container.recipe.find(spec)
            container.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            environment = self._files.environment(spec, self.network.service[1])
            self._files.write(spec, container.folder / "root")
        except NotYet as error:
            container.waiting, container.message = "ContainerCreating", str(error)
            container.next_start = time.monotonic() + 0.3
            return
        except NoProgram as error:
            container.waiting, container.message = "ErrImagePull", str(error)
            container.next_start = time.monotonic() + 2.0
            return
        # A command stands in the place of the entry point: its first word is the program.
        before = list(program.arguments) if not spec.get("command") else spec["command"][1:]
        words = [expand(word, environment) for word in (*before, *(spec.get("args") or ()))]
        container.started = process.start(container.folder, program, words, environment, self.name, self.network)
        container.since, container.waiting, container.message = _now(), "", ""

    def _after(self, container: Container, code: int) -> None:
        policy = self.manifest["spec"].get("restartPolicy", "Always")
        container.started, container.ready, container.last_code = None, False, code
        if policy == "Never" or (policy == "OnFailure" and code == 0):
            return
        pause = BACK_OFF_S[min(container.restarts, len(BACK_OFF_S) - 1)]
        container.restarts += 1
        container.next_start = time.monotonic() + pause
        container.waiting = "CrashLoopBackOff"
        container.message = f"exit code {code}; started again after {pause} s"

    def _tell(self) -> None:
        """Write the status where it has changed."""
        status = self._status()
        comparable = repr(status)
        if comparable == self._told:
            return
        now = _now()
        for condition in status["conditions"]:
            condition["lastTransitionTime"] = now
        path = f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"
        self.api.patch(path, {"status": {"startTime": now, **status}}, subresource="status")
        self._told = comparable

    def _status(self) -> dict[str, Any]:
        ours = {c.spec["name"]: c for c in self.containers}
        running = any(c.started is not None or c.last_code is not None for c in self.containers)
        done = all(c.done for c in self.containers)
        failed = any(c.last_code for c in self.containers)
        phase = ("Failed" if failed else "Succeeded") if done else "Running" if running else "Pending"
        ready = all(c.ready for c in self.containers) and not done
        states = {"PodReadyToStartContainers": True, "Initialized": True, "ContainersReady": ready, "Ready": ready}
        states["PodScheduled"] = True
        reason = {} if ready else {"reason": "PodCompleted" if done else "ContainersNotReady"}
        return {
            "phase": phase,
            "conditions": [
                {"type": kind, "status": str(state), **({} if state else reason)} for kind, state in states.items()
            ],
            "containerStatuses": [
                ours[c["name"]].status() if c["name"] in ours else _pretended(c)
                for c in self.manifest["spec"]["containers"]
            ],
            **({"podIP": self.address, "podIPs": [{"ip": self.address}]} if running else {}),
        }

    def _remove(self) -> None:
        path = f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.manifest["metadata"]["uid"]}}
        try:
            self.api.request("DELETE", path, body=body)
        except SparkrigError:
            return  # gone, or its cluster is


def _answers(container: Container) -> bool:
    """Ask the readiness probe; a container without one is ready as soon as it runs."""
    probe = container.spec.get("readinessProbe")
    if not probe or container.started is None:
        return True
    kind = next((k for k in ("httpGet", "tcpSocket", "grpc") if k in probe), "")
    if not kind:
        return True  # a command needs the container's own files: not played
    port = _port(container.spec, probe[kind]["port"])
    try:
        with container.started.connect(port) as connection:
            return kind != "httpGet" or _http(connection, probe["httpGet"])
    except (OSError, http.client.HTTPException):
        return False


def _http(connection: Any, probe: Mapping[str, Any]) -> bool:
    connection.settimeout(PROBE_TIMEOUT_S)
    with ExitStack() as stack:
        if probe.get("scheme") == "HTTPS":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # as kubelet
            connection = stack.enter_context(context.wrap_socket(connection))
        client = http.client.HTTPConnection("pod", timeout=PROBE_TIMEOUT_S)
        stack.callback(client.close)
        client.sock = connection
        client.request("GET", probe.get("path", "/"))
        return 200 <= stack.enter_context(client.getresponse()).status < 400


def _port(container: Mapping[str, Any], wanted: int | str) -> int:
    ports = {port.get("name"): port["containerPort"] for port in container.get("ports") or ()}
    return int(ports.get(wanted, wanted))


def _pretended(container: Mapping[str, Any]) -> dict[str, Any]:
    """A container without a recipe beside one that has one: simulated, as everywhere on such a cluster."""
    running = {"state": {"running": {}}, "ready": True, "started": True, "restartCount": 0}
    return {"name": container["name"], "image": container["image"], "imageID": "", **running}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
