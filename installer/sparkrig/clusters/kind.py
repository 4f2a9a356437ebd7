"""The provider ``kind``: Kubernetes in containers of this machine, made by the kind binary.

The kubeconfig is kept in sparkrig's own state folder; the user's is not touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sparkrig.clusters.info import ClusterInfo
from sparkrig.clusters.sim.state import check_name
from sparkrig.defaults import KIND_CREATE_TIMEOUT_S, KIND_ENGINE_TIMEOUT_S, KIND_QUERY_TIMEOUT_S
from sparkrig.errors import NotFound, OperationError, ToolError
from sparkrig.models.cluster import ClusterHandle
from sparkrig.tools import Progress, ToolSettings, find, state_dir
from sparkrig.tools.model import quiet

ENGINES = ("docker", "podman", "nerdctl")
"""The container engines kind can use, in its own order."""
LAST_LINES = 8


def find_engine(search_path: str | None = None) -> str:
    """Return the container engine that answers. ``KIND_EXPERIMENTAL_PROVIDER`` narrows the choice, as it does kind's.

    Raises:
        ToolError: none answers; names each and why.
    """
    chosen = os.environ.get("KIND_EXPERIMENTAL_PROVIDER")
    tried = []
    for engine in (chosen,) if chosen else ENGINES:
        reason = _why_not(engine, search_path)
        if reason is None:
            return engine
        tried.append(f"tried {engine}: {reason}")
    raise ToolError(
        "kind needs a container engine, and none answers on this machine",
        hint="start docker, podman or nerdctl, or use the embedded cluster, which needs none: --on sim",
        detail=tried,
    )


def create(name: str, *, on_progress: Progress = quiet, settings: ToolSettings | None = None) -> ClusterHandle:
    """Return a cluster of that name, made where there is none.

    Raises:
        InvalidInput: the name is no name.
        ToolError: no container engine answers, or kind can neither be found nor made.
        OperationError: kind fails; carries its last lines.
    """
    check_name(name)
    engine = find_engine()
    binary = find("kind", settings=settings, on_progress=on_progress).path
    if name not in _names(binary, engine):
        on_progress(f"kind:{name}: creating with {engine}")
        file = kubeconfig_file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        arguments = ["create", "cluster", "--name", name, "--kubeconfig", str(file), "--wait", "120s"]
        _run(binary, engine, arguments, KIND_CREATE_TIMEOUT_S)
    return _handle(binary, engine, name)


def connect(name: str, *, settings: ToolSettings | None = None) -> ClusterHandle:
    """Return the handle of a cluster that is there.

    Raises:
        NotFound: there is none of that name.
        ToolError: no container engine answers.
    """
    engine = find_engine()
    binary = find("kind", settings=settings).path
    names = _names(binary, engine)
    if name not in names:
        there = f"clusters there: {', '.join(f'kind:{n}' for n in names)}; " if names else ""
        hint = f"{there}make it: sparkrig cluster create --on kind:{name}"
        raise NotFound(f"there is no kind cluster {name!r} on this machine", hint=hint)
    return _handle(binary, engine, name)


def list_clusters(*, settings: ToolSettings | None = None) -> tuple[ClusterInfo, ...]:
    """Return kind's clusters; none where no container engine answers, for then none can run."""
    try:
        engine = find_engine()
        binary = find("kind", settings=settings, install=False).path
    except ToolError:
        return ()
    return tuple(ClusterInfo("kind", n, "running", kubeconfig=kubeconfig_file(n)) for n in _names(binary, engine))


def delete(name: str, *, settings: ToolSettings | None = None) -> bool:
    """Delete the cluster; False when there was none. Raises what ``connect`` raises."""
    check_name(name)
    engine = find_engine()
    binary = find("kind", settings=settings).path
    there = name in _names(binary, engine)
    if there:
        arguments = ["delete", "cluster", "--name", name, "--kubeconfig", str(kubeconfig_file(name))]
        _run(binary, engine, arguments, KIND_CREATE_TIMEOUT_S)
    kubeconfig_file(name).unlink(missing_ok=True)
    return there


def kubeconfig_file(name: str) -> Path:
    """Return the place of the kubeconfig that we keep for a cluster."""
    return state_dir() / "kind" / f"{name}.yaml"


def _handle(binary: Path, engine: str, name: str) -> ClusterHandle:
    file = kubeconfig_file(name)
    if not file.is_file():  # made by hand, or on another day with another state folder
        text = _run(binary, engine, ["get", "kubeconfig", "--name", name], KIND_QUERY_TIMEOUT_S)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
    return ClusterHandle("kind", name, file, f"kind-{name}")


def _names(binary: Path, engine: str) -> list[str]:
    return _run(binary, engine, ["get", "clusters", "--quiet"], KIND_QUERY_TIMEOUT_S).split()


def _run(binary: Path, engine: str, arguments: Sequence[str], timeout_s: float) -> str:
    environment = {**os.environ, "KIND_EXPERIMENTAL_PROVIDER": engine}
    what = f"kind {' '.join(arguments[:2])}"
    try:
        done = subprocess.run(
            [binary, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OperationError(f"{what} took longer than {timeout_s:.0f} s") from None
    if done.returncode:
        raise OperationError(f"{what} failed (exit {done.returncode})", detail=done.stderr.splitlines()[-LAST_LINES:])
    return done.stdout


def _why_not(engine: str, search_path: str | None) -> str | None:
    program = shutil.which(engine, path=search_path)
    if program is None:
        return "not on PATH"
    try:
        done = subprocess.run(
            [program, "info"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=KIND_ENGINE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{program} info gave no answer in {KIND_ENGINE_TIMEOUT_S:.0f} s"
    except OSError as error:
        return f"{program} does not run: {error.strerror}"
    if done.returncode == 0:
        return None
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return f"{program} info failed: {lines[-1] if lines else f'exit {done.returncode}'}"
