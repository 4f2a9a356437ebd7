"""The component jupyterhub on real pods: a person in a browser works with a notebook that uses Spark and Triton."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.node.browser import Browser, browser
from tests.node.conftest import Shared
from tests.node.kubectl import Kubectl, until
from tests.node.stacks import NodeStack, furnished

from sparkrig import tools

pytestmark = pytest.mark.timeout(1200)
IMAGES = ("hub", "configurable-http-proxy", "notebook", "python", "spark", "triton", "traefik")
HOST = "hub.sparkrig.test"
USERS = "component=singleuser-server"
SPAWN_S = 240
"""A user's server from the click to its page: 15 s on two idle cores."""
SPARK = "sc://spark-platform-connect.spark-jobs.svc:15002"
TRITON = "triton.triton.svc:8000"
PROFILES = [
    {"display_name": "Plain", "slug": "plain", "default": True},
    {
        "display_name": "Spark",
        "slug": "spark",
        "description": "the work is done by the Connect server",
        "kubespawner_override": {"environment": {"SPARK_REMOTE": SPARK}},
    },
]
# Requests that fit the two cores of a small machine; one user is known, everybody else is not let in.
COMPONENTS: dict[str, dict[str, Any]] = {
    "traefik": {},
    "jupyterhub": {
        "hub": {"config": {"Authenticator": {"allow_all": False, "allowed_users": ["ada"]}}},
        "singleuser": {
            "cpu": {"guarantee": 0.1},
            "extraEnv": {"TRITON": TRITON},
            "profileList": PROFILES,
            "storage": {"capacity": "1Gi"},
        },
        "ingress": {"hosts": [HOST]},
    },
    "spark-platform": {
        "sparkDefaults": {"executor": {"memory": "512m"}, "extra": {"spark.kubernetes.executor.request.cores": "100m"}},
        "connect": {"enabled": True, "memory": "1g", "resources": {"requests": {"cpu": "100m", "memory": "1536Mi"}}},
    },
    "triton": {"gpu": {"enabled": False}, "client": {"enabled": False}},
}
WITH_SPARK = """
from pyspark.sql import SparkSession, functions as F
spark = SparkSession.builder.getOrCreate()
numbers = spark.range(1, 1001).groupBy((F.col("id") % 3).alias("rest")).agg(F.sum("id").alias("sum")).orderBy("rest")
print(numbers.toPandas().values.tolist())
"""
WITH_TRITON = """
import os, numpy, tritonclient.http as triton
client = triton.InferenceServerClient(os.environ["TRITON"])
given = {"A": [1.5, -2, 1e6], "B": [0.25, 2, 1]}
inputs = [triton.InferInput(name, [3], "FP32") for name in given]
for each in inputs:
    each.set_data_from_numpy(numpy.array(given[each.name()], dtype=numpy.float32))
print(client.infer("sample", inputs).as_numpy("C").tolist())
"""
KEEPS = """
from pathlib import Path
kept = Path("kept.txt")
print(kept.read_text() if kept.exists() else "new")
_ = kept.write_text("written before")
"""
SUMS = [[rest, sum(n for n in range(1, 1001) if n % 3 == rest)] for rest in range(3)]


@pytest.fixture(scope="module")
def stack(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeStack]:
    """The stack as it was first deployed, for all tests of this file."""
    furnished(shared.node, IMAGES)
    made = NodeStack(tmp_path_factory.mktemp("hub"), shared.node, "notebooks")
    made.write(COMPONENTS)
    made.up(*made.charts)
    yield made
    gone = made.run("down", "--yes", "--purge", "all")
    assert gone.code == 0, gone.out + gone.err


@pytest.fixture
def hub(stack: NodeStack, shared: Shared) -> Kubectl:
    """kubectl in the component's namespace."""
    return Kubectl(tools.find("kubectl").path, shared.node.kubeconfig, "jupyterhub")


