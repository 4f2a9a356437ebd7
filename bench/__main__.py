"""`python -m bench`: side by side on fresh simulated clusters, one run, medians and ratios. See docs/speed.md.

Every run of a tool has a cluster of its own and goes through the cases in their order on it. Tools take turns within
each round, so that a machine that gets slower or faster meanwhile does so for all of them. One round before the counted
ones is not timed: there the API server writes down its requests and helm's starts are counted.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.charts import lab
from bench.cluster import Requests, fresh
from bench.page import write_section
from bench.plot import svg
from bench.process import CommandFailed, measure
from bench.results import (
    Figures,
    Results,
    left_out,
    ratios,
    read_ratios,
    tables,
    worse,
    write_ratios,
    write_raw,
)
from bench.rivals import CASES, STACK_OF, TRACE, Bench, Rival, environment, rivals
from bench.targets import verdicts
from bench.trace import critical_path
from bench.workload import ROOT, Workload, generated
from sparkrig import tools

STORED = Path(__file__).with_name("ratios.json")
PAGE = ROOT / "docs" / "speed.md"
PICTURE = ROOT / "docs" / "speed.svg"
COMPARED = ("sparkrig", "helmfile sync")
"""The two whose ratio is stored: they run in every round."""


def main() -> int:
    asked = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="sparkrig-bench-"))
    os.environ["SPARKRIG_STATE_DIR"] = str(folder / "state")
    results: Results = {}
    compared = rivals(asked.tools)
    try:
        for workload in _workloads(asked, folder):
            results[workload.name] = {case: {} for case in asked.cases}
            for turn in range(asked.runs + 1):
                for rival in compared:
                    if turn <= (asked.runs if rival.name in COMPARED else min(asked.runs, asked.other_runs)):
                        _round(workload, rival, asked.cases, folder, results[workload.name], counting=turn == 0)
        return _report(asked, results, {rival.name: rival.does_not for rival in compared})
    except CommandFailed as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        if asked.keep:
            print(f"kept: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _report(asked: argparse.Namespace, results: Results, does_not: Mapping[str, str]) -> int:
    """Prints the tables, writes what is asked for, and returns the exit code: 1 where something got worse."""
    shown, notes = tables(results, CASES), left_out(results, does_not)
    text = "".join(f"### {workload}\n\n{table}\n" for workload, table in shown.items()) + notes
    command = "python -m bench " + shlex.join(sys.argv[1:])
    print(text)
    if asked.out:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "table.md").write_text(f"`{command}`\n\n{text}")
        write_raw(asked.out / "runs.json", results)
    found = ratios(results, COMPARED[1])
    regressed = worse(found, read_ratios(STORED))
    print("\n".join(verdicts(results, found)))
    print("\n".join(f"WORSE by more than a fifth: {line}" for line in regressed))
    if asked.store:
        public = public_command(sys.argv[1:])
        write_ratios(STORED, found, public)
        for workload, table in shown.items():
            write_section(PAGE, workload, f"`{public}`\n\n{table}")
        if not asked.tools:  # what fewer of them leave out is not all that the tables need
            write_section(PAGE, "left out", notes)
        PICTURE.write_text(svg(read_ratios(STORED), CASES, "written by python -m bench --store from bench/ratios.json"))
    return 1 if regressed else 0


def public_command(arguments: Sequence[str]) -> str:
    """The command as anybody would give it: without what concerns this machine alone."""
    words = iter(arguments)
    kept = []
    for word in words:
        flag, given, _ = word.partition("=")
        if flag in ("--out", "--charts") and not given:
            next(words, None)
        if flag == "--charts":
            kept += ["--charts", "DIR"]
        elif flag not in ("--out", "--keep"):
            kept.append(word)
    return f'make bench BENCH_ARGS="{shlex.join(kept)}"'


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="counted rounds (default 5)")
    parser.add_argument(
        "--other-runs", type=int, default=2, help="counted rounds of helm in turn and the floor, at most (default 2)"
    )
    parser.add_argument("--charts", type=Path, help="a folder of real charts; default: the stand-ins of tests/charts")
    parser.add_argument(
        "--sizes", type=_sizes, default=[10, 50], help="generated stacks, e.g. 10,50,200 (default 10,50)"
    )
    parser.add_argument("--no-lab", action="store_true", help="leave the lab stack out")
    parser.add_argument("--cases", type=lambda t: t.split(","), default=list(CASES), help=f"of {','.join(CASES)}")
    parser.add_argument("--tools", type=lambda t: t.split(","), default=[], help="of sparkrig,helmfile,helm,floor")
    parser.add_argument("--out", type=Path, help="folder for table.md and runs.json")
    parser.add_argument(
        "--store",
        action="store_true",
        help="keep these ratios as what the next run is compared with; write tables and picture of docs/speed.md",
    )
    parser.add_argument("--keep", action="store_true", help="keep the working folder with every tool's output")
    return parser.parse_args()


def _sizes(text: str) -> list[int]:
    return [int(word) for word in text.split(",") if word]


def _workloads(asked: argparse.Namespace, folder: Path) -> list[Workload]:
    found = []
    if not asked.no_lab:
        with fresh() as cluster:
            found.append(lab(asked.charts, folder, f"sim:{cluster.name}"))
    return found + [generated(size, folder) for size in asked.sizes]


def _round(
    workload: Workload,
    rival: Rival,
    cases: list[str],
    folder: Path,
    into: dict[str, dict[str, Figures]],
    *,
    counting: bool,
) -> None:
    """All cases of one tool on one fresh cluster."""
    helm = tools.find("helm").path
    with fresh(audit=counting) as cluster:
        place = folder / f"{workload.name}-{rival.name.split()[0]}-{cluster.name}"
        place.mkdir()
        counter = place / "helm-starts"
        counter.touch()
        assert cluster.kubeconfig is not None
        bench = Bench(
            kubeconfig=cluster.kubeconfig,
            context=str(cluster.context),
            cluster=cluster.name,
            folder=place,
            helm=_counting(helm, place, counter) if counting else helm,
            helmfile=tools.find("helmfile").path,
        )
        requests = Requests(cluster) if counting else None
        for case in cases:
            command = rival.command(case, workload.states[STACK_OF[case]], bench)
            if command is None:
                continue
            counter.write_text("")
            if requests:
                requests.since_last()
            (place / TRACE).unlink(missing_ok=True)
            measured = measure(command, environment(workload, case, bench), place, place / "log.txt")
            figures = into[case].setdefault(rival.name, Figures())
            if requests:
                figures.requests = requests.since_last()
                figures.helm_processes = len(counter.read_text().splitlines())
            else:
                figures.runs.append(measured)
                figures.paths += critical_path(place / TRACE)
            kind = "counted requests of" if counting else f"{measured.wall_s:6.2f} s"
            print(f"{workload.name:16s} {rival.name:14s} {CASES[case]:32s} {kind}", file=sys.stderr, flush=True)


def _counting(helm: Path, folder: Path, counter: Path) -> Path:
    """A helm that writes down each start; only where nothing is timed, for the shell it costs."""
    shim = folder / "helm-counted"
    shim.write_text(f'#!/bin/sh\necho x >> {shlex.quote(str(counter))}\nexec {shlex.quote(str(helm))} "$@"\n')
    shim.chmod(0o755)
    return shim


if __name__ == "__main__":
    sys.exit(main())
