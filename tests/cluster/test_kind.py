"""The provider ``kind`` on a real container engine. Where none answers these tests are skipped, and say why.

``.github/workflows/kind.yml`` runs them with ``SPARKRIG_REQUIRE_KIND=1``, which makes a missing engine a failure.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.mini import World

from sparkrig.clusters import kind
from sparkrig.errors import NotFound, ToolError
from sparkrig.kube.client import KubeApi
from sparkrig.models.cluster import ClusterHandle

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def cluster(environment: Path) -> Iterator[ClusterHandle]:
    try:
        kind.find_engine()
    except ToolError as error:
        reason = "; ".join([error.message, *error.detail])
        if os.environ.get("SPARKRIG_REQUIRE_KIND"):
            pytest.fail(reason)
        pytest.skip(reason)
    name = f"test-{uuid.uuid4().hex[:6]}"
    try:
        yield kind.create(name)
    finally:
        kind.delete(name)


def test_a_cluster_of_real_pods(cluster: ClusterHandle) -> None:
    api = KubeApi(cluster)
    try:
        assert api.version()
        (node,) = api.list("/api/v1/nodes")
        assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://")
    finally:
        api.close()
    assert not cluster.simulated
    assert cluster.kubeconfig is not None
    assert cluster.kubeconfig.stat().st_mode & 0o077 == 0


def test_it_is_made_once_and_found_again(cluster: ClusterHandle) -> None:
    assert kind.create(cluster.name) == cluster
    assert cluster.kubeconfig is not None
    cluster.kubeconfig.unlink()  # another machine's state folder, or a cluster that was made by hand
    assert kind.connect(cluster.name) == cluster
    assert cluster.kubeconfig.is_file()
    assert cluster.name in [info.name for info in kind.list_clusters()]
    with pytest.raises(NotFound, match="there is no kind cluster"):
        kind.connect(f"{cluster.name}-not")


def test_a_stack_goes_up_and_down(cluster: ClusterHandle, tmp_path: Path) -> None:
    world = World(tmp_path, f"kind:{cluster.name}")
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {a: b}\n"
    world.component("settings", templates={"c.yaml": config})
    world.write_stack()
    done = world.run("up", "--yes", timeout_s=600)
    assert done.code == 0, done.out + done.err
    status = world.run("status", "--output", "json")
    assert (status.code, status.json["simulated"]) == (0, False)
    assert world.run("doctor", timeout_s=600).code == 0
    assert world.run("down", "--yes", timeout_s=600).code == 0
