"""Loads scripts/lowest.py, which is no package."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

_spec = importlib.util.spec_from_file_location("lowest", Path(__file__).parents[1] / "scripts" / "lowest.py")
assert _spec is not None
assert _spec.loader is not None
_module: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
lower_bounds = _module.lower_bounds
