"""What came out: figures by case and tool, ratios, and whether one got worse since the last time."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
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


def ratios(results: Results, against: str) -> dict[str, float]:
    """``workload/case`` -> sparkrig's median wall time over that of the other tool, in the same run."""
    found = {}
    for workload, cases in results.items():
        for case, tools in cases.items():
            if "sparkrig" in tools and against in tools:
                found[f"{workload}/{case}"] = round(tools["sparkrig"].wall_s / tools[against].wall_s, 3)
    return found


def worse(now: Mapping[str, float], before: Mapping[str, float]) -> list[str]:
    """A line for each ratio that grew by more than a fifth."""
    return [
        f"{name}: {before[name]:.2f} -> {ratio:.2f}"
        for name, ratio in sorted(now.items())
        if name in before and ratio > before[name] * WORSE
    ]


def read_ratios(path: Path) -> dict[str, float]:
    """The stored ratios; empty where there are none yet."""
    return dict(json.loads(path.read_text())["ratios"]) if path.is_file() else {}


def write_ratios(path: Path, found: Mapping[str, float], command: str) -> None:
    """Store ratios, never times: those belong to one machine."""
    path.write_text(json.dumps({"command": command, "ratios": dict(sorted(found.items()))}, indent=2) + "\n")


def write_raw(path: Path, results: Results) -> None:
    """Every run, for who wants to look."""
    document = {
        workload: {
            case: {
                tool: {
                    "runs": [asdict(run) for run in figures.runs],
                    "requests": figures.requests,
                    "helmProcesses": figures.helm_processes,
                }
                for tool, figures in tools.items()
            }
            for case, tools in cases.items()
        }
        for workload, cases in results.items()
    }
    path.write_text(json.dumps(document, indent=1) + "\n")


def markdown(results: Results, does_not: Mapping[str, str], titles: Mapping[str, str]) -> str:
    """One table a workload."""
    lines: list[str] = []
    for workload, cases in results.items():
        lines += [f"### {workload}", "", HEAD, RULE]
        for case, tools in cases.items():
            base = tools.get("sparkrig")
            for tool, figures in tools.items():
                ratio = f"{base.wall_s / figures.wall_s:.2f}" if base and tool != "sparkrig" else ""
                low, high = figures.spread
                cells = [
                    titles[case] if tool == next(iter(tools)) else "",
                    tool,
                    f"{figures.wall_s:.2f} ({low:.2f}-{high:.2f})",
                    f"{figures.cpu_s:.2f}",
                    f"{figures.peak_mb:.0f}",
                    _sum(figures.requests),
                    "" if figures.helm_processes is None else str(figures.helm_processes),
                    ratio,
                ]
                lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    named = {tool for cases in results.values() for tools in cases.values() for tool in tools}
    lines += [f"- **{tool}** does not {text}." for tool, text in does_not.items() if text and tool in named]
    return "\n".join(lines) + "\n"


HEAD = (
    "| case | tool | wall s (min-max) | CPU s | peak MB | API requests | helm processes | sparkrig's wall time : this |"
)
RULE = "|---|---|---|---|---|---|---|---|"


def _sum(requests: Mapping[str, int] | None) -> str:
    return "" if requests is None else str(sum(requests.values()))


def summary(found: Mapping[str, float], worse_now: Sequence[str]) -> str:
    """What is printed at the end."""
    lines = [f"{name:40s} {ratio:6.2f}" for name, ratio in found.items()]
    lines += ["", *(f"WORSE by more than a fifth: {line}" for line in worse_now)] if worse_now else []
    return "\n".join(lines) + "\n"
