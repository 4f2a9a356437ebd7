"""Monitoring on real pods: what is watched and by whom, alerts that arrive, dashboards that have data."""

from __future__ import annotations

import itertools
import json
import math
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.node import dcgm, gpus
from tests.node.conftest import Shared
from tests.node.kubectl import Kubectl, until
from tests.node.load import Load
from tests.node.panels import PANELS, SILENT, Panel
from tests.node.receiver import Receiver, receiving
from tests.node.stacks import NodeStack, furnished, real_charts
from tests.node.watched import HOLDER, WORKLOADS, components

from sparkrig import tools

IMAGES = (
    "alertmanager",
    "kube-state-metrics",
    "kube-webhook-certgen",
    "node-exporter",
    "prometheus",
    "prometheus-operator",
    "python",
    "triton",
)
TARGETS = {
    "kube-prometheus-stack-alertmanager",
    "kube-prometheus-stack-apiserver",
    "kube-prometheus-stack-coredns",
    "kube-prometheus-stack-kube-state-metrics",
    "kube-prometheus-stack-kubelet",
    "kube-prometheus-stack-operator",
    "kube-prometheus-stack-prometheus",
    "kube-prometheus-stack-prometheus-node-exporter",
    "monitoring-dcgm-exporter",
    "monitoring-triton",
}
"""Monitors whose targets there are."""
OURS = {"monitoring-dcgm-exporter", "monitoring-triton"}
REQUEST_S = 30
HEARD_S = 240
"""Until a fact has gone from a pod through a scrape, two evaluations and Alertmanager: a minute on idle cores."""


@dataclass(frozen=True)
class Watched:
    """The stack, and what it is asked through."""

    stack: NodeStack
    kubectl: Kubectl
    """In the namespace ``monitoring``."""
    receiver: Receiver

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query."""
        return list(self._get(f"query?{urllib.parse.urlencode({'query': expression})}")["result"])

    def targets(self) -> list[dict[str, Any]]:
        """What Prometheus scrapes."""
        return list(self._get("targets?state=active")["activeTargets"])

    def alerts(self, name: str) -> list[dict[str, Any]]:
        """Alerts of a name, pending or firing."""
        return [alert for alert in self._get("alerts")["alerts"] if alert["labels"]["alertname"] == name]

    def _get(self, what: str) -> Any:
        address = self.kubectl.get("service", "kube-prometheus-stack-prometheus")["spec"]["clusterIP"]
        with urllib.request.urlopen(f"http://{address}:9090/api/v1/{what}", timeout=REQUEST_S) as answer:
            return json.loads(answer.read())["data"]


@pytest.fixture(scope="module")
def watched(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The stack with everything that there is to watch, for all tests of this file."""
    node = shared.node
    furnished(node, IMAGES)
    for device in gpus.read(node):
        gpus.set_health(node, device, healthy=True)
    program = tools.find("kubectl").path
    kubectl = Kubectl(program, node.kubeconfig, "monitoring")
    there = Kubectl(program, node.kubeconfig, dcgm.NAMESPACE)
    stack = NodeStack(tmp_path_factory.mktemp("watched"), node, "watched")
    with receiving(node) as receiver:
        for name in ("oncall", "chat"):
            (stack.folder / f"{name}.txt").write_text(f"{receiver.address}/{name}", encoding="utf-8")
        secret = {name: {"fromFile": f"{name}.txt"} for name in ("oncall", "chat")}
        stack.write(components(), secrets={"alerting": {"data": secret, "components": ["monitoring"]}})
        kubectl("create", "namespace", there.namespace)
        there.apply(*dcgm.manifests(HOLDER), *WORKLOADS)
        try:
            stack.up(*stack.charts)
            with asked(kubectl):
                yield Watched(stack, kubectl, receiver)
        finally:
            there("delete", "namespace", there.namespace, "--wait=false")
        gone = stack.run("down", "--yes", "--purge", "all")
        assert gone.code == 0, gone.out + gone.err


def asked(kubectl: Kubectl) -> Load:
    """Requests to Triton all the while, every third of them wrong: what its dashboard shows."""
    service = Kubectl(kubectl.program, kubectl.kubeconfig, "triton").get("service", "triton")
    address = f"http://{service['spec']['clusterIP']}:8000/v2/models/sample/infer"
    turns = itertools.count()

    def ask() -> None:
        wrong = next(turns) % 3 == 0
        inputs = [
            {"name": name, "shape": [size], "datatype": "FP32", "data": [1] * size}
            for name, size in (("A", 2), ("B", 1 if wrong else 2))
        ]
        body = json.dumps({"inputs": inputs}).encode()
        urllib.request.urlopen(address, body, timeout=REQUEST_S).close()

    return Load(ask, callers=1)


