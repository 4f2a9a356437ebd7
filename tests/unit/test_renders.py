"""Renderings in the cache: only of exactly the same, and nothing that must not lie there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.records import desired

from sparkrig.model import DesiredRelease
from sparkrig.renders import Renders

CONFIGMAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"text": "hällo"}}
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "a"},
    "data": {"password": "aHVudGVyMg=="},
    "stringData": {"token": "hunter2"},
}
EMPTY_SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b"}, "data": None}
OTHERS_SECRET = {"apiVersion": "example.org/v1", "kind": "Secret", "metadata": {"name": "c"}, "data": {"a": "b"}}


@pytest.fixture
def helm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPARKRIG_CACHE_DIR", str(tmp_path / "cache"))
    program = tmp_path / "helm"
    program.write_text("1")
    return program


def kept(tmp_path: Path) -> str:
    return "".join(file.read_text() for file in (tmp_path / "cache").rglob("*") if file.is_file())


def test_the_same_is_recalled(helm: Path) -> None:
    release = desired("a")
    Renders(helm, "4.3.1", "v1.36.3", ["b/v1", "a/v1"]).remember(release, [CONFIGMAP, OTHERS_SECRET], upgrade=False)
    found = Renders(helm, "4.3.1", "v1.36.3", ["a/v1", "b/v1"]).recall(release, upgrade=False)
    assert found == [CONFIGMAP, OTHERS_SECRET]
    renders = Renders(helm, "4.3.1", "v1.36.3", ["a/v1", "b/v1"])
    renders.remember(release, [], upgrade=True)
    assert renders.recall(release, upgrade=True) == []  # a chart that renders nothing is known too


@pytest.mark.parametrize(
    "change",
    [
        lambda release: replace(release, values={"replicas": 2}),
        lambda release: replace(release, values={"replicas": 1.0}),
        lambda release: replace(release, values={"replicas": True}),
        lambda release: replace(release, namespace="other"),
        lambda release: replace(release, release="other"),
        lambda release: replace(release, chart=replace(release.chart, digest="sha256:other")),
    ],
)
def test_another_release_is_not(helm: Path, change: Callable[[DesiredRelease], DesiredRelease]) -> None:
    renders = Renders(helm, "4.3.1", "v1.36.3", [])
    renders.remember(desired("a"), [CONFIGMAP], upgrade=False)
    assert renders.recall(change(desired("a")), upgrade=False) is None


def test_nor_by_another_helm_for_another_cluster_or_as_an_upgrade(helm: Path) -> None:
    release, renders = desired("a"), Renders(helm, "4.3.1", "v1.36.3", [])
    renders.remember(release, [CONFIGMAP], upgrade=False)
    assert renders.recall(release, upgrade=True) is None
    assert Renders(helm, "4.3.1", "v1.35.0", []).recall(release, upgrade=False) is None
    assert Renders(helm, "4.3.1", "v1.36.3", ["a/v1"]).recall(release, upgrade=False) is None
    assert Renders(helm, "4.3.2", "v1.36.3", []).recall(release, upgrade=False) is None
    helm.write_text("another one")
    assert Renders(helm, "4.3.1", "v1.36.3", []).recall(release, upgrade=False) is None


def test_a_chart_without_a_digest_is_never_known(helm: Path) -> None:
    release = desired("a")
    release = replace(release, chart=replace(release.chart, digest=""))
    renders = Renders(helm, "4.3.1", "v1.36.3", [])
    renders.remember(release, [CONFIGMAP], upgrade=False)
    assert renders.recall(release, upgrade=False) is None


def test_no_contents_of_secrets_are_kept(helm: Path, tmp_path: Path) -> None:
    release, renders = desired("a"), Renders(helm, "4.3.1", "v1.36.3", [])
    renders.remember(release, [SECRET, EMPTY_SECRET, CONFIGMAP], upgrade=False)
    assert renders.recall(release, upgrade=False) == [
        {**SECRET, "data": {"password": ""}, "stringData": {"token": ""}},
        EMPTY_SECRET,
        CONFIGMAP,
    ]
    # An upgrade is compared with what is there, Secrets and all.
    renders.remember(release, [SECRET, CONFIGMAP], upgrade=True)
    assert renders.recall(release, upgrade=True) is None
    assert "hunter2" not in kept(tmp_path)
    assert "aHVudGVyMg" not in kept(tmp_path)
    renders.remember(release, [EMPTY_SECRET, CONFIGMAP], upgrade=True)
    assert renders.recall(release, upgrade=True) == [EMPTY_SECRET, CONFIGMAP]


@pytest.mark.parametrize(
    "values",
    [
        {"adminPassword": "hunter2"},
        {"auth": {"token": "hunter2"}},
        {"env": [{"name": "API_KEY", "value": "hunter2"}]},
        {"url": "https://ada:hunter2@example.org"},
        {"config": "password = hunter2"},
    ],
)
def test_a_release_with_a_secret_among_its_values_is_not_kept(
    helm: Path, tmp_path: Path, values: dict[str, Any]
) -> None:
    release, renders = desired("a", values=values), Renders(helm, "4.3.1", "v1.36.3", [])
    renders.remember(release, [{**CONFIGMAP, "data": {"text": "hunter2"}}], upgrade=False)
    assert renders.recall(release, upgrade=False) is None
    assert not kept(tmp_path)


def test_the_schema_of_the_values_may_name_a_secret(helm: Path, tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"word": {"type": "string", "writeOnly": True}}}
    release, renders = desired("a", values={"word": "hunter2"}), Renders(helm, "4.3.1", "v1.36.3", [])
    renders.remember(release, [CONFIGMAP], upgrade=False, schema=schema)
    assert renders.recall(release, upgrade=False) is None
    assert not kept(tmp_path)
    renders.remember(replace(release, values={"word": ""}), [CONFIGMAP], upgrade=False, schema=schema)
    assert renders.recall(replace(release, values={"word": ""}), upgrade=False) == [CONFIGMAP]


@pytest.mark.parametrize("upgrade", [False, True])
def test_a_secret_inside_of_a_list_is_not_kept(helm: Path, tmp_path: Path, upgrade: bool) -> None:
    release, renders = desired("a"), Renders(helm, "4.3.1", "v1.36.3", [])
    renders.remember(release, [{"apiVersion": "v1", "kind": "List", "items": [SECRET]}], upgrade=upgrade)
    assert renders.recall(release, upgrade=upgrade) is None
    assert not kept(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "smtp_auth_password: hunter2",
        "url: https://ada:hunter2@example.org",
        "api_url: https://hooks.slack.com/services/T1/B2/hunter2",
        "routing_key: hunter2",
    ],
)
def test_an_object_with_a_secret_in_its_text_is_not_kept(helm: Path, tmp_path: Path, text: str) -> None:
    renders = Renders(helm, "4.3.1", "v1.36.3", [])
    renders.remember(desired("a"), [CONFIGMAP, {**CONFIGMAP, "data": {"config.yaml": text}}], upgrade=False)
    assert not kept(tmp_path)


@pytest.mark.parametrize("data", [{1: "a"}, {"a": {2.5}}, {"a": b"bytes"}])
def test_what_json_cannot_tell_is_not_kept(helm: Path, data: dict[Any, Any]) -> None:
    renders = Renders(helm, "4.3.1", "v1.36.3", [])
    renders.remember(desired("a"), [{**CONFIGMAP, "data": data}], upgrade=False)
    assert renders.recall(desired("a"), upgrade=False) is None


def test_a_damaged_memory_is_none(helm: Path, tmp_path: Path) -> None:
    release, renders = desired("a"), Renders(helm, "4.3.1", "v1.36.3", [])
    renders.remember(release, [CONFIGMAP], upgrade=False)
    (file,) = (tmp_path / "cache" / "renders").iterdir()
    file.write_bytes(file.read_bytes()[:-3])
    assert renders.recall(release, upgrade=False) is None
