"""Generated mutants of good stack files: 200 that are wrong by construction, 200 that only look different.

Deterministic: each mutant is made from its number. In this process, through the real command line.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sparkrig.cli.app import run
from sparkrig.yaml.load import MapNode, load

CASES = Path(__file__).parents[2] / "cases" / "values"
NUMBERS = range(200)
HEAD = {"apiVersion": "sparkrig.dev/v1", "kind": "Stack"}

Tree = dict[str, Any]


@dataclass(frozen=True)
class Leaf:
    """One value that a stack file may set: values that are right, and texts that are not."""

    path: str
    good: tuple[Any, ...]
    bad: tuple[str, ...]


LEAVES = (
    Leaf("metadata.name", ("lab", "a-1"), ("Lab", "[]", "x_y", "''", "{}", "12")),
    Leaf("profile", ("standard", "ha", "minimal"), ("standart", "5", "[ha]")),
    Leaf("global.domain", ("lab.example.org", "a.b"), ("'https://a'", "A_B", "[x]")),
    Leaf("global.storageClass", ("fast", "a.b"), ("Fast", "{}")),
    Leaf("components.engine.enabled", (True,), ("maybe", "1", "{a: b}")),
    Leaf("components.engine.namespace", ("jobs", "x-1"), ("Jobs", "a.b", "[a]")),
    Leaf("components.engine.values.nameOverride", ("one", "1.10", "on"), ()),
    Leaf("components.engine.values.controller.replicas", (1, 3), ("0", "-4", "two", "1.5", "[1]", "{a: 1}", "'2'")),
    Leaf("components.engine.values.controller.logs.keep", ("1h", "30m"), ("1day", "5 minutes", "-", "12", "[1h]", "h")),
    Leaf("components.engine.values.controller.logs.level", ("debug", "error"), ("debgu", "5", "[info]", "INFO")),
    Leaf("components.engine.values.controller.logs.size", ("1Gi", "500M"), ("1GB", "1 Gi", "big", "{}", "Gi")),
    Leaf("components.engine.values.controller.logs.name", ("logs", "a-b"), ("Logs", "a_b", "-a", "[a]")),
    Leaf("components.engine.values.controller.image.tag", ("2.2", "v3"), ("1.10", "true", "{}", "2", "1e3")),
    Leaf("components.engine.values.controller.args", (["--a", "--b", "--c"],), ("--a", "{a: b}", "5")),
    Leaf("components.engine.values.controller.resources.limits.memory", ("1Gi", "2G"), ("1GB", "lots", "5 Gi", "true")),
    Leaf("components.engine.values.controller.resources.requests.cpu", ("100m", "2"), ("100 m", "fast", "yes")),
    Leaf("components.engine.values.controller.interval", ("10s", "2m"), ()),
    Leaf("components.engine.values.webhook.failurePolicy", ("Fail", "Ignore"), ()),
    Leaf("components.engine.values.webhook.timeoutSeconds", (5, 20), ()),
    Leaf("components.engine.values.store.shards", (1, 9), ("0", "10", "many", "1.5", "'3'", "[2]")),
    Leaf("components.engine.values.store.persistence.enabled", (True, False), ("'yes'", "1", "{}", "enabled")),
    Leaf("components.engine.values.store.retention", ("1d", "12h"), ()),
    Leaf("components.gate.values.mode", ("open", "closed"), ("ajar", "true", "1", "[open]")),
    Leaf("components.gate.values.replicas", (0, 2), ("-1", "x", "1.5", "'1'")),
    Leaf("components.gate.values.service.type", ("ClusterIP", "NodePort"), ("Cluster", "5", "{}")),
    Leaf("components.gate.values.service.port", (80, 65535), ("0", "65536", "http", "'80'", "-1")),
)
MUST = ("metadata.name",)


@dataclass
class Text:
    """A stack file, line by line, and where each path's key is."""

    lines: list[str] = field(default_factory=list)
    at: dict[str, int] = field(default_factory=dict)
    """Path -> index of its line."""

    def write(self, tree: Tree, prefix: str = "", indent: int = 0) -> None:
        for key, value in tree.items():
            path = f"{prefix}.{key}" if prefix else key
            self.at[path] = len(self.lines)
            if isinstance(value, dict):
                self.lines.append(f"{' ' * indent}{key}:")
                self.write(value, path, indent + 2)
            else:
                self.lines.append(f"{' ' * indent}{key}: {json.dumps(value)}")

    def leaves(self) -> list[Leaf]:
        return [leaf for leaf in LEAVES if leaf.path in self.at]


def put(tree: Tree, path: str, value: Any) -> None:
    *above, last = path.split(".")
    for step in above:
        tree = tree.setdefault(step, {})
    tree[last] = value


def good_tree(rng: random.Random) -> Tree:
    """A good stack file: some of the values, in some order, each with one of its right values."""
    chosen = [leaf for leaf in LEAVES if leaf.path in MUST or rng.random() < 0.6]
    rng.shuffle(chosen)
    tree: Tree = dict(HEAD)
    for leaf in chosen:
        put(tree, leaf.path, rng.choice(leaf.good))
    return tree


