"""Which layer won, what it beat, and where each was written. (That the merge is Helm's: tests/cluster.)"""

from __future__ import annotations

from typing import Any

import pytest

from sparkrig.yaml.load import load_values
from sparkrig.yaml.merge import Layer, MergedValues, merge, to_values
from sparkrig.yaml.nodes import parse_path, show_path
from sparkrig.yaml.setflag import parse_set


def layer(name: str, text: str) -> Layer:
    loaded = load_values(text, f"{name}.yaml")
    assert loaded.problems == ()
    return Layer(name, f"{name}.yaml", loaded.document)


def flag(argument: str) -> Layer:
    assignments, problems = parse_set(argument)
    assert problems == []
    return Layer("--set", None, None, assignments)


def origins(merged: MergedValues, path: str) -> list[tuple[str, str, Any]]:
    return [(name, str(position), value) for name, position, value in merged.origins(parse_path(path))]


def test_every_layer_that_speaks_is_named_weakest_first() -> None:
    merged = merge(
        [layer("component", "replicas: 2\n"), layer("ha", "\nreplicas: 2\n"), layer("stack", "x: 1\nreplicas: 3\n")]
    )
    assert origins(merged, "replicas") == [
        ("component", "component.yaml:1:1", 2),
        ("ha", "ha.yaml:2:1", 2),
        ("stack", "stack.yaml:2:1", 3),
    ]


def test_a_flag_wins_over_files_and_says_what_was_typed() -> None:
    merged = merge([layer("stack", "triton: {replicas: 3}\n"), flag("a=b,triton.replicas=4")])
    assert origins(merged, "triton.replicas") == [
        ("stack", "stack.yaml:1:10", 3),
        ("--set", "--set a=b,triton.replicas=4:1:5", 4),
    ]
    assert to_values(merged) == {"triton": {"replicas": 4}, "a": "b"}


def test_a_layer_that_takes_the_parent_away_is_among_the_origins() -> None:
    merged = merge([layer("one", "a: {b: 1}\n"), layer("two", "a: null\n")])
    assert origins(merged, "a.b") == [("one", "one.yaml:1:5", 1), ("two", "two.yaml:1:1", None)]
    assert merged.get(("a", "b")) is None


def test_a_shorter_list_replaces_the_item_it_does_not_have() -> None:
    merged = merge([layer("one", "a: [1, 2]\n"), layer("two", "a: [3]\n")])
    assert origins(merged, "a[1]") == [("one", "one.yaml:1:8", 2), ("two", "two.yaml:1:1", [3])]


def test_a_flag_into_a_list_leaves_its_other_items_where_they_were() -> None:
    merged = merge([layer("one", "a:\n- x: 1\n- x: 2\n"), flag("a[1].x=5")])
    assert to_values(merged) == {"a": [{"x": 1}, {"x": 5}]}
    assert origins(merged, "a[0].x") == [("one", "one.yaml:2:3", 1)]
    assert [name for name, _, _ in origins(merged, "a[1].x")] == ["one", "--set"]


def test_nulls_stay_in_the_document() -> None:
    merged = merge([layer("one", "a: {b: 1, c: 2}\n"), layer("two", "a: {b: null}\n")])
    assert to_values(merged) == {"a": {"b": None, "c": 2}}


def test_a_flag_that_cannot_be_done_names_itself_and_the_value_in_its_way() -> None:
    (problem,) = merge([layer("one", "a: text\n"), flag("a.b=1")]).problems
    assert (problem.code, problem.where) == ("set-conflict", "--set a.b")
    assert problem.message == "a is 'text', not a map: key 'b' cannot be set in it"
    assert problem.hint == "it comes from one.yaml:1:4"


def test_merging_does_not_change_its_layers() -> None:
    one, two = layer("one", "a: {b: 1, l: [1]}\n"), layer("two", "a: {c: 2}\n")
    merge([one, two, flag("a.b=7,a.l[0]=9")])
    assert one.root is not None
    assert one.root.value == {"a": {"b": 1, "l": [1]}}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ("a",)),
        ("a.b[0].c", ("a", "b", 0, "c")),
        (r"n.nvidia\.com/gpu", ("n", "nvidia.com/gpu")),
        ("a[1][2]", ("a", 1, 2)),
    ],
)
def test_paths_are_read_and_shown(text: str, path: tuple[str | int, ...]) -> None:
    assert parse_path(text) == path
    assert show_path(path) == text


@pytest.mark.parametrize("text", ["", ".", "a.", "a..b", ".a", "a[x]", "a[", "a.[0]", "[0"])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a value path"):
        parse_path(text)
