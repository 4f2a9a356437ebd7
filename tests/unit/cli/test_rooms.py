"""The package's structure: import layers, one import of each client library, no component's name in code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "installer" / "sparkrig"


def test_imports_point_down() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--config", "pyproject.toml", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_component_is_named_in_the_package() -> None:
    names = {path.parent.name.removesuffix("-values") for path in ROOT.glob("charts/*/component.yaml")}
    assert len(names) >= 8
    # "monitoring" is a word of the field too; as a component it would be quoted.
    patterns = [rf"[\"'`]{name}[\"'`]" if name == "monitoring" else rf"\b{re.escape(name)}\b" for name in names]
    pattern = re.compile("|".join(patterns), re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted(PACKAGE.rglob("*"))
        if path.suffix in {".py", ".json", ".yaml"}
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if pattern.search(line)
    ]
    assert found == []
