"""Run the tests in parallel; what fails gets one more run, alone, and is named either way.

Many tests start real processes (API servers, helm, kill -9, browsers) and wait for them. On a small machine that does
something else at the same time, one can meet a deadline that says nothing about the program. A test that passes alone
is shown as such, so that its cause is looked for; one that fails again fails the run. The last line is pytest's own
summary.

Usage: python scripts/run_tests.py [--whole-files] [pytest arguments]

With --whole-files all tests of a file run again where one of them failed: they are steps on one cluster.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

TESTS_FAILED = 1
# More failures than this are no accident: the first run's word stands.
AT_MOST = 15
LAST_FAILED = Path(".pytest_cache/v/cache/lastfailed")
WHOLE_FILES = "--whole-files"
REPORT = "--junitxml="


def failed() -> list[str]:
    """Return the node ids that pytest's cache names as failed in the last run."""
    try:
        return sorted(json.loads(LAST_FAILED.read_text("utf-8")))
    except (OSError, ValueError):
        return []


def pytest(*arguments: str) -> int:
    """Run pytest to its end and return its exit code; Ctrl-C and SIGTERM are its own to handle."""
    with subprocess.Popen([sys.executable, "-m", "pytest", *arguments]) as process:
        signal.signal(signal.SIGINT, lambda *_: None)  # a terminal sends it to both
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        return process.wait()


def main(arguments: list[str]) -> int:
    """Return pytest's exit code: of the only run, or of the second."""
    files = WHOLE_FILES in arguments
    arguments = [argument for argument in arguments if argument != WHOLE_FILES]
    LAST_FAILED.unlink(missing_ok=True)
    code = pytest(*arguments)
    names = failed()
    if code != TESTS_FAILED or not 0 < len(names) <= AT_MOST or any("::" not in name for name in names):
        return code
    print(
        f"\n=== {len(names)} failed; once more, alone (if one passes now, its cause is still to be found):", flush=True
    )
    for name in names:
        print(f"===   {name}", flush=True)
    again = sorted({name.partition("::")[0] for name in names}) if files else names
    reports = [f"{argument.removesuffix('.xml')}-again.xml" for argument in arguments if argument.startswith(REPORT)]
    return pytest("-n", "0", *reports, *again)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
