"""A deterministic environment for every test: no colour, no cluster and no state of the person who runs them.

The cache of tools is the person's own on purpose: tools are built once, not once a test run.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_configure() -> None:
    """Ctrl-C and SIGHUP work for the programs that tests start, also where the run itself ignores them.

    A shell without job control ignores the first for what it starts in the background, nohup the second, and children
    inherit that.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Tests with real pods need root; they run where they are asked for by name, as ``make node-test`` does."""
    node = Path(__file__).parent / "node"
    asked = any(
        node in (path := (config.invocation_params.dir / a.split("::")[0]).resolve()).parents or path == node
        for a in config.args
    )
    return True if collection_path == node and not asked else None


@pytest.fixture(scope="session", autouse=True)
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("sparkrig")
    patch = pytest.MonkeyPatch()
    for name in list(os.environ):
        if name.startswith(("KWOK_", "HELM_")) or name in ("FORCE_COLOR", "CLICOLOR_FORCE", "SPARKRIG_DATA_DIR"):
            patch.delenv(name)
    patch.setenv("NO_COLOR", "1")
    patch.setenv("COLUMNS", "120")
    patch.setenv("SPARKRIG_CONFIG_DIR", str(folder / "config"))
    patch.setenv("SPARKRIG_STATE_DIR", str(folder / "state"))
    # A test that forgets to name its cluster must not meet somebody's real one.
    patch.setenv("KUBECONFIG", str(folder / "no-kubeconfig"))
    yield folder
    patch.undo()
