"""Asking a Triton server, and looking at its pods."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.node.kubectl import WAIT_S, Kubectl, pod, toolbox, until
from tests.node.load import Load

SERVERS = "app.kubernetes.io/component=server"
REQUEST_S = 30
"""Of one request: far above the slowest seen (docs/node.md), so that only what is lost counts."""


def pods(triton: Kubectl, label: str = "", *, ending: bool = False) -> list[dict[str, Any]]:
    """The pods with this label (every pod of the release by default); with ``ending`` those being deleted too."""
    found = triton.get("pods", "-l", label or "app.kubernetes.io/instance=triton")["items"]
    return [pod for pod in found if ending or "deletionTimestamp" not in pod["metadata"]]


def lives(triton: Kubectl, label: str = "", *, ending: bool = False) -> dict[str, int]:
    """UID of each pod -> how often its containers were restarted."""
    return {
        pod["metadata"]["uid"]: sum(c["restartCount"] for c in pod["status"].get("containerStatuses", []))
        for pod in pods(triton, label, ending=ending)
    }


def url(pod: dict[str, Any]) -> str:
    return f"http://{pod['status'].get('podIP', '')}:8000"


def addresses(triton: Kubectl) -> tuple[str, ...]:
    return tuple(sorted(url(pod) for pod in pods(triton, SERVERS)))


def ready(triton: Kubectl) -> set[str]:
    """The servers that the Service sends requests to."""
    slices = triton.get("endpointslices", "-l", "kubernetes.io/service-name=triton")["items"]
    found = [e for s in slices for e in s["endpoints"] or []]
    return {f"http://{e['addresses'][0]}:8000" for e in found if e["conditions"].get("ready")}


def service(triton: Kubectl, name: str = "triton", port: int = 8000) -> str:
    """The URL of a Service; this machine is routed to it."""
    return f"http://{triton.get('service', name)['spec']['clusterIP']}:{port}"


def asked(triton: Kubectl) -> Load:
    """A load through the Service; each request is a connection of its own, and its numbers are looked at."""
    address = service(triton)

    def ask() -> None:
        got = infer(address, [1, 2.5, -3], [10, 0.5, 3])
        assert got == [11, 3, 0], got

    return Load(ask)


def follow(triton: Kubectl, gone: str = "") -> None:
    """Wait until kube-proxy has followed the endpoints, which it does within a second or two.

    It chooses a pod by chance: one of two that does not answer is not missed forty times in a row. A pod that was
    deleted at once is gone before its process is: ``gone``, the URL of such a server, must have ended first, or its
    last answers would be taken for those of the others.
    """
    if gone:
        until("its process has ended", lambda: not listens(gone))
    address = service(triton)

    def right() -> bool:
        try:
            return all(infer(address, [1], [n]) == [n + 1] for n in range(40))
        except OSError:
            return False

    until("the Service leaves it out", right)


def listens(address: str) -> bool:
    """Tell whether anybody accepts connections there; where a pod was, nobody may answer at all."""
    host, _, port = address.removeprefix("http://").partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def infer(address: str, a: list[float], b: list[float], host: str = "") -> list[float]:
    """What the model ``sample`` answers; asked under the name ``host``, where an Ingress serves several."""
    return compute(address, "sample", {"A": a, "B": b}, host)


def compute(address: str, model: str, inputs: Mapping[str, Sequence[float]], host: str = "") -> list[float]:
    """What a model of vectors answers: its only output, as long as its inputs."""
    tensors = [{"name": n, "shape": [len(data)], "datatype": "FP32", "data": data} for n, data in inputs.items()]
    answer = post(f"{address}/v2/models/{model}/infer", {"inputs": tensors}, host)
    (output,) = answer["outputs"]
    assert output["shape"] == tensors[0]["shape"]
    return list(output["data"])


def grpc_answer(kubectl: Kubectl, address: str, host: str, model: str, numbers: Sequence[float]) -> dict[str, Any]:
    """What NVIDIA's client hears over gRPC in a pod of kubectl's namespace; see ``grpc_client.py``."""
    kubectl.apply(pod("client", toolbox("client", {"image": "sparkrig.test/triton-client:1"})))
    kubectl("wait", "--for=condition=Ready", "pod/client", f"--timeout={WAIT_S}s")
    script = (Path(__file__).parent / "grpc_client.py").read_text(encoding="utf-8")
    ask = ("exec", "-i", "client", "--", "python3", "-", address, host, model, *map(str, numbers))
    try:
        return dict(json.loads(kubectl(*ask, given=script)))
    finally:
        kubectl("delete", "pod", "client")


def post(address: str, body: object, host: str = "") -> Any:
    headers = {"Content-Type": "application/json", **({"Host": host} if host else {})}
    request = urllib.request.Request(address, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=REQUEST_S) as answer:
        return json.loads(answer.read() or b"null")


def fetch(address: str) -> int:
    """The status of a GET."""
    try:
        with urllib.request.urlopen(address, timeout=REQUEST_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
