"""Triton's models on real pods: kept on a volume, asked over gRPC, counted in metrics, slow to load, and cut off."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.node import loading, spaces
from tests.node.conftest import Shared
from tests.node.kubectl import Kubectl, until
from tests.node.serving import REQUEST_S, SERVERS, compute, fetch, grpc_answer, lives, pods, post, service
from tests.node.stacks import NodeStack, furnished

from sparkrig import tools

FILES = Path(__file__).parent / "models"
SLOW_S = 25
"""How long the slow model loads: many times what the probes below forgive."""
WEIGHTS = (3.0, -1.0)
KEPT, SLOW = (f"{SERVERS},sparkrig.dev/server=triton-{name}" for name in ("kept", "slow"))


def loaded_by(model: str, how: str, *weights: float) -> dict[str, Any]:
    """Values by which a container puts a model of ``tests/node/models`` into the volume."""
    files = {
        f"{model}/config.pbtxt": (FILES / "config.pbtxt").read_text(encoding="utf-8"),
        f"{model}/1/model.py": (FILES / f"{model}.py").read_text(encoding="utf-8"),
        f"{model}/1/weights.json": json.dumps(weights),
    }
    script = (
        "import json, os, pathlib\n"
        "for name, text in json.loads(os.environ['FILES']).items():\n"
        "    path = pathlib.Path(os.environ['MODEL_REPOSITORY'], name)\n"
        "    path.parent.mkdir(parents=True, exist_ok=True)\n"
        "    path.write_text(text)\n"
    )
    return {
        "as": how,
        "image": {"repository": "library/python", "tag": "3.13-slim"},
        "command": ["python3", "-c", script],
        "env": [{"name": "FILES", "value": json.dumps(files)}],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}},
    }


VALUES: dict[str, Any] = {
    "gpu": {"enabled": False},
    "sampleModel": {"enabled": False},
    "client": {"enabled": False},
    "resources": {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}},
    "servers": [
        {
            "name": "kept",
            "server": {"requiredModels": ["affine"]},
            "modelRepository": {
                "type": "claim",
                "claim": {"size": "100Mi"},
                "load": loaded_by("affine", "job", *WEIGHTS),
            },
        },
        {
            "name": "slow",
            "modelRepository": {"load": loaded_by("slow", "initContainer", SLOW_S)},
            "probes": {
                "startup": {"periodSeconds": 2, "failureThreshold": 150},
                "liveness": {"periodSeconds": 2, "failureThreshold": 2},
            },
        },
    ],
}


@pytest.fixture(scope="module")
def stack(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeStack]:
    furnished(shared.node, ("python", "triton", "triton-client"))
    made = NodeStack(tmp_path_factory.mktemp("models"), shared.node, "models")
    made.write({"triton": VALUES})
    made.up()
    yield made
    gone = made.run("down", "--yes", "--purge", "all")
    assert gone.code == 0, gone.out + gone.err


@pytest.fixture
def triton(stack: NodeStack, shared: Shared) -> Kubectl:
    """kubectl in the component's namespace."""
    return Kubectl(tools.find("kubectl").path, shared.node.kubeconfig, "triton")


def test_a_model_comes_from_a_volume_that_a_job_has_filled(stack: NodeStack, triton: Kubectl) -> None:
    claim = triton.get("pvc", "triton-kept-models")
    assert claim["status"]["phase"] == "Bound"
    (job,) = triton.get("jobs")["items"]
    assert job["status"]["succeeded"] == 1
    assert compute(service(triton, "triton-kept"), "affine", {"A": [0, 1, 2.5]}) == [-1, 2, 6.5]
    done = stack.run("verify", "--deep", "--output", "json")
    assert done.code == 0, done.out + done.err
    found = {c["name"]: c["status"] for c in done.json["checks"]}
    assert found["models"] == "pass"


def test_what_is_on_the_volume_outlives_its_pod(stack: NodeStack, triton: Kubectl) -> None:
    """The Job does not run again: the next pod reads what a person has changed meanwhile."""
    (first,) = pods(triton, KEPT)
    script = "import json; json.dump([10, 1], open('/models/affine/1/weights.json', 'w'))"
    triton("exec", first["metadata"]["name"], "-c", "triton", "--", "python3", "-c", script)
    triton("delete", "pod", first["metadata"]["name"], "--grace-period=1")
    triton.ready("deployment/triton-kept")
    assert compute(service(triton, "triton-kept"), "affine", {"A": [1, 2]}) == [11, 21]
    assert len(triton.get("jobs")["items"]) == 1


