"""Texts in the cache: whole or not there, their owner's alone, and gone when nobody asks for them."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from sparkrig.cache import DAY_S, UNUSED_S, keep, prune_versions, recall


def aged(file: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(file, (then, then))


def test_what_is_kept_is_recalled_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "new" / "one.json"
    assert recall(file) is None
    keep(file, "äöü\nsecond line")
    assert recall(file) == "äöü\nsecond line"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    keep(file, "")
    assert recall(file) == ""


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"no digest", b"0" * 64 + b"\ntext"])
def test_a_damaged_file_is_none(tmp_path: Path, damage: bytes) -> None:
    file = tmp_path / "one.json"
    keep(file, "text")
    file.write_bytes(damage)
    assert recall(file) is None
    keep(file, "text")
    assert recall(file) == "text"


def test_half_a_file_is_none(tmp_path: Path) -> None:
    file = tmp_path / "one.json"
    keep(file, "x" * 1000)
    file.write_bytes(file.read_bytes()[:-1])
    assert recall(file) is None


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    keep(tmp_path / "file" / "one.json", "text")
    assert recall(tmp_path / "file" / "one.json") is None


def test_what_nobody_asks_for_goes_and_what_is_asked_for_stays(tmp_path: Path) -> None:
    asked, forgotten, folder = tmp_path / "asked", tmp_path / "forgotten", tmp_path / "folder"
    for file in (asked, forgotten):
        keep(file, "text")
        aged(file, UNUSED_S - DAY_S / 2)
    folder.mkdir()
    aged(folder, 2 * UNUSED_S)
    assert recall(asked) == "text"
    aged(forgotten, UNUSED_S + 1)
    keep(tmp_path / "new", "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["asked", "folder", "new"]


def test_versions_of_a_tool_that_no_command_has_used_go(tmp_path: Path) -> None:
    new, used, forgotten, foreign = (tmp_path / name for name in ("3", "2", "1", "tmp-of-another-run"))
    for folder, days in ((new, 90), (used, 5), (forgotten, 31), (foreign, 90)):
        folder.mkdir()
        (folder / "helm").write_text("binary")
        if folder != foreign:
            (folder / "helm.json").write_text("{}")
            aged(folder / "helm.json", days * DAY_S)
        aged(folder / "helm", 90 * DAY_S)
    prune_versions(tmp_path, "*.json", current=new)
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["2", "3", "tmp-of-another-run"]
