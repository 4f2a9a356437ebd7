"""The workflow for machines with a container engine: what it runs exists. It cannot run here."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkrig.cli.app import run

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / ".github" / "workflows"


def lines() -> Iterator[str]:
    """Every shell line of every workflow."""
    for file in sorted(FOLDER.glob("*.yml")):
        document: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
        for job in document["jobs"].values():
            for step in job["steps"]:
                yield from (line.strip() for line in str(step.get("run", "")).splitlines() if line.strip())


COMMANDS = [line for line in lines() if line.startswith(".venv/bin/sparkrig ")]
OTHERS = [line for line in lines() if line not in COMMANDS]


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_line_is_one_that_sparkrig_knows(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(line)[1:]
    assert run([*words, "--help"]) == 0
    known = capsys.readouterr().out
    for option in (word.partition("=")[0] for word in words if word.startswith("-")):
        assert re.search(rf"{option}\b", known), (option, known)


def test_everything_else_is_there() -> None:
    assert COMMANDS
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for line in OTHERS:
        words = [word for word in shlex.split(line) if "=" not in word]
        if words[0] == "make":
            assert set(words[1:]) <= set(targets), line
        else:
            assert words[:3] == [".venv/bin/python", "-m", "pytest"], line
            assert all((ROOT / word).exists() for word in words if word.startswith("tests/")), line
