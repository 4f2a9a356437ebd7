"""The component triton on real pods: the CPU server computes, and goes on answering while the stack changes."""

from __future__ import annotations

import urllib.error
from collections.abc import Iterator
from typing import Any

import pytest
from tests.node.conftest import Shared
from tests.node.kubectl import Kubectl, until
from tests.node.serving import SERVERS, addresses, asked, fetch, follow, infer, lives, pods, post, ready, service, url
from tests.node.stacks import NodeStack, furnished

from sparkrig import tools

# Two pods; explicit, so that models can be unloaded. On CPU: the pretend GPUs would not suffice for the pod more
# that an upgrade needs.
VALUES: dict[str, Any] = {"replicas": 2, "gpu": {"enabled": False}, "server": {"modelControlMode": "explicit"}}


@pytest.fixture(scope="module")
def stack(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeStack]:
    """The stack as it was first deployed, for all tests of this file."""
    furnished(shared.node, ("python", "triton"))
    made = NodeStack(tmp_path_factory.mktemp("serving"), shared.node, "serving")
    made.write({"triton": VALUES})
    made.up()
    yield made
    gone = made.run("down", "--yes", "--purge", "all")
    assert gone.code == 0, gone.out + gone.err


@pytest.fixture
def triton(stack: NodeStack, shared: Shared) -> Kubectl:
    """kubectl in the component's namespace."""
    return Kubectl(tools.find("kubectl").path, shared.node.kubeconfig, "triton")


def test_every_check_passes(stack: NodeStack, triton: Kubectl) -> None:
    for pod in pods(triton):
        assert {c["type"]: c["status"] for c in pod["status"]["conditions"]}["Ready"] == "True"
    done = stack.run("verify", "--deep", "--output", "json")
    assert done.code == 0, done.out + done.err
    assert done.json["simulated"] is False
    found = {c["name"]: (c["status"], c["message"]) for c in done.json["checks"]}
    # What it skips is known by name: there is no Ingress here.
    assert {name for name, (status, _) in found.items() if status != "pass"} == {"ingress"}
    assert found["sample"] == ("pass", "sample computes C right")
    assert found["models"] == ("pass", "sample is ready")


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [([1, 2.5, -3], [10, 0.5, 3], [11, 3, 0]), ([0.1], [0.2], [0.3]), ([], [], []), ([1e30, -1], [1e30, 1], [2e30, 0])],
)
def test_the_service_computes(triton: Kubectl, a: list[float], b: list[float], expected: list[float]) -> None:
    answer = infer(service(triton), a, b)
    assert answer == pytest.approx(expected, rel=1e-6)


def test_a_wrong_request_is_refused_with_its_reason(triton: Kubectl) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        infer(service(triton), [1, 2], [1])
    assert "they must be the same" in caught.value.read().decode()


def test_the_client_reaches_the_server_by_its_name(triton: Kubectl) -> None:
    """From pod to pod: cluster DNS, the Service, the program that the chart carries."""
    done = triton("exec", "deployment/triton-client", "--", "python3", "/app/client.py", "send", "--count", "10")
    assert "sample" in done


def test_a_second_up_restarts_no_pod(stack: NodeStack, triton: Kubectl) -> None:
    before = lives(triton)
    assert "nothing to do" in (done := stack.up()).out + done.err
    assert lives(triton) == before


def test_a_rolling_upgrade_under_load_loses_no_request(stack: NodeStack, triton: Kubectl, record_property: Any) -> None:
    before = lives(triton, SERVERS)
    with asked(triton) as load:
        until("requests are answered", lambda: load.answered > 20)
        stack.up("--set", "triton.podAnnotations.change=again")
        replaced = lives(triton, SERVERS)
        # What `up` leaves behind it still drains; the last pod of before is the one that could lose something.
        until("the pods of before are gone", lambda: not set(lives(triton, SERVERS, ending=True)) & set(before))
    record_property("load-of-rolling-upgrade", str(load))
    assert len(replaced) == 2
    assert not set(replaced) & set(before)
    assert load.failures == []
    assert load.answered > 200
    stack.up()


def test_a_wrong_image_is_noticed_and_taken_back_under_load(
    stack: NodeStack, triton: Kubectl, record_property: Any
) -> None:
    before = lives(triton)
    with asked(triton) as load:
        done = stack.run("up", "--yes", "--set", "triton.image.tag=26.13-py3")
        until("only the pods of before are left", lambda: lives(triton, ending=True) == before)
    record_property("load-of-wrong-image", str(load))
    said = done.out + done.err
    assert done.code == 6, said
    assert "ErrImagePull" in said or "ImagePullBackOff" in said
    assert "nvcr.io/nvidia/tritonserver:26.13-py3" in said
    # The very same pods, never restarted, have served all the time.
    assert load.failures == []
    assert load.answered > 200
    assert stack.run("verify", "--deep").code == 0


def test_a_pod_without_its_model_gets_no_requests(stack: NodeStack, triton: Kubectl) -> None:
    """The server's own word is not enough: it says ready without the model."""
    first, second = addresses(triton)
    post(f"{first}/v2/repository/models/sample/unload", {})
    try:
        until("the probe has taken it out", lambda: ready(triton) == {second})
        assert fetch(f"{first}/v2/health/ready") == 200
        follow(triton)
        with asked(triton) as load:
            until("requests are answered", lambda: load.answered > 200 or load.failures)
        assert load.failures == []
    finally:
        post(f"{first}/v2/repository/models/sample/load", {})
    until("it is back", lambda: ready(triton) == {first, second})


def test_an_unloaded_model_fails_the_check(stack: NodeStack, triton: Kubectl) -> None:
    both = addresses(triton)
    for address in both:
        post(f"{address}/v2/repository/models/sample/unload", {})
    try:
        # While a model unloads the server is not ready; the moment it is gone the server is.
        for address in both:
            until("the server says ready", lambda at=address: fetch(f"{at}/v2/health/ready") == 200)
        done = stack.run("verify", "--output", "json", "--only", "models", "--only", "sample")
        assert done.code == 1, done.out
        found = {c["name"]: c for c in done.json["checks"]}
        assert {name: check["status"] for name, check in found.items()} == {"models": "fail", "sample": "fail"}
        assert "sample" in found["models"]["message"]
        assert "logs" in found["models"]["hint"]
    finally:
        for address in both:
            post(f"{address}/v2/repository/models/sample/load", {})
    until("both are back", lambda: ready(triton) == set(both))
    assert stack.run("verify", "--deep").code == 0


def test_a_killed_pod_loses_nothing_once_readiness_has_noticed(stack: NodeStack, triton: Kubectl) -> None:
    victim = pods(triton, SERVERS)[0]
    triton("delete", "pod", victim["metadata"]["name"], "--grace-period=0", "--force")
    other = {url(p) for p in pods(triton, SERVERS)} & set(addresses(triton)) - {url(victim)}
    until("it is no endpoint", lambda: url(victim) not in ready(triton))
    follow(triton, gone=url(victim))
    with asked(triton) as load:
        until("another has taken its place", lambda: len(ready(triton)) == 2 or load.failures)
        until("requests are answered", lambda: load.answered > 200 or load.failures)
    assert load.failures == []
    assert other & ready(triton)
