"""docs/architecture.md: layers, modules, functions and their connections are those of the code."""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from tests.mini import ROOT

sys.path.append(str(ROOT / "scripts"))
import packages

PACKAGE: Final = ROOT / "installer" / "sparkrig"
PAGE: Final = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
WALKS: Final = {"Example: a value on its way to helm": 13, "Example: from ImagePullBackOff to the exit code": 15}
"""Title of the section -> how many modules a reader has to know at most."""
ROW: Final = re.compile(
    r"\| (?P<number>\d+) \| `(?P<module>[a-z_/]+\.py)` "
    r"\| (?:`(?P<source>[a-z_/]+\.py)`(?:, connected by `(?P<connector>[a-z_/]+\.py)`)? )?"
    r"\| (?P<text>.+) \|"
)
NAMES: Final = re.compile(r"`([A-Za-z_.]+)\(\)`|`([A-Z][a-z]+(?:[A-Z][a-z]+)+)`")
"""``function()``, ``Class.method()``, or a class in CamelCase."""
OF_KUBERNETES: Final = {"ImagePullBackOff"}


class Step(NamedTuple):
    number: int
    module: str
    source: str | None
    connector: str | None
    text: str


def steps(title: str) -> list[Step]:
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| step")]
    found = [ROW.fullmatch(row) for row in rows]
    assert None not in found, [row for row, match in zip(rows, found, strict=True) if match is None]
    return [
        Step(int(match["number"]), match["module"], match["source"], match["connector"], match["text"])
        for match in found
        if match is not None
    ]


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((PACKAGE / module).read_text(encoding="utf-8"))


@cache
def imports(module: str) -> frozenset[str]:
    """The modules that one imports, also inside functions and for type checking; ``from package import name``."""
    found: set[str] = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return frozenset(found)


def dotted(module: str) -> str:
    return f"sparkrig.{module.removesuffix('.py').replace('/', '.')}"


def connected(one: str, other: str) -> bool:
    return dotted(other) in imports(one) or dotted(one) in imports(other)


def defined(module: str) -> set[str]:
    """``function``, ``Class`` and ``Class.method`` that a module defines."""
    names: set[str] = set()
    for node in tree(module).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = (child for child in node.body if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))
            names.update(f"{node.name}.{child.name}" for child in inner)
    return names


def test_the_tables_of_packages_are_current() -> None:
    """Where this fails: make docs."""
    for path, text in packages.pages().items():
        assert path.read_text(encoding="utf-8") == text, path.name


def test_every_package_is_in_both_tables() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert len(rooms) > 12
    table = "\n".join(packages.contributing())
    layers = "\n".join(packages.architecture())
    assert [room for room in sorted(rooms) if f"| `{room}/` |" not in table or f"`{room}/`" not in layers] == []


def test_a_page_without_the_comments_is_named() -> None:
    with pytest.raises(SystemExit, match="lacks the comments"):
        packages.filled("# Page\n", packages.CONTRACT, iter(()))


def test_a_module_without_a_docstring_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "ROOT", tmp_path)
    (tmp_path / "a.py").write_text("x = 1\n")
    with pytest.raises(SystemExit, match=r"a\.py has no docstring"):
        packages.summary(tmp_path / "a.py")


@pytest.mark.parametrize(("title", "most"), WALKS.items(), ids=["value", "pull"])
def test_a_walk_is_short_and_numbered(title: str, most: int) -> None:
    walk = steps(title)
    assert [step.number for step in walk] == list(range(1, len(walk) + 1))
    assert 8 <= len({step.module for step in walk}) == len(walk) <= most


@pytest.mark.parametrize("title", WALKS, ids=["value", "pull"])
def test_what_a_walk_names_exists(title: str) -> None:
    modules = [step.module for step in steps(title)]
    assert [module for module in modules if not (PACKAGE / module).is_file()] == []
    # A step may name what another one of the walk defines, or a record.
    records = {name for path in (PACKAGE / "models").glob("*.py") for name in defined(f"models/{path.name}")}
    everything = {name for module in modules for name in defined(module)} | records | OF_KUBERNETES
    wrong = []
    for step in steps(title):
        functions = [function for function, _ in NAMES.findall(step.text) if function]
        classes = [name for _, name in NAMES.findall(step.text) if name]
        if not {*functions, *classes} & defined(step.module):
            wrong.append(f"{step.module}: names nothing that it defines")
        wrong += [f"{step.module}: {name}" for name in (*functions, *classes) if name not in everything]
    assert wrong == []


@pytest.mark.parametrize("title", WALKS, ids=["value", "pull"])
def test_each_step_is_connected_with_an_earlier_one(title: str) -> None:
    known: list[str] = []
    wrong = []
    modules = {step.module for step in steps(title)}
    for step in steps(title):
        if known and (step.source not in known or step.source is None):
            wrong.append(f"{step.module}: {step.source} is not an earlier step")
        elif step.connector is not None:
            both = {dotted(step.module), dotted(step.source or "")}
            if step.connector not in modules or not both <= imports(step.connector):
                wrong.append(f"{step.module}: {step.connector} does not import both")
        elif step.source is not None and not connected(step.module, step.source):
            wrong.append(f"{step.module}: no import between it and {step.source}")
        known.append(step.module)
    assert wrong == []


def test_imports_are_found_where_they_are_and_only_there() -> None:
    assert connected("cli/commands/up.py", "commands/workflows.py")  # inside of a function
    assert connected("helm/process.py", "helm/client.py")
    assert not connected("apply/executor.py", "apply/operations/operator.py")