@pytest.fixture(scope="module")
def ada(
    stack: NodeStack, shared: Shared, artefacts: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """The window of somebody who has logged in through the Ingress and started the server with Spark."""
    kubectl = Kubectl(tools.find("kubectl").path, shared.node.kubeconfig, "traefik")
    with browser(HOST, entrance(kubectl), tmp_path_factory.mktemp("profile"), artefacts) as window:
        window.log_in("ada")
        window.see("the list of profiles", "#kubespawner-profiles-list", "the work is done by the Connect server")
        window.picture("hub-profiles")
        start(window)
        yield window


def start(window: Browser) -> None:
    """From the list of profiles to JupyterLab."""
    window.press("the profile Spark", "#kubespawner-profiles-list label[for='profile-item-spark']")
    window.press("the button that starts", "#spawn_form [type='submit']")
    window.see("JupyterLab", "#jp-main-dock-panel")


def entrance(kubectl: Kubectl) -> str:
    """Where the ingress controller listens on port 80: its Service's address, which this machine reaches itself."""
    return str(kubectl.get("service", "traefik")["spec"]["clusterIP"])


def test_every_check_passes(stack: NodeStack) -> None:
    done = stack.run("verify", "--deep", "--output", "json")
    assert done.code == 0, done.out + done.err
    assert done.json["simulated"] is False
    found = {(c["component"], c["name"]): (c["status"], c["message"]) for c in done.json["checks"]}
    # What it skips is known by name: the stack file has switched them off, and there is no cert-manager.
    off = {("triton", "client"), ("triton", "ingress"), ("traefik", "certificate")}
    assert {key for key, (status, _) in found.items() if status != "pass"} == off
    assert found["jupyterhub", "hub"] == ("pass", "GET /hub/health: 200")
    assert found["jupyterhub", "spawning"] == ("pass", "jupyterhub/hub has the 12 rights that it needs")


def test_a_stranger_is_not_let_in(stack: NodeStack, ada: Browser, shared: Shared, tmp_path: Path) -> None:
    """The dummy authenticator takes any password; the values say whose."""
    kubectl = Kubectl(tools.find("kubectl").path, shared.node.kubeconfig, "traefik")
    with browser(HOST, entrance(kubectl), tmp_path, tmp_path) as window:
        window.log_in("mallory")
        window.see("a refusal", "body", "Invalid username or password")


def test_a_notebook_computes_with_spark_and_triton(ada: Browser, hub: Kubectl) -> None:
    ada.websockets()
    printed = work(ada, "work.ipynb", WITH_SPARK, WITH_TRITON, KEEPS)
    ada.picture("hub-notebook")
    assert printed == [str(SUMS), "[1.75, 0.0, 1000001.0]", "new"]
    # What the kernel says goes through Ingress and proxy as a WebSocket.
    kernels = {url: status for url, status in ada.websockets().items() if "/api/kernels/" in url}
    assert kernels
    assert set(kernels.values()) == {101}
    assert all(url.startswith(f"ws://{HOST}/user/ada/api/kernels/") for url in kernels)
    # The executors were pods of the job namespace, made by the Connect server.
    connect = Kubectl(hub.program, hub.kubeconfig, "spark-jobs")
    log = connect("logs", "deployment/spark-platform-connect")
    assert "Registered executor" in log


def test_the_server_is_what_the_values_say(ada: Browser, hub: Kubectl) -> None:
    (pod,) = hub.get("pods", "-l", USERS)["items"]
    (container,) = pod["spec"]["containers"]
    environment = {e["name"]: e.get("value") for e in container["env"]}
    assert environment["SPARK_REMOTE"] == SPARK
    assert environment["TRITON"] == TRITON
    assert container["image"] == "quay.io/jupyterhub/k8s-singleuser-sample:4.4.0"
    assert container["resources"]["requests"]["cpu"] == "100m"
    (claim,) = [v["persistentVolumeClaim"]["claimName"] for v in pod["spec"]["volumes"] if "persistentVolumeClaim" in v]
    assert hub.get("pvc", claim)["spec"]["resources"]["requests"]["storage"] == "1Gi"


def test_an_upgrade_of_the_stack_disturbs_no_notebook(stack: NodeStack, ada: Browser, hub: Kubectl) -> None:
    """The hub is made anew; the user stays logged in, the kernel keeps its variables."""
    before = uids(hub, "component=hub")
    server = uids(hub, USERS)
    stack.up("--set", "jupyterhub.hub.resources.requests.memory=257Mi", *stack.charts)
    assert not uids(hub, "component=hub") & before
    assert uids(hub, USERS) == server
    ada.open("/hub/home")
    ada.see("the user's own page", "a#stop")
    assert work(ada, "again.ipynb", KEEPS) == ["written before"]
    stack.up(*stack.charts)


def test_files_survive_the_pod(ada: Browser, hub: Kubectl) -> None:
    before = uids(hub, USERS)
    (name,) = hub.pods(USERS)
    hub("delete", "pod", name)
    ada.open("/hub/home")
    until("the hub has noticed", lambda: stopped(ada), SPAWN_S)
    ada.open("/hub/spawn/ada")
    start(ada)
    assert not uids(hub, USERS) & before
    printed = work(ada, "later.ipynb", KEEPS, WITH_SPARK)
    assert printed == ["written before", str(SUMS)]
    # The notebook of before, with what stood below its cells.
    ada.open("/user/ada/lab/tree/work.ipynb?reset")
    ada.see("what Triton answered before", ".jp-OutputArea-output", "[1.75, 0.0, 1000001.0]")
    ada.picture("hub-after-restart")


def test_a_second_up_restarts_nothing(stack: NodeStack, hub: Kubectl) -> None:
    before = uids(hub, "app=jupyterhub")
    assert "nothing to do" in (done := stack.up(*stack.charts)).out + done.err
    assert uids(hub, "app=jupyterhub") == before


def test_missing_rights_of_the_hub_fail_a_check(stack: NodeStack, hub: Kubectl) -> None:
    """The page is there, and no notebook would start."""
    hub("delete", "rolebinding", "hub")
    try:
        found = failed(stack, "spawning")
        assert found["message"].startswith("service account jupyterhub/hub may not: get pods, list pods, watch pods,")
        assert "get rolebinding hub" in found["hint"]
        assert failed(stack, "workloads")["message"].endswith("RoleBinding jupyterhub/hub does not exist")
    finally:
        stack.up("--repair", *stack.charts)
    assert stack.run("verify", "--deep", "--only", "jupyterhub").code == 0


def test_a_proxy_that_is_gone_fails_the_page(stack: NodeStack, hub: Kubectl) -> None:
    hub("scale", "deployment/proxy", "--replicas=0")
    try:
        until("the proxy is gone", lambda: not hub.get("pods", "-l", "component=proxy")["items"])
        found = failed(stack, "hub")
        assert found["message"] == "Service jupyterhub/proxy-public: no pod is behind it"
        assert "logs deployment/proxy" in found["hint"]
    finally:
        hub("scale", "deployment/proxy", "--replicas=1")
        hub.ready("deployment/proxy")


def test_a_hub_with_another_token_than_the_proxy_fails_a_check(stack: NodeStack, hub: Kubectl) -> None:
    """The hub must know the proxy's token, or it could lead nobody to a notebook; it does not start without."""
    key = "hub.config.ConfigurableHTTPProxy.auth_token"
    right = hub.get("secret", "hub")["data"][key]
    with token(hub, key, "MDEyMzQ1Njc4OWFiY2RlZg=="):
        hub("delete", "pod", "-l", "component=hub")
        until("the hub has ended with an error", lambda: restarts(hub) > 0, SPAWN_S)
        found = failed(stack, "workloads")
        assert "Deployment jupyterhub/hub" in found["message"]
        assert "get pods" in found["hint"]
    assert hub.get("secret", "hub")["data"][key] == right
    hub("delete", "pod", "-l", "component=hub")
    hub.ready("deployment/hub")
    assert stack.run("verify", "--deep", "--only", "jupyterhub").code == 0


@contextmanager
def token(hub: Kubectl, key: str, encoded: str) -> Iterator[None]:
    """Another token in the Secret, for a while."""
    right = hub.get("secret", "hub")["data"][key]
    hub("patch", "secret", "hub", "--type=merge", "--patch", json.dumps({"data": {key: encoded}}))
    try:
        yield
    finally:
        hub("patch", "secret", "hub", "--type=merge", "--patch", json.dumps({"data": {key: right}}))


def restarts(hub: Kubectl) -> int:
    """How often the hub's container was started anew, in the pod that is there now."""
    pods = hub.get("pods", "-l", "component=hub")["items"]
    return sum(c["restartCount"] for p in pods for c in p["status"].get("containerStatuses", []))


def failed(stack: NodeStack, name: str) -> dict[str, Any]:
    """What verify says of this check of the component, which must fail."""
    done = stack.run("verify", "--output", "json", "--only", f"jupyterhub/{name}")
    assert done.code == 1, done.out
    (check,) = done.json["checks"]
    assert check["status"] == "fail", check
    return dict(check)


def stopped(window: Browser) -> bool:
    """Tell whether the page of the user offers to start a server."""
    window.driver.refresh()
    window.see("the home page", "#start")
    return not window.there("#stop")


def work(window: Browser, name: str, *cells: str) -> list[str]:
    """Put a notebook of these cells on the server, open it, run it, save it; what each cell has printed."""
    window.open("/user/ada/lab?reset")
    window.see("JupyterLab", "#jp-main-dock-panel")
    code = [
        {
            "cell_type": "code",
            "metadata": {},
            "source": cell.strip(),
            "outputs": [],
            "execution_count": None,
            "id": f"c{n}",
        }
        for n, cell in enumerate(cells)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    content = {"cells": code, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    window.call("PUT", f"/user/ada/api/contents/{name}", {"type": "notebook", "format": "json", "content": content})
    window.open(f"/user/ada/lab/tree/{name}?reset")
    printed = window.run_cells(len(cells))
    window.save()
    return printed


def uids(hub: Kubectl, label: str) -> set[str]:
    """UIDs of the pods that are not being deleted."""
    found = hub.get("pods", "-l", label)["items"]
    return {pod["metadata"]["uid"] for pod in found if "deletionTimestamp" not in pod["metadata"]}