def test_inference_over_grpc_through_the_service(triton: Kubectl, kubectl: Kubectl) -> None:
    """NVIDIA's client, in a pod of another namespace, by the Service's name."""
    expected = compute(service(triton, "triton-kept"), "affine", {"A": [0.5, -2, 1e6]})
    answer = grpc_answer(kubectl, "triton-kept.triton:8001", "triton-kept.triton", "affine", [0.5, -2, 1e6])
    assert answer["live"] is answer["ready"] is True
    assert answer["output"] == pytest.approx(expected)
    assert answer["refused"].startswith("[StatusCode.INVALID_ARGUMENT]")
    assert answer["unknown"].startswith("[StatusCode.NOT_FOUND]")


def test_metrics_count_what_was_asked(triton: Kubectl) -> None:
    address, metrics = service(triton, "triton-kept"), service(triton, "triton-kept-metrics", 8002)
    before = counted(metrics)
    for n in range(7):
        assert compute(address, "affine", {"A": [n]})
    with pytest.raises(urllib.error.HTTPError):
        post(f"{address}/v2/models/affine/infer", {"inputs": []})
    after = counted(metrics)
    assert after["nv_inference_request_success"] - before["nv_inference_request_success"] == 7
    assert after["nv_inference_count"] - before["nv_inference_count"] == 7
    assert after["nv_inference_exec_count"] - before["nv_inference_exec_count"] == 7
    for duration in ("request", "queue", "compute_infer"):
        name = f"nv_inference_{duration}_duration_us"
        assert after[name] >= before[name]
    assert after["nv_inference_request_duration_us"] > before["nv_inference_request_duration_us"]


def test_a_model_that_loads_slowly_is_not_killed(triton: Kubectl) -> None:
    """What liveness forgives is over long before; the startup probe holds it back."""
    (before,) = pods(triton, SLOW)
    triton("delete", "pod", before["metadata"]["name"], "--grace-period=1")

    def container() -> dict[str, Any]:
        found = pods(triton, SLOW)
        return next(iter(found[0]["status"].get("containerStatuses", [])), {}) if found else {}

    until(
        "its server runs, and is not started",
        lambda: "running" in (s := container()).get("state", {}) and not s["started"],
    )
    triton.ready("deployment/triton-slow")
    (after,) = pods(triton, SLOW)
    assert list(lives(triton, SLOW).values()) == [0]
    log = triton("logs", after["metadata"]["name"], "-c", "triton")
    took = re.search(r"slow: initialized in ([\d.]+) s", log)
    assert took, log
    assert float(took[1]) >= SLOW_S
    probed = triton.get("events", "--field-selector", f"involvedObject.name={after['metadata']['name']}")["items"]
    assert any(e["reason"] == "Unhealthy" and "Startup probe failed" in e["message"] for e in probed)
    assert not any(e["reason"] == "Killing" for e in probed)
    assert compute(service(triton, "triton-slow"), "slow", {"A": [4]}) == [4]


def test_a_port_that_is_cut_off_fails_the_check(stack: NodeStack, triton: Kubectl, shared: Shared) -> None:
    """Packets to the server are dropped in its pod; the process is well, and everything else too."""
    (only,) = pods(triton, KEPT)
    (container,) = only["status"]["containerStatuses"]
    tasks = loading.ctr(shared.node, "tasks", "ls").splitlines()
    number = next(line.split()[1] for line in tasks if line.split()[0] in container["containerID"])
    inside = ("nsenter", "--target", number, "--net")
    chain = "add table inet cut; add chain inet cut in { type filter hook input priority 0; }"
    rule = f"{chain}; add rule inet cut in tcp dport 8000 drop"
    spaces.run(shared.node, *inside, "nft", rule)
    try:
        done = stack.run("verify", "--output", "json", "--only", "ready", "--only", "models")
    finally:
        spaces.run(shared.node, *inside, "nft", "delete table inet cut")
    assert done.code == 1, done.out + done.err
    found = {c["name"]: c for c in done.json["checks"]}
    assert {name: check["status"] for name, check in found.items()} == {"ready": "fail", "models": "fail"}
    for check in found.values():
        assert "triton-kept" in check["message"]
        assert "kubectl -n triton logs" in check["hint"]
    triton.ready("deployment/triton-kept")
    until("it answers", lambda: fetch(f"{service(triton, 'triton-kept')}/v2/models/affine/ready") == 200)
    assert stack.run("verify", "--only", "ready", "--only", "models").code == 0


def counted(address: str) -> dict[str, float]:
    """Value of each series of the model ``affine``, by the metric's name; each has one series."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=REQUEST_S) as answer:
        text = answer.read().decode()
    assert re.search(r"^# TYPE nv_inference_request_success counter$", text, re.MULTILINE)
    found = re.findall(r'^(nv_\w+)\{model="affine",version="1"\} (\S+)$', text, re.MULTILINE)
    names = [name for name, _ in found]
    assert len(names) == len(set(names)), names
    return {name: float(value) for name, value in found}
