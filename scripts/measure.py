"""The numbers that the code is measured by: sizes, `Any`, and comments that give a reason.

``python scripts/measure.py [FOLDER]`` prints them for a package, ``installer/sparkrig`` unless another is named.
"""

from __future__ import annotations

import ast
import io
import re
import statistics
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = ROOT / "installer" / "sparkrig"
LARGE: Final = 400
SMALL: Final = 100
SHOWN: Final = 10
"""Largest modules and rooms that are listed."""
REASON: Final = re.compile(r"\b(because|so that|otherwise|since|must|never|only)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Module:
    """What is counted in one file."""

    name: str
    lines: int
    functions: tuple[int, ...]
    """Lines of each function, nested ones included."""
    anys: int
    reasons: int

    @property
    def room(self) -> str:
        """The first folder of the file, or the file itself."""
        return self.name.partition("/")[0]


def measured(path: Path, name: str) -> Module:
    """Count one file. Names and comments are counted by the tokenizer, so that strings do not count."""
    text = path.read_text(encoding="utf-8")
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    names = [token.string for token in tokens if token.type == tokenize.NAME]
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return Module(
        name=name,
        lines=len(text.splitlines()),
        functions=tuple(_lengths(ast.parse(text))),
        anys=names.count("Any"),
        reasons=sum(bool(REASON.search(comment)) for comment in comments),
    )


def _lengths(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1


def report(modules: Sequence[Module]) -> list[str]:
    """Return the lines of the report. Raises ValueError for no modules."""
    if not modules:
        raise ValueError("there is no Python file to measure")
    lines = sum(module.lines for module in modules)
    functions = sorted(length for module in modules for length in module.functions)
    anys, reasons = (sum(getattr(module, what) for module in modules) for what in ("anys", "reasons"))
    large = [module for module in modules if module.lines > LARGE]
    small = [module for module in modules if module.lines < SMALL]
    figures = {
        "files": f"{len(modules)}",
        "lines": f"{lines}",
        "functions": f"{len(functions)}",
        "median length of a function": f"{statistics.median(functions or [0]):g}",
        "95th percentile": f"{_percentile(functions, 95)}",
        f"files above {LARGE} lines": f"{len(large)}",
        f"files below {SMALL} lines": f"{len(small)}",
        "Any per 1,000 lines": f"{_rate(anys, lines)} ({anys})",
        "comments with a reason per 1,000 lines": f"{_rate(reasons, lines)} ({reasons})",
    }
    width = max(map(len, figures))
    shown = [f"{name:<{width}}  {figure}" for name, figure in figures.items()]
    largest = sorted(modules, key=lambda module: (-module.lines, module.name))[:SHOWN]
    return [*shown, "", "largest modules", *(f"{m.lines:>6}  {m.name}" for m in largest), "", *_rooms(modules)]


def _rooms(modules: Sequence[Module]) -> Iterator[str]:
    rooms: dict[str, list[Module]] = {}
    for module in modules:
        if "/" in module.name:
            rooms.setdefault(module.room, []).append(module)
    if rooms:
        yield "Any per 1,000 lines of each package"
    for room, inside in sorted(rooms.items()):
        yield f"{_rate(sum(m.anys for m in inside), sum(m.lines for m in inside)):>6}  {room}"


def _rate(count: int, lines: int) -> str:
    return f"{1000 * count / max(lines, 1):.1f}"


def _percentile(ordered: Sequence[int], percent: int) -> int:
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] if ordered else 0


def main(arguments: Sequence[str]) -> int:
    """Measure a folder and print the report."""
    folder = Path(arguments[0]) if arguments else PACKAGE
    files = sorted(folder.rglob("*.py"))
    if not files:
        print(f"cannot measure {folder}: it holds no Python file; name another folder", file=sys.stderr)
        return 2
    print("\n".join(report([measured(file, file.relative_to(folder).as_posix()) for file in files])))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
