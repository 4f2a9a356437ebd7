"""How large a Helm release will be, before it is written.

Helm keeps a release (chart files, values, manifest) as one Secret: JSON, gzip, base64. The API server
refuses a Secret over 1 MiB, after the release's objects were made already; that is found here first.
The chart's subcharts are not stored with it.
"""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass
from typing import Final

from sparkrig.helm.charts.archive import ChartFiles
from sparkrig.models.json import JsonObject

LIMIT_BYTES: Final = 1 << 20
"""Largest sum of a Secret's values that the API server takes."""

SLACK_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Size:
    """The stored size of a release, and of what it is made of, in bytes."""

    total: int
    """An upper bound where it fits, else the size itself."""
    parts: tuple[tuple[str, int], ...] = ()
    """(name, compressed bytes), largest first, where it does not fit; together they compress better than alone."""

    @property
    def fits(self) -> bool:
        """True when the API server takes it."""
        return self.total < LIMIT_BYTES


def estimate(chart: ChartFiles, values: JsonObject, manifest: str) -> Size:
    """The size of the release that helm would store."""
    files = {name: base64.b64encode(content).decode() for name, content in chart.files.items()}
    stored = {
        "chart": {"templates": [{"name": n, "data": d} for n, d in files.items()], "values": chart.values},
        "config": values,
        "manifest": manifest,
    }
    # Nothing grows by more than a few bytes in compression, and most releases fit without any.
    whole = _text(stored)
    plain = len(whole) * 4 // 3 + SLACK_BYTES
    if plain < LIMIT_BYTES:
        return Size(plain)
    quick = _packed(whole, level=1)
    if quick < LIMIT_BYTES:
        # The quick compression is never smaller: what fits by it fits.
        return Size(quick)
    named = [
        *((f"chart file {name}", _packed(_text(data))) for name, data in files.items()),
        ("values", _packed(_text(values))),
        ("rendered manifest", _packed(_text(manifest))),
    ]
    return Size(_packed(whole), tuple(sorted(named, key=lambda part: -part[1])[:5]))


def _text(part: object) -> bytes:
    return json.dumps(part).encode()


def _packed(text: bytes, level: int = 9) -> int:
    """Bytes of a part's JSON as helm stores it: gzip (helm takes the best level), base64."""
    return len(base64.b64encode(gzip.compress(text, compresslevel=level)))


def mib(length: int) -> str:
    """A size for a person."""
    return f"{length / (1 << 20):.2f} MiB"
