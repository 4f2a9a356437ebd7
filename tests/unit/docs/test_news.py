"""scripts/news.py: what a news fragment may be, and how a release collects them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.mini import ROOT

sys.path.append(str(ROOT / "scripts"))
import news

CASES: list[dict[str, Any]] = yaml.safe_load((ROOT / "tests/cases/news/fragments.yaml").read_text("utf-8"))
CHANGELOG = """\
# Changelog

## Unreleased

### Added
- A command.

### Fixed
- A fault.

## 0.1.0 - 2026-01-02

### Added
- Everything.
"""
AFTER = """\
# Changelog

## Unreleased

## 0.2.0 - 2026-03-04

### Added
- A command.
- An option.

### Changed
- A default.

### Fixed
- A fault.

## 0.1.0 - 2026-01-02

### Added
- Everything.
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "changelog.d").mkdir()
    (tmp_path / "changelog.d" / "README.md").write_text("# News fragments\n")
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    (root / "changelog.d" / name).write_text(text)


def test_the_fragments_of_this_repository_are_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert news.main([]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["what"])
def test_a_fragment(case: dict[str, Any], root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(root, case["file"], case["text"] * case.get("times", 1))
    code = news.main([], root)
    told = capsys.readouterr().err
    assert code == (1 if "error" in case else 0), told
    assert told == (f"changelog.d/{case['file']}: {case['error']}\n" if "error" in case else "")


def test_all_problems_are_told_at_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(root, "a.added.md", "")
    write(root, "b.removed.md", "A.")
    (root / "CHANGELOG.md").write_text(CHANGELOG.replace("- A fault.", "- A fault\n  on two lines."))
    assert news.main(["--release", "0.2.0"], root) == 1
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[0] for line in told] == [
        "CHANGELOG.md:9",
        "CHANGELOG.md:10",
        "changelog.d/a.added.md",
        "changelog.d/b.removed.md",
    ]
    assert (root / "changelog.d" / "a.added.md").exists()


def test_a_release_collects_the_fragments_below_the_entries_of_unreleased(root: Path) -> None:
    write(root, "option.added.md", "An option.\n")
    write(root, "default.changed.md", "A default.\n")
    assert news.main(["--release", "0.2.0", "--date", "2026-03-04"], root) == 0
    assert (root / "CHANGELOG.md").read_text() == AFTER
    assert [path.name for path in (root / "changelog.d").iterdir()] == ["README.md"]
    write(root, "more.fixed.md", "More.\n")
    assert news.main(["--release", "0.3.0", "--date", "2026-05-06"], root) == 0
    text = (root / "CHANGELOG.md").read_text()
    assert "## Unreleased\n\n## 0.3.0 - 2026-05-06\n\n### Fixed\n- More.\n\n## 0.2.0 - 2026-03-04\n" in text


@pytest.mark.parametrize(
    ("changelog", "version", "told"),
    [
        (CHANGELOG, "0.1.0", "version 0.1.0 has a section already"),
        ("# Changelog\n\n## Unreleased\n", "0.1.0", "version 0.1.0 has no entries"),
        ("# Changelog\n", "0.1.0", "no section `## Unreleased`"),
    ],
    ids=["exists", "empty", "no section"],
)
def test_a_release_that_is_refused_changes_nothing(
    changelog: str, version: str, told: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "CHANGELOG.md").write_text(changelog)
    assert news.main(["--release", version], root) == 1
    assert told in capsys.readouterr().err
    assert (root / "CHANGELOG.md").read_text() == changelog


def test_a_version_has_three_numbers(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        news.main(["--release", "v0.2"], root)
    assert end.value.code == 2
    assert "'v0.2' is not a version" in capsys.readouterr().err
