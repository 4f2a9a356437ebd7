"""The component spark-platform on real pods: servers that come up, jobs that compute, quota that says no."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.node.conftest import Shared
from tests.node.kubectl import Kubectl, until
from tests.node.stacks import NodeStack, furnished

from sparkrig import tools

pytestmark = pytest.mark.timeout(900)
IMAGE = "docker.io/apache/spark:4.0.4"
JOB_S = 400
"""A job's driver and executors: 30 s on two idle cores, two minutes on cores that others keep busy."""
# Requests that fit the two cores of a small machine; what the programs use is not bounded by them.
VALUES: dict[str, Any] = {
    "namespaceDefaults": {"users": {"sparkSubmit": True}},
    "sparkDefaults": {
        "driver": {"memory": "512m"},
        "executor": {"memory": "512m"},
        # One node: a claim that several pods of it mount.
        "eventLog": {
            "enabled": True,
            "dir": "file:///var/log/spark-events",
            "volume": {"size": "1Gi", "accessModes": ["ReadWriteOnce"]},
        },
        "extra": {"spark.kubernetes.driver.request.cores": "200m", "spark.kubernetes.executor.request.cores": "200m"},
    },
    "historyServer": {
        "enabled": True,
        "resources": {"requests": {"cpu": "100m", "memory": "512Mi"}},
        # Ten seconds by default; what a test waits for.
        "extra": {"spark.history.fs.update.interval": "2s"},
    },
    "connect": {"enabled": True, "memory": "1g", "resources": {"requests": {"cpu": "200m", "memory": "1536Mi"}}},
    # Programs of tests/node/jobs, in a ConfigMap that the tests make.
    "podTemplates": {
        "driver": {
            "volumes": [{"name": "jobs", "configMap": {"name": "jobs"}}],
            "volumeMounts": [{"name": "jobs", "mountPath": "/opt/jobs", "readOnly": True}],
        }
    },
}
CONNECT = "sc://spark-platform-connect.spark-jobs:15002"
CLIENT = """
import sys
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession, functions as F

spark = SparkSession.builder.remote(sys.argv[1]).getOrCreate()
sales = spark.range(10_000).select((F.col("id") % 7).alias("shop"), (F.col("id") % 100).alias("price"))
names = spark.createDataFrame([(n, f"shop-{n}") for n in range(5)], ["shop", "name"])
found = sales.join(names, "shop").groupBy("name").agg(F.sum("price").alias("total")).orderBy("name")
print(found.toPandas().values.tolist())
try:
    spark.table("nowhere").count()
except AnalysisException as error:
    print(error.getCondition())
"""
"""What a person's own program does who has Spark's client only."""
PI = "local:///opt/spark/examples/src/main/python/pi.py"
PROGRAMS = Path(__file__).parent / "jobs"


@pytest.fixture(scope="module")
def stack(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeStack]:
    """The stack as it was first deployed, for all tests of this file."""
    furnished(shared.node, ("spark", "notebook"))
    made = NodeStack(tmp_path_factory.mktemp("spark"), shared.node, "spark")
    made.write({"spark-platform": VALUES})
    made.up()
    programs = {file.name: file.read_text(encoding="utf-8") for file in PROGRAMS.glob("*.py")}
    jobs = Kubectl(tools.find("kubectl").path, shared.node.kubeconfig, "spark-jobs")
    jobs.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "jobs"}, "data": programs})
    yield made
    # Pods of jobs are users' own, and hold the claim of the event logs also when they have ended: the API server
    # keeps a claim as long as there is any pod that names it.
    jobs("delete", "pods", "-l", "!app.kubernetes.io/name", "--grace-period=1")
    gone = made.run("down", "--yes", "--purge", "all")
    assert gone.code == 0, gone.out + gone.err


@pytest.fixture
def jobs(stack: NodeStack, shared: Shared) -> Kubectl:
    """kubectl in the job namespace."""
    return Kubectl(tools.find("kubectl").path, shared.node.kubeconfig, "spark-jobs")


def test_the_servers_are_ready_and_every_check_passes(stack: NodeStack, jobs: Kubectl) -> None:
    done = stack.run("verify", "--deep", "--output", "json")
    assert done.code == 0, done.out + done.err
    assert done.json["simulated"] is False
    assert done.json["counts"]["fail"] == 0
    names = {d["metadata"]["name"] for d in jobs.get("deployments", "-A")["items"]}
    assert {"spark-platform-history", "spark-platform-connect"} <= names


