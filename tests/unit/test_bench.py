"""The benchmark's own arithmetic: graphs, ratios, what counts as worse, the table."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from bench.process import CommandFailed, Measured, measure
from bench.results import Figures, Results, markdown, ratios, worse
from bench.rivals import CASES, Helm
from bench.workload import DEPTH, STATES, generated


def figures(*walls: float) -> Figures:
    return Figures([Measured(wall, wall / 2, 100.0) for wall in walls], {"get": 3, "patch": 2}, 4)


RESULTS: Results = {"small": {"nothing": {"sparkrig": figures(4, 6, 5), "helmfile sync": figures(10, 8, 9)}}}


def test_ratios_are_of_medians_and_a_fifth_more_is_worse() -> None:
    assert ratios(RESULTS, "helmfile sync") == {"small/nothing": 0.556}
    assert ratios(RESULTS, "helm in turn") == {}
    assert worse({"a": 0.61, "b": 0.6, "new": 9.0}, {"a": 0.5, "b": 0.5, "gone": 1.0}) == ["a: 0.50 -> 0.61"]


def test_the_table_says_what_the_others_leave_out() -> None:
    text = markdown(RESULTS, {"helmfile sync": "return on failure", "sparkrig": ""}, CASES)
    assert "| from nothing | sparkrig | 5.00 (4.00-6.00) | 2.50 | 100 | 5 | 4 |  |" in text
    assert "|  | helmfile sync | 9.00 (8.00-10.00) | 4.50 | 100 | 5 | 4 | 0.56 |" in text
    assert text.rstrip().endswith("- **helmfile sync** does not return on failure.")


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
    with pytest.raises(CommandFailed, match="ended with 3"):
        measure(["sh", "-c", "echo why; exit 3"], {}, tmp_path, tmp_path / "log")
    assert Helm().does_not
