"""Every value path that our components set has an effect on the chart.

Against the stand-ins in tests/charts, or against the real charts where SPARKRIG_REAL_CHARTS names a folder of them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from tests.upstream.check_paths import CATALOG, Effect, Finding, Setting, Subject, chart_of, check_folder, main
from tests.upstream.documents import Folder, upstream_folders
from tests.upstream.rendering import name_of
from tests.upstream.restricted import deviations, pod_templates

pytestmark = pytest.mark.tools

STAND_INS: Final = Path(__file__).parents[1] / "charts"
REAL: Final = os.environ.get("SPARKRIG_REAL_CHARTS")
CHARTS: Final = Path(REAL) if REAL else STAND_INS
FOLDERS: Final = upstream_folders(CATALOG)


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Folder:
    chosen: Folder = request.param
    return chosen


@pytest.fixture
def subject(folder: Folder) -> Subject:
    chart = chart_of(folder, CHARTS)
    assert chart is not None, f"no chart of {folder.name} in {CHARTS}"
    return Subject(folder, chart)


def rendered(subject: Subject) -> dict[str, list[dict[str, Any]]]:
    """The objects with each profile."""
    return {
        str(profile): subject.release.render(subject.values(Setting(profile)))
        for profile in (None, *subject.folder.profiles)
    }


def copy_of(name: str, where: Path) -> Path:
    """A catalogue of one component, to spoil."""
    shutil.copytree(CATALOG / f"{name}-values", where / f"{name}-values")
    return where / f"{name}-values"


def findings_of(catalog: Path) -> dict[str, Finding]:
    (folder,) = upstream_folders(catalog)
    chart = chart_of(folder, STAND_INS)
    assert chart is not None
    return {f"{found.layer}: {found.path}": found for found in check_folder(folder, chart)}


def test_every_path_has_an_effect(subject: Subject) -> None:
    findings = check_folder(subject.folder, subject.release.chart)
    assert findings
    assert [found for found in findings if found.effect is Effect.NOTHING] == []


def test_a_path_that_the_chart_does_not_read_is_found(tmp_path: Path) -> None:
    folder = copy_of("traefik", tmp_path)
    values = yaml.safe_load((folder / "values.yaml").read_text())
    values["metrics"]["prometheus"]["service"] = {"enable": True}  # misspelt
    values["deployment"] = {"replicas": 1}  # what the chart has anyway
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    nothing = {key for key, found in findings_of(tmp_path).items() if found.effect is Effect.NOTHING}
    assert nothing == {"values: metrics.prometheus.service.enable", "values: deployment.replicas"}
    assert main(["--charts", str(STAND_INS), "--catalog", str(tmp_path)]) == 1


def test_a_fact_a_global_and_a_switch_that_do_nothing_are_found(tmp_path: Path) -> None:
    folder = copy_of("spark-operator", tmp_path)
    component = yaml.safe_load((folder / "component.yaml").read_text())
    component["facts"][0]["set"] = {"prometheus.podMonitor.enable": True}
    component["globals"][0]["path"] = "image.repositry"
    component["crds"]["switchOff"] = {"hook.upgradeCrds": False}
    (folder / "component.yaml").write_text(yaml.safe_dump(component))
    nothing = {key for key, found in findings_of(tmp_path).items() if found.effect is Effect.NOTHING}
    assert nothing == {
        "facts: prometheus.podMonitor.enable",
        "values: prometheus.podMonitor.podMetricsEndpoint.interval",  # of a monitor that there is none of now
        "globals: image.repositry",
        "crds.switchOff: hook.upgradeCrds",
    }


def test_a_missing_chart_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy_of("traefik", tmp_path)
    (tmp_path / "none").mkdir()
    assert main(["--charts", str(tmp_path / "none"), "--catalog", str(tmp_path)]) == 1
    assert "traefik: no chart in" in capsys.readouterr().out


def test_pods_below_restricted_are_named_as_exceptions(subject: Subject) -> None:
    entries = subject.folder.component["podSecurity"]["exceptions"]
    listed = {(entry["workload"], entry["field"]) for entry in entries}
    assert len(listed) == len(entries), "an exception is listed twice"
    objects = [item for items in rendered(subject).values() for item in items]
    found = deviations(objects)
    assert sorted(found - listed) == []
    if REAL:  # a stand-in need not have every weakness of the real chart
        workloads = {name for name, _ in pod_templates(objects)}
        assert sorted(entry for entry in listed - found if entry[0] in workloads) == []


def test_kept_objects_carry_helms_own_annotation(subject: Subject) -> None:
    """Without it an uninstall, or a value that switches the object off, deletes what people made."""
    keep = subject.folder.component.get("keep", [])
    for profile, objects in rendered(subject).items():
        for item in objects:
            if item["kind"] in ("PersistentVolumeClaim", *keep):
                annotations = item["metadata"].get("annotations") or {}
                assert annotations.get("helm.sh/resource-policy") == "keep", f"{name_of(item)} with profile {profile}"
                assert item["kind"] in keep


def test_images_of_the_pods_are_listed(subject: Subject) -> None:
    listed = set(subject.folder.component["images"])
    for profile, objects in rendered(subject).items():
        for workload, spec in pod_templates(objects):
            images = {c["image"] for kind in ("initContainers", "containers") for c in spec.get(kind) or ()}
            assert images <= listed, f"{workload} with profile {profile}"


def test_objects_of_the_release_lie_in_its_namespace(subject: Subject) -> None:
    """Secrets and workloads elsewhere would need rights, labels and pull secrets there as well."""
    own = {None, subject.release.namespace}
    for objects in rendered(subject).values():
        strangers = [
            name_of(item)
            for item in objects
            if item["kind"] in {"Secret", "Deployment", "StatefulSet", "DaemonSet"}
            and item["metadata"].get("namespace") not in own
        ]
        assert strangers == []
