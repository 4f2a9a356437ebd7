"""Every object status in tests/cases/readiness is judged as its case says."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrig.models.component import ReadinessRule
from sparkrig.models.objects import Readiness
from sparkrig.readiness import Context, judge, needs_window

CASES = Path(__file__).parents[2] / "cases" / "readiness"
NOW = "2026-01-01T00:10:00Z"


def merged(base: Any, over: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    laid = {**base, **{key: merged(base.get(key), value) for key, value in over.items()}}
    return {key: value for key, value in laid.items() if value is not None}


def cases() -> list[Any]:
    found = []
    for file in sorted(CASES.glob("*.yaml")):
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        for case in document["cases"]:
            obj = merged(document["base"], case.get("with", {}))
            found.append(pytest.param(obj, case, id=f"{file.stem}: {case['name']}"))
    return found


@pytest.mark.parametrize(("obj", "case"), cases())
def test_an_object_is_judged_as_its_case_says(obj: dict[str, Any], case: dict[str, Any]) -> None:
    given = case.get("context", {})
    context = Context(
        binding_modes=given.get("binding_modes", {}),
        consumed_claims=frozenset(tuple(each) for each in given.get("consumed_claims", ())),
        webhooks_served=given.get("webhooks_served", False),
    )
    stamp = case.get("now", NOW)
    judgement = judge(
        obj,
        [ReadinessRule(**rule) for rule in case.get("rules", ())],
        now=datetime.datetime.fromisoformat(stamp) if stamp else None,
        context=context,
    )
    assert {"readiness": judgement.readiness.value, "message": judgement.message} == case["expect"]


def test_the_tables_are_not_empty_and_each_shows_ready_and_not_ready() -> None:
    by_file: dict[str, set[str]] = {}
    for parameter in cases():
        by_file.setdefault(str(parameter.id).split(":")[0], set()).add(parameter.values[1]["expect"]["readiness"])
    assert len(cases()) >= 60
    assert not {file for file, seen in by_file.items() if not {"ready", "progressing"} <= seen}


def test_judging_leaves_the_object_as_it_was() -> None:
    for parameter in cases():
        before = yaml.safe_dump(parameter.values[0])
        judge(parameter.values[0])
        assert yaml.safe_dump(parameter.values[0]) == before


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "Pod"])
def test_kinds_that_flap_have_a_window(kind: str) -> None:
    assert needs_window(kind)


@pytest.mark.parametrize("kind", ["ConfigMap", "Job", "CustomResourceDefinition"])
def test_kinds_that_do_not_flap_have_none(kind: str) -> None:
    assert not needs_window(kind)


def test_an_object_without_a_status_is_never_an_error() -> None:
    kinds = {(str(p.values[0].get("apiVersion")), str(p.values[0].get("kind"))) for p in cases()}
    verdicts = {kind: judge({"apiVersion": version, "kind": kind}).readiness for version, kind in kinds}
    for kind in ("Deployment", "DaemonSet", "Job", "Pod", "PersistentVolumeClaim", "CustomResourceDefinition"):
        assert verdicts[kind] is Readiness.PROGRESSING
    assert verdicts["Widget"] is Readiness.NOT_JUDGED
    assert verdicts["Secret"] is Readiness.READY
