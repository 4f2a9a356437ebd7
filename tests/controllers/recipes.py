"""Which program plays which container: reads recipes.yaml, finds and builds the programs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.mini import ROOT
from tests.programs import go_program

HERE = Path(__file__).parent
GIVEN = "SPARKRIG_CONTROLLERS"
"""Names a folder of binaries that somebody built."""
FIELDS = {"name", "image", "container", "program"}
PROGRAM_FIELDS = ({"folder", "binary"}, {"given"})
OPTIONAL = {"arguments", "files"}


class BadRecipe(Exception):
    """A recipe is not as docs/controllers.md describes it."""


class NoProgram(Exception):
    """The program of a recipe is not on this machine; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Program:
    """An executable and the folders that its image would bring along."""

    binary: Path
    arguments: tuple[str, ...] = ()
    """What the image's entry point puts before the container's ``args``."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """Absolute path in the container -> folder or file here."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a container is recognized and what runs in its place."""

    name: str
    image: str
    container: str
    program: Mapping[str, Any]

    def matches(self, container: Mapping[str, Any]) -> bool:
        """Tell whether this recipe is for the container of a pod."""
        return bool(re.search(self.container, container["name"]) and re.search(self.image, container["image"]))

    def unavailable(self) -> str:
        """Return why no version of the program is on this machine; empty where there is one, or one can be built."""
        if "folder" in self.program:
            return ""
        folder = os.environ.get(GIVEN, "")
        if not folder:
            return f"{self.name}: {GIVEN} names no folder of binaries built by hand"
        pattern = self.program["given"].replace("{version}", "*")
        return "" if any(Path(folder).glob(pattern)) else f"{self.name}: there is no {pattern} in {GIVEN}={folder}"

    def find(self, container: Mapping[str, Any]) -> Program:
        """Return the program for this container, built where needed.

        Raises:
            NoProgram: there is none of the version that the image names.
        """
        arguments = tuple(self.program.get("arguments", ()))
        if "folder" in self.program:
            return Program(go_program(ROOT / self.program["folder"], self.program["binary"]), arguments)
        match = re.search(self.image, container["image"])
        assert match is not None
        named = match.groupdict()
        folder = Path(os.environ.get(GIVEN, ""))
        binary = folder / self.program["given"].format(**named)
        if not os.access(binary, os.X_OK):
            raise NoProgram(f"{binary} is not there, and {container['image']} needs it")
        files = {target: folder / name.format(**named) for target, name in self.program.get("files", {}).items()}
        lacking = [str(path) for path in files.values() if not path.exists()]
        if lacking:
            raise NoProgram(f"{lacking[0]} is not there, and {binary.name} needs it")
        return Program(binary, arguments, files)


def load(file: Path = HERE / "recipes.yaml") -> tuple[Recipe, ...]:
    """Return the recipes in the order of the file.

    Raises:
        BadRecipe: names the recipe and what is wrong with it.
    """
    recipes = []
    for entry in yaml.safe_load(file.read_text(encoding="utf-8")):
        name, program = entry.get("name", "?"), entry.get("program", {})
        unknown = set(entry) - FIELDS
        if unknown or not {"name", "image", "program"} <= set(entry):
            raise BadRecipe(f"{file.name}: {name}: expected name, image, program and perhaps container")
        if set(program) - OPTIONAL not in PROGRAM_FIELDS:
            raise BadRecipe(f"{file.name}: {name}: program has folder and binary, or given; not {sorted(program)}")
        for pattern in (entry["image"], entry.get("container", "")):
            try:
                re.compile(pattern)
            except re.error as error:
                raise BadRecipe(f"{file.name}: {name}: {pattern!r} is not a regular expression: {error}") from None
        recipes.append(Recipe(name, entry["image"], entry.get("container", ""), program))
    return tuple(recipes)


def build(recipes: Iterable[Recipe]) -> None:
    """Build the Go programs of these recipes where the cache lacks them; takes minutes each the first time."""
    for folder, binary in sorted(
        {(r.program["folder"], r.program["binary"]) for r in recipes if "folder" in r.program}
    ):
        go_program(ROOT / folder, binary)
