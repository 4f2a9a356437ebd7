"""The tables of docs/imitations.md, from tests/real.yaml. Used by scripts/reference.py (``make docs``).

A version that is not the component's of today is marked: what was seen with another version was not seen with this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from sparkrig.catalog.catalog import Catalog

BEGIN: Final = "<!-- made by scripts/reference.py from tests/real.yaml ({table}): change that, then `make docs` -->"
END: Final = "<!-- end of {table} -->"
COLUMNS: Final[Mapping[str, str]] = {
    "chart_on_sim": "real chart on `sim`",
    "program_on_pods": "real program on real pods",
    "controller_on_sim": "real controller against an API server",
}


def load(root: Path) -> dict[str, Any]:
    """The data."""
    found: dict[str, Any] = yaml.safe_load((root / "tests" / "real.yaml").read_text(encoding="utf-8"))
    return found


def filled(text: str, data: Mapping[str, Any], catalog: Catalog) -> str:
    """The page with both tables made anew."""
    tables = {"components": components(data, catalog), "imitations": imitations(data, catalog)}
    for table, lines in tables.items():
        begin, end = BEGIN.format(table=table), END.format(table=table)
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n\n" + "\n".join(lines) + f"\n\n{end}{after}"
    return text


def components(data: Mapping[str, Any], catalog: Catalog) -> Iterator[str]:
    """Each component, and when it was last seen with the real thing."""
    yield f"| component | chart | {' | '.join(COLUMNS.values())} | not seen |"
    yield "|---|---|---|---|---|---|"
    for name, entry in sorted(data["components"].items()):
        version = _version(name, catalog)
        cells = [seen(entry[column], version) for column in COLUMNS]
        yield f"| {name} | {version} | {' | '.join(cells)} | {entry['not_seen']} |"


def imitations(data: Mapping[str, Any], catalog: Catalog) -> Iterator[str]:
    """Each imitation: what it assumes, where the real one is, and when the two were compared."""
    yield "| imitation | assumes | the real one | compared |"
    yield "|---|---|---|---|"
    for entry in data["imitations"]:
        files = ", ".join(f"`{file}`" for file in entry["files"])
        compared = entry["compared"]
        version = _version(entry["component"], catalog) if "component" in entry else ""
        cell = seen({**compared, "what": compared["result"]}, version) if compared != "never" else "never"
        yield f"| {entry['name']} ({files}) | {entry['assumes']} | {entry['real']} | {cell} |"


def seen(entry: Any, version: str) -> str:
    """A cell: date, version and what, marked where ``version`` is given and is another one."""
    if entry == "never":
        return "never"
    other = f", **not with {version}**" if version and str(entry["version"]) != version else ""
    return f"{entry['date']}, {entry['version']}{other}: {entry['what']}"


def _version(name: str, catalog: Catalog) -> str:
    return str(catalog.components[name].chart.version)
