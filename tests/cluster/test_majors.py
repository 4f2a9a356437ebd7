"""From older versions of the real charts to the catalogue's, through sparkrig, with live custom resources.

Runs where SPARKRIG_REAL_CHARTS names a folder of packaged charts (``NAME-VERSION.tgz``) that has the catalogue's
versions and older ones; every older version in it is gone through. The charts of the stack's own catalogue are used as
they are shipped, and the cluster is one of the test's own.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from tests.cluster.conftest import NewSim
from tests.mini import ROOT, Done, World

from sparkrig.kube.client import KubeApi
from sparkrig.plan.crds.use import dropped_fields

REAL: Final = os.environ.get("SPARKRIG_REAL_CHARTS")
TEAM: Final = "team"
JOBS: Final = "spark-jobs"
SPARK: Final = {
    "type": "Scala",
    "mode": "cluster",
    "image": "registry.example.org/spark:3.5.0",
    "mainClass": "org.example.Main",
    "mainApplicationFile": "local:///main.jar",
    "sparkVersion": "3.5.0",
    "restartPolicy": {"type": "Never"},
    "driver": {"cores": 1, "memory": "512m", "serviceAccount": "spark"},
    "executor": {"cores": 1, "instances": 1, "memory": "512m"},
}


@dataclass(frozen=True, eq=False)
class Resource:
    """A custom resource that a user has."""

    api: str
    kind: str
    plural: str
    namespace: str
    spec: Mapping[str, Any]
    name: str = "mine"

    @property
    def path(self) -> str:
        return f"/apis/{self.api}/namespaces/{self.namespace}/{self.plural}"

    @property
    def body(self) -> dict[str, Any]:
        return {"apiVersion": self.api, "kind": self.kind, "metadata": {"name": self.name}, "spec": self.spec}


MONITORING: Final = "monitoring.coreos.com/v1"
OPERATOR: Final = "sparkoperator.k8s.io/v1beta2"
ENDPOINT: Final = {"port": "web", "interval": "15s", "bearerTokenSecret": {"name": "token", "key": "t"}}
RESOURCES: Final = {
    "kube-prometheus-stack": (
        Resource(MONITORING, "ServiceMonitor", "servicemonitors", TEAM, {"selector": {}, "endpoints": [ENDPOINT]}),
        Resource(
            MONITORING,
            "PrometheusRule",
            "prometheusrules",
            TEAM,
            {"groups": [{"name": "g", "rules": [{"record": "a:b", "expr": "up"}]}]},
        ),
        Resource(MONITORING, "Prometheus", "prometheuses", TEAM, {"replicas": 1, "retention": "1d"}),
        Resource(MONITORING, "Alertmanager", "alertmanagers", TEAM, {"replicas": 1}),
    ),
    "spark-operator": (
        Resource(OPERATOR, "SparkApplication", "sparkapplications", JOBS, SPARK),
        Resource(
            OPERATOR, "ScheduledSparkApplication", "scheduledsparkapplications", JOBS,
            {"schedule": "@daily", "concurrencyPolicy": "Allow", "template": SPARK},
        ),
    ),
}  # fmt: skip
SECURE: Final = {
    "podSecurityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}
OLD_VALUES: Final = {("spark-operator", 1): {"sparkJobNamespaces": [JOBS], "webhook": {"enable": True}, **SECURE}}
"""What a user of that major has to give: its values have other names, and its pods are not restricted by themselves."""
REFUSED_AFTER: Final = {
    ("spark-operator", 1): Resource(
        OPERATOR, "SparkApplication", "sparkapplications", JOBS,
        {k: v for k, v in SPARK.items() if k != "mainApplicationFile"}, "no-file",
    ),
}  # fmt: skip
"""What the next major's CRD no longer takes."""


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("-")[0]))


