"""Images into a node: imported from their archives, then given every name that charts use."""

from __future__ import annotations

from collections.abc import Iterable

from tests.node import spaces
from tests.node.images import build
from tests.node.images.recipes import Recipe
from tests.node.images.recipes import load as load_recipes
from tests.node.settings import IMPORT_TIMEOUT_S, Node

from sparkrig.errors import OperationError
from sparkrig.tools import Progress

LABEL = "io.cri-containerd.image=managed"
"""What the CRI plugin marks its images with; without it kubelet does not see them until containerd starts again."""


def ensure(names: Iterable[str], on_progress: Progress) -> tuple[build.Image, ...]:
    """Build what is missing; see ``build.ensure``."""
    return build.ensure(names, on_progress)


def load(node: Node, names: Iterable[str]) -> tuple[Recipe, ...]:
    """Load built images into the node; those it has already, of the same content, cost nothing.

    Returns the recipes that were loaded now.
    """
    recipes = load_recipes()
    done = []
    for name in names:
        recipe = recipes[name]
        mark = node.folder / "loaded" / f"{name}-{recipe.digest}"
        if mark.exists():
            continue
        image = build.cached(recipe)
        if image is None:
            raise OperationError(f"image {name} is not built", hint=f"make node-images IMAGES={name}")
        ctr(node, "images", "import", "--snapshotter", "overlayfs", str(image.archive))
        for alias in recipe.names:
            if alias != recipe.names[0]:
                ctr(node, "images", "tag", "--force", recipe.names[0], alias)
            ctr(node, "images", "label", alias, LABEL)
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
        done.append(recipe)
    return tuple(done)


def answers(node: Node) -> bool:
    """Tell whether containerd serves images."""
    try:
        ctr(node, "images", "ls", "-q")
    except OperationError:
        return False
    return True


def ctr(node: Node, *arguments: str) -> str:
    """Run ctr in the namespace of Kubernetes' images."""
    words = (str(node.folder / "bin" / "ctr"), "--namespace", "k8s.io", *arguments)
    return spaces.run(node, *words, timeout=IMPORT_TIMEOUT_S)
