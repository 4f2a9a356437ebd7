"""One cluster with controllers for all modules here, and stacks on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.controllers.process import why_no_namespaces
from tests.controllers.site import Site, chosen, controllers
from tests.controllers.stacks import Stack, charts

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything that uses the cluster is one group, so that xdist's workers do not each start one."""
    for item in items:
        if HERE in item.path.parents and "site" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.xdist_group("controllers"))


@pytest.fixture(scope="session")
def site(environment: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """The cluster; skipped with the reason where processes cannot have namespaces.

    It runs the recipes that the chosen tests' modules name in ``RECIPES``.
    """
    reason = why_no_namespaces()
    if reason:
        pytest.skip(f"controllers cannot run here: {reason}")
    modules = {item.module for item in request.session.items if isinstance(item, pytest.Function)}
    names = sorted({name for module in modules for name in getattr(module, "RECIPES", ())})
    with controllers(chosen(names)) as site:
        yield site


@pytest.fixture(autouse=True)
def _harness_is_well(request: pytest.FixtureRequest) -> Iterator[None]:
    """A fault of the harness fails the test in which it was found; a failed test shows the programs' logs."""
    yield
    if "site" not in request.fixturenames or "site" not in request.node.funcargs:
        return
    site: Site = request.node.funcargs["site"]
    problems, site.kubelet.problems[:] = tuple(site.kubelet.problems), []
    assert not problems, "\n".join(problems) + site.logs()


@pytest.fixture(scope="module")
def stack(site: Site, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A stack for the module, removed with everything at its end."""
    name = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    made = Stack(tmp_path_factory.mktemp(name), site, name, charts())
    yield made
    if site.api.list("/api/v1/secrets", label_selector="owner=helm", metadata_only=True):
        made.good("down", "--yes", "--purge", "all")
