"""docs/problems.md has every code that the package can give, and no other."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "installer" / "sparkrig"
MAKERS = {"Problem", "_error", "error", "stop", "_problem", "problem", "SyntaxFailure", "at_component", "replace"}
CODE = re.compile(r"[a-z]+(?:-[a-z0-9]+)+")


@functools.cache
def trees() -> tuple[ast.Module, ...]:
    return tuple(ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py")))


def constants(node: ast.AST) -> set[str]:
    return {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def called(node: ast.Call) -> str:
    """The last word of what is called."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def given() -> set[str]:
    """Codes in calls that make a problem: words of the form a-b among the leading arguments, and ``code=``."""
    found: set[str] = set()
    for tree in trees():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.AnnAssign)
                and getattr(node.target, "id", "") == "_CODES"
                and node.value is not None
            ):
                found |= {text for text in constants(node.value) if "-" in text}
            if not isinstance(node, ast.Call) or called(node) not in MAKERS:
                continue
            leading = [*node.args[:3], *(k.value for k in node.keywords if k.arg == "code")]
            found |= {
                a.value
                for a in leading
                if isinstance(a, ast.Constant) and isinstance(a.value, str) and CODE.fullmatch(a.value)
            }
    return found


def documented() -> list[str]:
    text = (ROOT / "docs" / "problems.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return [code for row in rows for code in re.findall(r"`([a-z0-9-]+)`", row)]


def test_every_code_is_documented_once() -> None:
    names = documented()
    assert len(set(names)) == len(names)
    assert given() - set(names) == set()


def test_no_code_is_documented_that_is_not_given() -> None:
    everything = {text for tree in trees() for text in constants(tree)}
    assert set(documented()) - everything == set()
