"""``python -m tests.node``: what ``make node-up``, ``node-down``, ``node-status`` and ``node-images`` run."""

from __future__ import annotations

import argparse
import sys

from tests.node import gpus, lifecycle, loading
from tests.node.images import build, recipes
from tests.node.needs import lacks
from tests.node.settings import known, read

from sparkrig.errors import SparkrigError


def main() -> int:
    """Run one command; 0 done, 1 failed, 4 this machine cannot run a node."""
    asked = _parser().parse_args()
    try:
        return asked.run(asked)
    except lifecycle.CannotRun as error:
        return _complain(error, 4)
    except SparkrigError as error:
        return _complain(error, 1)
    except recipes.BadRecipe as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.node", description="A Kubernetes node with real pods (docs/node.md)."
    )
    commands = parser.add_subparsers(required=True)

    def command(name: str, run, help: str) -> argparse.ArgumentParser:  # noqa: A002
        made = commands.add_parser(name, help=help, description=help)
        made.set_defaults(run=run)
        made.add_argument("--name", default="lab", help="the node's name; default: lab")
        return made

    command("up", _up, "make the node, or start what of it does not run").add_argument(
        "--gpus", type=int, default=None, help="pretend GPUs of a new node; default: 2"
    )
    command("down", _down, "end the node and remove everything of it")
    command("status", _status, "what of it runs; exit 1 when not all does")
    images = command("images", _images, "build images and load them into the node, when it runs")
    images.add_argument("images", nargs="*", help="default: all")
    gpu = command("gpu", _gpu, "plug a GPU in or out: its health changes")
    gpu.add_argument("change", choices=["plug", "unplug"])
    gpu.add_argument("device", help="e.g. GPU-0")
    command("check", _check, "say whether this machine can run a node; exit 4 when it cannot")
    return parser


def _up(asked: argparse.Namespace) -> int:
    node = lifecycle.up(asked.name, _progress, asked.gpus)
    print(f"export KUBECONFIG={node.kubeconfig}")
    _progress(f"load balancers, Services and pods answer at {node.network}, node ports at {node.ip}")
    return 0


def _down(asked: argparse.Namespace) -> int:
    there = lifecycle.down(asked.name, _progress)
    _progress(f"node {asked.name}: {'gone' if there else 'there was none'}")
    return 0


def _status(asked: argparse.Namespace) -> int:
    found = lifecycle.status(asked.name)
    if found is None:
        others = f"; there are: {', '.join(known())}" if known() else ""
        _progress(f"there is no node {asked.name}{others}")
        return 1
    print(lifecycle.describe(found))
    return 0 if found.ok else 1


def _images(asked: argparse.Namespace) -> int:
    names = asked.images or tuple(recipes.load())
    made = build.ensure(names, _progress)
    for image in made:
        how = f"{image.seconds:6.0f} s" if image.seconds else "  cached"
        print(f"{image.recipe.name:28}{image.bytes / 1e6:8.1f} MB {how}  {' '.join(image.recipe.names)}")
    print(f"{'all':28}{sum(image.bytes for image in made) / 1e6:8.1f} MB")
    node = read(asked.name)
    if node is not None:
        loaded = loading.load(node, names)
        _progress(f"node {asked.name}: loaded {', '.join(r.name for r in loaded) or 'nothing new'}")
    return 0


def _gpu(asked: argparse.Namespace) -> int:
    node = read(asked.name)
    if node is None:
        _progress(f"there is no node {asked.name}")
        return 1
    gpus.set_health(node, asked.device, healthy=asked.change == "plug")
    return 0


def _check(_asked: argparse.Namespace) -> int:
    reasons = lacks()
    for reason in reasons:
        print(reason)
    return 4 if reasons else 0


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _complain(error: SparkrigError, code: int) -> int:
    _progress(f"error: {error.message}")
    for line in error.detail:
        _progress(f"  {line}")
    if error.hint:
        _progress(f"next: {error.hint}")
    return code


if __name__ == "__main__":
    sys.exit(main())
