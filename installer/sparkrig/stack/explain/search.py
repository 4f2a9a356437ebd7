"""Whether a component can have a value of some path, and what a person may have meant instead. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from sparkrig.errors import NotFound
from sparkrig.models.json import JsonObject, texts_at
from sparkrig.stack.explain.layers import Subject, leaf_nodes
from sparkrig.stack.explain.schema import leaves, resolved, schema_at
from sparkrig.yaml.nodes import ListNode, MapNode, Node, Path, ScalarNode, Step, find, show_path
from sparkrig.yaml.schema import did_you_mean, known_keys

MAX_FOUND: Final = 6
"""Values of the same name that are named."""


def require_known(subject: Subject, path: Path) -> None:
    """Refuses a path that the component cannot have.

    A path below a map that takes any key is accepted, whether something sets it or not.

    Raises:
        NotFound: with what was probably meant, and where values of that name are.
    """
    if _known(subject, path):
        return
    depth = next(n for n in range(len(path), 0, -1) if not _known(subject, path[:n]) and _known(subject, path[: n - 1]))
    parent, wrong = path[: depth - 1], path[depth - 1]
    if _open(subject, parent, wrong):
        return
    where = f"{subject.name}.{show_path(parent)}" if parent else subject.name
    close = did_you_mean(str(wrong), _names(subject, parent))
    hints = []
    if close is not None:
        meant = _corrected(subject, parent, close, path[depth:])
        hints.append(f"did you mean {subject.name}.{show_path(meant)}?")
    elsewhere = [show_path(found) for found in _of_same_name(subject, path)]
    if close is None and elsewhere:
        more = f" and {len(elsewhere) - MAX_FOUND} more" if len(elsewhere) > MAX_FOUND else ""
        shown = ", ".join(f"{subject.name}.{found}" for found in elsewhere[:MAX_FOUND])
        hints.append(f"values of that name: {shown}{more}")
    there = find(subject.values, parent)
    if isinstance(there, ListNode):
        hints = [f"it has {len(there.items)} items, the first is [0]" if there.items else "it is empty"]
    elif isinstance(there, ScalarNode):
        hints = [f"{where} is a single value"]
    if not hints:
        names = sorted(_names(subject, parent))
        if names:
            hints.append(f"{where} has {', '.join(names[:12])}{' and more' if len(names) > 12 else ''}")
    what = f"item [{wrong}]" if isinstance(wrong, int) else f"value '{wrong}'"
    note = (subject.defaults.note,) if subject.defaults.note and not subject.own_chart else ()
    raise NotFound(f"{where} has no {what}", hint="; ".join(hints) or None, detail=note)


def _known(subject: Subject, path: Path) -> bool:
    if not path or find(subject.values, path) is not None:
        return True
    if subject.schema is not None and _documented(subject.schema, path):
        return True
    for prefix, schema in subject.defaults.schemas:
        length = min(len(prefix), len(path))
        if prefix[:length] == path[:length] and _documented(schema, path[len(prefix) :]):
            return True
    return any(_speaks(subject, path))


def _speaks(subject: Subject, path: Path) -> Iterator[bool]:
    """Layers that have the path itself, were it only as a null; not those that replaced a parent."""
    for layer in (*subject.default_layers, *subject.handed_layers):
        yield layer.root is not None and find(layer.root, path) is not None
        yield any(assignment.path[: len(path)] == path for assignment in layer.assignments)


def _documented(schema: JsonObject, path: Path) -> bool:
    """Whether a schema names the path itself; one that any key would fit is no name."""
    if not path:
        return True
    parent = schema_at(schema, path[:-1])
    last = path[-1]
    return parent is not None and isinstance(last, str) and last in known_keys(resolved(schema, parent))


def _open(subject: Subject, parent: Path, step: Step) -> bool:
    """Whether the map at ``parent`` takes keys that nobody listed: an empty map does, a filled one does not."""
    there = find(subject.values, parent)
    if isinstance(step, int) or (there is not None and not isinstance(there, MapNode)):
        return False
    schema = schema_at(subject.schema, parent) if subject.schema is not None else None
    if schema is not None and parent:
        types = schema.get("type", "object")
        if "object" not in ([types] if isinstance(types, str) else texts_at(types)):
            return False
        others = schema.get("additionalProperties")
        if others is False:
            return False
        if isinstance(others, Mapping) or not schema.get("properties"):
            return True
    for prefix, theirs in subject.defaults.schemas:
        if parent[: len(prefix)] == prefix and len(parent) > len(prefix):
            part = schema_at(theirs, parent[len(prefix) :])
            others = part.get("additionalProperties") if part is not None else None
            if others is False or isinstance(others, Mapping):
                return others is not False
    return isinstance(there, MapNode) and not there.entries and bool(parent)


def _names(subject: Subject, parent: Path) -> list[str]:
    names: dict[str, None] = {}
    if subject.schema is not None:
        names.update(dict.fromkeys(known_keys(schema_at(subject.schema, parent))))
    for prefix, schema in subject.defaults.schemas:
        if parent[: len(prefix)] == prefix:
            names.update(dict.fromkeys(known_keys(schema_at(schema, parent[len(prefix) :]))))
    node = find(subject.values, parent)
    if isinstance(node, MapNode):
        names.update(dict.fromkeys(node.entries))
    for layer in subject.default_layers:
        below: Node | None = find(layer.root, parent)
        if isinstance(below, MapNode):
            names.update(dict.fromkeys(below.entries))
    return list(names)


def _corrected(subject: Subject, parent: Path, close: str, rest: Path) -> Path:
    """The path with the mistake mended, and mistakes further down too where that is possible."""
    path: Path = (*parent, close)
    for step in rest:
        whole = (*path, step)
        if not _known(subject, whole) and isinstance(step, str):
            better = did_you_mean(step, _names(subject, path))
            if better is None:
                return path
            whole = (*path, better)
        path = whole
    return path


def _of_same_name(subject: Subject, path: Path) -> list[Path]:
    """Paths that end as this one does: in two steps if there are any, else in the last."""
    known: dict[Path, None] = {}
    if subject.schema is not None:
        known.update(dict.fromkeys(found for found, _ in leaves(subject.schema)))
    known.update(dict.fromkeys(found for found, _ in leaf_nodes(subject.values)))
    every = {found[:length]: None for found in known for length in range(1, len(found) + 1)}
    for length in (2, 1):
        same = [found for found in every if len(path) >= length and found[-length:] == path[-length:]]
        if same:
            return sorted(same, key=lambda found: (len(found), show_path(found)))
    return []


__all__ = ["require_known"]
