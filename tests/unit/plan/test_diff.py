"""Fields that differ, what may be shown of them, who wrote them, and the report: cases in tests/cases/diff."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests import records

from sparkrig.models.objects import ObjectRef
from sparkrig.output.diff import diff_json, diff_text
from sparkrig.plan.diff.changes import ABSENT
from sparkrig.plan.diff.fields import changed_fields, drifted_fields, path_text, value_at, with_value
from sparkrig.plan.diff.masking import MASKED, masked_object, shown_differences
from sparkrig.plan.diff.revisions import (
    FieldChange,
    ObjectChange,
    Parts,
    StackChange,
    compare_live,
    compare_states,
    describe_drift,
    unstable_fields,
)
from sparkrig.plan.ownership import owner_of
from sparkrig.yaml.secret_names import with_covered

CASES = Path(__file__).parents[2] / "cases" / "diff"
NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def cases(name: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in yaml.safe_load((CASES / name).read_text())]


def words(path: str, before: Any, after: Any) -> str:
    old, new = ("(none)" if value is ABSENT else json.dumps(value) for value in (before, after))
    return f"{path}: {old} -> {new}"


@pytest.mark.parametrize("case", cases("drift.yaml"))
def test_what_a_live_object_has_differently(case: dict[str, Any]) -> None:
    found = drifted_fields(case["manifest"], case["live"])
    assert [words(path_text(d.path), d.before, d.after) for d in found] == case["drift"]


@pytest.mark.parametrize("case", cases("masking.yaml"))
def test_what_may_be_shown(case: dict[str, Any]) -> None:
    before, after = masked_object(case["before"]), masked_object(case["after"])
    shown, marked = shown_differences(changed_fields(case["before"], case["after"]), before, after)
    assert [words(path_text(path), old, new) for path, old, new in shown] == case["shown"]
    everything = repr((shown, before, after, marked))
    assert [text for text in case["hidden"] if text in everything] == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "1", "x.y"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "a", "b.c", "env"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON)
def test_nothing_differs_from_itself(value: Any) -> None:
    item = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": value}
    assert changed_fields(item, item) == ()
    assert drifted_fields(item, item) == ()


@given(JSON, JSON)
def test_a_path_leads_to_what_it_reports(before: Any, after: Any) -> None:
    one, other = ({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": v} for v in (before, after))
    for difference in changed_fields(one, other):
        for document, side in ((one, difference.before), (other, difference.after)):
            found = value_at(document, difference.path)
            assert (None if found is ABSENT else found) == (None if side is ABSENT else side)


@given(st.text(alphabet="ab:=\"' \n|{}&pswordtoken-_.", max_size=80))
def test_masking_a_text_ends_and_keeps_its_lines(text: str) -> None:
    assert with_covered(text, MASKED).count("\n") == text.count("\n")


def test_masking_takes_no_time_on_long_lines() -> None:
    text = "a" * 200_000 + ":" + "b:" * 50_000
    assert with_covered(text, MASKED) == text


def test_a_value_is_put_where_it_was() -> None:
    item = {"spec": {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]}}
    other = {"spec": {"containers": [{"name": "b", "image": "3"}, {"name": "a", "image": "1"}]}}
    (difference,) = changed_fields(
        {"kind": "Pod", "apiVersion": "v1", **item}, {"kind": "Pod", "apiVersion": "v1", **other}
    )
    assert path_text(difference.path) == "spec.containers[b].image"
    assert with_value(item, difference.path, "x")["spec"]["containers"][1] == {"name": "b", "image": "x"}
    assert item["spec"]["containers"][1]["image"] == "2"


MANAGED = [
    {
        "manager": "helm",
        "operation": "Apply",
        "time": "2026-05-04T09:00:00Z",
        "fieldsV1": {
            "f:spec": {
                "f:replicas": {},
                "f:template": {"f:spec": {"f:containers": {'k:{"name":"m"}': {".": {}, "f:image": {}, "f:args": {}}}}},
            }
        },
    },
    {"manager": "kubectl", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
    {
        "manager": "kube",
        "subresource": "status",
        "time": "2026-05-04T11:00:00Z",
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
    },
    {
        "manager": "edit",
        "time": "2026-05-04T11:58:00Z",
        "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"m"}': {"f:image": {}}}}}}},
    },
]


def test_who_wrote_a_field() -> None:
    manifest: Any = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a"},
        "spec": {
            "template": {"spec": {"containers": [{"name": "m", "image": "1", "args": ["a"]}]}},
            "minReadySeconds": 1,
        },
    }
    live: Any = {
        **manifest,
        "metadata": {"managedFields": MANAGED},
        "spec": {
            "template": {"spec": {"containers": [{"name": "m", "image": "2", "args": ["b"]}]}},
            "minReadySeconds": 2,
        },
    }
    ref = ObjectRef("apps", "v1", "Deployment", "x", "a")
    found = describe_drift(ref, manifest, live, drifted_fields(manifest, live))
    assert found is not None
    # args is a list that has one owner as a whole; minReadySeconds nobody noted
    assert [(f.path.rpartition(".")[2], f.owner, f.since) for f in found.fields] == [
        ("image", "edit", "2026-05-04T11:58:00Z"),
        ("args", "helm", "2026-05-04T09:00:00Z"),
        ("minReadySeconds", "", None),
    ]
    assert owner_of({"metadata": {"managedFields": MANAGED[1:]}}, ("spec", "replicas")).manager == "kubectl (scale)"


def secret(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def workload(tag: str, checksum: str) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a"},
        "spec": {
            "template": {
                "metadata": {"annotations": {"checksum/secret": checksum}},
                "spec": {"containers": [{"name": "m", "image": f"a:{tag}"}]},
            }
        },
    }


SECRET, WORKLOAD = ObjectRef("", "v1", "Secret", "x", "a"), ObjectRef("apps", "v1", "Deployment", "x", "a")


def rendering(tag: str, password: str, own: str = "fixed") -> dict[ObjectRef, Any]:
    return {SECRET: secret("a", password=password, own=own), WORKLOAD: workload(tag, f"sum of {password}")}


def test_what_a_chart_makes_up_is_left_out_when_two_renderings_prove_it() -> None:
    state = records.state(records.desired("a"))
    proven = unstable_fields(rendering("1", "r1"), rendering("1", "r2"))
    sides = (rendering("1", "p1"), rendering("2", "p2", own="other"))
    found = compare_states(state, state, Parts(), manifests=sides, unstable=proven)
    assert [f.path for o in found.objects for f in o.fields] == [
        "data.own",
        "spec.template.spec.containers[m].image",
    ]
    assert all(f.judged for o in found.objects for f in o.fields)
    assert found.left_out == (
        "Secret x/a: data.password",
        r"Deployment x/a: spec.template.metadata.annotations.checksum/secret",
    )
    only_noise = compare_states(
        state, state, Parts(), manifests=(rendering("1", "p1"), rendering("1", "p2")), unstable=proven
    )
    assert (only_noise.change, only_noise.objects) == ("unchanged", ())


def test_without_a_chart_what_may_be_made_up_is_said_to_be_not_judged() -> None:
    state = records.state(records.desired("a"))
    sides = (rendering("1", "p1"), rendering("2", "p2"))
    found = compare_states(state, state, Parts(), manifests=sides, unstable=None)
    assert [(f.path.rpartition(".")[2], f.judged) for o in found.objects for f in o.fields] == [
        ("password", False),
        ("checksum/secret", False),
        ("image", True),
    ]


def test_only_what_was_asked_for_is_compared() -> None:
    before = records.state(records.desired("a"))
    after = replace(before, version="2.0.0", values={"replicas": 2})
    sides = (rendering("1", "p"), rendering("2", "p"))
    for part in ("values", "charts", "manifests"):
        parts = Parts(**{name: name == part for name in ("values", "charts", "manifests")})
        found = compare_states(before, after, parts, manifests=sides, unstable={})
        assert [bool(found.values), bool(found.chart), bool(found.objects)] == [
            part == "values",
            part == "charts",
            part == "manifests",
        ]


def test_values_hide_secrets_that_names_or_a_schema_tell() -> None:
    before = records.state(records.desired("a", values={"adminPassword": "one", "pin": "1234", "list": [1]}))
    after = replace(before, values={"adminPassword": "two", "pin": "5678", "list": [1, 2], "new": None})
    schema = {"properties": {"pin": {"writeOnly": True}}}
    found = compare_states(before, after, Parts(), schema=schema)
    assert [words(f.path, f.before, f.after) for f in found.values] == [
        'adminPassword: "<masked>" -> "<masked, changed>"',
        'pin: "<masked>" -> "<masked, changed>"',
        "list: [1] -> [1, 2]",
        "new: (none) -> null",
    ]
    assert not any(text in repr(found) for text in ("'one'", "'two'", "1234", "5678"))


def revisions_change() -> StackChange:
    before = records.state(records.desired("web", values={"replicas": 1, "image": {"tag": "1", "pull": "Always"}}))
    after = replace(
        before, version="1.1.0", chart_digest="sha256:new", values={"replicas": 2, "image": before.values["image"]}
    )
    changed = compare_states(
        before, after, Parts(), manifests=(rendering("1", "p1"), rendering("2", "p2")), unstable=None
    )
    proven = unstable_fields(rendering("1", "r1"), rendering("1", "r2"))
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}
    db = records.state(records.desired("db"))
    other = compare_states(
        db,
        db,
        Parts(),
        manifests=(rendering("1", "p1"), {**rendering("1", "p2"), ObjectRef("", "v1", "ConfigMap", "x", "c"): config}),
        unstable=proven,
    )
    new = compare_states(None, records.state(records.desired("new")), Parts(), manifests=(None, rendering("1", "p")))
    gone = compare_states(records.state(records.desired("old")), None, Parts(), manifests=(rendering("1", "p"), None))
    same = compare_states(db, db, Parts())
    noted = replace(same, component="far", notes=("manifests not compared: Helm revision 1 of x/far is gone",))
    return StackChange("lab", 3, 5, (changed, other, new, gone, same, noted))


def live_change() -> StackChange:
    web, db = records.state(records.desired("web")), records.state(records.desired("db"))
    fields = (
        FieldChange("spec.replicas", 1, 4, "kubectl (scale)", None),
        FieldChange("spec.paused", ABSENT, True, "edit", "2026-05-04T11:58:00Z"),
        FieldChange("subjects", [{"name": "a"}], [{"name": "a"}, {"name": "eve"}]),
    )
    objects = (
        ObjectChange(WORKLOAD, "changed", fields),
        ObjectChange(SECRET, "unknown", note="no right to read it"),
        ObjectChange(ObjectRef("", "v1", "Service", "x", "s"), "missing"),
    )
    moved = replace(web, version="9.0.0", values={"replicas": 7}, helm_revision=2)
    drifted = compare_live(web, objects, moved=moved, parts=Parts(), notes=["somebody else used Helm on it"])
    gone = replace(compare_live(db, (), parts=Parts(), notes=["the release is gone"]), change="removed")
    same = compare_live(db, (), parts=Parts())
    return StackChange("lab", 5, None, (drifted, replace(gone, component="hub"), same), ("revision 6 never finished",))


TEXTS = {"revisions": revisions_change, "live": live_change}


@pytest.mark.parametrize("name", TEXTS)
def test_the_report_reads_like_this(name: str) -> None:
    text = diff_text(TEXTS[name](), cluster="kind-lab", now=NOW, context=1)
    assert text == (CASES / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", TEXTS)
def test_the_documents_meet_their_schema(name: str) -> None:
    from jsonschema import Draft7Validator

    from sparkrig.output.json_schema import output_schema

    document = json.loads(json.dumps(diff_json(TEXTS[name](), cluster="kind-lab")))
    assert [error.message for error in Draft7Validator(output_schema("Diff")).iter_errors(document)] == []
    assert document["different"]
    assert "before" not in json.dumps([f for c in document["components"] for f in c["values"] if f["path"] == "new"])


def test_what_could_not_be_compared_is_no_difference() -> None:
    state = records.state(records.desired("web"))
    unknown = compare_live(state, [ObjectChange(SECRET, "unknown", note="no right")], parts=Parts())
    change = StackChange("lab", 1, None, (unknown,))
    assert not change.different
    assert "not compared   no right" in diff_text(change, cluster="x", now=NOW)
