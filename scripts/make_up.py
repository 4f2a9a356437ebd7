"""What ``make up`` does: tools, embedded cluster, the whole stack, status, what to try next.

One process, so that a second run with nothing to do is quick. The only place that ever chooses the
stand-in charts: when the upstream repositories cannot be reached within three seconds. The choice is
said, recorded in the cluster, and changed only on request (CHARTS=upstream or CHARTS=stand-ins).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from sparkrig.cli.app import run
from sparkrig.cli.progress import step_lines
from sparkrig.clusters import ensure, parse_target
from sparkrig.clusters.mark import read_mark, write_mark
from sparkrig.commands.session import Request, Session
from sparkrig.defaults import PROBE_TIMEOUT_S
from sparkrig.errors import SparkrigError
from sparkrig.helm.charts.probe import unreachable
from sparkrig.kube.client import KubeApi
from sparkrig.output.errors import error_text

STAND_INS = Path("tests/charts")


def main() -> int:
    """Runs all of it; the exit code is that of the first step that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", type=Path, required=True)
    parser.add_argument("--sim", required=True)
    options = parser.parse_args()
    target = f"sim:{options.sim}"
    try:
        charts = chart_options(options.stack, target)
    except SparkrigError as error:
        sys.stderr.write(error_text(error))
        return int(error.exit_code)
    common = ["--on", target, "--file", str(options.stack)]
    code = run(["up", *common, *charts, "--yes"])
    if code == 0:
        code = run(["status", *common])
    if code == 0:
        say_next(target, options.stack)
    return code


def chart_options(stack: Path, target: str) -> list[str]:
    """Makes the cluster ready and returns the flags that say where charts come from."""
    mirror = os.environ.get("CHART_MIRROR")
    handle = ensure(parse_target(target), on_progress=step_lines())
    if mirror:
        return ["--chart-mirror", mirror]
    api = KubeApi(handle)
    wanted = os.environ.get("CHARTS", "")
    recorded = read_mark(api).stand_ins
    choice = {"stand-ins": True, "upstream": False}.get(wanted, recorded)
    if choice is None:
        choice = not upstream_reachable(stack, target)
    if choice != recorded:
        write_mark(api, stand_ins=choice)
    if not choice:
        return []
    print(
        "upstream chart repositories cannot be reached: these are the stand-ins of tests/charts, small imitations\n"
        "for rehearsal only. CHARTS=upstream make up changes that.",
        file=sys.stderr,
    )
    return ["--stand-ins", str(STAND_INS)]


def upstream_reachable(stack: Path, target: str) -> bool:
    """True when every chart repository of the catalogue answers in time."""
    with Session(Request(stack_file=stack, target=target)) as session:
        references = [component.chart for component in session.catalog.components.values()]
        return not unreachable(references, PROBE_TIMEOUT_S)


def say_next(target: str, stack: Path) -> None:
    """What a newcomer may try now."""
    print(f"""
try next:
  .venv/bin/sparkrig status  --on {target} -f {stack}
  .venv/bin/sparkrig plan    --on {target} -f {stack} --set triton.replicas=2
  .venv/bin/sparkrig history --on {target} -f {stack}
  .venv/bin/sparkrig cluster kubeconfig --on {target}     # a kubeconfig for kubectl
  make down                                               # deletes the cluster""")


if __name__ == "__main__":
    sys.exit(main())
