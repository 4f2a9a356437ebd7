"""The CRDs of a chart are found in whatever form YAML allows for them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from sparkrig.stack.manifests.crds import CrdSchemas, crds_of

SPEC = {
    "group": "example.org",
    "names": {"kind": "Part", "plural": "parts", "singular": "part", "listKind": "PartList"},
    "scope": "Namespaced",
    "versions": [
        {
            "name": name,
            "served": True,
            "storage": name == "v1",
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"size": {"type": "integer"}}}},
        }
        for name in ("v1beta1", "v1")
    ],
}
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "parts.example.org"},
    "spec": SPEC,
}
BLOCK = f"""\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: parts.example.org
spec:
  group: example.org
  names:
    kind: Part
    plural: parts
  scope: Namespaced
  versions:
  - name: v1beta1
    served: true
    schema: {json.dumps(SPEC["versions"][0]["schema"])}
  - name: v1
    served: true
    schema: {json.dumps(SPEC["versions"][1]["schema"])}
"""
MIXED = f"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {json.dumps(SPEC)}\n"
QUOTED = BLOCK.replace("kind: CustomResourceDefinition", '"kind": CustomResourceDefinition')


@dataclass
class Chart:
    files: dict[str, bytes]
    subcharts: tuple[Chart, ...] = field(default=())


@pytest.mark.parametrize(
    "text",
    [BLOCK, json.dumps(CRD), json.dumps(CRD, indent=4), MIXED, QUOTED, f"# first\n---\na: b\n---\n{MIXED}"],
    ids=["block", "json-line", "json", "flow-spec", "quoted-key", "second-document"],
)
def test_a_crd_is_found_in_every_form(text: str) -> None:
    found = crds_of(Chart({"crds/parts.yaml": text.encode()}))  # type: ignore[arg-type]
    assert [(crd.group, crd.kind, sorted(crd.versions)) for crd in found] == [
        ("example.org", "Part", ["v1", "v1beta1"])
    ]
    schemas = CrdSchemas(found)
    schema = schemas.schema("example.org/v1", "Part")
    assert schema is not None
    assert schema["properties"]["size"] == {"type": "integer"}


@pytest.mark.parametrize(
    "text",
    [
        "kind: CustomResourceDefinition\n  bad: [",
        "a: CustomResourceDefinition",
        "kind: CustomResourceDefinition\nspec: 3",
        "",
    ],
)
def test_what_is_no_crd_is_left_to_helm(text: str) -> None:
    assert crds_of(Chart({"crds/x.yaml": text.encode()})) == []  # type: ignore[arg-type]
