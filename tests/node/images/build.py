"""Builds images with buildah: no daemon, no registry; nothing is mounted where the machine sees it.

Layout below the cache folder: ``images/<recipe>-<digest>.tar`` is an archive that ``ctr images import`` takes,
``images/store`` is buildah's own. One build at a time on a machine; Go programs are compiled beside it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from tests.node.images.recipes import Recipe, load
from tests.programs import go_program

from sparkrig.errors import ToolError
from sparkrig.tools import Progress, cache_dir

BUILD_TIMEOUT_S = 1800.0
"""An image with a gigabyte of Python packages on a slow network."""
UNUSED_S = 14 * 24 * 3600.0
"""An archive that nobody asked for in this time is deleted when its recipe is built again."""
CERTIFICATES = Path("/etc/ssl/certs")
POLICY = {"default": [{"type": "insecureAcceptAnything"}]}
"""buildah wants to be told whose images it may use; it uses those that it made here."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that was built, and its archive."""

    recipe: Recipe
    archive: Path
    bytes: int
    """Size of the archive."""
    seconds: float
    """What building took, without the Go programs in it; 0 when it was cached."""


def ensure(names: Iterable[str], on_progress: Progress) -> tuple[Image, ...]:
    """Return the images of these recipes, built where the cache has none of the same content.

    Raises:
        ToolError: a program of a recipe cannot be built, or buildah fails; carries its last lines.
        BadRecipe: see ``recipes.load``.
    """
    recipes = load()
    unknown = [name for name in names if name not in recipes]
    if unknown:
        raise ToolError(f"there is no image {unknown[0]!r}", hint=f"images: {', '.join(recipes)}")
    wanted = [recipes[name] for name in dict.fromkeys(names)]
    missing = [recipe for recipe in wanted if cached(recipe) is None]
    # Compiling takes the cores, apt and pip the network: one lane for each. What compiles nothing goes first.
    with ThreadPoolExecutor(1, "programs") as lane:
        compiled = {recipe.name: lane.submit(_programs, recipe, on_progress) for recipe in missing if recipe.programs}
        try:
            made = {
                recipe.name: _ensure(recipe, recipes, compiled.get(recipe.name), on_progress)
                for recipe in sorted(
                    missing, key=lambda recipe: not compiled.keys().isdisjoint(_stack(recipe, recipes))
                )
            }
        except BaseException:
            lane.shutdown(wait=False, cancel_futures=True)
            raise
    return tuple(made.get(recipe.name) or _ensure(recipe, recipes, None, on_progress) for recipe in wanted)


def cached(recipe: Recipe) -> Image | None:
    """The image from the cache, or None."""
    archive = _archive(recipe)
    if not archive.exists():
        return None
    # Whoever asks uses it: see _prune.
    os.utime(archive)
    return Image(recipe, archive, archive.stat().st_size, 0.0)


def _ensure(
    recipe: Recipe, recipes: Mapping[str, Recipe], compiled: Future[dict[str, Path]] | None, on_progress: Progress
) -> Image:
    found = cached(recipe)
    if found is not None:
        return found
    (_home() / "store").mkdir(parents=True, exist_ok=True)
    # Before the lock: they have locks of their own, and take minutes.
    programs = compiled.result() if compiled else _programs(recipe, on_progress)
    began = time.monotonic()
    with FileLock(_home() / "lock"):
        if cached(recipe) is None:
            _build(recipe, recipes, programs, on_progress)
            _export(recipe)
    made = cached(recipe)
    assert made is not None
    seconds = time.monotonic() - began
    on_progress(f"image {recipe.name}: {made.bytes / 1e6:.0f} MB in {seconds:.0f} s")
    return Image(recipe, made.archive, made.bytes, seconds)


def _stack(recipe: Recipe, recipes: Mapping[str, Recipe]) -> Iterator[str]:
    """Names of the recipe and of everything that it stands on."""
    yield recipe.name
    for parent in recipe.parents:
        yield from _stack(recipes[parent], recipes)


def _build(recipe: Recipe, recipes: Mapping[str, Recipe], programs: Mapping[str, Path], on_progress: Progress) -> None:
    for parent in recipe.parents:
        name = recipes[parent].name
        if not _in_store(recipes[parent]):
            _build(recipes[parent], recipes, _programs(recipes[parent], on_progress), on_progress)
        _buildah(recipe, "tag", _tag(recipes[parent]), f"localhost/{name}")
    on_progress(f"image {recipe.name}: building (log: {_log(recipe)})")
    with _context(recipe, programs) as folder:
        named = ["--tag", _tag(recipe), "--file", f"{folder}/Containerfile", str(folder)]
        _buildah(recipe, "build", "--layers", "--timestamp", "0", *_isolated(), *named)


def _export(recipe: Recipe) -> None:
    archive = _archive(recipe)
    draft = archive.with_suffix(".new")
    draft.unlink(missing_ok=True)
    _buildah(recipe, "push", "--disable-compression", _tag(recipe), f"oci-archive:{draft}:{recipe.names[0]}")
    draft.replace(archive)
    _prune(recipe)