def test_a_submitted_job_computes_pi(jobs: Kubectl) -> None:
    """spark-submit in cluster mode with the accounts that the platform made; the history server then shows the run."""
    submitted = submit(jobs, "pi", PI, "20")
    assert submitted["phase"] == "Succeeded", submitted["log"]
    driver = only(jobs.get("pods", "-l", "spark-role=driver,spark-app-name=pi")["items"])
    log = jobs("logs", driver["metadata"]["name"])
    found = re.search(r"Pi is roughly (\d\.\d+)", log)
    assert found, log[-3000:]
    assert 3.0 < float(found[1]) < 3.3
    # Two executors, which registered from pods of their own with the account without a token.
    assert set(re.findall(r"Registered executor .* with ID (\d+)", log)) == {"1", "2"}
    assert driver["spec"]["serviceAccountName"] == "spark"
    # Of the pod template that spark-defaults.conf names.
    assert driver["spec"]["priorityClassName"] == "spark-driver"
    context = driver["spec"]["containers"][0]["securityContext"]
    assert (context["readOnlyRootFilesystem"], context["capabilities"]) == (True, {"drop": ["ALL"]})
    application = driver["metadata"]["labels"]["spark-app-selector"]
    until("the history server shows it", lambda: finished(jobs, application))


def test_a_dataframe_job_is_right(jobs: Kubectl) -> None:
    log = computed(jobs, "frame")
    # Sums of i % 100 over those i below 10000 with i % 7 = shop, worked out in plain Python.
    sums = {s: sum(i % 100 for i in range(s, 10_000, 7)) for s in range(7)}
    sizes = {s: len(range(s, 10_000, 7)) for s in range(7)}
    expected = [f"total of shop-{s}: {sums[s]} in {sizes[s]} sales" for s in range(5)]
    expected.append(f"total of unknown: {sums[5] + sums[6]} in {sizes[5] + sizes[6]} sales")
    assert [line for line in log.splitlines() if line.startswith("total of")] == expected


def test_a_plain_pod_computes_through_the_connect_server(jobs: Kubectl, kubectl: Kubectl) -> None:
    """A pod of another namespace, with the client and nothing else: no rights, no Spark, no Java."""
    container = {
        "name": "client",
        "image": "sparkrig.test/notebook:1",
        "imagePullPolicy": "Never",
        "command": ["python3", "-c", CLIENT, CONNECT],
        "env": [{"name": "PYTHONWARNINGS", "value": "ignore"}],
    }
    spec = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]}
    kubectl.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "client"}, "spec": spec})
    assert phase_at_end(kubectl, "client") == "Succeeded", kubectl("logs", "client")[-3000:]
    totals = [[f"shop-{shop}", sum(i % 100 for i in range(shop, 10_000, 7))] for shop in range(5)]
    assert kubectl("logs", "client").splitlines() == [str(totals), "TABLE_OR_VIEW_NOT_FOUND"]
    # It was computed by executors, pods of the job namespace.
    assert "Registered executor" in jobs("logs", "deployment/spark-platform-connect")


def test_dynamic_allocation_follows_the_work(jobs: Kubectl) -> None:
    """One, then as many as may be, then one again; nothing of what was shuffled is wrong behind that."""
    wanted = {
        "enabled": "true",
        "shuffleTracking.enabled": "true",
        "shuffleTracking.timeout": "5s",
        "minExecutors": "1",
        "maxExecutors": "3",
        "executorIdleTimeout": "5s",
    }
    conf = {f"spark.dynamicAllocation.{key}": value for key, value in wanted.items()}
    # Spark begins with as many as `instances` says, where that is more: here the platform's two.
    conf["spark.executor.instances"] = "1"
    log = computed(jobs, "scale", "3", "1", conf=conf)
    said = dict(line.split(": ") for line in log.splitlines() if re.match(r"(executors|right) [a-z ]+: \w+$", line))
    assert int(said.pop("executors at first")) <= 1
    assert said == {
        "executors at work": "3",
        "right at work": "True",
        "executors at rest": "1",
        "right after rest": "True",
    }


def test_a_killed_executor_loses_nothing(jobs: Kubectl) -> None:
    submit(jobs, "lose", program("lose"), wait=False)
    # In the middle of a batch: every task of the first ones has sent its result, and more of them run.
    until("batches are computed", lambda: "batch 2" in log_of(jobs, "lose"), JOB_S)
    victim = jobs.pods("spark-role=executor,spark-app-name=lose,spark-exec-id=1")
    jobs("delete", "pod", *victim, "--grace-period=0", "--force")
    assert ended(jobs, "lose") == "Succeeded", log_of(jobs, "lose")[-3000:]
    log = log_of(jobs, "lose")
    assert re.search(r"^executors seen: 3; batches: \d+; wrong results: 0$", log, re.MULTILINE), log[-3000:]
    assert re.search(r"Lost executor 1 ", log)


