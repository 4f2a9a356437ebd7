"""Nodes for tests. Where this machine cannot run one, every test here is skipped, and says why: not run, not passed."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.node import lifecycle
from tests.node.kubectl import Kubectl
from tests.node.needs import lacks
from tests.node.settings import Node

from sparkrig import tools


@pytest.fixture(scope="session")
def able(environment: Path) -> None:
    """Every binary and image is ready; what a node needs that this machine lacks skips the test."""
    reasons = lacks()
    if reasons:
        pytest.skip(f"not run: this machine cannot run a node: {'; '.join(reasons)}")
    lifecycle.prepare(print)


@pytest.fixture
def new_name(able: None) -> Iterator[Callable[[], str]]:
    """Gives names of nodes; whatever is there under them at the end is taken down."""
    names: list[str] = []

    def make() -> str:
        names.append(f"t{uuid.uuid4().hex[:6]}")
        return names[-1]

    yield make
    for name in names:
        lifecycle.down(name, print)


@dataclass(frozen=True)
class Shared:
    """The node that most tests share, and how long it took to be ready."""

    node: Node
    seconds: float
    busy: bool
    """Others kept the machine's CPUs busy meanwhile, so that the seconds say nothing."""


@pytest.fixture(scope="session")
def shared(able: None) -> Iterator[Shared]:
    name = f"t{uuid.uuid4().hex[:6]}"
    began, load = time.monotonic(), os.getloadavg()[0]
    try:
        node = lifecycle.up(name, print)
        seconds = time.monotonic() - began
        yield Shared(node, seconds, load > (os.cpu_count() or 1))
    finally:
        lifecycle.down(name, print)


@pytest.fixture
def node(shared: Shared) -> Node:
    return shared.node


@pytest.fixture
def kubectl(node: Node) -> Iterator[Kubectl]:
    """kubectl in a namespace of the test's own, which is deleted behind it."""
    made = Kubectl(tools.find("kubectl").path, node.kubeconfig, f"t{uuid.uuid4().hex[:6]}")
    made("create", "namespace", made.namespace)
    yield made
    made("delete", "namespace", made.namespace, "--wait=false")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = str(Path(__file__).parent)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.node)
            # One node at a time: several on two cores would measure each other.
            item.add_marker(pytest.mark.xdist_group("node"))
