"""What an earlier look has proven: objects that are as recorded, by their UIDs and resource versions.

An object that did not differ from a Helm revision's manifest does not differ while both stay what they are. So a stack
at rest is compared without reading its releases again, which hold whole charts. The memory is a file in the user's
cache, of names and versions alone, nothing of what objects contain; losing it costs time only.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from sparkrig.cache import read_memory, write_memory
from sparkrig.models.objects import ObjectRef
from sparkrig.models.release import ObservedRelease, ReleaseState

FORMAT: Final = 1
KEY: Final = "components"
Entry: TypeAlias = Any
"""``release``: which Helm revision; ``objects``: group, version, kind, namespace, name, UID, resource version each.

As it was read from a file, so that it may be anything.
"""
Look: TypeAlias = Callable[[ObjectRef], Mapping[str, Any] | None]
"""An object, or its metadata, as it is now."""


class Proven:
    """What is known of one stack's components. Belongs to one thread."""

    def __init__(self, folder: Path, server: str, stack: str, look: Look) -> None:
        """``folder`` is for files of all stacks of all clusters; ``look`` serves from memory."""
        name = hashlib.sha256(f"{server}\0{stack}".encode()).hexdigest()[:32]
        self._file = folder / f"{name}.json"
        self._look = look
        self._known: dict[str, Entry] = read_memory(self._file, KEY, FORMAT)
        self._learned = False

    def holds(self, state: ReleaseState, found: ObservedRelease | None) -> bool:
        """Whether all objects of a release are as they were when they did not differ from its manifest."""
        entry = self._known.get(state.component)
        if not isinstance(entry, dict) or entry.get("release") != _revision(state, found):
            return False
        with contextlib.suppress(TypeError, ValueError, KeyError):
            return all(self._mark(ObjectRef(*ref)) == [uid, version] for *ref, uid, version in entry["objects"])
        return False

    def learn(self, state: ReleaseState, found: ObservedRelease | None, refs: Iterable[ObjectRef]) -> None:
        """Note that these, all objects of its manifest, do not differ from it.

        They were compared after ``look`` saw them. One that changed in between has another version from then on.
        """
        revision = _revision(state, found)
        objects = [[r.group, r.version, r.kind, r.namespace, r.name, *self._mark(r)] for r in refs]
        if revision is None or any(None in each for each in objects):
            return
        self._known[state.component] = {"release": revision, "objects": objects}
        self._learned = True

    def save(self) -> None:
        """Keep what was learned; where that cannot be written, it is learned again."""
        if self._learned:
            with contextlib.suppress(OSError):
                write_memory(self._file, KEY, FORMAT, self._known)

    def _mark(self, ref: ObjectRef) -> list[Any]:
        metadata = (self._look(ref) or {}).get("metadata") or {}
        return [metadata.get("uid"), metadata.get("resourceVersion")]


def _revision(state: ReleaseState, found: ObservedRelease | None) -> list[Any] | None:
    """Which Helm revision, and since when, as a name may be used again; None where it is not the recorded one."""
    if found is None or found.modified is None or found.revision != state.helm_revision:
        return None
    return [state.namespace, state.release, found.revision, found.modified]
