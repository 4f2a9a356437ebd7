"""Archives of images in the cache: those of other clones of this repository stay, those that nobody uses do not."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from tests.node.images import build
from tests.node.images.recipes import Recipe, load

OLD = "f" * 16


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A shipped recipe, with a buildah that only writes the archive."""

    def buildah(_: Recipe, *arguments: str) -> None:
        Path(arguments[-1].split(":")[1]).write_text("image", encoding="utf-8")

    monkeypatch.setattr(build, "_home", lambda: tmp_path)
    monkeypatch.setattr(build, "_buildah", buildah)
    return load()["pause"]


def archive_of_before(folder: Path, days: float) -> Path:
    file = folder / f"pause-{OLD}.tar"
    file.write_text("another clone's", encoding="utf-8")
    then = time.time() - days * 24 * 3600
    os.utime(file, (then, then))
    return file


@pytest.mark.parametrize(("days", "stays"), [(0.1, True), (13, True), (15, False)])
def test_another_clones_archive_stays_while_somebody_uses_it(
    recipe: Recipe, tmp_path: Path, days: float, stays: bool
) -> None:
    before = archive_of_before(tmp_path, days)
    build._export(recipe)
    assert before.exists() is stays
    assert build.cached(recipe) is not None


def test_who_asks_for_an_archive_uses_it(recipe: Recipe, tmp_path: Path) -> None:
    build._export(recipe)
    archive: Any = tmp_path / f"pause-{recipe.digest}.tar"
    os.utime(archive, (0, 0))
    assert build.cached(recipe) is not None
    assert archive.stat().st_mtime > time.time() - 60


def test_archives_of_other_recipes_are_not_looked_at(recipe: Recipe, tmp_path: Path) -> None:
    other = tmp_path / f"pause-more-{OLD}.tar"
    other.write_text("x", encoding="utf-8")
    os.utime(other, (0, 0))
    build._export(recipe)
    assert other.exists()
