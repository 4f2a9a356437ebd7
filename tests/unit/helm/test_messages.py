"""helm's stderr becomes a message for a person, its command line a log line without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sparkrig.helm.errors import translate
from sparkrig.helm.process import environment, redact
from sparkrig.helm.storage.recovery import Unfinished, decide, presumed_dead
from sparkrig.helm.versions import nearest, similar
from sparkrig.yaml.plain import load_plain

CASES = Path(__file__).parents[2] / "cases" / "helm"


@pytest.mark.parametrize("case", load_plain((CASES / "stderr.yaml").read_text()), ids=lambda case: case["name"])
def test_stderr(case: Mapping[str, str]) -> None:
    error = translate(case["stderr"], "work")
    assert (error.code, error.message) == (case["code"], case["message"])
    assert list(error.detail) == [line for line in case["stderr"].splitlines() if line]


def test_secrets_in_a_command_line_are_hidden() -> None:
    line = redact(["helm", "pull", "--password", "p1", "--kube-token=p2", "--set", "a=p3", "--version", "1"])
    assert line == "helm pull --password '***' '--kube-token=***' --set '***' --version 1"


def test_environment_of_a_helm_without_cluster() -> None:
    inherited = {"HELM_KUBETOKEN": "x", "HELM_NAMESPACE": "y", "KUBECONFIG": "/home/me/config", "HTTPS_PROXY": "p"}
    found = environment(inherited, homes=Path("/h"), cache=Path("/c"), kubeconfig=None, context=None, cluster=False)
    assert found["KUBECONFIG"] == "/dev/null"
    assert found["HTTPS_PROXY"] == "p"
    assert {name for name in found if name.startswith("HELM_")} == {
        "HELM_DRIVER",
        "HELM_CACHE_HOME",
        "HELM_CONFIG_HOME",
        "HELM_DATA_HOME",
        "HELM_PLUGINS",
    }


@pytest.mark.parametrize(
    ("status", "install", "hooks", "before_upgrade"),
    [
        ("deployed", True, ("Job x",), None),
        ("superseded", False, (), None),
        ("uninstalled", False, (), None),
        ("failed", False, ("Job x",), None),
        ("failed", True, (), None),
        ("failed", True, ("Job x",), "uninstalled"),
        ("pending-install", True, ("Job x",), "uninstalled"),
        ("pending-install", True, (), "failed"),
        ("pending-upgrade", False, ("Job x",), "failed"),
        ("pending-rollback", False, (), "failed"),
        ("uninstalling", False, (), "failed"),
    ],
)
def test_what_a_status_becomes(status: str, install: bool, hooks: tuple[str, ...], before_upgrade: str | None) -> None:
    found = Unfinished(status, install, hooks)
    assert decide(found, wanted=True).status == before_upgrade
    assert decide(found, wanted=False).status is None


def test_our_mark_is_taken_back_before_an_uninstall() -> None:
    assert decide(Unfinished("uninstalled", True, (), marked_by_us=True), wanted=False).status == "failed"


def test_nearest_versions() -> None:
    assert nearest("41.3.9", ["40.0.0", "41.3.10-rc.1", "41.3.0", "41.2.0", "odd"]) == [
        "41.3.0",
        "41.2.0",
        "40.0.0",
        "odd",
        "41.3.10-rc.1",
    ]
    assert similar("treafik", ["traefik", "triton"]) == "traefik"
    assert similar("zzz", ["traefik"]) is None


def test_helm_is_presumed_dead_after_its_deadline_and_some_slack() -> None:
    now = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
    assert not presumed_dead("2026-11-22T11:54:30Z", 300.0, now)
    assert presumed_dead("2026-11-22T11:53:59Z", 300.0, now)
