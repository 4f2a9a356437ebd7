"""Recipes of images: what is read from their folders, and every mistake in them. Needs no root and builds nothing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from tests.node.images.recipes import HERE, BadRecipe, load

from sparkrig.tools.specs import load_specs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"base": "FROM scratch\n", "top": "FROM localhost/base\nFROM localhost/base AS again\n"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "Containerfile").write_text(text)
    (tmp_path / "aliases.yaml").write_text("top: [docker.io/library/top:v1]\n")
    return tmp_path


def test_what_an_image_stands_on_comes_before_it(folder: Path) -> None:
    recipes = load(folder)
    assert list(recipes) == ["base", "top"]
    assert recipes["top"].parents == ("base",)
    assert recipes["top"].names == ("sparkrig.test/top:1", "docker.io/library/top:v1")


def test_a_change_below_changes_every_digest_above(folder: Path) -> None:
    before = load(folder)
    (folder / "base" / "more").write_text("x")
    after = load(folder)
    assert before["base"].digest != after["base"].digest
    assert before["top"].digest != after["top"].digest


def test_a_file_that_becomes_executable_changes_the_digest(folder: Path) -> None:
    (folder / "base" / "run").write_text("x")
    before = load(folder)["base"].digest
    (folder / "base" / "run").chmod(0o755)
    assert load(folder)["base"].digest != before


def test_another_name_changes_no_digest(folder: Path) -> None:
    before = load(folder)["top"].digest
    (folder / "aliases.yaml").write_text("")
    assert load(folder)["top"].digest == before


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM localhost/nothing\n", "top/Containerfile builds on localhost/nothing, and there is no recipe 'nothing'"),
        ("FROM localhost/top\n", "in a circle: top -> top"),
    ],
)
def test_a_wrong_parent_is_named(folder: Path, text: str, expected: str) -> None:
    (folder / "top" / "Containerfile").write_text(text)
    with pytest.raises(BadRecipe, match=expected):
        load(folder)


def test_every_mistake_in_the_table_of_names_is_told(folder: Path) -> None:
    table = "top: [docker.io/a:1, docker.io/a:1, short:1, docker.io/untagged]\nnobody: []\n"
    (folder / "aliases.yaml").write_text(table)
    with pytest.raises(BadRecipe) as caught:
        load(folder)
    said = str(caught.value)
    assert "no recipe 'nobody'" in said
    assert "docker.io/a:1 is given twice" in said
    assert "short:1 is not a full name" in said
    assert "docker.io/untagged is not a full name" in said


def test_the_shipped_recipes_are_whole(tmp_path: Path) -> None:
    recipes = load()
    assert {"pause", "coredns", "debian", "toolbox"} <= set(recipes)
    assert recipes["coredns"].programs == ("coredns",)
    # The digest is of what is in the folder, not of where it lies.
    copy = tmp_path / "images"
    shutil.copytree(HERE, copy)
    assert {n: r.digest for n, r in load(copy).items()} == {n: r.digest for n, r in recipes.items()}


@pytest.mark.parametrize("folder", [HERE, HERE.parent], ids=["images", "node"])
def test_the_programs_of_recipes_are_pinned(folder: Path) -> None:
    specs = load_specs(folder)
    assert specs
    for spec in specs.values():
        module = (spec.folder / "go.mod").read_text()
        if spec.package != ".":
            required = dict(re.findall(r"^\s+(\S+) v(\S+) //", module, re.MULTILINE))
            longest = max((m for m in required if f"{spec.package}/".startswith(f"{m}/")), key=len)
            major, minor, patch = spec.version.split(".")
            # A module that never took /v3 into its path: Prometheus 3.14.0 is its v0.314.0.
            versions = {spec.version, f"0.{major}{minor}.{patch}"}
            assert required[longest] in versions, f"{spec.name}: tool.yaml and go.mod agree"
        else:
            assert (spec.folder / "main.go").is_file(), f"{spec.name}: its code is beside tool.yaml"
