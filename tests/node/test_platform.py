"""The stack as one on real pods: up, up again, an upgrade that goes wrong in one component, down to nothing.

What a component does is shown in a file of its own; here all of them run side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.node import cgroups, controlplane
from tests.node.conftest import Shared
from tests.node.kubectl import Kubectl, until
from tests.node.load import Load
from tests.node.serving import grpc_answer, infer
from tests.node.settings import Node
from tests.node.stacks import NodeStack, furnished
from tests.snapshots import snapshot

from sparkrig import tools

pytestmark = pytest.mark.core

TRITON = "triton.sparkrig.test"
GONE_S = 300
SETTLED_S = 600


@dataclass(frozen=True)
class Part:
    """A component of the whole stack: the images it runs, and values that make it small."""

    component: str
    images: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    skips: tuple[str, ...] = ()
    """Checks that this cluster cannot answer."""


PARTS = (
    Part("traefik", ("traefik",), {"service": {"spec": {"type": "LoadBalancer"}}}),
    Part(
        "triton",
        ("triton", "python", "triton-client"),
        {"gpu": {"enabled": False}, "ingress": {"enabled": True, "host": TRITON, "grpc": {"enabled": True}}},
    ),
    Part(
        "spark-platform",
        ("spark",),
        {
            "historyServer": {"enabled": True, "resources": {"requests": {"cpu": "50m", "memory": "512Mi"}}},
            "sparkDefaults": {
                "eventLog": {
                    "enabled": True,
                    "dir": "file:///var/log/spark-events",
                    "volume": {"size": "1Gi", "accessModes": ["ReadWriteOnce"]},
                },
                "extra": {
                    "spark.kubernetes.driver.request.cores": "200m",
                    "spark.kubernetes.executor.request.cores": "200m",
                },
            },
        },
    ),
    Part(
        "cert-manager",
        ("cert-manager-controller", "cert-manager-webhook", "cert-manager-cainjector", "cert-manager-startupapicheck"),
    ),
    Part("spark-operator", ("spark-operator",)),
    Part(
        "spark-examples",
        (),
        # The pretend GPUs would switch the example for GPUs on.
        {"resources": {"executor": {"instances": 1}}, "pi": {"slices": 4}, "rapids": {"enabled": False}},
    ),
    Part(
        "jupyterhub",
        ("hub", "configurable-http-proxy", "notebook"),
        {
            "hub": {"config": {"Authenticator": {"allow_all": False, "allowed_users": ["ada"]}}},
            "singleuser": {"cpu": {"guarantee": 0.1}, "storage": {"capacity": "1Gi"}},
            "ingress": {"hosts": ["hub.sparkrig.test"]},
        },
    ),
    Part(
        "kube-prometheus-stack",
        (
            "prometheus",
            "alertmanager",
            "node-exporter",
            "prometheus-operator",
            "kube-state-metrics",
            "kube-webhook-certgen",
        ),
        {
            "grafana": {"enabled": False},  # not to be had
            "alertmanager": {"enabled": True},
            "prometheus": {"prometheusSpec": {"resources": {"requests": {"cpu": "50m", "memory": "200Mi"}}}},
        },
        ("grafana", "grafana-login", "ingress"),
    ),
    Part("monitoring"),
)


@dataclass(frozen=True)
class Platform:
    """The stack that is up, and what the cluster had before it."""

    stack: NodeStack
    before: frozenset[tuple[str, str, str, str]]


@pytest.fixture(scope="module")
def platform(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    furnished(shared.node, sorted({image for part in PARTS for image in part.images}))
    before = calm(shared.node)
    stack = NodeStack(tmp_path_factory.mktemp("platform"), shared.node, "platform")
    stack.write({part.component: part.values for part in PARTS})
    try:
        stack.up(*stack.charts)
        settle(stack, Kubectl(tools.find("kubectl").path, shared.node.kubeconfig, "spark-jobs"))
        yield Platform(stack, before)
    finally:
        # Of a stack that is gone by then nothing is left to do.
        stack.run("down", "--yes", "--purge", "all")


@pytest.fixture
def cluster(shared: Shared) -> Kubectl:
    return Kubectl(tools.find("kubectl").path, shared.node.kubeconfig, "default")


def test_every_pod_is_ready_and_every_check_passes(
    platform: Platform, cluster: Kubectl, shared: Shared, record_property: Any
) -> None:
    waiting = {
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']}": pod["status"]["phase"]
        for pod in cluster.get("pods", "-A")["items"]
        if pod["status"]["phase"] != "Succeeded" and not is_ready(pod)
    }
    assert waiting == {}
    done = platform.stack.run("verify", "--deep", "--output", "json")
    assert done.code == 0, done.out + done.err
    assert done.json["simulated"] is False
    odd = {
        (c["component"], c["name"]): (c["status"], c["message"]) for c in done.json["checks"] if c["status"] != "pass"
    }
    assert set(odd) == {(part.component, name) for part in PARTS for name in part.skips}, odd
    used = memory_of(shared.node)
    record_property("platform-memory-mb", round(used / 1e6))
    print(f"the node with {', '.join(p.component for p in PARTS)}: {used / 1e6:.0f} MB")


def test_a_second_up_restarts_no_pod(platform: Platform, cluster: Kubectl) -> None:
    before = lives(cluster)
    assert "nothing to do" in (done := platform.stack.up(*platform.stack.charts)).out + done.err
    assert lives(cluster) == before


def test_triton_is_asked_over_grpc_through_the_ingress(platform: Platform, cluster: Kubectl, kubectl: Kubectl) -> None:
    """HTTP/2 without TLS as far as the server; the route is the path of the protocol's service."""
    answer = grpc_answer(kubectl, f"{way_in(cluster)}:80", TRITON, "sample", [1, -2.5, 1e6])
    assert answer["live"] is answer["ready"] is True
    assert answer["output"] == [2, -5, 2e6]
    assert answer["unknown"].startswith("[StatusCode.NOT_FOUND]")


