"""Runs a plan that is no plan on the terminal it is given: the child process of the live display's tests.

Its argument says how it ends: ``done``, ``failed``, ``crash``, ``interrupt`` or ``resize``.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import records
from sparkrig.models.plan import Event, OperationStatus
from sparkrig.output.progress import make_progress
from sparkrig.output.terminal import detect

STEP_S = 0.03
SEEN_S = 0.6
"""Long enough for some refreshes."""
RUNNING, DONE, FAILED, SKIPPED = (
    OperationStatus.RUNNING,
    OperationStatus.DONE,
    OperationStatus.FAILED,
    OperationStatus.SKIPPED,
)


def main(ending: str) -> None:
    plan = records.plan()
    progress = make_progress(plan, detect(sys.stderr, os.environ))
    began = time.monotonic()

    def tell(operation_id: str, status: OperationStatus, message: str = "") -> None:
        component = next(o.component for o in plan.operations if o.id == operation_id)
        progress(Event(component, operation_id, status, message, min(1.5, time.monotonic() - began)))
        time.sleep(STEP_S)

    def work(*operations: str) -> None:
        for operation in operations:
            tell(operation, RUNNING, "because")
            tell(operation, RUNNING, "waiting: Deployment 漢字 0/1, \x1b[2Jpulling a very long image name " * 3)
            tell(operation, DONE)

    with progress:
        work("namespace/proxy", "crds/spark-operator")
        both = [
            threading.Thread(target=work, args=("install/proxy", "wait/proxy")),
            threading.Thread(target=work, args=("upgrade/spark-operator",)),
        ]
        for thread in both:
            thread.start()
        progress.note("a note that is rather long, so that it does not fit a narrow terminal at all")
        sys.stdout.write("printed by somebody else\n")
        for thread in both:
            thread.join()
        if ending == "failed":
            tell("wait/spark-operator", FAILED, records.FAILURE.text)
            for operation in ("upgrade/hub", "wait/hub", "uninstall/metrics-server"):
                tell(operation, SKIPPED, "wait/spark-operator did not succeed")
        elif ending == "done":
            tell("wait/spark-operator", RUNNING, "waiting: Deployment 漢字 0/1, \x1b[2Jpulling")
            time.sleep(SEEN_S)
            work("wait/spark-operator", "upgrade/hub", "wait/hub", "uninstall/metrics-server")
        elif ending == "crash":
            raise SystemExit("crashed")
        elif ending == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        elif ending == "resize":
            tell("wait/spark-operator", RUNNING, "waiting")
            sys.stdout.write("RESIZE\n")
            sys.stdout.flush()
            sys.stdin.readline()
            time.sleep(SEEN_S)
            work("upgrade/hub", "wait/hub", "uninstall/metrics-server")
            tell("wait/spark-operator", DONE)


main(sys.argv[1])