def good_text(rng: random.Random) -> Text:
    text = Text()
    text.write(good_tree(rng))
    return text


# --------------------------------------------------------------------------- wrong by construction

Wrong = Callable[[random.Random, Text], int | None]
"""Breaks a text and returns the index of the line where the problem must be; None where it cannot."""


def bad_value(rng: random.Random, text: Text) -> int | None:
    leaves = [leaf for leaf in text.leaves() if leaf.bad]
    leaf = rng.choice(leaves)
    line = text.at[leaf.path]
    text.lines[line] = re.sub(r": .*", lambda _: f": {rng.choice(leaf.bad)}", text.lines[line])
    return line


def typo(rng: random.Random, text: Text) -> int | None:
    """A key with a letter less, twice or swapped. Component names, labels and free maps are left alone."""
    keys = [path for path in text.at if len(path.split(".")[-1]) >= 5]
    path = rng.choice(keys)
    key = path.split(".")[-1]
    at = rng.randrange(1, len(key) - 1)
    other = rng.choice(
        (key[:at] + key[at + 1 :], key[:at] + key[at] + key[at:], key[:at] + key[at : at + 2][::-1] + key[at + 2 :])
    )
    if other == key:
        other = f"{key}s"
    line = text.at[path]
    text.lines[line] = text.lines[line].replace(f"{key}:", f"{other}:", 1)
    return line


def twice(rng: random.Random, text: Text) -> int | None:
    path = rng.choice([leaf.path for leaf in text.leaves()])
    line = text.at[path]
    text.lines.insert(line + 1, text.lines[line])
    return line + 1


def indented(rng: random.Random, text: Text) -> int | None:
    """A key one blank to the right of its neighbours above, or behind a tab."""
    lines = [n for n in range(1, len(text.lines)) if column(text.lines[n]) == column(text.lines[n - 1])]
    if not lines:
        return None
    line = rng.choice(lines)
    text.lines[line] = rng.choice((" ", "\t")) + text.lines[line]
    return line


def outdented(rng: random.Random, text: Text) -> int | None:
    """A key one blank to the left of its neighbour above, where no map begins."""
    lines = [n for n in range(2, len(text.lines)) if 2 < column(text.lines[n]) == column(text.lines[n - 1])]
    if not lines:
        return None
    line = rng.choice(lines)
    text.lines[line] = text.lines[line][1:]
    return line


def unclosed(rng: random.Random, text: Text) -> int | None:
    line = rng.choice([text.at[leaf.path] for leaf in text.leaves()])
    text.lines[line] = re.sub(
        r": .*", lambda _: rng.choice((": [a, b", ": {a: b", ": ]", ": }", ": a: b", ": @x")), text.lines[line]
    )
    return line


def odd(rng: random.Random, text: Text) -> int | None:
    line = rng.choice([text.at[leaf.path] for leaf in text.leaves()])
    broken = (": *nobody", ": !secret x", ": !!int x", ": .nan", ': "\\ud800"', ": \x07")
    text.lines[line] = re.sub(r": .*", lambda _: rng.choice(broken), text.lines[line])
    return line


def missing(rng: random.Random, text: Text) -> int | None:
    path = rng.choice(("apiVersion", "kind", "metadata.name"))
    del text.lines[text.at[path]]
    return 0 if path != "metadata.name" else text.at["metadata"]


def stranger(rng: random.Random, text: Text) -> int | None:
    """A key that nothing knows, in a map that is closed; or one that was renamed."""
    news = {
        "metadata": "labels: {}",
        "components": rng.choice(("engin: {}", "web: {}")),
        "components.engine": "replicas: 2",
        "components.engine.values": rng.choice(("replicaCount: 2", "legacy: {}", "zebra: 1", "contoller: {}")),
        "components.engine.values.webhook": rng.choice(("timeout: 5", "policy: Fail", "zebra: 1")),
        "components.engine.values.controller.logs": "format: json",
        "components.gate.values": rng.choice(("hosts: []", "replica: 2")),
        "components.gate.values.service": "name: x",
    }
    path = rng.choice([path for path in news if path in text.at])
    line = text.at[path]
    text.lines.insert(line + 1, " " * (column(text.lines[line]) + 2) + news[path])
    return line + 1


