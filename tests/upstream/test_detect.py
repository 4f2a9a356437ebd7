"""The ``detect`` rules of a component find what its own chart makes, whoever installed it, with its version.

Against the stand-ins in tests/charts, or against the real charts where SPARKRIG_REAL_CHARTS names a folder of them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.upstream.check_paths import CATALOG, Setting, Subject, chart_of
from tests.upstream.documents import Folder, upstream_folders
from tests.upstream.recognised import described
from tests.upstream.test_paths import CHARTS

from sparkrig.clusters.facts.installs import Objects, find_installs
from sparkrig.helm.charts.archive import crds
from sparkrig.models.component import Install

pytestmark = pytest.mark.tools

FOLDERS = [folder for folder in upstream_folders(CATALOG) if folder.component.get("detect")]
RELEASE = {"meta.helm.sh/release-name": "theirs", "meta.helm.sh/release-namespace": "elsewhere"}
HELM = {"labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": RELEASE}
BESIDE = [folder.name for folder in FOLDERS if all(rule.get("standsIn") for rule in folder.component["detect"])]
"""Components that may stand beside one of somebody else's: what is found is told, and is never in the way."""
OWNERS: dict[str, tuple[Mapping[str, Any], str]] = {
    "helm": (HELM, "Helm release elsewhere/theirs"),
    # helm template | kubectl apply leaves Helm's label, and no annotation.
    "manifests": ({"labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": {}}, "plain manifests"),
    "add-on": (
        {"labels": {"eks.amazonaws.com/component": "x"}, "annotations": {}},
        "a managed add-on of EKS",
    ),
    "addon-manager": (
        {"labels": {"addonmanager.kubernetes.io/mode": "Reconcile"}, "annotations": {}},
        "the cluster's add-on manager",
    ),
}
WORKLOADS = ("Deployment", "DaemonSet", "StatefulSet")


def made(folder: Folder, chart: Path, marks: Mapping[str, Any]) -> Objects:
    """What the chart makes, with CRDs, as if somebody else had installed it elsewhere."""
    subject = Subject(folder, chart)
    values = subject.values(Setting(None))
    items = [*subject.release.render(values), *crds(chart, values)]
    for item in items:
        metadata = item["metadata"]
        metadata["labels"] = {**(metadata.get("labels") or {}), "app.kubernetes.io/managed-by": "", **marks["labels"]}
        metadata["annotations"] = dict(marks["annotations"])
        metadata.setdefault("namespace", "elsewhere")

    def of(*kinds: str) -> Sequence[Mapping[str, Any]]:
        return [copy.deepcopy(item) for item in items if item["kind"] in kinds]

    return Objects(
        workloads=of(*WORKLOADS),
        crds=of("CustomResourceDefinition"),
        ingress_classes=of("IngressClass"),
        api_services=of("APIService"),
    )


def found(folder: Folder, owner: str) -> tuple[Install, ...]:
    chart = chart_of(folder, CHARTS)
    assert chart is not None, f"no chart of {folder.name} in {CHARTS}"
    component = described(folder)
    rules = [rule for rule in component.detect if rule.fact is None]
    return find_installs(rules, made(folder, chart, OWNERS[owner][0]))


@pytest.mark.parametrize("owner", OWNERS)
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_the_chart_makes_is_found_with_owner_and_version(folder: Folder, owner: str) -> None:
    whole = [install for install in found(folder, owner) if install.stands_in == (folder.name in BESIDE)]
    assert len(whole) == 1, whole
    (install,) = whole
    assert install.who == OWNERS[owner][1]
    assert install.workloads
    assert not install.crds_only
    assert install.version


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_nothing_stands_in_for_itself(folder: Folder) -> None:
    stands_in = [install.name for install in found(folder, "helm") if install.stands_in]
    assert stands_in == ([folder.name] if folder.name in BESIDE else [])


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_other_components_make_is_not_taken_for_it(folder: Folder) -> None:
    component = described(folder)
    rules = [rule for rule in component.detect if not rule.stands_in]
    for other in FOLDERS:
        chart = chart_of(other, CHARTS)
        if other.name == folder.name or chart is None:
            continue
        assert find_installs(rules, made(other, chart, HELM)) == (), other.name
