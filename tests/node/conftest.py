"""Nodes for tests. Where this machine cannot run one, every test here is skipped, and says why: not run, not passed."""

from __future__ import annotations

import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from tests.node import diagnosis, lifecycle
from tests.node.e2e import ARTEFACTS_VARIABLE, NODE_VARIABLE
from tests.node.kubectl import Kubectl
from tests.node.needs import lacks
from tests.node.settings import Node

from sparkrig import tools

OURS = pytest.StashKey[Node]()
"""The node that most tests share, once it is there."""
TEST_S = 1800
STATE = os.environ.get("SPARKRIG_STATE_DIR")
"""The person's own, before the tests get theirs: where a node is that was made before them."""


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for what a person looks at afterwards, e.g. screenshots; ``make e2e`` keeps it."""
    named = os.environ.get(ARTEFACTS_VARIABLE)
    return Path(named) if named else tmp_path_factory.mktemp("artefacts")


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
    seconds: float | None
    """None: it was there before the tests."""
    busy: bool
    """Others kept the machine's CPUs busy meanwhile, so that the seconds say nothing."""


@pytest.fixture(scope="session")
def shared(
    able: None, artefacts: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shared]:
    given = os.environ.get(NODE_VARIABLE)
    name = given or f"t{uuid.uuid4().hex[:6]}"
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    base = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        if given:
            patch.delenv("SPARKRIG_STATE_DIR") if STATE is None else patch.setenv("SPARKRIG_STATE_DIR", STATE)
        try:
            node, seconds, busy = started(name, base.parent if worker else base)
            request.session.stash[OURS] = node
            yield Shared(node, None if given else seconds, busy)
            for folder, logs in (("node", node.logs), ("control-plane", node.kwok / "logs")):
                shutil.copytree(logs, artefacts / "logs" / worker / folder, dirs_exist_ok=True)
        finally:
            if not given:
                lifecycle.down(name, print)


def started(name: str, folder: Path) -> tuple[Node, float, bool]:
    """The node, ready; the seconds that took; whether others kept the machine's CPUs busy meanwhile.

    The nodes of a run, which has that folder for all its workers, start one after the other; beside each but the first
    there are tests of another worker.
    """
    with FileLock(folder / "nodes.lock"):
        first = not (mark := folder / "a-node-was-started").exists()
        mark.touch()
        began, load = time.monotonic(), os.getloadavg()[0]
        node = lifecycle.up(name, print)
        return node, time.monotonic() - began, not first or load > (os.cpu_count() or 1)


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


LONGEST_FIRST = (
    "test_platform",
    "test_spark_operator",
    "test_spark",
    "test_monitoring",
    "test_hub",
    "test_triton",
    "test_leaves_nothing",
    "test_ingress",
)
"""Files in the order in which workers take them, so that none waits at the end for one that began late."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = str(Path(__file__).parent)
    if os.environ.get("PYTEST_XDIST_WORKER"):
        places = {name: place for place, name in enumerate(LONGEST_FIRST)}
        items.sort(key=lambda item: places.get(item.path.stem, len(places)))
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.node)
            # Stacks of whole programs: each wait has a deadline of its own, which says more than this one.
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(TEST_S))
            # Beside other tests: one node at a time. ``make e2e`` has several, and hands out whole files to them.
            item.add_marker(pytest.mark.xdist_group("node"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failed test's report says what the node's cluster was like; ``make e2e`` keeps it as a file too."""
    report: Any = yield
    node = item.session.stash.get(OURS, None)
    if report.failed and node is not None:
        seen = diagnosis.describe(tools.find("kubectl").path, node.kubeconfig)
        report.sections.append((f"the cluster when {item.name} failed ({report.when})", seen))
        if os.environ.get(ARTEFACTS_VARIABLE):
            folder = Path(os.environ[ARTEFACTS_VARIABLE]) / "failures"
            folder.mkdir(parents=True, exist_ok=True)
            name = re.sub(r"[^\w.-]+", "-", f"{item.nodeid.rpartition('/')[2]}-{report.when}")
            (folder / f"{name}.txt").write_text(f"{report.longreprtext}\n\n{seen}\n", encoding="utf-8")
    return report
