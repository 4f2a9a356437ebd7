"""Widths, wrapping, times, tables, and what a stream can do."""

from __future__ import annotations

import io
import os
import pty
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkrig.output.tables import Cell, Column, Row, table
from sparkrig.output.terminal import Style, Terminal, detect
from sparkrig.output.text import ago, clean, cut, duration, first_line, indent, pad, seconds_between, width_of, wrap

NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("when", "text"),
    [
        ("2026-05-04T12:00:00Z", "just now"),
        ("2026-05-04T12:00:30Z", "just now"),
        ("2026-05-04T11:59:15Z", "45 s ago"),
        ("2026-05-04T11:59:00Z", "1 min ago"),
        ("2026-05-04T10:00:01Z", "1 h ago"),
        ("2026-05-04T13:30:00+02:00", "30 min ago"),
        ("2026-05-02T13:00:00Z", "47 h ago"),
        ("2026-05-02T11:00:00Z", "2 days ago"),
        ("2026-03-01T11:00:00Z", "2026-03-01"),
        ("2026-05-05T11:00:00Z", "2026-05-05 11:00:00Z"),
        ("2026-05-05T11:00:00+02:00", "2026-05-05 11:00:00+0200"),
        ("2026-05-04T11:00:00", "1 h ago"),
        ("yesterday", "yesterday"),
        (None, "-"),
        ("", "-"),
    ],
)
def test_ago(when: str | None, text: str) -> None:
    assert ago(when, NOW) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1.0, "0.0s"),
        (0.04, "0.0s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (108.0, "1m48s"),
        (3599.6, "1h00m"),
        (7500.0, "2h05m"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_seconds_between_needs_both_times() -> None:
    assert seconds_between("2026-05-04T12:00:00Z", "2026-05-04T12:01:00Z") == 60.0
    assert seconds_between("2026-05-04T12:00:00Z", None) is None
    assert seconds_between("x", "2026-05-04T12:00:00Z") is None


def test_wide_characters_take_two_columns() -> None:
    assert (width_of("漢字"), width_of("e\u0301"), width_of("✓")) == (4, 1, 1)
    assert cut("漢字漢字", 6) == "漢字…"
    assert pad("漢", 4) == "漢  "
    assert pad("漢", 4, right=True) == "  漢"
    assert cut("abc", 0) == ""


@given(st.text(), st.integers(min_value=2, max_value=60))
def test_wrapped_lines_fit_and_lose_nothing(text: str, width: int) -> None:
    text = clean(text).replace("\n", " ")
    lines = wrap(text, width)
    assert all(width_of(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@given(st.text(), st.integers(min_value=0, max_value=60))
def test_what_is_cut_fits(text: str, width: int) -> None:
    assert width_of(cut(clean(text), width)) <= width


@given(st.text(alphabet=st.characters(codec="utf-8") | st.sampled_from("\x1b[]m0;\x07\x9b")))
def test_clean_text_controls_nothing(text: str) -> None:
    assert not [c for c in clean(text) if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160)]


def test_a_message_keeps_the_shape_it_has() -> None:
    assert indent("a b c\n\n  deeper and deeper\r\n", 2, 20) == ["  a b c", "    deeper and", "    deeper"]
    assert first_line("\n  \n one \ntwo") == "one"
    assert first_line("") == ""


COLUMNS = (Column(""), Column("name"), Column("size", right=True), Column("gone"), Column("where", fit="below"))
ROWS = [
    Row((Cell("✓", Style(True).good), "a", "1", "", "/some/where"), ["      below a"]),
    Row(("!", "漢字", "100", "", "")),
]


def test_a_table_is_aligned_and_leaves_empty_columns_out() -> None:
    assert table(COLUMNS, ROWS) == [
        "  name   size   where",
        "\x1b[32m✓\x1b[0m a         1   /some/where",
        "      below a",
        "! 漢字    100",
    ]


def test_a_table_that_is_too_wide_puts_cells_below() -> None:
    assert table(COLUMNS, ROWS, width=24, margin=2) == [
        "    name   size",
        "  \x1b[32m✓\x1b[0m a         1",
        "      /some/where",
        "      below a",
        "  ! 漢字    100",
    ]


def test_cells_are_cut_and_wrapped_to_the_terminal() -> None:
    columns = (Column("one", fit="cut"), Column("two", fit="wrap"))
    rows = [Row(("x" * 30, "some words that are\nwrapped here"))]
    assert table(columns, rows, width=30) == [
        "one           two",
        "xxxxxxxxxxx…  some words that",
        "              are wrapped here",
    ]


def test_a_pipe_has_neither_colour_nor_width() -> None:
    stream = io.StringIO()
    assert detect(stream, {"TERM": "xterm"}) == Terminal(stream, color=False, live=False, width=0)


@pytest.mark.parametrize(
    ("env", "color"),
    [({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "0"}, False), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_colour_can_be_forced_into_a_pipe(env: dict[str, str], color: bool) -> None:
    terminal = detect(io.StringIO(), env)
    assert (terminal.color, terminal.live) == (color, False)


@pytest.mark.parametrize(
    ("env", "color", "live", "width"),
    [
        ({"TERM": "xterm"}, True, True, 80),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, True, 80),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False, True, 80),
        ({"TERM": "xterm", "COLUMNS": "132"}, True, True, 132),
        ({"TERM": "xterm", "COLUMNS": "wide"}, True, True, 80),
        ({"TERM": "dumb"}, False, False, 80),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, False, 80),
        ({}, False, False, 80),
    ],
)
def test_a_terminal_is_asked_for_what_it_can(env: dict[str, str], color: bool, live: bool, width: int) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream:
        terminal = detect(stream, env)
    os.close(ours)
    assert (terminal.color, terminal.live, terminal.width) == (color, live, width)


def test_a_closed_stream_is_no_terminal(tmp_path: Path) -> None:
    stream = (tmp_path / "out").open("w")
    stream.close()
    assert detect(stream, {"TERM": "xterm"}).live is False


def test_signs_become_ascii_where_the_stream_knows_no_others() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    detect(stream, {}).write("✓ a · b … ✗ é\n")
    assert raw.getvalue() == b"+ a - b ~ x ?\n"


def test_style_paints_only_with_colour() -> None:
    assert Style(True).good("x") == "\x1b[32mx\x1b[0m"
    assert Style(False).good("x") == "x"
    assert Style(True).bad("") == ""
