"""Run the tests in parallel; what fails gets one more run, alone, and is named either way.

Many tests start real processes (API servers, helm, kill -9, browsers) and wait for them. On a small machine that does
something else at the same time, one can meet a deadline that says nothing about the program. At most six failed tests
get another run, each named with what is recorded of it; more fail the run at once, and so does one that fails again.
The record lies in the cache folder, so that one that fails now and then is seen to. The last line is pytest's own
summary.

Usage: python scripts/run_tests.py [--whole-files] [pytest arguments]

With --whole-files all tests of a file run again where one of them failed: they are steps on one cluster.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

from sparkrig.tools import cache_dir

TESTS_FAILED = 1
# More failures than this are no accident: the first run's word stands. One that fails may leave something open that
# fails another one, so that two causes can be six tests.
AT_MOST = 6
REMEMBERED = 20
LAST_FAILED = Path(".pytest_cache/v/cache/lastfailed")
WHOLE_FILES = "--whole-files"
REPORT = "--junitxml="


def failed() -> list[str]:
    """Return the node ids that pytest's cache names as failed in the last run."""
    try:
        return sorted(json.loads(LAST_FAILED.read_text("utf-8")))
    except (OSError, ValueError):
        return []


def record() -> dict[str, list[str]]:
    """Return the days on which each test failed in a run and got another one, oldest first."""
    try:
        found = json.loads(history().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def remember(names: list[str]) -> None:
    """Add today's failures to the record; one that cannot be written is only missed the next time."""
    known = record()
    for name in names:
        known[name] = [*known.get(name, []), date.today().isoformat()][-REMEMBERED:]
    with contextlib.suppress(OSError):
        history().parent.mkdir(parents=True, exist_ok=True)
        history().write_text(json.dumps(known, indent=1), "utf-8")


def history() -> Path:
    """Return the file of the record."""
    return cache_dir() / "failed-tests.json"


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
    if code != TESTS_FAILED or not names or any("::" not in name for name in names):
        return code
    if len(names) > AT_MOST:
        print(f"\n=== {len(names)} failed, more than the {AT_MOST} that get another run", flush=True)
        return code
    known = record()
    remember(names)
    print(f"\n=== {len(names)} failed; once more, alone (find the cause, even if it passes now):", flush=True)
    for name in names:
        days = ", ".join(known.get(name, []))
        print(f"===   {name} ({f'failed before: {days}' if days else 'no failure on record'})", flush=True)
    again = sorted({name.partition("::")[0] for name in names}) if files else names
    reports = [f"{argument.removesuffix('.xml')}-again.xml" for argument in arguments if argument.startswith(REPORT)]
    return pytest("-n", "0", *reports, *again)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
