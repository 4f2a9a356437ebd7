"""The benchmark's own arithmetic: graphs, ratios, what counts as worse, the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from bench.__main__ import public_command
from bench.page import write_section
from bench.plot import svg
from bench.process import CommandFailed, Measured, measure
from bench.results import Figures, Ratio, Results, left_out, ratios, read_ratios, tables, worse, write_ratios
from bench.rivals import CASES, Helm
from bench.targets import verdicts
from bench.trace import longest_chain
from bench.workload import DEPTH, STATES, generated


def figures(*walls: float) -> Figures:
    return Figures([Measured(wall, wall / 2, 100.0) for wall in walls], {"get": 3, "patch": 2}, 4)


RESULTS: Results = {"small": {"nothing": {"sparkrig": figures(4, 6, 5), "helmfile sync": figures(10, 8, 9)}}}


def test_ratios_are_of_medians_and_a_fifth_more_is_worse() -> None:
    assert ratios(RESULTS, "helmfile sync") == {"small/nothing": Ratio(0.556, 0.4, 0.75, 3)}
    assert ratios(RESULTS, "helm in turn") == {}
    now, before = (
        {name: Ratio(median, median, median, 5) for name, median in medians.items()}
        for medians in ({"a": 0.61, "b": 0.6, "new": 9.0}, {"a": 0.5, "b": 0.5, "gone": 1.0})
    )
    assert worse(now, before) == ["a: 0.50 -> 0.61"]


def test_stored_ratios_of_other_workloads_stay(tmp_path: Path) -> None:
    path = tmp_path / "ratios.json"
    assert read_ratios(path) == {}
    old, new, other = Ratio(0.5, 0.4, 0.6, 5), Ratio(0.6, 0.5, 0.7, 5), Ratio(0.2, 0.1, 0.3, 2)
    write_ratios(path, {"a/nothing": old, "b/again": other}, "first")
    write_ratios(path, {"a/nothing": new}, "second")
    assert read_ratios(path) == {"a/nothing": new, "b/again": other}
    assert json.loads(path.read_text())["commands"] == {"a": "second", "b": "first"}


def test_the_table_says_what_the_others_leave_out() -> None:
    text = tables(RESULTS, CASES)["small"]
    assert "| from nothing | sparkrig | 5.00 (4.00-6.00) | 3 | 2.50 | 100 | 5 | 4 |  |" in text
    assert "|  | helmfile sync | 9.00 (8.00-10.00) | 3 | 4.50 | 100 | 5 | 4 | 0.56 |" in text
    notes = left_out(RESULTS, {"helmfile sync": "return on failure", "sparkrig": "", "floor": "wait"})
    assert notes == "- **helmfile sync** does not return on failure.\n"


def test_targets_are_judged_where_the_run_says_something_about_them() -> None:
    own = figures(4.0)
    own.paths = [3.0]
    results: Results = {
        "generated-10": {
            "nothing": {"sparkrig": own, "helmfile sync": figures(10)},
            "again": {"sparkrig": figures(0.5), "helmfile sync": figures(4)},
            "upgraded": {"sparkrig": figures(4)},
            "rollback": {"sparkrig": figures(5)},
            "status": {"sparkrig": figures(0.4)},
        },
        "generated-200": {"again": {"sparkrig": figures(1.6)}},
    }
    lines = [" ".join(line.split()) for line in verdicts(results, ratios(results, "helmfile sync"))]
    assert lines == [
        "met generated-10/nothing 0.40 of helmfile's time, target 0.65",
        "MISSED generated-10/again 0.12 of helmfile's time, target 0.1",
        "MISSED generated-10/rollback 1.25 of the upgrade's time, target 1",
        "met generated-10/status 0.40 s, target 0.5",
        "MISSED generated-10/nothing 1.33 of the graph's critical path, target 1.25",
        "MISSED generated-200/again 3.20 of the time with 10, target 3",
        "met generated-200/again 100.00 MB, target 250",
        "generated-200/again API requests 5 with 10, 5 with 200",
    ]


def test_the_longest_chain_counts_what_was_let_through_early() -> None:
    def event(seconds: float, *needs: str, through: float | None = None) -> dict[str, Any]:
        return {"dur": seconds * 1e6, "args": {"needs": list(needs), **({"through": through} if through else {})}}

    chain = {
        "install/a": event(1),
        "wait/a": event(3, "install/a", through=1),
        "install/b": event(1, "wait/a"),
        "wait/b": event(4, "install/b", through=2),
        "install/c": event(2, "left-out"),
    }
    assert longest_chain(chain) == pytest.approx(1 + 1 + 1 + 4)


def test_the_picture_has_a_bar_for_each_ratio_and_is_well_formed() -> None:
    found = {"lab/nothing": Ratio(0.5, 0.4, 0.6, 5), "lab/rollback": Ratio(9.0, 8.0, 9.5, 5)}
    root = ElementTree.fromstring(svg(found, CASES, "a < b"))
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert {"lab", CASES["nothing"], "0.50", "9.00", "a < b"} <= set(texts)
    width = float(root.attrib["width"])
    bars = [element for element in root.iter() if element.tag.endswith("rect") and "x" in element.attrib]
    assert len(bars) == len(found)
    assert all(float(bar.attrib["x"]) + float(bar.attrib["width"]) <= width for bar in bars)


def test_the_command_that_is_published_names_no_place_of_this_machine() -> None:
    words = ["--charts", "/here", "--sizes=10", "--out", "/there", "--keep", "--store", "--charts=/here"]
    assert public_command(words) == 'make bench BENCH_ARGS="--charts DIR --sizes=10 --store --charts DIR"'
    assert public_command(["--sizes", "", "--store"]) == "make bench BENCH_ARGS=\"--sizes '' --store\""


def test_a_section_of_a_page_is_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\ntext\n")
    write_section(page, "lab", "one")
    write_section(page, "small", "two")
    write_section(page, "lab", "three")
    text = page.read_text()
    assert text.startswith("# Page\n\ntext\n\n### lab\n")
    assert "one" not in text
    assert text.index("three") < text.index("### small") < text.index("two")


@pytest.mark.parametrize("count", [1, 6, 10, 50, 200])
def test_generated_stacks_have_their_depth_and_an_order_that_works(count: int, tmp_path: Path) -> None:
    workload = generated(count, tmp_path)
    for state in STATES:
        stack = workload.states[state]
        assert len(stack.releases) == count
        depth: dict[str, int] = {}
        for release in stack.releases:  # each after what it needs
            depth[release.name] = 1 + max((depth[need] for need in release.needs), default=0)
        assert max(depth.values()) == min(DEPTH, count)
    texts = {
        s: [yaml.safe_load((r.chart / "values.yaml").read_text()) for r in workload.states[s].releases] for s in STATES
    }
    assert sum(a != b for a, b in zip(texts["base"], texts["changed"], strict=True)) == 1
    versions = {(release.chart / "Chart.yaml").read_text() for release in workload.states["upgraded"].releases}
    assert all("2.0.0" in text for text in versions)


def test_a_command_that_fails_makes_no_figure(tmp_path: Path) -> None:
    done = measure(["sh", "-c", "exit 0"], {}, tmp_path, tmp_path / "log")
    assert done.wall_s > 0
    assert 0 < done.peak_mb < 40  # its own, not what this process has in memory
    with pytest.raises(CommandFailed, match="ended with 3"):
        measure(["sh", "-c", "echo why; exit 3"], {}, tmp_path, tmp_path / "log")
    assert Helm().does_not
