"""What came out: figures by case and tool, ratios, and whether one got worse since the last time."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.process import Measured

WORSE = 1.2
"""A ratio that grew by more than this factor is reported."""


@dataclass(slots=True)
class Figures:
    """All runs of one tool in one case."""

    runs: list[Measured] = field(default_factory=list)
    requests: Mapping[str, int] | None = None
    helm_processes: int | None = None
    paths: list[float] = field(default_factory=list)
    """Of each run the longest chain of the plan's graph, in seconds, by what each operation took."""

    @property
    def path_s(self) -> float | None:
        """Median of the critical paths; None where none was written down."""
        return statistics.median(self.paths) if self.paths else None

    @property
    def wall_s(self) -> float:
        """Median."""
        return statistics.median(run.wall_s for run in self.runs)

    @property
    def spread(self) -> tuple[float, float]:
        """Shortest and longest, in seconds."""
        return min(run.wall_s for run in self.runs), max(run.wall_s for run in self.runs)

    @property
    def cpu_s(self) -> float:
        """Median of user and system time."""
        return statistics.median(run.cpu_s for run in self.runs)

    @property
    def peak_mb(self) -> float:
        """Median of the largest process."""
        return statistics.median(run.peak_mb for run in self.runs)


Results = dict[str, dict[str, dict[str, Figures]]]
"""Workload -> case -> tool -> figures."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """sparkrig's wall time over another tool's."""

    median: float
    """Of the medians."""
    low: float
    """Of the pairs that ran one after the other in the same round: the lowest and the highest."""
    high: float
    runs: int


def ratios(results: Results, against: str) -> dict[str, Ratio]:
    """``workload/case`` -> sparkrig's median wall time over that of the other tool, in the same run."""
    found = {}
    for workload, cases in results.items():
        for case, tools in cases.items():
            ours, theirs = tools.get("sparkrig"), tools.get(against)
            if ours and theirs and ours.runs and theirs.runs:
                found[f"{workload}/{case}"] = _ratio(ours, theirs)
    return found


def _ratio(ours: Figures, theirs: Figures) -> Ratio:
    pairs = [one.wall_s / other.wall_s for one, other in zip(ours.runs, theirs.runs, strict=False)]
    values = (ours.wall_s / theirs.wall_s, min(pairs), max(pairs))
    return Ratio(*(round(value, 3) for value in values), runs=len(pairs))


def worse(now: Mapping[str, Ratio], before: Mapping[str, Ratio]) -> list[str]:
    """A line for each ratio that grew by more than a fifth."""
    return [
        f"{name}: {before[name].median:.2f} -> {ratio.median:.2f}"
        for name, ratio in sorted(now.items())
        if name in before and ratio.median > before[name].median * WORSE
    ]


def read_ratios(path: Path) -> dict[str, Ratio]:
    """The stored ratios; empty where there are none yet."""
    if not path.is_file():
        return {}
    return {name: Ratio(**fields) for name, fields in json.loads(path.read_text())["ratios"].items()}


def write_ratios(path: Path, found: Mapping[str, Ratio], command: str) -> None:
    """Store ratios, never times: those belong to one machine. What was stored of other workloads stays.

    Each workload keeps the command that measured it.
    """
    measured = {name.partition("/")[0] for name in found}
    stored = json.loads(path.read_text()) if path.is_file() else {"commands": {}, "ratios": {}}
    commands = {**stored["commands"], **dict.fromkeys(measured, command)}
    kept = {name: value for name, value in stored["ratios"].items() if name not in found}
    document = {"commands": commands, "ratios": {**kept, **{name: asdict(ratio) for name, ratio in found.items()}}}
    path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")


def write_raw(path: Path, results: Results) -> None:
    """Every run, for who wants to look."""
    document = {
        workload: {
            case: {
                tool: {
                    "runs": [asdict(run) for run in figures.runs],
                    "requests": figures.requests,
                    "helmProcesses": figures.helm_processes,
                    "criticalPaths": figures.paths,
                }
                for tool, figures in tools.items()
            }
            for case, tools in cases.items()
        }
        for workload, cases in results.items()
    }
    path.write_text(json.dumps(document, indent=1) + "\n")


def tables(results: Results, titles: Mapping[str, str]) -> dict[str, str]:
    """Workload -> its table."""
    return {workload: _table(cases, titles) for workload, cases in results.items()}


def _table(cases: Mapping[str, Mapping[str, Figures]], titles: Mapping[str, str]) -> str:
    lines = [HEAD, RULE]
    for case, tools in cases.items():
        base = tools.get("sparkrig")
        for tool, figures in tools.items():
            if not figures.runs:
                continue
            ratio = f"{base.wall_s / figures.wall_s:.2f}" if base and base.runs and tool != "sparkrig" else ""
            low, high = figures.spread
            cells = [
                titles[case] if tool == next(iter(tools)) else "",
                tool,
                f"{figures.wall_s:.2f} ({low:.2f}-{high:.2f})",
                str(len(figures.runs)),
                f"{figures.cpu_s:.2f}",
                f"{figures.peak_mb:.0f}",
                _sum(figures.requests),
                "" if figures.helm_processes is None else str(figures.helm_processes),
                ratio,
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def left_out(results: Results, does_not: Mapping[str, str]) -> str:
    """What the other tools of the tables do not do."""
    named = {tool for cases in results.values() for tools in cases.values() for tool in tools}
    return "".join(f"- **{tool}** does not {text}.\n" for tool, text in does_not.items() if text and tool in named)


HEAD = (
    "| case | tool | wall s (min-max) | runs | CPU s | peak MB | API requests | helm processes "
    "| sparkrig's wall time : this |"
)
RULE = "|---|---|---|---|---|---|---|---|---|"


def _sum(requests: Mapping[str, int] | None) -> str:
    return "" if requests is None else str(sum(requests.values()))