def column(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


SYNTAX = (indented, outdented, unclosed, odd)
WRONG: tuple[Wrong, ...] = (
    bad_value,
    bad_value,
    bad_value,
    typo,
    typo,
    typo,
    twice,
    missing,
    stranger,
    stranger,
    *SYNTAX,
)


def wrong(number: int) -> tuple[Wrong, str, int]:
    rng = random.Random(number)
    while True:
        text = good_text(rng)
        break_it = WRONG[number % len(WRONG)]
        line = break_it(rng, text)
        if line is not None:
            return break_it, "\n".join(text.lines) + "\n", line + 1


@pytest.fixture(scope="module", autouse=True)
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The catalogue of the value cases in place of the shipped one, and its charts as a mirror."""
    data = tmp_path_factory.mktemp("data")
    (data / "charts").symlink_to(CASES / "catalog")
    patch = pytest.MonkeyPatch()
    patch.setenv("SPARKRIG_DATA_DIR", str(data))
    patch.setenv("SPARKRIG_CACHE_DIR", str(data / "cache"))
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def validate(text: str | bytes, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    Path("stack.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    arguments = ["validate", "--no-render", "--chart-mirror", str(CASES / "charts"), "--output", "json"]
    code = run(arguments)
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, document


@pytest.mark.parametrize("number", NUMBERS)
def test_a_wrong_mutant_is_found_where_it_is(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    break_it, text, line = wrong(number)
    code, document = validate(text, capsys)
    assert code == 3, f"{break_it.__name__}, line {line}:\n{text}"
    found = [problem for problem in document["problems"] if problem["severity"] == "error"]
    # A parser sees broken syntax at the mutated line, or where what was opened there should have ended.
    near = 1 if break_it in SYNTAX else 0
    assert any(
        problem["file"] == "stack.yaml"
        and (abs(problem["line"] - line) <= near or f"line {line}" in problem["message"])
        for problem in found
    ), f"{break_it.__name__}, line {line}:\n{text}\n{found}"


def test_the_unbroken_files_are_good(capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(20):
        code, document = validate("\n".join(good_text(random.Random(number)).lines), capsys)
        assert (code, [p for p in document["problems"] if p["severity"] == "error"]) == (0, [])


# --------------------------------------------------------------------------- only looks different


def shuffled(rng: random.Random, tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    items = list(tree.items())
    rng.shuffle(items)
    return {key: shuffled(rng, value) for key, value in items}


class Writer:
    """Writes a tree in one of the many ways that YAML has."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.step = rng.choice((1, 2, 4))
        self.anchors = 0
        self.kept: dict[str, str] = {}

    def document(self, tree: Tree) -> str:
        text = self.rng.choice(("", "---\n", "# a comment\n\n", "\ufeff")) + self.block(tree, 0)
        return text.replace("\n", "\r\n") if self.rng.random() < 0.2 else text

    def block(self, tree: Tree, indent: int) -> str:
        out = ""
        for key, value in tree.items():
            name = self.key(key)
            blanks = " " * indent
            if self.rng.random() < 0.15:
                out += f"{blanks}# about {key}: nothing\n"
            if isinstance(value, dict) and self.rng.random() < 0.75:
                out += f"{blanks}{name}:{self.rng.choice(('', '  # a map'))}\n{self.block(value, indent + self.step)}"
            elif isinstance(value, list) and self.rng.random() < 0.6:
                out += f"{blanks}{name}:\n" + "".join(f"{blanks}- {self.scalar(item)}\n" for item in value)
            else:
                out += f"{blanks}{name}: {self.flow(value)}\n"
        return out

    def flow(self, value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{self.key(k)}: {self.flow(v)}" for k, v in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(self.scalar(item) for item in value) + self.rng.choice(("", ",")) + "]"
        return self.scalar(value)

    def key(self, key: str) -> str:
        return self.rng.choice((key, key, key, f"'{key}'", f'"{key}"'))

    def scalar(self, value: Any) -> str:
        text = json.dumps(value)
        if text in self.kept and self.rng.random() < 0.5:
            return f"*{self.kept[text]}"
        shown = self.rng.choice(self.ways(value))
        if self.rng.random() < 0.2 and text not in self.kept:
            self.anchors += 1
            self.kept[text] = f"a{self.anchors}"
            return f"&a{self.anchors} {shown}"
        return shown

    def ways(self, value: Any) -> tuple[str, ...]:
        if isinstance(value, bool):
            words = ("true", "True", "yes", "on", "y") if value else ("false", "FALSE", "no", "off", "n")
            return (*words, f"!!bool {words[0]}")
        if isinstance(value, int):
            return (str(value), f"+{value}", hex(value), f"!!int {value}", f"{value}.0", bin(value))
        escaped = "".join(f"\\x{ord(char):02x}" if self.rng.random() < 0.2 else char for char in value)
        quoted = (f'"{escaped}"', f"'{value}'", f'!!str "{value}"')
        plain = re.fullmatch(r"[A-Za-z][A-Za-z-]{3,}", value) is not None
        return (*quoted, value) if plain else quoted


def values_of(text: str) -> Any:
    document = load(text, "stack.yaml").document
    assert isinstance(document, MapNode)
    return document.value


@pytest.mark.parametrize("number", NUMBERS)
def test_a_good_mutant_passes_and_means_the_same(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(1000 + number)
    tree = good_tree(rng)
    text = Writer(rng).document(shuffled(rng, tree))
    assert values_of(text) == tree, text
    code, document = validate(text, capsys)
    errors = [p for p in document["problems"] if p["severity"] == "error"]
    assert (code, errors) == (0, []), text