def test_a_driver_beyond_the_quota_is_refused(jobs: Kubectl) -> None:
    submitted = submit(jobs, "huge", PI, conf={"spark.kubernetes.driver.request.cores": "64"})
    assert submitted["phase"] == "Failed"
    assert "exceeded quota: spark-jobs, requested: requests.cpu=64" in submitted["log"]
    assert jobs.pods("spark-role=driver,spark-app-name=huge") == []


def test_executors_beyond_the_quota_are_refused(jobs: Kubectl) -> None:
    """The driver runs and says why it gets none."""
    submit(jobs, "wide", PI, conf={"spark.kubernetes.executor.request.cores": "64"}, wait=False)

    def told() -> bool:
        drivers = jobs.pods("spark-role=driver,spark-app-name=wide")
        if not drivers or jobs.get("pod", drivers[0])["status"]["phase"] == "Pending":
            return False
        return "exceeded quota: spark-jobs, requested: requests.cpu=64" in jobs("logs", drivers[0])

    until("the driver's log names the quota", told, JOB_S)
    assert jobs.pods("spark-role=executor,spark-app-name=wide") == []
    jobs("delete", "pod", "submit-wide", *jobs.pods("spark-role=driver,spark-app-name=wide"), "--wait=false")


def program(name: str) -> str:
    return f"local:///opt/jobs/{name}.py"


def computed(jobs: Kubectl, name: str, *arguments: str, conf: Mapping[str, str] | None = None) -> str:
    """Run a program of tests/node/jobs, which must end well; what its driver wrote."""
    submitted = submit(jobs, name, program(name), *arguments, conf=conf)
    log = log_of(jobs, name)
    assert submitted["phase"] == "Succeeded", f"{submitted['log'][-1500:]}\n{log[-3000:]}"
    return log


def log_of(jobs: Kubectl, name: str) -> str:
    """What the driver of this job has written so far; empty while it has not started."""
    drivers = jobs.get("pods", "-l", f"spark-role=driver,spark-app-name={name}")["items"]
    if not drivers or drivers[0]["status"]["phase"] == "Pending":
        return ""
    return jobs("logs", drivers[0]["metadata"]["name"])


def submit(
    jobs: Kubectl, name: str, *application: str, conf: Mapping[str, str] | None = None, wait: bool = True
) -> dict[str, str]:
    """Run spark-submit in a pod of the account ``spark-user``; its phase at the end, and what it logged."""
    settings = {"spark.app.name": name, "spark.kubernetes.namespace": "spark-jobs", **(conf or {})}
    words = [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
    server = ["--master", "k8s://https://kubernetes.default.svc", "--deploy-mode", "cluster"]
    mounts = {"spark-defaults": "/etc/spark/conf", "spark-pod-templates": "/etc/spark/templates"}
    container = {
        "name": "submit",
        "image": IMAGE,
        "command": ["/opt/spark/bin/spark-submit", *server, "--name", name, *words, *application],
        "env": [{"name": "SPARK_CONF_DIR", "value": "/etc/spark/conf"}],
        "resources": {"requests": {"cpu": "100m"}},
        "volumeMounts": [{"name": n, "mountPath": path} for n, path in mounts.items()],
    }
    spec = {
        "serviceAccountName": "spark-user",
        # The account mounts none by itself: it is for those who submit from elsewhere.
        "automountServiceAccountToken": True,
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": n, "configMap": {"name": n}} for n in mounts],
    }
    pod = f"submit-{name}"
    jobs.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod}, "spec": spec})
    return {"phase": ended(jobs, name), "log": jobs("logs", pod)} if wait else {}


def ended(jobs: Kubectl, name: str) -> str:
    """How the spark-submit of this job ended; its exit status is the job's."""
    return phase_at_end(jobs, f"submit-{name}")


def phase_at_end(kubectl: Kubectl, pod: str) -> str:
    """How a pod ended that is not started again."""

    def phase() -> str:
        found = str(kubectl.get("pod", pod)["status"]["phase"])
        return found if found in ("Succeeded", "Failed") else ""

    return str(until(f"{pod} has ended", phase, JOB_S))


def finished(jobs: Kubectl, application: str) -> bool:
    """Tell whether the history server lists the application as completed."""
    (service,) = jobs.get("services", "-A", "-l", "app.kubernetes.io/component=history")["items"]
    address = f"http://{service['spec']['clusterIP']}:18080/api/v1/applications"
    with urllib.request.urlopen(address, timeout=30) as answer:
        listed = json.load(answer)
    return any(a["id"] == application and a["attempts"][0]["completed"] for a in listed)


def only(items: list[dict[str, Any]]) -> dict[str, Any]:
    (one,) = items
    return one
