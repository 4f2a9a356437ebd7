"""The evaluator of ``renders``: it must fail where something does not hold, and refuse nonsense."""

from __future__ import annotations

from typing import Any

import pytest
from tests.cases_support import BadAssertion, failures

OBJECTS: list[dict[str, Any]] = [
    {
        "kind": "Service",
        "metadata": {"name": "a", "namespace": "one", "labels": {"example.org/team": "x"}},
        "spec": {"ports": [{"name": "http", "port": 80}], "open": True, "type": "ClusterIP", "none": None},
    },
    {"kind": "Service", "metadata": {"name": "b", "namespace": "two"}, "spec": {"ports": []}},
]
A = {"kind": "Service", "name": "a"}


@pytest.mark.parametrize(
    "assertion",
    [
        {"kind": "Service", "count": 2},
        {"kind": "Service", "namespace": "one", "count": 1},
        {"kind": "Ingress", "count": 0},
        {**A, "path": "spec.ports.0.port", "equals": 80},
        {**A, "path": "spec.ports", "contains": {"name": "http"}},
        {**A, "path": "spec.type", "contains": "IP"},
        {**A, "path": "spec", "contains": {"open": True}},
        {**A, "path": r"metadata.labels.example\.org/team", "equals": "x"},
        {**A, "path": "spec.none", "equals": None},
        {**A, "path": "spec.none", "absent": False},
        {**A, "path": "spec.ports.1", "absent": True},
    ],
)
def test_what_holds(assertion: dict[str, Any]) -> None:
    assert failures(assertion, OBJECTS) == []


@pytest.mark.parametrize(
    ("assertion", "said"),
    [
        ({"kind": "Service", "count": 1}, "Service: 2 rendered, expected 1"),
        ({**A, "path": "spec.ports.0.port", "equals": 81}, "Service a: spec.ports.0.port is 80, expected 81"),
        ({**A, "path": "spec.open", "equals": 1}, "Service a: spec.open is True, expected 1"),
        ({**A, "path": "spec.gone", "equals": None}, "Service a: spec.gone is absent, expected None"),
        ({**A, "path": "spec.none", "absent": True}, "Service a: spec.none is None, expected absent: True"),
        (
            {**A, "path": "spec.ports", "contains": {"name": "grpc"}},
            "Service a: spec.ports is [{'name': 'http', 'port': 80}], expected it to contain {'name': 'grpc'}",
        ),
        (
            {"kind": "Ingress", "path": "spec", "equals": 1},
            "Ingress: not rendered; there are ['Service']",
        ),
        (
            {"kind": "Service", "path": "spec.type", "equals": "ClusterIP"},
            "Service b: spec.type is absent, expected 'ClusterIP'",
        ),
    ],
)
def test_what_does_not_hold(assertion: dict[str, Any], said: str) -> None:
    assert failures(assertion, OBJECTS) == [said]


@pytest.mark.parametrize(
    "assertion",
    [
        {"kind": "Service"},
        {"kind": "Service", "path": "spec"},
        {"path": "spec", "equals": 1},
        {"kind": "Service", "equals": 1},
        {"kind": "Service", "path": "spec", "equal": 1},
        {"kind": "Service", "count": 1, "path": "spec"},
        {"kind": "Service", "count": 1, "equals": 1},
    ],
)
def test_an_assertion_that_says_nothing_is_refused(assertion: dict[str, Any]) -> None:
    with pytest.raises(BadAssertion):
        failures(assertion, OBJECTS)