def test_a_wrong_image_in_one_component_brings_the_whole_stack_back(
    platform: Platform, cluster: Kubectl, record_property: Any
) -> None:
    """Two components change, and the image of one is not there. Who asks through the Ingress loses nothing."""
    stack, before = platform.stack, lives(cluster)
    assert quota_of_pods(cluster) != "7"
    with asked(cluster) as load:
        until("requests are answered", lambda: load.answered > 20 or load.failures)
        wrong = ("--set", "triton.image.tag=26.13-py3", "--set", "spark-platform.namespaceDefaults.quota.pods=7")
        done = stack.run("up", "--yes", *stack.charts, *wrong)
        until("only the pods of before are left", lambda: lives(cluster) == before)
    record_property("load-of-wrong-image-through-ingress", str(load))
    said = done.out + done.err
    assert done.code == 6, said
    assert "ErrImagePull" in said or "ImagePullBackOff" in said
    assert "nvcr.io/nvidia/tritonserver:26.13-py3" in said
    assert load.failures == []
    assert load.answered > 200
    assert quota_of_pods(cluster) != "7", "the component that was well is back too"
    # Prometheus goes on asking the pod that was taken back until it learns of that.
    until("every check passes", lambda: stack.run("verify", "--deep").code == 0, SETTLED_S)
    assert "nothing to do" in (again := stack.up(*stack.charts)).out + again.err


def test_down_with_purge_leaves_nothing(platform: Platform, shared: Shared) -> None:
    """Last in this file. Every object of every API is compared, CRDs and volumes among them."""
    api = controlplane.api_of(shared.node)
    try:
        brought = snapshot(api) - platform.before
        assert any(kind == "CustomResourceDefinition" for _, kind, _, _ in brought)
        assert any(kind == "PersistentVolume" for _, kind, _, _ in brought)
        done = platform.stack.run("down", "--yes", "--purge", "all")
        said = done.out + done.err
        assert done.code == 0, said
        until("volumes are gone too", lambda: not snapshot(api) - platform.before, GONE_S)
    finally:
        api.close()


def settle(stack: NodeStack, jobs: Kubectl) -> None:
    """Wait for what goes on behind an ``up``: jobs that run, and kubelet, which hands Prometheus what to scrape."""

    def ended() -> bool:
        found = [a.get("status", {}).get("applicationState", {}).get("state") for a in applications(jobs)]
        assert "FAILED" not in found
        return len(found) == 2 and set(found) == {"COMPLETED"}

    until("the examples have completed", ended, SETTLED_S)
    until(
        "Prometheus knows all monitors",
        lambda: stack.run("verify", "--deep", "--only", "monitors").code == 0,
        SETTLED_S,
    )


def applications(jobs: Kubectl) -> list[Mapping[str, Any]]:
    """The examples."""
    return list(jobs.get("sparkapplications")["items"])


def is_ready(pod: Mapping[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def lives(cluster: Kubectl) -> dict[str, tuple[str, int]]:
    """UID of each pod that has not ended -> its name, and how often its containers were restarted.

    Pods of checks are left out: the last `verify --deep` may still be removing its own.
    """
    return {
        pod["metadata"]["uid"]: (
            f"{pod['metadata']['namespace']}/{pod['metadata']['name']}",
            sum(c["restartCount"] for c in pod["status"].get("containerStatuses", [])),
        )
        for pod in cluster.get("pods", "-A")["items"]
        if pod["status"]["phase"] not in ("Succeeded", "Failed") and not pod["metadata"]["name"].startswith("check-")
    }


def quota_of_pods(cluster: Kubectl) -> str:
    (quota,) = cluster.get("resourcequota", "-n", "spark-jobs")["items"]
    return str(quota["spec"]["hard"]["pods"])


def way_in(cluster: Kubectl) -> str:
    """The address of the load balancer that Traefik has."""
    found = cluster.get("service", "-n", "traefik", "traefik")["status"]["loadBalancer"]["ingress"]
    return str(found[0]["ip"])


def asked(cluster: Kubectl) -> Load:
    """A load on Triton through the Ingress: Traefik's address, the host's name."""
    address = f"http://{way_in(cluster)}"

    def ask() -> None:
        got = infer(address, [1, 2.5, -3], [10, 0.5, 3], host=TRITON)
        assert got == [11, 3, 0], got

    return Load(ask)


def calm(node: Node) -> frozenset[tuple[str, str, str, str]]:
    """What the cluster holds once namespaces of tests before have gone."""
    api = controlplane.api_of(node)

    def ending() -> bool:
        return any(n["metadata"].get("deletionTimestamp") for n in api.list("/api/v1/namespaces"))

    try:
        until("namespaces of tests before are gone", lambda: not ending(), GONE_S)
        return frozenset(snapshot(api))
    finally:
        api.close()


def memory_of(node: Node) -> int:
    """Bytes of all programs and pods of the node that are no page cache."""
    (tree,) = (h for h in cgroups.hierarchies() if "memory" in h.controllers)
    lines = (tree.path / node.cgroup / "memory.stat").read_text(encoding="ascii").splitlines()
    found = dict(line.split() for line in lines)
    return int(found["total_rss" if tree.version == 1 else "anon"])
