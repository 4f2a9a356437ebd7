"""Readiness knows every kind that our components' charts render, and checks and URLs name what is really there.

Against the stand-ins in tests/charts, or against the real charts where SPARKRIG_REAL_CHARTS names a folder of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.upstream.check_paths import CATALOG, chart_of
from tests.upstream.documents import Folder, upstream_folders
from tests.upstream.recognised import described, look_at, main, rows, targets
from tests.upstream.test_paths import CHARTS, STAND_INS

pytestmark = pytest.mark.tools

FOLDERS = upstream_folders(CATALOG)
EVERY = [(folder, profile) for folder in FOLDERS for profile in (None, *folder.profiles)]


@pytest.mark.parametrize(("folder", "profile"), EVERY, ids=[f"{f.name}-{p or 'none'}" for f, p in EVERY])
def test_every_kind_is_judged_and_every_target_is_there(folder: Folder, profile: str | None) -> None:
    chart = chart_of(folder, CHARTS)
    assert chart is not None, f"no chart of {folder.name} in {CHARTS}"
    found, missed = look_at(folder, chart, profile)
    assert found
    assert [row for row in found if row.rule == "not judged"] == []
    assert missed == []


def test_a_kind_without_a_rule_is_reported() -> None:
    folder = next(folder for folder in FOLDERS if folder.component.get("readiness"))
    rule = folder.component["readiness"][0]
    item = {"apiVersion": f"{rule['group']}/v1", "kind": rule["kind"], "metadata": {"name": "a"}}
    hook = {**item, "kind": "Other", "metadata": {"name": "b", "annotations": {"helm.sh/hook": "pre-install"}}}
    component = described(folder)
    assert [(row.kind[1], row.rule) for row in rows([item, hook], component)] == [(rule["kind"], "by a rule")]
    assert [row.rule for row in rows([item], replace(component, readiness=()))] == ["not judged"]
    assert [row.rule for row in rows([item], None)] == ["not judged"]


SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "a"}, "ports": [{"name": "http", "port": 80, "targetPort": "serve"}]},
}
WORKLOAD: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "a"},
    "spec": {
        "template": {
            "metadata": {"labels": {"app": "a"}},
            "spec": {"containers": [{"name": "a", "ports": [{"name": "serve", "containerPort": 8080}]}]},
        }
    },
}
SECRET: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}, "data": {"user": "eA=="}}
WEBHOOK: dict[str, Any] = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": "w"},
    "webhooks": [{"rules": [{"apiGroups": ["example.org"], "resources": ["things"]}]}],
}
LOGIN = {"secret": "login", "username": "user", "password": "password"}


@pytest.mark.parametrize(
    ("kind", "parameters", "expected"),
    [
        ("http", {"service": "web", "port": 80}, []),
        ("http", {"service": "web", "port": "http"}, []),
        ("http", {"service": "other", "port": 80}, ["check c: no Service other"]),
        ("prometheus-query", {"service": "web", "port": 9090}, ["check c: Service web has ports [80], not 9090"]),
        ("http", {"service": "web", "port": 80, "basicAuth": LOGIN}, ["check c: Secret login has no password"]),
        (
            "http",
            {"service": "web", "port": 80, "basicAuth": {**LOGIN, "secret": "none"}},
            ["check c: no Secret none", "check c: no Secret none"],
        ),
        ("webhook", {"object": {"apiVersion": "example.org/v1", "kind": "Thing"}, "denied": "no"}, []),
        (
            "webhook",
            {"object": {"apiVersion": "example.org/v1", "kind": "Thing"}, "changed": []},
            ["check c: no webhook would be asked about a Thing of example.org"],
        ),
        (
            "webhook",
            {"object": {"apiVersion": "other.org/v1", "kind": "Thing"}, "denied": "no"},
            ["check c: no webhook would be asked about a Thing of other.org"],
        ),
    ],
)
def test_what_is_not_there_is_named(kind: str, parameters: Mapping[str, Any], expected: list[str]) -> None:
    component = described(FOLDERS[0])
    spec = replace(component.checks[0], name="c", kind=kind, parameters=parameters)
    one = replace(component, checks=(spec,), urls=())
    assert list(targets(one, {}, [SERVICE, WORKLOAD, SECRET, WEBHOOK])) == expected


def test_a_port_by_a_name_that_no_pod_has() -> None:
    component = described(FOLDERS[0])
    spec = replace(component.checks[0], name="c", kind="http", parameters={"service": "web", "port": 80})
    service = {**SERVICE, "spec": {**SERVICE["spec"], "ports": [{"port": 80, "targetPort": "other"}]}}
    found = list(targets(replace(component, checks=(spec,), urls=()), {}, [service, WORKLOAD]))
    assert found == ["check c: no pod behind Service web has a port named other"]
    # Pods that an operator makes later are in no rendering.
    assert list(targets(replace(component, checks=(spec,), urls=()), {}, [service])) == []


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--charts", str(STAND_INS)]) == 0
    said = capsys.readouterr().out
    assert {folder.component["chart"]["name"] for folder in FOLDERS} <= set(said.split())
    assert "not judged" not in said


def test_the_command_fails_where_something_is_missed(tmp_path: Path) -> None:
    folder = next(f for f in FOLDERS if any("service" in (c.get("with") or {}) for c in f.component["checks"]))
    chart = tmp_path / folder.component["chart"]["name"]
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: empty\nversion: 1.0.0\n")
    (chart / "templates" / "a.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
    assert main(["--charts", str(tmp_path)]) == 1
