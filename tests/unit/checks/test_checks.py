"""What checks are made of: parameters, expectations, selections; and that the catalogue's own are sound."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrig.catalog.load import SCHEMA, load_catalog
from sparkrig.catalog.references import NAMES, VALUES, Scope, Unknown, references
from sparkrig.checks.kinds import KINDS
from sparkrig.checks.kinds.base import Depth, Subject
from sparkrig.checks.kinds.made import RUN, _in_use, _this_run
from sparkrig.checks.kinds.matching import mismatch, tensor_mismatch
from sparkrig.checks.needs import look_at
from sparkrig.checks.selection import Selection, check_names
from sparkrig.clusters.gpus import _of_pod as gpus_of
from sparkrig.errors import NotFound
from sparkrig.models.cluster import ClusterFacts
from sparkrig.models.component import CheckSpec
from sparkrig.models.release import ReleaseState

ROOT = Path(__file__).parents[3]
CASES = yaml.safe_load((ROOT / "tests" / "cases" / "verify" / "matching.yaml").read_text(encoding="utf-8"))
SCOPE = Scope("hub", "my-hub", "jupyter", "lab", {"image": {"tag": 7}, "hosts": ["a", "b"], "empty": ""}, "check-x")


@pytest.mark.parametrize("case", CASES["values"], ids=lambda case: json.dumps(case["test"]))
def test_a_value_is_what_it_should_be_or_why_not(case: Mapping[str, Any]) -> None:
    assert mismatch(case["document"], case["test"]) == case.get("why")


@pytest.mark.parametrize("case", CASES["tensors"], ids=lambda case: case["name"])
def test_tensors_are_compared_within_tolerance(case: Mapping[str, Any]) -> None:
    found = tensor_mismatch("y", case["found"], case["wanted"], case.get("absolute", 0), case.get("relative", 0))
    assert found == case.get("why", "")


def test_not_a_number_is_only_itself() -> None:
    assert tensor_mismatch("y", [math.nan, math.inf], [math.nan, math.inf], 0, 0) == ""
    assert tensor_mismatch("y", [1.0], [math.nan], 1e9, 1e9) != ""
    assert tensor_mismatch("y", [1e300], [math.inf], 1, 1) != ""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${release}-web", "my-hub-web"),
        ("${namespace}/${component}/${stack}/${name}", "jupyter/hub/lab/check-x"),
        ("${values.image.tag}", 7),
        ("v${values.image.tag}", "v7"),
        ("${values.hosts.1}", "b"),
        ("${values.hosts}", ["a", "b"]),
        ("${values.empty:-default}", "default"),
        ("${values.gone:-}", ""),
        ("${values.gone:-a:-b}", "a:-b"),
        ("$release {release} $", "$release {release} $"),
        ({"a": ["${release}", 1, None]}, {"a": ["my-hub", 1, None]}),
    ],
)
def test_references(text: Any, value: Any) -> None:
    assert SCOPE.expand(text) == value


def test_a_reference_to_nothing_is_refused() -> None:
    for text in ("${values.gone}", "${values.hosts.5}", "${values.image.tag.x}", "${password}"):
        with pytest.raises(Unknown, match="is not set for hub"):
            SCOPE.expand(text)


def test_the_schema_knows_the_kinds_that_there_are() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    check = schema["properties"]["checks"]["items"]
    assert set(check["properties"]["kind"]["enum"]) == set(KINDS)
    conditions = {part["if"]["properties"]["kind"]["const"] for part in check["allOf"]}
    assert conditions == set(KINDS)
    assert {f"check-{kind}" for kind in KINDS} <= set(schema["definitions"])


def test_every_component_has_a_gate_check_and_every_check_a_hint() -> None:
    catalog = load_catalog([ROOT / "charts"])
    for component in catalog.components.values():
        assert any(check.gate for check in component.checks), component.name
        for check in component.checks:
            assert check.hint, f"{component.name}/{check.name}"
            # What takes minutes, or an image of its own, must not stand between a change and its success.
            assert not (check.gate and KINDS[check.kind].depth is Depth.DEEP), f"{component.name}/{check.name}"


def test_references_in_the_catalogue_are_ones_that_can_be_resolved() -> None:
    for component in load_catalog([ROOT / "charts"]).components.values():
        for check in component.checks:
            for name in references([dict(check.parameters), check.hint]):
                assert name in NAMES or name.startswith(VALUES), f"{component.name}/{check.name}: {name}"
            scope = Scope(component.name, component.release, component.namespace, "lab", {}, "check-x")
            scope.expand(check.hint)  # a hint must be readable whatever the values are
            scope.expand(dict(check.parameters))


def test_images_of_checks_are_in_the_lists_for_mirrors() -> None:
    for component in load_catalog([ROOT / "charts"]).components.values():
        scope = Scope(component.name, component.release, component.namespace, "lab", {}, "check-x")
        for check in component.checks:
            parameters = scope.expand(dict(check.parameters))
            spec = (parameters.get("object") or {}).get("spec") or {}
            for image in (parameters.get("image"), spec.get("image")):
                assert image is None or image in component.images, f"{component.name}/{check.name}: {image}"


# --------------------------------------------------------------------------- selection

STATE = ReleaseState("web", "web", "web", "web", "1", "", False, "", 1, ())
FAST = CheckSpec("up", "workloads", True, 1.0)
PAGE = CheckSpec("page", "http", False, 1.0)
RUN_IT = CheckSpec("run", "job", False, 1.0)
WEB = Subject("web", STATE, (FAST, PAGE, RUN_IT))
DB = Subject("db", STATE, (FAST,))


def taken(selection: Selection) -> list[str]:
    return [f"{s.component}/{c.name}" for s in (WEB, DB) for c in s.checks if selection.takes(s, c)]


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        (Selection(), ["web/up", "web/page", "db/up"]),
        (Selection(depth=Depth.FAST), ["web/up", "db/up"]),
        (Selection(depth=Depth.DEEP), ["web/up", "web/page", "web/run", "db/up"]),
        (Selection(gate_only=True), ["web/up", "db/up"]),
        (Selection(only=("db",)), ["db/up"]),
        (Selection(only=("http", "db/up")), ["web/page", "db/up"]),
        (Selection(only=("run",), depth=Depth.FAST), ["web/run"]),
        (Selection(depth=Depth.FAST, require=("web/run",)), ["web/up", "web/run", "db/up"]),
        (Selection(depth=Depth.FAST, require=("all",)), ["web/up", "web/page", "web/run", "db/up"]),
    ],
)
def test_what_is_asked(selection: Selection, names: list[str]) -> None:
    assert taken(selection) == names


def test_what_must_be_answered() -> None:
    assert Selection(require=("http",)).must(WEB, PAGE)
    assert not Selection(require=("http",)).must(WEB, FAST)
    assert Selection(require=("all",)).must(DB, FAST)


@pytest.mark.parametrize(
    ("selection", "message", "hint"),
    [
        (Selection(only=("pgae",)), "--only pgae: no check is called so", "did you mean 'page'?"),
        (Selection(require=("ingress",)), "--require ingress: no check is called so; ingress is a kind", None),
        (Selection(only=("bare",)), "--only bare: this component has no checks", None),
    ],
)
def test_names_that_name_nothing(selection: Selection, message: str, hint: str | None) -> None:
    with pytest.raises(NotFound) as caught:
        check_names(selection, [WEB, DB, Subject("bare", STATE)])
    assert caught.value.message.startswith(message)
    assert hint is None or caught.value.hint == hint


def test_good_names_are_taken() -> None:
    check_names(Selection(only=("web", "up", "http", "web/page"), require=("all", "job")), [WEB, DB])


# --------------------------------------------------------------------------- needs


@pytest.mark.parametrize(
    ("name", "facts", "met"),
    [
        ("real-pods", ClusterFacts(simulated=True), False),
        ("real-pods", ClusterFacts(), True),
        ("gpu", ClusterFacts(gpu_nodes=2), True),
        ("gpu", ClusterFacts(gpu_nodes=0), False),
        ("gpu", ClusterFacts(), None),
        ("gpu", ClusterFacts(values={"gpu.nodes-present": True}), True),
        ("internet", ClusterFacts(), None),
        ("internet", ClusterFacts(simulated=True), False),
        ("load-balancer", ClusterFacts(values={"cluster.load-balancer": True}), True),
        ("load-balancer", ClusterFacts(), None),
        ("luck", ClusterFacts(), False),
    ],
)
def test_needs(name: str, facts: ClusterFacts, met: bool | None) -> None:
    (need,) = look_at([name, name], facts)
    assert need.met is met
    assert need.why or met


def test_only_custom_resources_are_scripted_on_a_simulated_cluster() -> None:
    needs = KINDS["condition"].needs
    for version in ("v1", "apps/v1", "batch/v1", "apiregistration.k8s.io/v1", "networking.k8s.io/v1"):
        assert list(needs({"apiVersion": version})) == [], version
    for version in ("nvidia.com/v1", "nfd.k8s-sigs.io/v1alpha1", "gateway.networking.k8s.io/v1"):
        assert list(needs({"apiVersion": version})) == ["real-pods"], version


# --------------------------------------------------------------------------- what a killed run leaves


def metadata(**run: Any) -> dict[str, Any]:
    return {"annotations": {RUN: json.dumps(run)}}


def test_whose_objects_are_still_in_use() -> None:
    mine = _this_run(60)
    assert _in_use(metadata(**mine))
    place, _, start = mine["process"].rpartition("/")
    assert not _in_use(metadata(**{**mine, "run": "x", "process": f"{place}/{int(start) + 1}"}))  # the number's next
    assert not _in_use(metadata(**{**mine, "run": "x", "process": f"{place.rpartition('/')[0]}/{2**22 + 1}/1"}))
    future = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)).isoformat()
    past = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)).isoformat()
    elsewhere = {**mine, "run": "x", "process": f"other-boot/{place.partition('/')[2]}/{start}"}
    assert _in_use(metadata(**{**elsewhere, "until": future}))
    assert not _in_use(metadata(**{**elsewhere, "until": past}))
    # Two containers: one host name, pid 1 in both, started at another moment. Each leaves alone what the other made.
    container = {"host": mine["host"], "pid": mine["pid"], "run": "x", "process": "boot/4026/1/17", "until": future}
    assert _in_use(metadata(**container))
    assert not _in_use({})
    assert not _in_use(metadata(host=1))
    assert not _in_use({"annotations": {RUN: "nonsense"}})


def test_gpus_are_counted_as_the_scheduler_counts_them() -> None:
    def container(**counts: int) -> dict[str, Any]:
        limits = {f"nvidia.com/{name.replace('_', '-')}": str(count) for name, count in counts.items()}
        return {"resources": {"limits": {**limits, "cpu": "2"}}}

    assert gpus_of({"containers": [container(gpu=2), container(mig_1g=1), {}]}) == 3
    assert gpus_of({"containers": [container(gpu=1)], "initContainers": [container(gpu=4), container(gpu=2)]}) == 4
    beside = {**container(gpu=1), "restartPolicy": "Always"}
    assert gpus_of({"containers": [container(gpu=1)], "initContainers": [beside]}) == 2
    both = {"resources": {"limits": {"nvidia.com/gpu": "1"}, "requests": {"nvidia.com/gpu": "1"}}}
    assert gpus_of({"containers": [both]}) == 1
