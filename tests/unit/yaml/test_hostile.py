"""Input made to hurt: always a problem, never a traceback, never more than a moment."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from sparkrig.defaults import MAX_DEPTH, MAX_INPUT_BYTES, MAX_NODES
from sparkrig.errors import InvalidInput
from sparkrig.output.problems import render
from sparkrig.yaml.load import Loaded, load, load_values
from sparkrig.yaml.plain import load_plain
from sparkrig.yaml.schema import check

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + below] * 10)}]\n" for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = (
    "a: &a {"
    + ", ".join(f"k{n}: {n}" for n in range(1000))
    + "}\n"
    + "".join(f"m{n}: {{<<: *a}}\n" for n in range(1000))
)


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    start = time.process_time()
    yield
    assert time.process_time() - start < 5


def codes(loaded: Loaded) -> list[str]:
    return [problem.code for problem in loaded.problems]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (LAUGHS, "too-many-nodes"),
        (MERGES, "too-many-nodes"),
        ("a: [" + "1," * (MAX_NODES + 1) + "]", "too-many-nodes"),
        ("[" * 100_000, "too-deep"),
        ("{a: " * 100_000, "too-deep"),
        ("- " * 100_000, "too-deep"),
        ("? " * 100_000, "too-deep"),
        ("".join(" " * depth + "a:\n" for depth in range(MAX_DEPTH + 1)), "too-deep"),
        ("a: &a " + "[" * 60 + "]" * 60 + "\nb: " + "[" * 60 + "*a" + "]" * 60, "too-deep"),
        ("x" * (MAX_INPUT_BYTES + 1), "too-large"),
        ("é" * (MAX_INPUT_BYTES // 2 + 1), "too-large"),
        ("a: " + "[" * 99 + "1" * 900_000, "yaml-syntax"),
        ("'" + "x\n" * 400_000, "yaml-syntax"),
        ("a: 'x\ud800'", "yaml-syntax"),
        ("a: \x00", "control-character"),
    ],
    ids=lambda value: value if len(value) < 30 else value[:12] + "…",
)  # fmt: skip
def test_limits(text: str, code: str) -> None:
    loaded = load(text, "evil.yaml")
    assert code in codes(loaded) or (code == "yaml-syntax" and "control-character" in codes(loaded))
    assert loaded.document is None
    assert render(loaded.problems, {"evil.yaml": text})


@pytest.mark.parametrize(
    "data", [LAUGHS * 1, "[" * 100_000, "{a: " * 50_000, "a: &a [*a]", "a: *b", "\x00", "? [a]\n: 1"]
)
def test_plain_loading_raises_one_class_only(data: str) -> None:
    with pytest.raises(InvalidInput):
        load_plain(data)


@pytest.mark.parametrize(
    ("data", "code", "place"),
    [
        ("a: ü".encode("latin-1"), "not-utf8", "f:1:4"),
        ("ok: 1\nä: ".encode() + b"\xff", "not-utf8", "f:2:4"),
        ("a: 1".encode("utf-16"), "not-utf8", "f:1:1"),
        (b"\xfe\xff\x00a", "not-utf8", "f:1:1"),
        (b"\xc3", "not-utf8", "f:1:1"),
        (b"\xed\xa0\x80", "not-utf8", "f:1:1"),
    ],
)
def test_encodings(data: bytes, code: str, place: str) -> None:
    loaded = load(data, "f")
    assert [(problem.code, str(problem.position)) for problem in loaded.problems] == [(code, place)]


def test_a_large_file_of_good_values_is_read() -> None:
    text = "".join(f"k{n}:\n  name: n{n}\n  list: [1, b]\n" for n in range(12_000))
    loaded = load_values(text, "f")
    assert loaded.problems == ()
    assert loaded.document is not None


def test_a_thousand_unknown_keys_and_a_list_of_equal_items_are_found_in_a_moment() -> None:
    text = "".join(f"replica{n}: {n}\n" for n in range(3000)) + "list:\n" + "- {a: 1}\n" * 10_000
    document = load(text, "f").document
    assert document is not None
    schema = {
        "additionalProperties": False,
        "properties": {f"replicas{n}x": {} for n in range(50)} | {"list": {"uniqueItems": True}},
    }
    problems = check(document, schema, "s")
    assert len(problems) == 3000 + 9999


def test_many_problems_in_one_long_line_render_in_a_moment() -> None:
    text = "{" + ", ".join(f"k{n}: 1" for n in range(20_000)) + "}"
    document = load(text, "f").document
    assert document is not None
    problems = check(document, {"additionalProperties": False}, "s")
    assert len(problems) == 20_000
    assert max(map(len, render(problems, {"f": text}).splitlines())) < 120
