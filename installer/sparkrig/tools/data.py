"""Where the data that comes with sparkrig lies: ``tools/``, ``charts/`` and ``docs/``.

In a checkout they are folders beside ``installer/``; in a wheel they lie inside the package, under ``_data``.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Literal

from sparkrig.errors import NotFound

Kind = Literal["charts", "docs", "tools"]


def data_dir(kind: Kind) -> Path:
    """Return the folder that holds the data of this kind.

    ``SPARKRIG_DATA_DIR`` names another parent folder and wins over both places.

    Raises:
        NotFound: there is no such folder; an installation without its data is broken.
    """
    override = os.environ.get("SPARKRIG_DATA_DIR")
    if override:
        places = [Path(override) / kind]
    else:
        package = Path(str(resources.files("sparkrig")))
        places = [package / "_data" / kind, package.parent.parent / kind]
    for place in places:
        if place.is_dir():
            return place.resolve()
    looked = ", ".join(str(place) for place in places)
    hint = "SPARKRIG_DATA_DIR must name a folder that holds it" if override else "install sparkrig again"
    raise NotFound(f"the folder {kind!r} that belongs to sparkrig is missing: looked at {looked}", hint=hint)
