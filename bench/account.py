"""``python -I -S account.py REPORT COMMAND…``: run a command to its end, and write the kernel's account of it as JSON.

A process of its own, and a small one: Linux counts what a process had in memory before it became another program as
the other program's, and the bench has whole charts in memory.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def main(report: str, argv: list[str]) -> None:
    """Write ``[exit status, wall s, CPU s, peak KiB]`` to ``report``; stdout and stderr are the command's."""
    started = time.monotonic()
    process = subprocess.Popen(argv)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    account = [process.returncode, wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]
    Path(report).write_text(json.dumps(account), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
