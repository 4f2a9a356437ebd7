"""pyhelm3 without its client: the package's own import brings pydantic, 0.15 s before the first helm can start."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType

PACKAGE = "pyhelm3"


def without_client(*names: str) -> tuple[ModuleType, ...]:
    """Imports modules of pyhelm3, and nothing that they do not import themselves.

    They are what a later ``import pyhelm3`` finds: its classes are these classes.
    """
    if PACKAGE in sys.modules or (spec := find_spec(PACKAGE)) is None:
        return tuple(import_module(f"{PACKAGE}.{name}") for name in names)
    # A package that was not run yet; while it stands in, its modules find each other.
    sys.modules[PACKAGE] = module_from_spec(spec)
    try:
        return tuple(import_module(f"{PACKAGE}.{name}") for name in names)
    finally:
        del sys.modules[PACKAGE]
