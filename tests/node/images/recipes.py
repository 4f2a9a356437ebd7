"""What is to be built: one folder a recipe, its Containerfile, what it stands on, and a digest of all of that. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

HERE = Path(__file__).parent
FROM = re.compile(r"^FROM\s+localhost/(\S+)", re.MULTILINE | re.IGNORECASE)
OWN_NAME = "sparkrig.test/{}:1"
"""Not ``latest``: that would make Kubernetes ask a registry each time."""
BUILDER = "1"
"""Part of every digest: raise it when the builder makes something else of the same recipe."""


class BadRecipe(Exception):
    """A recipe or the alias table is not as docs/node.md describes it; the text names all mistakes."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image as its folder describes it."""

    name: str
    folder: Path
    parents: tuple[str, ...]
    """Recipes whose images its Containerfile builds on."""
    programs: tuple[str, ...]
    """Go programs of its tool.yaml, put into ``bin/`` of what the Containerfile can COPY."""
    rootfs: Mapping[str, object] | None
    """What mmdebstrap makes ``rootfs.tar`` of, for the base of a distribution."""
    aliases: tuple[str, ...]
    """Further names it is loaded under."""
    digest: str
    """First 16 hex digits of the sha256 over the folder and over what it stands on."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name it is loaded under, its own first."""
        return (OWN_NAME.format(self.name), *self.aliases)


def load(folder: Path = HERE) -> dict[str, Recipe]:
    """Return every recipe by name; what a recipe stands on comes before it.

    Raises:
        BadRecipe: a parent is missing, parents form a circle, an alias has no recipe or is given twice.
    """
    folders = {file.parent.name: file.parent for file in sorted(folder.glob("*/Containerfile"))}
    aliases = _aliases(folder / "aliases.yaml", folders)
    recipes: dict[str, Recipe] = {}

    def add(name: str, path: tuple[str, ...]) -> None:
        if name in recipes:
            return
        if name in path:
            raise BadRecipe(f"images stand on each other in a circle: {' -> '.join((*path, name))}")
        if name not in folders:
            raise BadRecipe(f"{path[-1]}/Containerfile builds on localhost/{name}, and there is no recipe {name!r}")
        parents = tuple(dict.fromkeys(FROM.findall((folders[name] / "Containerfile").read_text(encoding="utf-8"))))
        for parent in parents:
            add(parent, (*path, name))
        recipes[name] = _recipe(folders[name], parents, aliases.get(name, ()), recipes)

    for name in folders:
        add(name, ())
    return recipes


def _recipe(folder: Path, parents: tuple[str, ...], aliases: tuple[str, ...], known: Mapping[str, Recipe]) -> Recipe:
    digest = hashlib.sha256(BUILDER.encode())
    for file in sorted(f for f in folder.rglob("*") if f.is_file()):
        digest.update(f"\0{file.relative_to(folder)}\0{file.stat().st_mode & 0o111}\0".encode() + file.read_bytes())
    for parent in parents:
        digest.update(known[parent].digest.encode())
    tool, rootfs = folder / "tool.yaml", folder / "rootfs.yaml"
    programs = tuple(yaml.safe_load(tool.read_text(encoding="utf-8"))["binaries"]) if tool.exists() else ()
    base = yaml.safe_load(rootfs.read_text(encoding="utf-8")) if rootfs.exists() else None
    return Recipe(folder.name, folder, parents, programs, base, aliases, digest.hexdigest()[:16])


def _aliases(file: Path, folders: Mapping[str, Path]) -> dict[str, tuple[str, ...]]:
    table = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    mistakes = [f"{file.name}: there is no recipe {name!r}" for name in table if name not in folders]
    names = [alias for aliases in table.values() for alias in aliases]
    mistakes += [f"{file.name}: {n} is given twice" for n in sorted({n for n in names if names.count(n) > 1})]
    # containerd knows full names only; kubelet makes `traefik:v3` to `docker.io/library/traefik:v3` before it asks.
    short = [n for n in names if "." not in n.partition("/")[0] or ":" not in n.rpartition("/")[2]]
    mistakes += [f"{file.name}: {n} is not a full name: registry/path:tag is expected" for n in short]
    if mistakes:
        raise BadRecipe("; ".join(mistakes))
    return {name: tuple(aliases) for name, aliases in table.items()}
