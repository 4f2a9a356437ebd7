"""Writes charts/monitoring/dashboards/<part>/<name>.json. ``make dashboards``.

    python -m scripts.dashboards [--check]

``--check`` writes nothing and exits 1 where a file is not what would be written.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from scripts.dashboards import gpu, platform, serving, spark

FOLDER: Final = Path(__file__).parents[2] / "charts" / "monitoring" / "dashboards"
SOURCES: Final = (gpu, spark, serving, platform)


def dashboards() -> Iterator[dict[str, Any]]:
    """Every dashboard, as Grafana's JSON model, its panels numbered from 1 in their order."""
    for source in SOURCES:
        for builder in source.boards():
            model = json.loads(JSONEncoder(sort_keys=True).encode(builder.build()))
            for number, panel in enumerate(model["panels"], 1):
                panel["id"] = number
            yield model


def files() -> dict[str, str]:
    """Path below ``dashboards/`` -> text. A uid is ``sparkrig-<part>-<name>``."""
    made = {}
    for model in dashboards():
        _, part, name = model["uid"].split("-", 2)
        made[f"{part}/{name}.json"] = json.dumps(model, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the files, or compares them."""
    parser = argparse.ArgumentParser(description="Writes the dashboards of charts/monitoring.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file differs")
    options = parser.parse_args(arguments)
    made = files()
    there = {str(p.relative_to(FOLDER)): p.read_text(encoding="utf-8") for p in FOLDER.glob("*/*.json")}
    differing = sorted(name for name in {*made, *there} if made.get(name) != there.get(name))
    for name in differing:
        if options.check:
            print(f"charts/monitoring/dashboards/{name} is not what scripts/dashboards makes: run `make dashboards`")
        elif name in made:
            (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
            (FOLDER / name).write_text(made[name], encoding="utf-8")
            print(f"charts/monitoring/dashboards/{name}")
        else:
            (FOLDER / name).unlink()
    return 1 if options.check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
