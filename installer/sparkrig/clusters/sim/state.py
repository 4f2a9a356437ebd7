"""What this machine remembers about its simulated clusters: options, ports, folders, one lock a cluster.

Layout below ``<state folder>/sim``: ``clusters/<name>/`` is kwokctl's (data, keys, logs, pids), ``records/<name>.json``
is ours, ``kubeconfigs/<name>.yaml`` is for the user, ``locks/``. All of it readable by its owner only.
"""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from sparkrig.defaults import SIM_LOCK_TIMEOUT_S
from sparkrig.errors import InvalidInput, OperationError
from sparkrig.models.problem import Problem, Severity
from sparkrig.tools import Progress, state_dir

PORT_NAMES = ("apiserver", "etcd", "etcd-peer", "controller-manager", "scheduler", "kwok")
PORT_RANGE = range(20000, 30000)
"""Below the NodePort range and below every system's range for outgoing connections, so that a cluster that is
stopped finds its ports free again."""


@dataclass(frozen=True, slots=True)
class SimOptions:
    """What a simulated cluster is made of."""

    cpu_nodes: int = 2
    gpu_nodes: int = 2
    gpus_per_node: int = 8
    webhooks: bool = False
    """Run admission webhooks. Simulated pods serve none, so each call to one would hang for ten seconds."""
    audit: bool = False
    """Have the API server write every request to ``logs/audit.log`` (metadata only); costs time."""
    stages: tuple[Path, ...] = ()
    """Files with further KWOK Stages; one with ``weight: 1`` or more is preferred to ours (see stages.yaml)."""
    egress: Path | None = None
    """Unix socket of an HTTP CONNECT proxy. The API server reaches everything inside the cluster through it: Services
    of webhooks and aggregated APIs, pods, kubelets. None: it dials their addresses, where nothing answers."""


@dataclass(frozen=True, slots=True)
class Record:
    """One simulated cluster as it was made."""

    name: str
    status: Literal["creating", "ready"]
    options: SimOptions
    kubernetes: str
    ports: Mapping[str, int]
    binaries: Mapping[str, str]
    """Tool name -> path of the binary that runs."""


def home() -> Path:
    """Return the folder of all simulated clusters; it is kwokctl's working directory."""
    return state_dir() / "sim"


def cluster_dir(name: str) -> Path:
    """Return the folder that kwokctl keeps for a cluster. Its processes carry this path in their arguments."""
    return home() / "clusters" / name


def kubeconfig_file(name: str) -> Path:
    """Return the place of the kubeconfig for the user; it exists while the cluster does."""
    return home() / "kubeconfigs" / f"{name}.yaml"


def check_name(name: str) -> None:
    """Refuse a name that could not be a folder and a part of other names.

    Raises:
        InvalidInput: it is not made of lower-case letters, digits and inner hyphens.
    """
    plain = name.replace("-", "a")
    if len(name) <= 40 and plain.isascii() and plain.isalnum() and name == name.strip("-").lower():
        return
    message = f"{name!r} cannot name a cluster: at most 40 lower-case letters, digits and inner hyphens are expected"
    raise InvalidInput([Problem(Severity.ERROR, "cluster-name", message, where="--on")], message)


def read_record(name: str) -> Record | None:
    """Return what is remembered of a cluster, or None."""
    file = _record_file(name)
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        options = raw.pop("options")
        options["stages"] = tuple(Path(p) for p in options["stages"])
        options["egress"] = Path(options["egress"]) if options.get("egress") else None
        return Record(**raw, options=SimOptions(**options))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        raise OperationError(
            f"{file} cannot be read; another version of sparkrig may have written it",
            hint=f"sparkrig cluster delete --on sim:{name}",
        ) from None


def write_record(record: Record) -> None:
    """Remember a cluster; the file is replaced whole."""
    file = _record_file(record.name)
    file.parent.mkdir(parents=True, exist_ok=True)
    raw = asdict(record)
    raw["options"]["stages"] = [str(p) for p in record.options.stages]
    raw["options"]["egress"] = str(record.options.egress) if record.options.egress else None
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(raw, indent=2) + "\n", encoding="utf-8")
    draft.replace(file)


def forget(name: str) -> None:
    """Remove the record and the kubeconfig."""
    _record_file(name).unlink(missing_ok=True)
    kubeconfig_file(name).unlink(missing_ok=True)


def known_names() -> tuple[str, ...]:
    """Return the names of all clusters, half-made ones included."""
    names = {file.stem for file in (home() / "records").glob("*.json")}
    names |= {folder.name for folder in (home() / "clusters").glob("*") if folder.is_dir()}
    return tuple(sorted(names))


@contextmanager
def locked(name: str, on_progress: Progress) -> Iterator[None]:
    """Hold the lock of one cluster; the system frees it when its holder dies."""
    from filelock import FileLock, Timeout

    folder = home() / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        home().chmod(0o700)  # keys and certificates lie below
    except OSError as error:
        hint = "SPARKRIG_STATE_DIR names another"
        raise OperationError(f"the state folder {home()} cannot be written: {error.strerror}", hint=hint) from None
    lock = FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_progress(f"sim:{name}: waiting for another run that works on it")
        try:
            lock.acquire(timeout=SIM_LOCK_TIMEOUT_S)
        except Timeout:
            raise OperationError(f"sim:{name} has been locked by another run for {SIM_LOCK_TIMEOUT_S:.0f} s") from None
    try:
        yield
    finally:
        lock.release()


def pick_ports(names: Sequence[str] = PORT_NAMES) -> dict[str, int]:
    """Choose ports on loopback that are free now and belong to no other simulated cluster, a stopped one included.

    They are chosen at random, so that two runs at once hardly meet; should they, the loser's component does not come
    up and ``create`` chooses again.
    """
    records = [_ports_of(name) for name in known_names()]
    taken = {port for ports in records for port in ports}
    chosen: dict[str, int] = {}
    with ExitStack() as held:
        for port in random.sample(PORT_RANGE, len(PORT_RANGE)):
            if len(chosen) == len(names):
                break
            if port in taken:
                continue
            probe = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            chosen[names[len(chosen)]] = port
    if len(chosen) < len(names):
        raise OperationError(f"no free ports on 127.0.0.1 between {PORT_RANGE.start} and {PORT_RANGE.stop - 1}")
    return chosen


def with_status(record: Record, status: Literal["creating", "ready"]) -> Record:
    """Return the record with another status."""
    return replace(record, status=status)


def _ports_of(name: str) -> tuple[int, ...]:
    try:
        record = read_record(name)
    except OperationError:
        return ()
    return tuple(record.ports.values()) if record else ()


def _record_file(name: str) -> Path:
    return home() / "records" / f"{name}.json"
