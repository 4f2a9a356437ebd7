"""``sparkrig init``: a stack file that is valid as it is, and in which every line may be taken over."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sparkrig.catalog.catalog import PROFILES, Catalog
from sparkrig.catalog.load import load_catalog
from sparkrig.models.cluster import ClusterFacts
from sparkrig.models.problem import Problem
from sparkrig.stack.compose_schema import compose
from sparkrig.stack.explain.schema import leaves
from sparkrig.stack.file import load_stack_file
from sparkrig.stack.resolve import prepare
from sparkrig.stack.template import stack_template
from sparkrig.yaml.load import load, to_python
from sparkrig.yaml.nodes import MapNode, Node

ROOT = Path(__file__).parents[3]
COMMENTED = re.compile(r"^(\s*)# (?!#)(.*)$")
FINE = {"unused-secret"}  # a warning: a secret alone goes nowhere until something else names it
FIRST_PROFILE = PROFILES[0]
EACH_PROFILE = pytest.mark.parametrize("profile", PROFILES)
EACH_SIZE = pytest.mark.parametrize("everything", [False, True], ids=["common", "all"])


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog([ROOT / "charts"])


@pytest.fixture(scope="module")
def editor(catalog: Catalog) -> Any:
    return jsonschema.Draft7Validator(compose(catalog))


def template(catalog: Catalog, profile: str, everything: bool) -> list[str]:
    text = stack_template(catalog, "lab", profile, "stack.schema.json", everything=everything)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    return text.splitlines()


def taken_over(lines: list[str], chosen: set[int] | None = None) -> str:
    """The text without the comment sign of the chosen lines (numbers from 0), or of all."""
    out = []
    for number, line in enumerate(lines):
        match = COMMENTED.match(line)
        take = match is not None and number > 0 and (chosen is None or number in chosen)
        out.append(f"{match[1]}{match[2]}" if match is not None and take else line)
    return "\n".join(out) + "\n"


def problems(catalog: Catalog, text: str, folder: Path) -> list[Problem]:
    path = folder / "stack.yaml"
    path.write_text(text, encoding="utf-8")
    found = prepare(load_stack_file(path), catalog, ClusterFacts()).problems
    return [problem for problem in found if problem.code not in FINE]


def keys(node: Node, above: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """For each key, the line numbers (from 0) of it and of the keys that it stands under; a list is one value."""
    if isinstance(node, MapNode):
        for entry in node.entries.values():
            here = (*above, entry.position.line - 1)
            yield here
            yield from keys(entry.node, here)


def last_line(lines: list[str], first: int) -> int:
    """The last line of the block that begins at ``first``: what is indented deeper, or is an item of its list."""

    def depth(line: str) -> int:
        bare = re.sub(r"^(\s*)# ?", r"\1", line, count=1)
        return len(bare) - len(bare.lstrip()) if bare.strip() else 10**6

    start = depth(lines[first])
    for number in range(first + 1, len(lines)):
        line = lines[number]
        bare = re.sub(r"^\s*# ?", "", line, count=1).strip()
        if not bare or depth(line) < start or (depth(line) == start and not bare.startswith("- ")):
            return number - 1
    return len(lines) - 1


@EACH_PROFILE
@EACH_SIZE
def test_it_is_valid_as_it_is(catalog: Catalog, editor: Any, tmp_path: Path, profile: str, everything: bool) -> None:
    text = "\n".join(template(catalog, profile, everything)) + "\n"
    assert problems(catalog, text, tmp_path) == []
    document = to_python(load(text, "stack.yaml").document)  # type: ignore[arg-type]
    assert [error.message for error in editor.iter_errors(document)] == []
    assert document["profile"] == profile
    assert list(document["components"]) == list(catalog.components)


@EACH_PROFILE
@EACH_SIZE
def test_it_is_valid_with_every_line_taken_over(
    catalog: Catalog, editor: Any, tmp_path: Path, profile: str, everything: bool
) -> None:
    lines = template(catalog, profile, everything)
    text = taken_over(lines)
    assert problems(catalog, text, tmp_path) == []
    document = to_python(load(text, "stack.yaml").document)  # type: ignore[arg-type]
    assert [error.message for error in editor.iter_errors(document)] == []
    assert all(set(entry) >= {"enabled"} for entry in document["components"].values())
    assert sum(COMMENTED.match(line) is not None for line in lines) > 150


def blocks(lines: list[str]) -> dict[frozenset[int], str]:
    """Lines that make one commented key count, with the keys above it -> their text."""
    whole = load(taken_over(lines), "stack.yaml").document
    assert whole is not None
    found: dict[frozenset[int], str] = {}
    for chain in keys(whole):
        if any(COMMENTED.match(lines[number]) for number in chain):
            chosen = frozenset({*chain, *range(chain[-1], last_line(lines, chain[-1]) + 1)})
            found.setdefault(chosen, "\n".join(lines[number] for number in sorted(chosen)))
    return found


@EACH_PROFILE
def test_each_block_is_valid_when_only_it_is_taken_over(
    catalog: Catalog, editor: Any, tmp_path: Path, profile: str
) -> None:
    """Every block of the first profile; of the others those that read differently there."""
    lines = template(catalog, profile, everything=True)
    chosen = blocks(lines)
    if profile != FIRST_PROFILE:
        known = set(blocks(template(catalog, FIRST_PROFILE, everything=True)).values())
        chosen = {numbers: text for numbers, text in chosen.items() if text not in known}
    assert len(chosen) > (300 if profile == FIRST_PROFILE else 0)
    for numbers, block in chosen.items():
        text = taken_over(lines, set(numbers))
        assert problems(catalog, text, tmp_path) == [], text
        document = to_python(load(text, "stack.yaml").document)  # type: ignore[arg-type]
        assert [error.message for error in editor.iter_errors(document)] == [], block


@EACH_PROFILE
def test_values_that_have_a_default_say_what_holds_anyway(catalog: Catalog, tmp_path: Path, profile: str) -> None:
    """Taking over a line changes nothing, but for the values that are examples."""
    path = tmp_path / "stack.yaml"
    path.write_text(taken_over(template(catalog, profile, everything=True)), encoding="utf-8")
    stated = load_stack_file(path)
    path.write_text(
        f"apiVersion: sparkrig.dev/v1\nkind: Stack\nmetadata: {{name: lab}}\nprofile: {profile}\n", encoding="utf-8"
    )
    bare = load_stack_file(path)
    compared = 0
    for name, files in catalog.files.items():
        written = stated.components[name].values
        assert written is not None
        assert isinstance(files.schema, dict)
        values = prepare(bare, catalog, ClusterFacts()).values.get(name)
        for leaf, schema in leaves(files.schema):
            node: Node | None = written
            for step in leaf:
                node = node.get(str(step)) if isinstance(node, MapNode) else None
            if node is None:
                continue
            before = values.get(leaf) if values is not None else None
            expected = to_python(before) if before is not None else schema.get("default")
            if expected is None:
                assert to_python(node) in schema["examples"], leaf
            elif values is not None:
                assert to_python(node) == expected, (name, leaf)
                compared += 1
    assert compared > 60


def test_what_is_said_stays_a_comment(catalog: Catalog) -> None:
    """A text line, taken over by mistake together with its block, is still a comment."""
    for line in template(catalog, "standard", everything=True)[1:]:
        bare = line.strip()
        if bare.startswith("#") and not COMMENTED.match(line):
            assert bare.startswith("## "), line
        match = COMMENTED.match(line)
        if match and match[2].strip().startswith("#"):
            assert match[2].strip().startswith("## "), line


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sparkrig", *arguments]
    environment = {"PYTHONPATH": str(ROOT / "installer"), "PATH": "/usr/bin:/bin", "PYTHONWARNINGS": "error"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_writes_both_files_and_overwrites_neither(tmp_path: Path) -> None:
    first = run(tmp_path, "init", "--profile", "ha", "--name", "prod", "my.yaml")
    assert (first.returncode, first.stdout) == (0, "my.yaml\n"), first.stderr
    text = (tmp_path / "my.yaml").read_text(encoding="utf-8")
    assert text.splitlines()[0] == "# yaml-language-server: $schema=my.schema.json"
    assert "profile: ha\n" in text
    assert "  name: prod\n" in text
    schema = json.loads((tmp_path / "my.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    (tmp_path / "my.yaml").write_text("mine\n", encoding="utf-8")
    again = run(tmp_path, "init", "my.yaml")
    assert again.returncode == 4
    assert "my.yaml and my.schema.json already exist" in again.stderr
    assert (tmp_path / "my.yaml").read_text(encoding="utf-8") == "mine\n"
    (tmp_path / "my.yaml").unlink()
    half = run(tmp_path, "init", "my.yaml")
    assert half.returncode == 4
    assert not (tmp_path / "my.yaml").exists()
    forced = run(tmp_path, "init", "my.yaml", "--force")
    assert forced.returncode == 0
    assert (tmp_path / "my.yaml").read_text(encoding="utf-8").startswith("# yaml-language-server")


def test_a_given_schema_is_named_and_none_is_written(tmp_path: Path) -> None:
    done = run(tmp_path, "init", "--schema", "https://example.org/stack.json")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["stack.yaml"]
    first = (tmp_path / "stack.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=https://example.org/stack.json"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--name", "My Stack"), 64, "lower-case letters, digits and dashes"),
        (("--name", "a" * 41), 64, "at most 40 characters"),
        (("--profile", "large"), 64, "large"),
        (("nowhere/stack.yaml",), 3, "nowhere/stack.yaml cannot be written"),
    ],
)
def test_what_cannot_be_written_is_said(tmp_path: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    done = run(tmp_path, "init", *arguments)
    assert done.returncode == code
    assert says in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []
