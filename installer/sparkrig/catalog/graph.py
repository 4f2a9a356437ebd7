"""Order and cycles of a small named graph. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence


def cycles(needs: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Cycles that share no name, each the shortest through its first name: ``("a", "b", "a")``."""
    found: list[tuple[str, ...]] = []
    seen: set[str] = set()
    for name in needs:
        if name in seen:
            continue
        path = _way_back(name, needs)
        if path and not seen.intersection(path):
            found.append(path)
            seen.update(path)
    return found


def ordered(names: Sequence[str], needs: Mapping[str, Sequence[str]]) -> list[str]:
    """``names`` with what each needs before it; what is free to move keeps its place. The graph has no cycle."""
    done: dict[str, None] = {}

    def visit(name: str) -> None:
        for other in sorted(needs.get(name, ()), key=places.__getitem__):
            if other not in done:
                visit(other)
        done[name] = None

    places = {name: index for index, name in enumerate(names)}
    for name in names:
        if name not in done:
            visit(name)
    return list(done)


def _way_back(start: str, needs: Mapping[str, Sequence[str]]) -> tuple[str, ...] | None:
    queue: deque[tuple[str, ...]] = deque([(start,)])
    visited: set[str] = set()
    while queue:
        path = queue.popleft()
        for name in needs.get(path[-1], ()):
            if name == start:
                return (*path, start)
            if name not in visited:
                visited.add(name)
                queue.append((*path, name))
    return None
