"""How problems look: like a compiler's, whatever is in the line."""

from __future__ import annotations

import pytest

from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.output.problems import MAX_WIDTH, render, summary, to_json, window

TEXT = "# stack\n" * 13 + "      replicass: 2\n"
UNKNOWN = Problem(
    Severity.ERROR,
    "unknown-key",
    "triton has no value 'replicass'",
    Position("stack.yaml", 14, 7, 9),
    label="did you mean 'replicas'?",
    hint="triton.replicas: number of server pods",
)
WARNING = Problem(Severity.WARNING, "list-replaced", "this list replaces another", Position("a.yaml", 1, 1))
FLAG = Problem(
    Severity.ERROR, "wrong-type", "triton.replicas is 'two'", Position("--set triton.replicas=two", 1, 17, 3),
)  # fmt: skip
NOWHERE = Problem(Severity.ERROR, "set-conflict", "a is no map", where="--set a.b", hint="first\nsecond")


def test_a_problem_shows_its_line_with_carets_label_and_hint() -> None:
    assert render([UNKNOWN], {"stack.yaml": TEXT}) == (
        "error[unknown-key]: triton has no value 'replicass'\n"
        "  --> stack.yaml:14:7\n"
        "   |\n"
        "14 |       replicass: 2\n"
        "   |       ^^^^^^^^^ did you mean 'replicas'?\n"
        "   = triton.replicas: number of server pods\n"
    )


def test_without_the_source_the_place_and_the_label_are_left() -> None:
    assert render([UNKNOWN], {}) == (
        "error[unknown-key]: triton has no value 'replicass'\n"
        "  --> stack.yaml:14:7\n"
        "   = did you mean 'replicas'?\n"
        "   = triton.replicas: number of server pods\n"
    )


def test_a_flag_is_its_own_source() -> None:
    assert render([FLAG], {}) == (
        "error[wrong-type]: triton.replicas is 'two'\n"
        "  --> --set triton.replicas=two\n"
        "   |\n"
        "   | triton.replicas=two\n"
        "   |                 ^^^\n"
    )


def test_a_problem_without_a_position_says_where() -> None:
    assert render([NOWHERE], {}) == (
        "error[set-conflict]: a is no map\n  --> --set a.b\n   = first\n     second\n"
    )  # fmt: skip


def test_problems_are_sorted_by_file_and_line_and_shown_once() -> None:
    first = Problem(Severity.ERROR, "x", "one", Position("stack.yaml", 2, 1))
    shown = render([NOWHERE, FLAG, UNKNOWN, first, WARNING, UNKNOWN], {})
    heads = [line for line in shown.splitlines() if line.startswith(("error", "warning"))]
    assert [head.split("[")[1].split("]")[0] for head in heads] == [
        "list-replaced", "x", "unknown-key", "set-conflict", "wrong-type",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "column", "length", "expected"),
    [
        ("a: 1", 4, 1, ("a: 1", 3, 1)),
        ("\tb: 1", 2, 1, ("    b: 1", 4, 1)),
        ("日本: x", 5, 1, ("日本: x", 6, 1)),
        ("日本: x", 1, 2, ("日本: x", 0, 4)),
        ("é: x", 4, 1, ("é: x", 3, 1)),
        ("e\u0301: x", 5, 1, ("e\u0301: x", 3, 1)),
        ("a: 1", 9, 3, ("a: 1", 4, 1)),
        ("", 1, 1, ("", 0, 1)),
        ("a\x1b[31m: \u202ex", 10, 1, ("a\ufffd[31m: \ufffdx", 9, 1)),
    ],
)
def test_carets_stand_under_what_they_mean(line: str, column: int, length: int, expected: tuple[str, int, int]) -> None:
    assert window(line, column, length) == expected


@pytest.mark.parametrize("column", [1, 60, 5_000, 99_990])
def test_long_lines_are_cut_around_the_carets(column: int) -> None:
    line = "".join(chr(ord("a") + n % 26) for n in range(100_000))
    shown, offset, width = window(line, column, 5)
    assert len(shown) <= MAX_WIDTH + 2
    assert shown[offset : offset + width] == line[column - 1 : column + 4]
    assert shown.startswith("…") is (column > MAX_WIDTH // 2)
    assert shown.endswith("…") is (column < 99_900)


def test_a_caret_longer_than_the_window_is_cut() -> None:
    shown, offset, width = window("x" * 500, 1, 500)
    assert (len(shown), offset, width) == (MAX_WIDTH + 1, 0, MAX_WIDTH)


def test_the_lines_of_a_source_are_those_of_an_editor() -> None:
    text = "\ufeffa: 1\r\nb: 'x\u2028y'\rc: 2\n"
    shown = render([Problem(Severity.ERROR, "x", "m", Position("f", 3, 1))], {"f": text})
    assert "3 | c: 2\n" in shown


def test_no_terminal_sequence_gets_through() -> None:
    evil = Problem(Severity.ERROR, "x", "m\x1b]0;t\x07\nn", Position("f\x1b[2J", 1, 1), label="\x1b[1m", hint="\u202eh")
    shown = render([evil], {"f\x1b[2J": "\x1b[31mred\u202e"})
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\x1b[1;31m" in render([evil], {}, color=True)


def test_a_message_of_several_lines_is_shown_in_lines() -> None:
    told = Problem(Severity.ERROR, "render", "a: 2 things\n\t- one\r\n\n  - two", label="x\n  y", hint="do\n\nthis")
    shown = render([told], {})
    assert "\ufffd" not in shown
    assert [line.strip() for line in shown.splitlines()] == [
        "error[render]: a: 2 things", "- one", "- two", "= x y", "= do", "this",
    ]  # fmt: skip


def test_summary_counts() -> None:
    assert (
        summary([UNKNOWN, WARNING], files=2, components=9) == "2 problems (1 error, 1 warning) in 2 files, 9 components"
    )
    assert summary([UNKNOWN, UNKNOWN], files=1) == "1 problem (1 error) in 1 file"
    assert summary([]) == "no problems"


def test_json_has_every_field() -> None:
    assert to_json([UNKNOWN, FLAG]) == [
        {
            "severity": "error", "code": "unknown-key", "message": "triton has no value 'replicass'",
            "file": "stack.yaml", "line": 14, "column": 7, "length": 9, "where": None,
            "label": "did you mean 'replicas'?",
            "hint": "triton.replicas: number of server pods",
        },
        {
            "severity": "error", "code": "wrong-type", "message": "triton.replicas is 'two'", "file": None,
            "line": None, "column": None, "length": None, "where": "--set triton.replicas=two",
            "label": None, "hint": None,
        },
    ]  # fmt: skip