def older() -> Iterator[tuple[str, str]]:
    """Component and version of every chart that is older than the catalogue's."""
    for name in RESOURCES:
        (spec,) = (ROOT / "charts").glob(f"{name}-values/component.yaml")
        current = yaml.safe_load(spec.read_text())["chart"]["version"]
        found = {p.name.removeprefix(f"{name}-").removesuffix(".tgz") for p in Path(REAL or "").glob(f"{name}-*.tgz")}
        if current in found:
            yield from ((name, each) for each in sorted(found, key=numbers) if numbers(each) < numbers(current))


CASES: Final = list(older()) if REAL else []
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not CASES, reason="SPARKRIG_REAL_CHARTS names no folder with older and current charts"),
]


class Real(World):
    """The shipped catalogue, with a folder of real charts."""

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT / "installer"), "PYTHONWARNINGS": "error"}

    def command(self, *arguments: str) -> list[str]:
        mirror = ("--chart-mirror", str(REAL)) if arguments[0] in ("plan", "up") else ()
        return [sys.executable, "-m", "sparkrig", *arguments, *mirror]

    def only(self, component: str, **entry: Any) -> None:
        """A stack of this component and what it needs."""
        charts = {p.parent.name.removesuffix("-values") for p in (ROOT / "charts").glob("*/component.yaml")}
        off = charts - {component, *(("spark-platform",) if component == "spark-operator" else ())}
        entries = {name: {"enabled": False} for name in sorted(off)}
        self.write_stack(**entries, **{component: entry})

    def change(self, *arguments: str) -> Done:
        return self.run(*arguments, timeout_s=500)


def uids(api: KubeApi, groups: set[str]) -> dict[tuple[str, ...], str]:
    """Every custom resource of the groups with its UID: the user's, and those of the releases."""
    found = {}
    for info in api.discovery.fresh():
        if info.group in groups:
            for item in api.list(info.collection(), metadata_only=True):
                metadata = item["metadata"]
                found[(info.group, info.kind, metadata["namespace"], metadata["name"])] = metadata["uid"]
    return found


@pytest.mark.timeout(1800)  # four changes of the largest chart there is
@pytest.mark.parametrize(("component", "version"), CASES)
def test_custom_resources_live_through_a_new_major_and_back(
    component: str, version: str, fresh_sim: NewSim, tmp_path: Path
) -> None:
    handle = fresh_sim()
    api = KubeApi(handle)
    world = Real(tmp_path, f"sim:{handle.name}", stack="majors")
    resources, old = RESOURCES[component], (component, numbers(version)[0])
    groups = {resource.api.partition("/")[0] for resource in resources}

    world.only(component, version=version, values=OLD_VALUES.get(old, {}))
    first = world.change("up", "--yes")
    assert first.code == 0, first.err + first.out
    if resources[0].namespace == TEAM:
        api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}})
    made = {resource: api.create(resource.path, resource.body) for resource in resources}
    before = uids(api, groups)
    assert len(before) >= len(resources)

    # Values of the old major are explained by name, before anything is written.
    if old in OLD_VALUES:
        world.only(component, values=OLD_VALUES[old])
        wrong = world.change("plan")
        assert wrong.code == 3, wrong.out
        assert "was renamed in 2.0.0" in wrong.err
    world.only(component)
    if old in REFUSED_AFTER:
        bad = REFUSED_AFTER[old]
        api.create(bad.path, bad.body)
        refused = world.change("up", "--yes")
        assert refused.code == 4, refused.err
        assert f"becomes required; hurt: {bad.namespace}/{bad.name}" in refused.err
        assert uids(api, groups).items() >= before.items()
        api.delete(f"{bad.path}/{bad.name}")

    upgraded = world.change("up", "--yes")
    assert upgraded.code == 0, upgraded.err + upgraded.out
    now = uids(api, groups)
    assert {key: now.get(key) for key in before} == before
    for resource, first_seen in made.items():
        live = api.get(f"{resource.path}/{resource.name}")
        assert live is not None
        assert list(dropped_fields(first_seen["spec"], live["spec"])) == []
    assert world.change("plan", "--detailed-exitcode").code == 0

    back = world.change("rollback", "--yes")
    assert back.code == 0, back.err + back.out
    now = uids(api, groups)
    assert {key: now.get(key) for key in before} == before
    api.close()
