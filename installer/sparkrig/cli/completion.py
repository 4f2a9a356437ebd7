"""What a shell completes besides commands and options: components, value paths, clusters, revisions.

Each function answers within the time a person waits for TAB and never fails: what cannot be read is not offered.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import typer

from sparkrig.errors import SparkrigError

NAME: Final = re.compile(r"^metadata:.*?\bname: *['\"]?([^\s'\"#,}]+)", re.MULTILINE | re.DOTALL)
"""The component's name in component.yaml; reading all of them as YAML would take longer than a person waits."""

Offer = tuple[str, str]
"""A completion, and what zsh and fish show beside it."""


def components(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of components, of ours and of those that ``--catalog`` adds."""
    return sorted(name for name in _folders(ctx) if name.startswith(incomplete))


def value_paths(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """``COMPONENT.PATH``, one key at a time; a path that goes on ends with a dot."""
    name, dot, path = incomplete.partition(".")
    if not dot:
        return [(f"{found}.", "") for found in components(ctx, incomplete)]
    folder = _folders(ctx).get(name)
    if folder is None:
        return []
    schema = _schema(folder)
    *parents, last = path.split(".")
    node: Mapping[str, Any] = schema
    for key in parents:
        node = _properties(schema, node).get(key) or {}
    before = "".join(f"{key}." for key in (name, *parents))
    return [
        (f"{before}{key}{'.' if _properties(schema, child) else ''}", str(child.get("description", "")))
        for key, child in _properties(schema, node).items()
        if key.startswith(last)
    ]


def assignments(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """The same for ``--set``: a path that does not go on ends with ``=``."""
    if "=" in incomplete:
        return []
    return [(path if path.endswith(".") else f"{path}=", about) for path, about in value_paths(ctx, incomplete)]


def clusters(incomplete: str) -> list[str]:
    """What ``--on`` takes: the providers, contexts of the kubeconfig, simulated and kind clusters of this machine."""
    from sparkrig.clusters.kind import kubeconfig_file
    from sparkrig.clusters.sim.state import home
    from sparkrig.kube.kubeconfig import read_kubeconfig

    found = ["context", "kind", "sim"]
    with contextlib.suppress(SparkrigError, OSError):
        found += [f"context:{name}" for name in read_kubeconfig().contexts]
    with contextlib.suppress(OSError):
        found += [f"sim:{file.stem}" for file in (home() / "records").glob("*.json")]
        found += [f"kind:{file.stem}" for file in kubeconfig_file("any").parent.glob("*.yaml")]
    return sorted(name for name in found if name.startswith(incomplete))


def revisions(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """The recorded revisions of the stack, newest first; asks the cluster."""
    from sparkrig.commands.session import Request, Session

    wanted = Request(stack_file=Path(ctx.params.get("file") or "stack.yaml"), target=ctx.params.get("target"))
    with contextlib.suppress(SparkrigError, OSError), Session(wanted) as session:
        infos = session.history(session.stack_name(ctx.params.get("name"))).infos()
        return [(str(i.number), str(i.status)) for i in reversed(infos) if str(i.number).startswith(incomplete)]
    return []


def topics(incomplete: str) -> list[Offer]:
    """The pages of ``sparkrig help``."""
    from sparkrig.cli.commands.help import pages

    return [(name, title) for name, title in pages().items() if name.startswith(incomplete)]


def tools(incomplete: str) -> list[str]:
    """Names of the binaries that sparkrig runs."""
    from sparkrig.tools import list_tools

    with contextlib.suppress(SparkrigError, OSError):
        return [item.name for item in list_tools() if item.name.startswith(incomplete)]
    return []


def _folders(ctx: typer.Context) -> dict[str, Path]:
    from sparkrig.tools.data import data_dir

    found: dict[str, Path] = {}
    with contextlib.suppress(SparkrigError, OSError):
        catalogs = [data_dir("charts"), *(Path(folder) for folder in ctx.params.get("catalog") or ())]
        for file in _files(catalogs):
            match = NAME.search(file.read_text("utf-8", errors="replace"))
            if match:
                found[match[1]] = file.parent
    return found


def _files(catalogs: list[Path]) -> Iterator[Path]:
    for catalog in catalogs:
        yield from sorted(catalog.glob("*/component.yaml"))


def _schema(folder: Path) -> Mapping[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        document = json.loads((folder / "values.schema.json").read_bytes())
        if isinstance(document, dict):
            return document
    return {}


def _properties(schema: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The keys below a node of the schema, through a ``$ref`` to another place of the same file."""
    reference = node.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        target: Any = schema
        for part in reference[2:].split("/"):
            target = target.get(part, {}) if isinstance(target, dict) else {}
        node = target
    found = node.get("properties")
    return {k: v for k, v in found.items() if isinstance(v, dict)} if isinstance(found, dict) else {}
