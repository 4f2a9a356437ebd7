"""The navigation of the documentation site: the list of pages in zensical.toml, from the files in docs/.

A page that no section names goes into the last section, so that a new page is never missing from the site.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ROOT / "docs"
CONFIG: Final = ROOT / "zensical.toml"
BEGIN: Final = "# nav: made by scripts/site_nav.py; run `make docs` after adding a page"
END: Final = "# nav: end"
SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "Tutorials": ("tutorials/*",),
    "Stack": ("stack-file.md", "components.md", "charts.md", "secrets.md"),
    "Operation": (
        "preflight.md",
        "checks.md",
        "history.md",
        "conflicts.md",
        "crds.md",
        "removal.md",
        "problems.md",
        "exit-codes.md",
    ),
    "Command reference": ("cli.md",),
    "Charts": ("charts/*",),
    "Values": ("reference/*",),
    "Runbooks": ("runbooks/*",),
    "Clusters and tools": ("sim.md", "tools.md", "node.md"),
    "Project": ("architecture.md", "compare.md", "speed.md", "controllers.md", "imitations.md"),
    "Decisions": ("adr/*",),
}
"""Title -> pages in their order; ``FOLDER/*`` is every page of a folder, its README first."""
REST: Final = "Project"
FIRST: Final = ("tutorials/README.md", "tutorials/try-it.md", "tutorials/on-my-cluster.md", "tutorials/in-ci.md")


def filled(text: str, made: Iterable[Path] = ()) -> str:
    """The configuration with the list of pages between its two comments; ``made`` are pages about to be written."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{_nav(pages(made))}\n{END}{after}"


def pages(made: Iterable[Path] = ()) -> list[str]:
    """Every page of docs/, relative to it."""
    every = {*DOCS.rglob("*.md"), *(path for path in made if path.suffix == ".md" and path.is_relative_to(DOCS))}
    return sorted(path.relative_to(DOCS).as_posix() for path in every)


def _nav(every: list[str]) -> str:
    named = {name for names in SECTIONS.values() for name in names}
    rest = [
        page for page in every if page != "README.md" and page not in named and f"{Path(page).parent}/*" not in named
    ]
    lines = ["nav = [", '    { "Start" = "README.md" },']
    for title, names in SECTIONS.items():
        found = [page for name in names for page in _matching(name, every)] + (rest if title == REST else [])
        if not found:
            continue
        if len(names) == 1 and not names[0].endswith("/*"):
            lines.append(f"    {{ {json.dumps(title)} = {json.dumps(found[0])} }},")
        else:
            lines.append(f"    {{ {json.dumps(title)} = [")
            lines += [f"        {json.dumps(page)}," for page in found]
            lines.append("    ] },")
    return "\n".join([*lines, "]"])


def _matching(name: str, every: list[str]) -> Iterator[str]:
    if not name.endswith("/*"):
        yield from (page for page in every if page == name)
        return
    folder = name.removesuffix("/*")
    found = [page for page in every if page.startswith(f"{folder}/")]
    yield from (page for page in FIRST if page in found)
    yield from sorted(
        (page for page in found if page not in FIRST), key=lambda page: (not page.endswith("README.md"), page)
    )
