"""The readers of JSON objects: every field may be missing, null or of the wrong type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrig.models import json as readers

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[2] / "cases" / "models" / "readers.yaml").read_text()
)
POD = {
    "metadata": {
        "name": "web-1",
        "namespace": "lab",
        "labels": {"app": "web"},
        "annotations": {"note": "x"},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "web"}],
    },
    "spec": {"initContainers": [{"name": "init"}], "containers": [{"name": "main"}]},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
}


@pytest.mark.parametrize(
    ("reader", "item", "path", "expected"),
    [(case["reader"], case["of"], path, gives) for case in CASES for path, gives in case["gives"].items()],
)
def test_reader(reader: str, item: Any, path: str, expected: Any) -> None:
    found = getattr(readers, reader)(item, *path.split("."))
    assert (list(found) if isinstance(found, tuple) else found) == expected


@pytest.mark.parametrize("item", [None, "text", 1, [], {}, {"metadata": None, "status": "x"}, {"metadata": [1]}])
def test_an_object_without_metadata_has_empty_fields(item: Any) -> None:
    assert (readers.name_of(item), readers.namespace_of(item)) == ("", "")
    assert (readers.labels_of(item), readers.annotations_of(item)) == ({}, {})
    assert not readers.owners_of(item)
    assert not readers.conditions_of(item)
    assert not readers.containers_of(item)


def test_the_fields_of_an_object_of_kubernetes() -> None:
    assert (readers.name_of(POD), readers.namespace_of(POD)) == ("web-1", "lab")
    assert (readers.labels_of(POD), readers.annotations_of(POD)) == ({"app": "web"}, {"note": "x"})
    assert [owner["kind"] for owner in readers.owners_of(POD)] == ["ReplicaSet"]
    assert [condition["type"] for condition in readers.conditions_of(POD)] == ["Ready"]
    assert [container["name"] for container in readers.containers_of(POD["spec"])] == ["init", "main"]


def test_a_default_stands_for_what_is_missing_only() -> None:
    assert readers.text_at({"a": ""}, "a", default="b") == ""
    assert readers.text_at({}, "a", default="b") == "b"
    assert readers.number_at({"a": 0}, "a", default=5) == 0
    assert readers.number_at({"a": None}, "a", default=5) == 5
