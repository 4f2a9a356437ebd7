"""The stand-ins in tests/charts: marked as such, lint-clean, with the names and CRDs that our components count on."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml
from tests.upstream.check_paths import CATALOG
from tests.upstream.documents import Folder, upstream_folders
from tests.upstream.rendering import Release, helm

STAND_INS: Final = Path(__file__).parents[1] / "charts"
CHARTS: Final = sorted(file.parent for file in STAND_INS.glob("*/Chart.yaml"))
FOLDERS: Final = upstream_folders(CATALOG)
NO_SEMVER: Final = "[WARNING] Chart.yaml: version '{version}' is not a valid SemVerV2"
"""Where upstream's own version has a v, lint says the same of the real chart."""


def test_each_component_with_an_upstream_chart_has_one() -> None:
    assert [chart.name for chart in CHARTS] == sorted(folder.component["chart"]["name"] for folder in FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_name_and_version_follow_the_component(folder: Folder) -> None:
    wanted = folder.component["chart"]
    chart = yaml.safe_load((STAND_INS / wanted["name"] / "Chart.yaml").read_text())
    assert (chart["name"], chart["version"]) == (wanted["name"], f"{wanted['version']}-standin")
    assert chart["description"].startswith("STAND-IN for tests, not the real chart.")


@pytest.mark.tools
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_crds_are_open_and_are_those_that_the_component_provides(folder: Folder) -> None:
    chart = STAND_INS / folder.component["chart"]["name"]
    crds = [
        yaml.safe_load(file.read_text()) for file in sorted(chart.rglob("crds/*.yaml")) if file.name != "Chart.yaml"
    ]
    if folder.component["crds"]["owner"] == "helm":
        crds += Release(chart, folder.name, "test").render(folder.values)
    crds = [crd for crd in crds if crd.get("kind") == "CustomResourceDefinition"]
    provided = {item.removeprefix("crd:") for item in folder.component.get("provides", ()) if item.startswith("crd:")}
    assert provided <= {crd["metadata"]["name"] for crd in crds}
    for crd in crds:
        if crd["spec"]["group"].endswith((".k8s.io", ".kubernetes.io")):  # the API server wants a word about these
            assert crd["metadata"]["annotations"]["api-approved.kubernetes.io"]
        for version in crd["spec"]["versions"]:
            assert version["schema"]["openAPIV3Schema"]["x-kubernetes-preserve-unknown-fields"] is True


@pytest.mark.tools
@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_lint_is_clean(chart: Path) -> None:
    version = yaml.safe_load((chart / "Chart.yaml").read_text())["version"]
    known = [NO_SEMVER.format(version=version)] if version.startswith("v") else []
    done = subprocess.run([helm(), "lint", "--strict", str(chart)], capture_output=True, text=True, timeout=60)
    complaints = [line for line in done.stdout.splitlines() if line.startswith(("[WARNING]", "[ERROR]"))]
    assert [line for line in complaints if line not in known] == []
    assert done.returncode == 0 or complaints == known


@pytest.mark.tools
@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_the_chart_has_workloads_by_default(chart: Path) -> None:
    kinds = {item["kind"] for item in Release(chart, chart.name, "test").render({})}
    assert {"Deployment", "ServiceAccount"} <= kinds
