"""What sparkrig is to reach beside the others, and what of it a run shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from bench.results import Ratio, Results
from bench.rivals import LOOKS

RATIO_TARGETS: Final[Mapping[str, float]] = {"nothing": 0.65, "again": 0.1, "changed": 0.25, "upgraded": 0.65}
"""Case -> the largest ratio of sparkrig's wall time to helmfile's in the same run."""
STATUS_S: Final = 0.5
ROLLBACK_TO_UPGRADE: Final = 1.0
PATH: Final = 1.25
"""From nothing, to the critical path of the graph; where helm's CPU time does not bind both cores."""
SCALE: Final = 3.0
"""200 releases with nothing to do, to 10."""
PEAK_MB: Final = 250.0


def verdicts(results: Results, found: Mapping[str, Ratio]) -> list[str]:
    """A line for each target that this run says something about."""
    lines = [
        _line(name, ratio.median, RATIO_TARGETS[case], "of helmfile's time")
        for name, ratio in found.items()
        if (case := name.partition("/")[2]) in RATIO_TARGETS
    ]
    return [*lines, *_alone(results), *_scale(results)]


def _alone(results: Results) -> Iterator[str]:
    """Targets about sparkrig's own figures."""
    for workload, cases in results.items():
        own = {
            case: tools["sparkrig"] for case, tools in cases.items() if "sparkrig" in tools and tools["sparkrig"].runs
        }
        if "rollback" in own and "upgraded" in own:
            ratio = own["rollback"].wall_s / own["upgraded"].wall_s
            yield _line(f"{workload}/rollback", ratio, ROLLBACK_TO_UPGRADE, "of the upgrade's time")
        for case in LOOKS:
            if case in own:
                yield _line(f"{workload}/{case}", own[case].wall_s, STATUS_S, "s")
        if "nothing" in own and own["nothing"].path_s:
            ratio = own["nothing"].wall_s / own["nothing"].path_s
            yield _line(f"{workload}/nothing", ratio, PATH, "of the graph's critical path")


def _scale(results: Results) -> Iterator[str]:
    """Nothing to do on the smallest and the largest generated stack."""
    sizes = sorted(
        (int(name.rpartition("-")[2]), cases["again"]["sparkrig"])
        for name, cases in results.items()
        if name.startswith("generated-") and "sparkrig" in cases.get("again", {})
    )
    if len(sizes) < 2 or not (sizes[0][1].runs and sizes[-1][1].runs):
        return
    (small, few), (large, many) = sizes[0], sizes[-1]
    name = f"generated-{large}/again"
    yield _line(name, many.wall_s / few.wall_s, SCALE, f"of the time with {small}")
    yield _line(name, many.peak_mb, PEAK_MB, "MB")
    if few.requests is not None and many.requests is not None:
        text = f"API requests {sum(few.requests.values())} with {small}, {sum(many.requests.values())} with {large}"
        yield f"{'':8s}{name:32s} {text}"


def _line(name: str, value: float, target: float, unit: str) -> str:
    word = "met" if value <= target else "MISSED"
    return f"{word:8s}{name:32s} {value:7.2f} {unit}, target {target:g}"
