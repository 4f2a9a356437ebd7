"""Pairs of CRDs -> dangers, and which custom resources they reach."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrig.plan.crds.safety import dangers
from sparkrig.plan.crds.use import dropped_fields, reach

FOLDER = Path(__file__).parents[2] / "cases" / "crds"
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['what']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for case in yaml.safe_load(path.read_text())
]


def crd(short: Mapping[str, Any]) -> dict[str, Any]:
    """A whole CRD of the short form of the cases; see their README."""
    rest = {k: v for k, v in short.items() if k not in ("versions", "stored", "applied")}
    versions = []
    for name, version in short["versions"].items():
        root = version.get("root") or {"type": "object", "properties": {"spec": version["spec"]}}
        marks = {"served": version.get("served", True), "storage": version.get("storage", True)}
        versions.append({"name": name, **marks, "schema": {"openAPIV3Schema": root}})
    applied: dict[str, Any] = {"f:spec": {f"f:{key}": {} for key in short.get("applied", ())}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "things.example.org",
            "managedFields": [{"manager": "sparkrig", "operation": "Apply", "fieldsV1": applied}],
        },
        "spec": {
            "group": "example.org",
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things"},
            "versions": versions,
            **rest,
        },
        "status": {"storedVersions": short.get("stored") or [v["name"] for v in versions if v["storage"]]},
    }


def custom_resource(short: Mapping[str, Any]) -> dict[str, Any]:
    writers = [{"apiVersion": writer} for writer in short.get("writers", ())]
    body = {key: value for key, value in short.items() if key not in ("name", "writers")}
    return {"metadata": {"name": short["name"], "managedFields": writers}, **body}


@pytest.mark.parametrize("case", CASES)
def test_dangers_and_whom_they_reach(case: Mapping[str, Any]) -> None:
    found = dangers(crd(case["old"]), crd(case["new"]))
    assert [f"{one.code} {one}" if one.place else f"{one.code}: {one}" for one in found] == case["dangers"]
    objects = [custom_resource(each) for each in case.get("objects", ())]
    if objects:
        assert [list(reach(danger, objects).objects) for danger in found] == case["hurts"]


@pytest.mark.parametrize("case", CASES)
def test_a_crd_is_no_danger_to_itself(case: Mapping[str, Any]) -> None:
    for side in ("old", "new"):
        same = {**case[side], "preserveUnknownFields": False}
        assert dangers(crd(same), crd(same)) == ()


def test_what_the_api_server_dropped_is_named_by_its_path() -> None:
    wanted: dict[str, Any] = {"spec": {"a": 1, "gone": 2, "none": None, "list": [{"x": 1, "y": 2}], "map": {}}}
    found = {"spec": {"a": 5, "list": [{"x": 1}], "map": {}, "default": 1}}
    assert sorted(dropped_fields(wanted, found)) == [("spec", "gone"), ("spec", "list[0]", "y")]
