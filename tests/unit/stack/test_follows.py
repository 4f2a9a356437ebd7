"""What is written once for Spark and holds in several components of the shipped catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparkrig.catalog.catalog import Catalog
from sparkrig.catalog.load import load_catalog
from sparkrig.models.cluster import ClusterFacts
from sparkrig.stack.file import SourceTexts, load_stack_file
from sparkrig.stack.resolve import Prepared, prepare
from sparkrig.yaml.merge import to_values

ROOT = Path(__file__).parents[3]
HEAD = "apiVersion: sparkrig.dev/v1\nkind: Stack\nmetadata: {name: lab}\n"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog([ROOT / "charts"])


def prepared(text: str, folder: Path, catalog: Catalog) -> Prepared:
    (folder / "stack.yaml").write_text(HEAD + text)
    sources = SourceTexts()
    return prepare(load_stack_file(folder / "stack.yaml", sources), catalog, ClusterFacts(), sources=sources)


def values(component: str, text: str, folder: Path, catalog: Catalog) -> dict[str, Any]:
    found = prepared(text, folder, catalog)
    assert found.errors == ()
    return to_values(found.values[component])


def test_job_namespaces_are_written_once(tmp_path: Path, catalog: Catalog) -> None:
    text = "components: {spark-platform: {values: {jobNamespaces: [{name: etl}, {name: adhoc}]}}}"
    assert values("spark-operator", text, tmp_path, catalog)["spark"]["jobNamespaces"] == ["etl", "adhoc"]
    assert values("spark-examples", text, tmp_path, catalog)["jobNamespaces"] == ["etl", "adhoc"]


def test_the_examples_follow_accounts_and_version(tmp_path: Path, catalog: Catalog) -> None:
    text = """
components:
  spark-platform:
    values:
      image: {tag: 4.0.5}
      namespaceDefaults: {serviceAccounts: {driver: {name: jobs}, executor: {name: workers}}}
"""
    found = values("spark-examples", text, tmp_path, catalog)
    assert found["serviceAccounts"] == {"driver": "jobs", "executor": "workers"}
    assert found["image"]["tag"] == "4.0.5"


@pytest.mark.parametrize("scheduler", ["volcano", "yunikorn"])
def test_the_operator_brings_the_gang_scheduler_s_part(scheduler: str, tmp_path: Path, catalog: Catalog) -> None:
    text = f"components: {{spark-platform: {{values: {{gangScheduling: {{scheduler: {scheduler}}}}}}}}}"
    batch = values("spark-operator", text, tmp_path, catalog)["controller"]["batchScheduler"]
    assert batch == {"enable": True, "default": scheduler}


@pytest.mark.parametrize("scheduler", ["none", "kueue"])
def test_the_operator_has_no_part_in_the_others(scheduler: str, tmp_path: Path, catalog: Catalog) -> None:
    queue = "{scheduler: kueue, queue: spark}" if scheduler == "kueue" else "{scheduler: none}"
    text = f"components: {{spark-platform: {{values: {{gangScheduling: {queue}}}}}}}"
    assert "batchScheduler" not in values("spark-operator", text, tmp_path, catalog)["controller"]


def test_two_lists_of_job_namespaces_are_refused_with_both_places(tmp_path: Path, catalog: Catalog) -> None:
    text = """
components:
  spark-platform: {values: {jobNamespaces: [{name: etl}]}}
  spark-operator: {values: {spark: {jobNamespaces: [etl, ml]}}}
"""
    (problem,) = prepared(text, tmp_path, catalog).errors
    assert problem.code == "differs"
    assert problem.position is not None
    assert problem.position.line == 7
    assert problem.hint is not None
    assert "stack.yaml:6:" in problem.hint


def test_the_operator_reads_what_the_platform_writes(tmp_path: Path, catalog: Catalog) -> None:
    """Both releases are in one namespace, and the mounts name the ConfigMaps that are made there."""
    operator, platform = catalog.components["spark-operator"], catalog.components["spark-platform"]
    assert operator.namespace == platform.namespace
    controller = values("spark-operator", "", tmp_path, catalog)["controller"]
    mounted = {v["configMap"]["name"] for v in controller["volumes"] if "configMap" in v}
    assert mounted == {"spark-defaults", "spark-pod-templates"}
    places = {mount["mountPath"] for mount in controller["volumeMounts"]}
    assert {"/etc/spark/conf", "/etc/spark/templates"} <= places
    assert {"name": "SPARK_CONF_DIR", "value": "/etc/spark/conf"} in controller["env"]
