"""node-down leaves nothing of a node on the machine, however the node or what started it came to its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from tests.node import footprint, lifecycle, spaces
from tests.node.kubectl import Kubectl, deployment, toolbox, until
from tests.node.settings import Node, folder_of

from sparkrig import tools

NewName = Callable[[], str]


@pytest.fixture
def name(new_name: NewName) -> str:
    return new_name()


@pytest.fixture
def unchanged(name: str) -> Iterator[None]:
    """Compares the machine before the test with the machine behind it."""
    before = footprint.look(name)
    yield
    assert before.differences(footprint.look(name)) == {}


def test_a_node_with_pods_leaves_nothing(name: str, unchanged: None) -> None:
    node = lifecycle.up(name, print)
    kubectl = Kubectl(tools.find("kubectl").path, node.kubeconfig, "default")
    # A host port makes rules of iptables, a Service those of nft.
    kubectl.apply(deployment("web", toolbox("web", {"ports": [{"containerPort": 80, "hostPort": 8080}]})))
    kubectl("expose", "deployment", "web")
    kubectl.ready("deployment/web")
    during = footprint.look(name)
    # A comparison that sees nothing of a living node would pass for ever.
    assert [f for f in ("cgroups", "links", "routes", "folders", "processes") if not _shows(during, f, node)] == []
    assert lifecycle.down(name, print)
    assert not lifecycle.down(name, print)


@pytest.mark.parametrize("reached", ["logs/init.log", "control-plane-made", "logs/kubelet.log", "gpus.json"])
def test_a_start_that_was_killed_leaves_nothing(name: str, unchanged: None, reached: str) -> None:
    process = start(name)
    until(f"the start has reached {reached}", (folder_of(name) / reached).exists)
    kill(process)
    assert lifecycle.down(name, print)


def test_a_start_that_was_killed_is_finished_by_the_next(name: str, unchanged: None) -> None:
    process = start(name)
    until("the control plane is there", (folder_of(name) / "control-plane-made").exists)
    kill(process)
    lifecycle.up(name, print)
    found = lifecycle.status(name)
    assert found is not None
    assert found.ok
    assert lifecycle.down(name, print)


def test_a_node_whose_process_one_was_killed_leaves_nothing(name: str, unchanged: None) -> None:
    node = lifecycle.up(name, print)
    pid = spaces.process_one(node.folder)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    # With its process 1 the whole node ends, without anybody's help.
    until("no process of it is left", lambda: not footprint.look(name).processes)
    assert lifecycle.down(name, print)


def test_a_node_without_its_record_leaves_nothing(name: str, unchanged: None) -> None:
    node = lifecycle.up(name, print)
    (node.folder / "record.json").write_text("{", encoding="utf-8")
    assert lifecycle.down(name, print)


def start(name: str) -> subprocess.Popen[bytes]:
    """``make node-up`` as a process group of its own."""
    return subprocess.Popen([sys.executable, "-m", "tests.node", "up", "--name", name], start_new_session=True)


def kill(process: subprocess.Popen[bytes]) -> None:
    """``kill -9`` of what starts a node, and of everything in its process group."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _shows(during: footprint.Footprint, field: str, node: Node) -> bool:
    text = repr(getattr(during, field))
    return any(word in text for word in (node.cgroup, node.link, str(node.folder)))
