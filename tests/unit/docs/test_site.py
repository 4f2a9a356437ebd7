"""The documentation site: complete, without broken links, and nothing in it is loaded from another host."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[3]
DOCS: Final = ROOT / "docs"
LOADING: Final = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "object": "data"}
LOADING_LINKS: Final = {"stylesheet", "preload", "modulepreload", "icon", "preconnect", "dns-prefetch", "prefetch"}
ELSEWHERE: Final = re.compile(r"^(?:https?:)?//")
ON_DEMAND: Final = re.compile(r'class="[^"]*\b(?:mermaid|glightbox|pyodide)\b')
"""Content for which the theme would load a library from a content delivery network."""
LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
CODE: Final = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


class Assets(HTMLParser):
    """Collects what a browser loads for a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in LOADING and given.get(LOADING[tag]):
            self.found.append(str(given[LOADING[tag]]))
        if tag == "link" and LOADING_LINKS & set((given.get("rel") or "").split()):
            self.found.append(str(given.get("href")))


def assets(html: str) -> list[str]:
    parser = Assets()
    parser.feed(html)
    return parser.found


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "zensical"
    return subprocess.run(
        [program, "build", "--strict", "--clean"], cwd=folder, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "zensical.toml", folder)
    shutil.copytree(DOCS, folder / "docs")
    done = build(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 100
    bad = {
        f"{page.relative_to(site)}: {asset}"
        for page in pages
        for asset in assets(page.read_text(encoding="utf-8"))
        if ELSEWHERE.match(asset)
    }
    assert bad == set()
    assert [page for page in pages if ON_DEMAND.search(page.read_text(encoding="utf-8"))] == []
    styles = [
        style for style in site.rglob("*.css") if re.search(r"url\(['\"]?(?:https?:)?//", style.read_text("utf-8"))
    ]
    assert styles == []


def test_the_site_has_every_page_and_a_search_index(site: Path) -> None:
    for page in DOCS.rglob("*.md"):
        name = "index.html" if page.name == "README.md" else f"{page.stem}.html"
        assert (site / page.relative_to(DOCS).parent / name).exists(), page
    index = (site / "search.json").read_text(encoding="utf-8")
    assert '"location":"stack-file.html' in index


def test_a_broken_link_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "zensical.toml").write_text('[project]\nsite_name = "a"\n')
    (tmp_path / "docs/index.md").write_text("# A\n\n[b](b.md)\n")
    done = build(tmp_path)
    assert done.returncode != 0
    assert "page does not exist" in done.stdout + done.stderr


def test_what_is_found_in_a_page() -> None:
    page = '<script src="https://a/b.js"></script><link rel="stylesheet" href="c.css"><a href="https://d">d</a>'
    assert assets(page) == ["https://a/b.js", "c.css"]


def navigation(entries: Any) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry, str):
            yield entry
        else:
            for value in entry.values():
                yield from navigation([value] if isinstance(value, str) else value)


def test_the_navigation_has_every_page_once() -> None:
    """Where this fails: make docs."""
    found = sorted(navigation(tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"]))
    assert found == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


@pytest.mark.parametrize(
    "name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "changelog.d/README.md", "tests/charts/README.md"]
)
def test_links_of_pages_outside_the_site_lead_to_files(name: str) -> None:
    text = CODE.sub("", (ROOT / name).read_text(encoding="utf-8"))
    targets = [target.partition("#")[0] for target in LINK.findall(text) if "://" not in target]
    assert [target for target in targets if target and not (ROOT / name).parent.joinpath(target).exists()] == []