def test_every_check_passes(watched: Watched) -> None:
    done = watched.stack.run("verify", "--deep", "--output", "json")
    assert done.code == 0, done.out + done.err
    found = {(c["component"], c["name"]): c["status"] for c in done.json["checks"]}
    # What it skips is known by name: there is no Grafana and no Ingress.
    assert {key for key, status in found.items() if status != "pass"} == {
        ("kube-prometheus-stack", "grafana"),
        ("kube-prometheus-stack", "grafana-login"),
        ("kube-prometheus-stack", "ingress"),
        ("triton", "client"),
        ("triton", "ingress"),
    }
    assert found["kube-prometheus-stack", "rules"] == "pass"
    assert found["monitoring", "monitors"] == "pass"


def test_every_enabled_target_is_up(watched: Watched) -> None:

    found = until("every target is up", lambda: all_up(watched), HEARD_S)
    # Of kubelet there are two; by upstream's chart three, and two each of Prometheus and Alertmanager: their reloaders.
    assert len(found) == len(TARGETS) + (4 if "kube-prometheus-stack" in real_charts() else 1)


def test_a_second_up_changes_nothing(watched: Watched) -> None:
    before = pods(watched.kubectl)
    done = watched.stack.up(*watched.stack.charts)
    assert "nothing to do" in done.out + done.err
    assert pods(watched.kubectl) == before


def test_a_critical_alert_reaches_who_is_on_call(watched: Watched) -> None:
    """The second GPU's last XID is a fatal one."""
    arrived = until("it arrives", lambda: watched.receiver.alerts("/oncall", "GpuXidFatal"), HEARD_S)
    alert = arrived[0]
    assert alert["status"] == "firing"
    wanted = {"severity": "critical", "UUID": "GPU-1", "gpu": "1", "Hostname": "node", "team": "platform"}
    assert {name: alert["labels"].get(name) for name in wanted} == wanted
    assert alert["annotations"]["summary"] == f"GPU 1 of node reports XID {dcgm.FATAL_XID}: it cannot be trusted"
    assert alert["annotations"]["runbook_url"].endswith("/GpuXidFatal.md")
    assert watched.receiver.alerts("/chat", "GpuXidFatal") == []
    # The two that never end go to nobody.
    assert all("Watchdog" not in json.dumps(message) for _, message in watched.receiver.messages)
    assert watched.alerts("Watchdog")[0]["state"] == "firing"


def test_a_target_that_stops_is_told_and_told_again_when_it_is_back(watched: Watched) -> None:
    exporter = Kubectl(watched.kubectl.program, watched.kubectl.kubeconfig, dcgm.NAMESPACE)
    until("it is up", lambda: watched.query('up{job="dcgm-exporter"} == 1'), HEARD_S)
    before = len(watched.receiver.messages)
    exporter("exec", f"deployment/{dcgm.NAME}", "--", "sh", "-c", dcgm.STOP)
    try:
        arrived = until("it arrives", lambda: down(watched, "firing", before), HEARD_S)
        assert arrived[0]["labels"]["namespace"] == dcgm.NAMESPACE
        assert arrived[0]["labels"]["severity"] == "warning"
        summary = f"dcgm-exporter in {dcgm.NAMESPACE} has not answered Prometheus for 10s"
        assert arrived[0]["annotations"]["summary"] == summary
        assert watched.receiver.alerts("/oncall", "ComponentTargetDown") == []
        # What people ask first fails as well, and says which and why.
        done = watched.stack.run("verify", "--output", "json", "--only", "targets", "--only", "monitors")
        found = {c["name"]: c for c in done.json["checks"]}
        assert (done.code, {c["status"] for c in found.values()}) == (1, {"fail"}), done.out
        assert "dcgm-exporter" in found["targets"]["message"]
        assert "connection refused" in found["monitors"]["message"]
        assert "serviceMonitorSelector" in found["monitors"]["hint"]
    finally:
        exporter("exec", f"deployment/{dcgm.NAME}", "--", "sh", "-c", dcgm.START)
    until("its end is told", lambda: down(watched, "resolved", before), HEARD_S)


