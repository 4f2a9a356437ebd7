"""docs/imitations.md: a row for every component and every imitation, and no date for what was not seen."""

from __future__ import annotations

import datetime
import sys
from typing import Any

import pytest
from tests.mini import ROOT

from sparkrig.catalog.load import load_catalog

sys.path.append(str(ROOT / "scripts"))
import imitations

DATA = imitations.load(ROOT)
ENTRIES = [
    *((name, entry[column]) for name, entry in DATA["components"].items() for column in imitations.COLUMNS),
    *((entry["name"], entry["compared"]) for entry in DATA["imitations"]),
]


def test_every_component_has_a_row() -> None:
    assert sorted(DATA["components"]) == sorted(load_catalog([ROOT / "charts"]).components)


def test_every_stand_in_chart_has_a_row() -> None:
    charts = {f"tests/charts/{file.parent.name}" for file in (ROOT / "tests" / "charts").glob("*/Chart.yaml")}
    assert charts
    assert charts <= {file for entry in DATA["imitations"] for file in entry["files"]}


def test_every_program_of_ours_in_an_image_has_a_row() -> None:
    """A folder of an image with code of its own, but for a configuration that a real program reads."""
    images = ROOT / "tests" / "node" / "images"
    configured = {"hub", "coredns", "pause"}  # CoreDNS' plugins, KubeSpawner's settings; pause does nothing
    ours = {file.relative_to(images).parts[0] for kind in ("py", "go", "java") for file in images.rglob(f"*/*.{kind}")}
    rows = {file for entry in DATA["imitations"] for file in entry["files"]}
    assert {f"tests/node/images/{name}" for name in ours - configured} <= rows


def test_what_a_row_names_is_there() -> None:
    wrong = [file for entry in DATA["imitations"] for file in entry["files"] if not (ROOT / file).exists()]
    assert wrong == []
    for entry in DATA["imitations"]:
        assert entry["assumes"], entry["name"]
        assert entry["real"], entry["name"]


@pytest.mark.parametrize(("name", "entry"), ENTRIES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(ENTRIES)])
def test_an_entry_is_never_or_says_when_and_with_which_version(name: str, entry: Any) -> None:
    if entry == "never":
        return
    assert isinstance(entry["date"], datetime.date), name
    assert entry["version"], name
    assert entry.get("what") or entry.get("result"), name


def test_another_version_was_not_seen() -> None:
    entry = {"date": datetime.date(2026, 11, 29), "version": "1.0", "what": "all of it"}
    assert imitations.seen(entry, "1.0") == "2026-11-29, 1.0: all of it"
    assert imitations.seen(entry, "1.1") == "2026-11-29, 1.0, **not with 1.1**: all of it"
    assert imitations.seen("never", "1.1") == "never"


def test_the_page_is_what_the_data_say() -> None:
    """Where this fails: make docs."""
    page = (ROOT / "docs" / "imitations.md").read_text(encoding="utf-8")
    assert imitations.filled(page, DATA, load_catalog([ROOT / "charts"])) == page
