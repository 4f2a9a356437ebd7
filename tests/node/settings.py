"""One node: its name, its place on disk, its addresses; and every timeout with its reason. Runs nothing."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

from sparkrig.tools import state_dir

HERE = Path(__file__).parent

READY_TIMEOUT_S = 180.0
"""A node is ready in half a minute on two idle cores; on the same two cores under load it was seen to take 100 s."""
START_TIMEOUT_S = 60.0
"""Until one program answers."""
END_TIMEOUT_S = 30.0
"""The kernel ends some hundred processes and their mounts in a second; busy disks make it longer."""
IMPORT_TIMEOUT_S = 600.0
"""The largest image is over a gigabyte."""
POLL_S = 0.1

NODES = 64
"""How many may live on one machine: 198.19.0.0/16 is cut into that many."""

HOST_NAME = "node"
CGROUP_PREFIX = "sparkrig-node-"


@dataclass(frozen=True, slots=True)
class Node:
    """One node of this machine."""

    name: str
    index: int
    """Which part of 198.19.0.0/16 it has, and the number in its link's name. The range is for benchmarks (RFC 2544):
    no network that the machine is on has it, and nothing outside routes it."""
    gpus: int = 2

    @property
    def folder(self) -> Path:
        """Everything the node keeps: logs, data, configuration, keys."""
        return folder_of(self.name)

    @property
    def link(self) -> str:
        """The outer end of the veth pair; a link's name has at most 15 characters."""
        return f"sparkrig{self.index}"

    @property
    def cgroup(self) -> str:
        """The cgroup all of its processes and pods are in, below the root of every hierarchy."""
        return cgroup_of(self.name)

    @property
    def network(self) -> str:
        """All of the node's addresses; the machine routes it to the node."""
        return f"198.19.{self._third}.0/22"

    @property
    def host_ip(self) -> str:
        """The machine's address on the link."""
        return f"198.19.{self._third}.1"

    @property
    def ip(self) -> str:
        """The node's address: the API server, node ports and host ports."""
        return f"198.19.{self._third}.2"

    @property
    def pods(self) -> str:
        """Addresses of pods."""
        return f"198.19.{self._third + 1}.0/24"

    @property
    def services(self) -> str:
        """Addresses of Services."""
        return f"198.19.{self._third + 2}.0/24"

    @property
    def api_service_ip(self) -> str:
        """The address of the Service ``kubernetes``."""
        return f"198.19.{self._third + 2}.1"

    @property
    def dns_ip(self) -> str:
        """The address of the cluster's DNS Service."""
        return f"198.19.{self._third + 2}.10"

    @property
    def lb_prefix(self) -> str:
        """The first three numbers of load balancers' addresses."""
        return f"198.19.{self._third + 3}"

    @property
    def server(self) -> str:
        """The API server's URL, for the machine and for pods."""
        return f"https://{self.ip}:6443"

    @property
    def context(self) -> str:
        """The context in the kubeconfig."""
        return f"node-{self.name}"

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig for the user; secret."""
        return self.folder / "kubeconfig.yaml"

    @property
    def logs(self) -> Path:
        """The log of every program, one a file."""
        return self.folder / "logs"

    @property
    def kwok(self) -> Path:
        """What kwokctl keeps for the control plane: data, keys, links to the binaries."""
        return self.folder / "kwok" / "clusters" / self.name

    @property
    def _third(self) -> int:
        return 4 * self.index


def home() -> Path:
    """The folder of all nodes of this machine."""
    return state_dir() / "node"


def folder_of(name: str) -> Path:
    """The folder of the node of that name."""
    return home() / name


def cgroup_of(name: str) -> str:
    """The cgroup of the node of that name, as a name below the root of a hierarchy.

    With a digest of the folder: two people, or two test runs, may each have a node of the same name.
    """
    return f"{CGROUP_PREFIX}{name}-{zlib.crc32(str(folder_of(name)).encode()):08x}"


def read(name: str) -> Node | None:
    """The node as it was made, or None; also None when the record is cut off, as by a full disk."""
    try:
        return Node(**json.loads((folder_of(name) / "record.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write(node: Node) -> None:
    """Remember a node; the file is replaced whole."""
    draft = node.folder / "record.new"
    draft.write_text(json.dumps(asdict(node)) + "\n", encoding="utf-8")
    draft.replace(node.folder / "record.json")


def known() -> tuple[str, ...]:
    """The names of all nodes that have a folder."""
    return tuple(sorted(f.name for f in home().glob("*") if f.is_dir() and (f / "logs").is_dir()))