def down(watched: Watched, status: str, since: int) -> list[dict[str, Any]]:
    """Alerts of this kind and status about the exporter, among the messages from that number on."""
    seen = Receiver("", watched.receiver.messages[since:]).alerts("/chat", "ComponentTargetDown")
    return [a for a in seen if (a["status"], a["labels"]["job"]) == (status, "dcgm-exporter")]


def test_an_unplugged_gpu_turns_an_alert_true(watched: Watched) -> None:
    """From the device plugin by kubelet, the API server and kube-state-metrics to Prometheus."""
    resource = 'resource="nvidia_com_gpu"'
    until("both are offered", lambda: values(watched, f"kube_node_status_allocatable{{{resource}}}") == [2.0], HEARD_S)
    assert watched.alerts("GpuNotAllocatable") == []
    gpus.set_health(watched.stack.node, "GPU-1", healthy=False)
    try:
        raised = until("the expression is true", lambda: watched.alerts("GpuNotAllocatable"), HEARD_S)
    finally:
        gpus.set_health(watched.stack.node, "GPU-1", healthy=True)
    assert raised[0]["labels"]["node"] == "node"
    assert raised[0]["annotations"]["summary"] == "Node node cannot allocate 1 of its nvidia_com_gpu"
    until("it is over", lambda: watched.alerts("GpuNotAllocatable") == [], HEARD_S)


@pytest.mark.parametrize("panel", PANELS, ids=str)
def test_a_panel_has_data(watched: Watched, panel: Panel) -> None:
    """Of each expression whose metrics are all measured here; tests/node/panels.py says which are not."""
    until(f"{panel.query} has data", lambda: has_data(watched, panel.query), HEARD_S)


def test_what_has_no_data_here_has_none(watched: Watched) -> None:
    """A panel is left out only while it has nothing to show; ``or vector(0)`` shows a nought in any case."""
    asked_for = {str(panel): panel.query for panel in SILENT if not panel.query.endswith("or vector(0)")}
    assert {name for name, query in asked_for.items() if watched.query(query)} == set()


def test_a_monitor_that_prometheus_does_not_select_fails_its_check(watched: Watched) -> None:
    """A Prometheus that goes by labels, as the chart has it by default, and monitors with a wrong one."""
    picky = "kube-prometheus-stack.prometheus.prometheusSpec.serviceMonitorSelectorNilUsesHelmValues=true"
    arguments = (*watched.stack.charts, "--set", picky, "--set", "monitoring.labels.release=of-somebody-else")
    watched.stack.up(*arguments)
    try:
        # The operator, the reloader and Prometheus pass it on, one after the other.
        until("Prometheus has let go", lambda: not pools(watched.targets()) & OURS, HEARD_S)
        done = watched.stack.run("verify", "--output", "json", "--only", "monitors")
        (found,) = done.json["checks"]
        assert (done.code, found["status"]) == (1, "fail"), done.out
        assert found["message"].startswith("Prometheus does not scrape ServiceMonitor monitoring/monitoring-")
        assert "monitoring.labels, by default release: kube-prometheus-stack" in found["hint"]
        # Nothing else notices: what is not scraped is not down.
        others = watched.stack.run("verify", "--output", "json", "--only", "targets")
        assert others.json["checks"][0]["status"] == "pass"
    finally:
        watched.stack.up(*watched.stack.charts)
    until("Prometheus has taken them back", lambda: all_up(watched), HEARD_S)
    assert watched.stack.run("verify", "--only", "monitors").code == 0


def all_up(watched: Watched) -> list[dict[str, Any]]:
    """The targets, once they are those of every monitor and all up; until then none."""
    found = watched.targets()
    return found if pools(found) == TARGETS and all(each["health"] == "up" for each in found) else []


def pools(targets: list[dict[str, Any]]) -> set[str]:
    """Names of the monitors that targets are of."""
    return {each["scrapePool"].split("/")[2] for each in targets}


def has_data(watched: Watched, query: str) -> bool:
    """Samples, and all of them numbers."""
    found = values(watched, query)
    return bool(found) and not any(map(math.isnan, found))


def values(watched: Watched, expression: str) -> list[float]:
    return [float(sample["value"][1]) for sample in watched.query(expression)]


def pods(kubectl: Kubectl) -> dict[str, int]:
    """UID of each pod -> how often its containers were restarted."""
    found = kubectl.get("pods")["items"]
    return {pod["metadata"]["uid"]: sum(c["restartCount"] for c in pod["status"]["containerStatuses"]) for pod in found}
