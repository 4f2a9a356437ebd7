"""Real controllers by hand: ``python -m tests.controllers build|run`` (docs/controllers.md)."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from tests.controllers import recipes
from tests.controllers.process import why_no_namespaces
from tests.controllers.site import chosen, controllers

from sparkrig.errors import SparkrigError


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.controllers", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("build", help="build the Go programs of all recipes, so that no test waits for them")
    run = verbs.add_parser("run", help="create a simulated cluster and run controllers in it until Ctrl-C")
    run.add_argument("--name", default="controllers", help="the cluster's name (default: %(default)s)")
    run.add_argument("recipes", nargs="*", help="recipes to run (default: all whose programs are available)")
    options = parser.parse_args(arguments)
    reason = why_no_namespaces()
    if reason:
        print(f"controllers cannot run here: {reason}", file=sys.stderr)
        return 0 if options.verb == "build" else 1
    try:
        return _build() if options.verb == "build" else _run(options.name, options.recipes)
    except SparkrigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _build() -> int:
    recipes.build(recipes.load())
    return 0


def _run(name: str, names: list[str]) -> int:
    for recipe in recipes.load():
        if reason := recipe.unavailable():
            print(f"simulated: {reason}", flush=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with controllers(chosen(names), name) as site:
        print(f"--on sim:{name}", f"export KUBECONFIG={site.handle.kubeconfig}", sep="\n", flush=True)
        print(f"logs: {site.kubelet.folder}/p*/*/log", flush=True)
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
