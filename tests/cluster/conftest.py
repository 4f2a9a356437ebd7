"""Clusters for tests: a real API server, its pods simulated. One a session (and xdist worker) is shared."""

from __future__ import annotations

import itertools
import uuid
import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from tests.mini import World

from sparkrig import tools
from sparkrig.clusters import sim as provider
from sparkrig.kube.client import KubeApi
from sparkrig.models.cluster import ClusterHandle

NewSim = Callable[..., ClusterHandle]


@pytest.fixture(scope="session")
def sim(environment: Path) -> Iterator[ClusterHandle]:
    """The shared cluster: two CPU nodes, two with 8 GPUs each. Work in a namespace of your own."""
    name = f"test-{uuid.uuid4().hex[:6]}"
    try:
        yield provider.create(name)
    finally:
        provider.delete(name)


@pytest.fixture
def fresh_sim(environment: Path) -> Iterator[NewSim]:
    """Makes clusters of the test's own, four seconds each: ``fresh_sim(options)``. They are deleted behind it."""
    names: list[str] = []

    def make(options: provider.SimOptions | None = None) -> ClusterHandle:
        names.append(f"fresh-{uuid.uuid4().hex[:6]}")
        return provider.create(names[-1], options)

    yield make
    for name in names:
        provider.delete(name)


@pytest.fixture(scope="session")
def api(sim: ClusterHandle) -> Iterator[KubeApi]:
    """The API server of the shared cluster."""
    api = KubeApi(sim)
    yield api
    api.close()


@pytest.fixture
def namespace(api: KubeApi, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own in the shared cluster, deleted behind it (nobody waits for that)."""
    yield from _namespaces(api, request, 1)


@pytest.fixture
def new_namespace(api: KubeApi, request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Makes as many namespaces as the test asks for."""
    many = _namespaces(api, request, None)
    yield lambda: next(many)
    many.close()


@pytest.fixture(scope="session")
def helm() -> Path:
    """The helm binary, built when it is not there yet."""
    return tools.find("helm").path


@pytest.fixture
def world(sim: ClusterHandle, api: KubeApi, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """A stack of its own in the shared cluster, removed behind the test."""
    made = World(tmp_path, f"sim:{sim.name}", stack=f"t{zlib.crc32(request.node.name.encode())}")
    yield made
    made.run("down", "--yes")
    for item in api.list("/api/v1/namespaces", metadata_only=True):
        if item["metadata"]["name"].startswith(made.stack):
            api.delete(f"/api/v1/namespaces/{item['metadata']['name']}")


def _namespaces(api: KubeApi, request: pytest.FixtureRequest, count: int | None) -> Generator[str, None, None]:
    made: list[str] = []
    stem = request.node.originalname.removeprefix("test_").replace("_", "-").lower()[:30].strip("-")
    try:
        for _ in itertools.count() if count is None else range(count):
            made.append(f"{stem}-{uuid.uuid4().hex[:6]}")
            api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": made[-1]}})
            yield made[-1]
    finally:
        for name in made:
            api.delete(f"/api/v1/namespaces/{name}")
