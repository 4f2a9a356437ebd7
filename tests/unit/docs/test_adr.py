"""Architecture decision records: one form, numbers that stay, and references that lead to a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]
RECORDS: Final = sorted((ROOT / "docs" / "adr").glob("*.md"))
FOLDERS: Final = ("bench", "charts", "docs", "examples", "installer", "scripts", "tests")
SECTIONS: Final = ["Status", "Context", "Decision", "Consequences", "Alternatives considered"]
NAME: Final = re.compile(r"[0-9]{4}(?:-[a-z0-9]+)+\.md")
PATH: Final = re.compile(r"adr/(?P<number>[0-9]{4})(?P<rest>-[a-z0-9-]+\.md)?")
NUMBER: Final = re.compile(r"\bADR (?P<number>[0-9]{1,4})\b")


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_record_has_all_sections_in_order(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    assert NAME.fullmatch(record.name)
    assert text.startswith(f"# {int(record.name[:4])}. ")
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    assert parts[1::2] == SECTIONS
    assert [title for title, body in zip(parts[1::2], parts[2::2], strict=True) if not body.strip()] == []


def test_numbers_are_unique() -> None:
    numbers = [record.name[:4] for record in RECORDS]
    assert len(numbers) > 30
    assert len(set(numbers)) == len(numbers)


def test_references_to_records_lead_to_one() -> None:
    """Also those in comments, which no link checker reads."""
    names = {record.name for record in RECORDS}
    numbers = {int(record.name[:4]) for record in RECORDS}
    found, wrong = 0, []
    for path in (*ROOT.glob("*"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))):
        name = path.relative_to(ROOT)
        if path.suffix not in {".py", ".md", ".toml", ".yaml", ".json"} or not path.is_file() or path.is_symlink():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        for match in (*PATH.finditer(text), *NUMBER.finditer(text)):
            found += 1
            file = match["number"] + (match.groupdict().get("rest") or "")
            right = file in names if file.endswith(".md") else int(file) in numbers
            wrong += [] if right else [f"{name}: {match[0]}"]
    assert found > 40
    assert wrong == []
