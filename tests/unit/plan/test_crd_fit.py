"""Whether custom resources of a manifest would be taken by CRDs that are still to come."""

from __future__ import annotations

from typing import Any

import pytest

from sparkrig.plan.crds.fit import unfit


def crd(spec: dict[str, Any], version: str = "v1", *, served: bool = True) -> Any:
    schema = {"type": "object", "properties": {"spec": {"type": "object", **spec}}}
    return {
        "spec": {
            "group": "example.org",
            "names": {"kind": "Widget"},
            "versions": [{"name": version, "served": served, "schema": {"openAPIV3Schema": schema}}],
        }
    }


def widget(**spec: Any) -> Any:
    metadata = {"name": "one", "labels": {"a": "b"}}
    return {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": metadata, "spec": spec}


TEXT = {"properties": {"mode": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "spec", "said"),
    [
        (TEXT, {"mode": "a"}, ()),
        (TEXT, {"mode": None}, ("Widget one: spec.mode: the CRD would refuse null",)),
        ({"properties": {"mode": {"type": "string", "default": "a"}}}, {"mode": None}, ()),
        ({"properties": {"mode": {"type": "string", "nullable": True}}}, {"mode": None}, ()),
        (TEXT, {"mode": 3}, ("Widget one: spec.mode: the CRD would refuse this number",)),
        (TEXT, {"other": 3}, ()),
        ({**TEXT, "required": ["mode"]}, {}, ("Widget one: spec.mode: the CRD would require it",)),
        ({"properties": {"mode": {"type": "string", "default": "a"}}, "required": ["mode"]}, {}, ()),
        (
            {"properties": {"items": {"type": "array", "items": {"type": "object", **TEXT}}}},
            {"items": [{"mode": "a"}, {"mode": None}]},
            ("Widget one: spec.items[1].mode: the CRD would refuse null",),
        ),
        (
            {"properties": {"port": {"x-kubernetes-int-or-string": True}, "n": {"type": "integer", "maximum": 3}}},
            {"port": "80", "n": 4},
            ("Widget one: spec.n: the CRD would refuse this number",),
        ),
        ({"x-kubernetes-preserve-unknown-fields": True}, {"mode": None}, ()),
    ],
)
def test_a_custom_resource_is_judged_by_the_schema_to_come(
    schema: dict[str, Any], spec: dict[str, Any], said: tuple[str, ...]
) -> None:
    assert unfit([widget(**spec)], [crd(schema)]) == said


def test_a_version_that_is_not_served_is_refused_and_other_kinds_say_nothing() -> None:
    assert unfit([widget()], [crd({}, "v2")]) == ("Widget one: example.org/v1 would not be served any more",)
    assert unfit([widget()], [crd({}, served=False)]) != ()
    assert unfit([{**widget(), "kind": "Gadget"}], [crd({})]) == ()