def _prune(recipe: Recipe) -> None:
    """Delete archives of this recipe that nobody has used for long: another clone's is of use to that clone."""
    limit = time.time() - UNUSED_S
    for archive in _home().glob(f"{recipe.name}-{'?' * 16}.tar"):
        if archive.stat().st_mtime < limit:
            archive.unlink(missing_ok=True)


@contextmanager
def _context(recipe: Recipe, programs: Mapping[str, Path]) -> Iterator[Path]:
    """Give a folder with everything that the Containerfile may COPY."""
    with tempfile.TemporaryDirectory(prefix="context-", dir=_home()) as temporary:
        folder = Path(temporary)
        shutil.copytree(recipe.folder, folder, dirs_exist_ok=True)
        (folder / "bin").mkdir(exist_ok=True)
        for name, binary in programs.items():
            shutil.copy2(binary, folder / "bin" / name)
        if recipe.rootfs is not None:
            _mmdebstrap(recipe, folder / "rootfs.tar")
        yield folder


def _mmdebstrap(recipe: Recipe, target: Path) -> None:
    wanted = recipe.rootfs or {}
    excluded = [f"--dpkgopt=path-exclude={pattern}" for pattern in wanted.get("exclude", [])]
    include = ",".join(wanted.get("include", []))
    # No mirror is named: on Debian mmdebstrap takes the machine's own.
    command = ["mmdebstrap", f"--variant={wanted['variant']}", f"--include={include}", *excluded]
    _run(recipe, ["unshare", "--mount", *command, str(wanted["suite"]), str(target)])


def _programs(recipe: Recipe, on_progress: Progress) -> dict[str, Path]:
    return {name: go_program(recipe.folder, name, on_progress) for name in recipe.programs}


def _isolated() -> list[str]:
    # Certificates of this machine: where a proxy shows its own, those of a fresh Debian are not enough.
    mounts = ["--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro"] if CERTIFICATES.is_dir() else []
    return ["--isolation", "chroot", *mounts, *_build_arguments()]


def _build_arguments() -> list[str]:
    """Proxies and package sources of this machine, for RUN; none of it stays in the image."""
    wanted = [k for k in os.environ if k.lower() in ("http_proxy", "https_proxy", "no_proxy")]
    return [word for name in wanted for word in ("--build-arg", f"{name}={os.environ[name]}")]


def build_on(parent: str, *arguments: str, on_progress: Progress) -> None:
    """Run ``buildah build`` on the store of the recipes, in which ``localhost/PARENT`` is there.

    Raises:
        ToolError: the parent cannot be built, or buildah fails; carries its last lines.
    """
    recipe = load()[parent]
    ensure([parent], on_progress)
    with FileLock(_home() / "lock"):
        _buildah(recipe, "tag", _tag(recipe), f"localhost/{parent}")
        _buildah(recipe, "build", *_isolated(), *arguments)


def _in_store(recipe: Recipe) -> bool:
    command = [*_buildah_command(), "inspect", "--type", "image", _tag(recipe)]
    return subprocess.run(command, capture_output=True, env=_environment()).returncode == 0


def _buildah(recipe: Recipe, *arguments: str) -> None:
    policy = _home() / "policy.json"
    policy.write_text(json.dumps(POLICY), encoding="utf-8")
    verb, *rest = arguments
    named = ["--signature-policy", str(policy)] if verb in ("build", "push") else []
    _run(recipe, [*_buildah_command(), verb, *named, *rest])


def _buildah_command() -> list[str]:
    store = _home() / "store"
    # Its store mounts itself; in a mount namespace of its own that ends with the command.
    return [
        "unshare",
        "--mount",
        "buildah",
        "--root",
        f"{store}/root",
        "--runroot",
        f"{store}/run",
        "--storage-driver",
        "overlay",
    ]


def _run(recipe: Recipe, command: list[str]) -> None:
    log = _log(recipe)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=_environment(), timeout=BUILD_TIMEOUT_S
        )
    if done.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
        raise ToolError(f"image {recipe.name}: {command[2]} failed (exit {done.returncode}, log: {log})", detail=lines)


def _environment() -> dict[str, str]:
    """buildah's. It makes a lock file where networks are configured; the default place is the machine's."""
    file = _home() / "containers.conf"
    file.write_text(f'[network]\nnetwork_config_dir = "{_home()}/cni"\n', encoding="utf-8")
    return {**os.environ, "CONTAINERS_CONF": str(file)}


def _tag(recipe: Recipe) -> str:
    return f"localhost/{recipe.name}:{recipe.digest}"


def _archive(recipe: Recipe) -> Path:
    return _home() / f"{recipe.name}-{recipe.digest}.tar"


def _log(recipe: Recipe) -> Path:
    return cache_dir() / "logs" / f"image-{recipe.name}-{recipe.digest}.log"


def _home() -> Path:
    return cache_dir() / "images"
