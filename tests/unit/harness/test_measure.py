"""scripts/measure.py counts names and comments, not words in strings."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripts.measure import main, measured, report

CODE = '''"""Any of them, only here."""
from typing import Any

# kept, because callers rely on it
def first(value: Any) -> str:
    # what follows
    return "Any"


class Kind:
    def second(self) -> None:
        return None
'''


def test_what_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "room" / "module.py"
    file.parent.mkdir()
    file.write_text(CODE)
    module = measured(file, "room/module.py")
    assert (module.room, module.lines, module.anys, module.reasons) == ("room", 12, 2, 1)
    assert sorted(module.functions) == [2, 3]


def test_the_report_names_the_largest_and_the_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "module.py").write_text(CODE)
    assert main([str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "Any per 1,000 lines                     166.7 (2)" in shown
    assert "    12  module.py" in shown


def test_nothing_to_measure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "it holds no Python file" in capsys.readouterr().err
    with pytest.raises(ValueError, match="no Python file"):
        report([])
