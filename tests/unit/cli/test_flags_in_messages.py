"""Every flag that a message or a hint names exists, on the command that the text names where it names one."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from sparkrig.cli.app import command_line

ROOT = Path(__file__).parents[3]
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
OTHERS = re.compile(r"\b(helm|kubectl|kind|kwokctl|go|pip|docker|git|openssl|journalctl|curl|pipx|uv)\b[^`;,()]*$")
"""Another program's name before a flag, in the same command: the flag is that program's."""
HELMS = frozenset({"use --debug flag"})
"""What Helm itself prints, and is recognized."""
OURS = re.compile(r"\bsparkrig ([a-z]+)(?: ([a-z]+))?[^`;()]*$")


@functools.cache
def flags() -> dict[str, set[str]]:
    """``up`` or ``cluster create`` -> its flags; "" -> the root's."""
    root = command_line()
    found = {"": {"--version", "--help", "--install-completion", "--show-completion"}}

    def walk(name: str, command: object) -> None:
        options = {opt for p in command.params for opt in (*p.opts, *p.secondary_opts)}  # type: ignore[attr-defined]
        found[name] = {option for option in options if option.startswith("--")} | {"--help"}
        for child, below in getattr(command, "commands", {}).items():
            walk(f"{name} {child}".strip(), below)

    for name, command in root.commands.items():
        walk(name, command)
    return found


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """Texts of a module that a person reads: constants with a space in them, docstrings of functions left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    whole = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in whole | documentation:
            text = node.value
        else:
            continue
        if " " in text.strip() and text not in HELMS:
            yield node.lineno, text


def wrong(text: str, known: dict[str, set[str]]) -> Iterator[str]:
    every = set().union(*known.values())
    for found in FLAG.finditer(text):
        before = text[: found.start()]
        command = OURS.search(before)
        if command is None and OTHERS.search(before):
            continue
        if command is not None:
            name = f"{command[1]} {command[2]}" if f"{command[1]} {command[2]}" in known else command[1]
            if name in known:
                if found[0] not in known[name]:
                    yield f"sparkrig {name} has no {found[0]}"
                continue
        if found[0] not in every:
            yield f"no command has {found[0]}"


def test_each_flag_of_a_message_exists() -> None:
    known = flags()
    bad = [
        f"{path.relative_to(ROOT)}:{line}: {why}"
        for path in sorted((ROOT / "installer").rglob("*.py"))
        for line, text in messages(path)
        for why in wrong(text, known)
    ]
    assert bad == []


def test_each_flag_of_a_components_hints_exists() -> None:
    known = flags()

    def texts(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for key, item in value.items():
                if isinstance(item, str) and key in ("hint", "reason", "description", "disturbs", "message"):
                    yield item
                yield from texts(item)
        elif isinstance(value, list):
            for item in value:
                yield from texts(item)

    bad = [
        f"{path.relative_to(ROOT)}: {why}: {text}"
        for path in sorted((ROOT / "charts").glob("*/component.yaml"))
        for text in texts(yaml.safe_load(path.read_text(encoding="utf-8")))
        for why in wrong(text, known)
    ]
    assert bad == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("take it back with --force-conflicts", ["no command has --force-conflicts"]),
        ("run sparkrig status --repair", ["sparkrig status has no --repair"]),
        ("run sparkrig up --repair", []),
        ("sparkrig cluster create --gpus 2", []),
        ("kubectl get pods --all-namespaces", []),
    ],
)
def test_the_check_itself(text: str, found: list[str]) -> None:
    assert list(wrong(text, flags())) == found
