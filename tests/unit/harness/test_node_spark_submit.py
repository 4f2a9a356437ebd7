"""The imitation of the Spark operator runs spark-submit: where it is found, what it is given, how its end is told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.mini import ROOT

sys.path.append(str(ROOT / "tests" / "node" / "images" / "spark-operator"))
from sparkoperator import cluster, submission

MASTER = "k8s://https://10.0.0.1:443"


def application(spec: dict[str, Any] | None = None) -> dict[str, Any]:
    whole = {"mode": "cluster", "mainApplicationFile": "local:///a.jar", **(spec or {})}
    return {"metadata": {"name": "pi", "namespace": "jobs", "uid": "u1"}, "spec": whole}


@pytest.mark.parametrize(
    ("log", "code", "reason"),
    [
        ("Exception: forbidden: exceeded quota: jobs\n", 1, "Exception: forbidden: exceeded quota: jobs\n"),
        ("", 3, "exit status 3"),
    ],
)
def test_why_a_submission_failed(log: str, code: int, reason: str) -> None:
    assert cluster.reason(log, code) == f"failed to run spark-submit: {reason}"


def test_a_driver_that_is_there_already_is_named() -> None:
    assert cluster.reason("POST ... Message: pods exists, code=409, ...", 1) == "driver pod already exist"


def environment(tmp_path: Path, script: str) -> dict[str, str]:
    """Of a pod whose SPARK_HOME has this spark-submit."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "spark-submit"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    address = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    return {"SPARK_HOME": str(tmp_path), "PATH": "/usr/bin:/bin", **address}


def test_spark_submit_is_the_one_below_spark_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "TEMPLATES", tmp_path / "spark")
    made = application({"sparkConf": {"spark.a": "b"}})
    cluster.submit(made, "s1", environment(tmp_path, f'printf "%s\\n" "$@" > {tmp_path}/arguments'))
    got = (tmp_path / "arguments").read_text(encoding="utf-8").splitlines()
    files = {role: f"{tmp_path}/spark/s1/{role}-pod-template.yaml" for role in submission.ROLES}
    assert got == submission.arguments(made, MASTER, "s1", files)
    passed = yaml.safe_load(Path(files["driver"]).read_text(encoding="utf-8"))
    assert passed == submission.template(made, "driver")


def test_templates_of_the_application_are_removed_after_the_submission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "TEMPLATES", tmp_path / "spark")
    made = application({"driver": {"template": {"spec": {}}}})
    with pytest.raises(cluster.SubmissionFailed, match="failed to run spark-submit: no\n"):
        cluster.submit(made, "s1", environment(tmp_path, "echo no >&2; exit 1"))
    assert not (tmp_path / "spark" / "s1").exists()


def test_without_spark_home_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "TEMPLATES", tmp_path / "spark")
    lacking = {k: v for k, v in environment(tmp_path, "true").items() if k != "SPARK_HOME"}
    with pytest.raises(cluster.SubmissionFailed, match="env SPARK_HOME is not specified"):
        cluster.submit(application(), "s1", lacking)
