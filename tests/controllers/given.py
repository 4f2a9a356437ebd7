"""What the tests of controllers that somebody built need, and why they are skipped where it is not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.controllers import recipes
from tests.controllers.stacks import REAL_CHARTS
from tests.mini import ROOT

from sparkrig.catalog.load import load_catalog


def need(component: str) -> None:
    """Skip the module unless the program and upstream's chart of the component are here.

    The recipe has the component's name; the chart is the catalog's version. The stand-ins do not give the rights that
    the real program needs.
    """
    (recipe,) = (r for r in recipes.load() if r.name == component)
    if reason := recipe.unavailable():
        pytest.skip(reason, allow_module_level=True)
    chart = load_catalog((ROOT / "charts",)).components[component].chart
    folder = os.environ.get(REAL_CHARTS, "")
    archive = Path(folder) / f"{chart.name}-{chart.version}.tgz"
    if not folder or not archive.is_file():
        reason = f"there is no {archive.name} in {REAL_CHARTS}={folder}" if folder else f"{REAL_CHARTS} is not set"
        pytest.skip(f"{component}: {reason}", allow_module_level=True)
